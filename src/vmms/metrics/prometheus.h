/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All VMs' counters in Prometheus' text exposition format 0.0.4, at GET /metrics of a Unix socket or a port of the loopback interface, as the
 * setting `metrics` says. Names are "vmms_<set>_<counter>" of the table of counters, in base units: bytes and
 * seconds. Thread: the event loop's.
 */
#ifndef VMMS_METRICS_PROMETHEUS_H
#define VMMS_METRICS_PROMETHEUS_H

#include "rpc/error.h"

struct prometheus;
struct vmms;

/* Whether `where` is an absolute path, or PORT of 127.0.0.1 or [::1]: "127.0.0.1:9177". */
bool prometheus_where_ok(const char *where);
/* -errno and a line when it cannot listen there. */
int prometheus_new(struct vmms *v, const char *where, struct prometheus **ret,
		   struct rpc_error *e) __must_check;
/* Nothing is asked of workers any more, and no VM has one. NULL is ok. */
void prometheus_free(struct prometheus *p);

#endif
