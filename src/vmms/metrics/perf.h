/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readings of VMs' counters (rpc/counters.h). A reading is one call to the VM's worker, shared by all who want one at the same time; its
 * answer is foreign: copied through the table, its time put between the question and the answer. Nothing is read that nobody
 * asks for. Thread: the event loop's.
 */
#ifndef VMMS_METRICS_PERF_H
#define VMMS_METRICS_PERF_H

#include <jansson.h>
#include "util/macros.h"

struct rpc_call;
struct vm;
struct vmms;

struct perf_reading {
	const struct vm *vm;
	uint64_t time_us;   /* CLOCK_MONOTONIC */
	const json_t *sets; /* borrowed; NULL: the worker gave none */
};

/* Exactly once for each perf_read() that gave 0; the VM is still there. */
typedef void (*perf_fn)(void *arg, const struct perf_reading *r);

/* -EPIPE when the VM has no worker that can be asked; -ENOMEM, -ENOBUFS. */
int perf_read(struct vm *vm, perf_fn fn, void *arg) __must_check;

/*
 * Reads all VMs that have a worker: each() as they come, in any order, then done(), maybe before the return. -ENOMEM: neither is called.
 */
int perf_read_all(struct vmms *v, perf_fn each, void (*done)(void *arg),
		  void *arg) __must_check;
/* The sets that vmms tells of the host; a new reference. */
json_t *perf_host(const struct vmms *v);
uint64_t perf_now_us(void);
/* A worker's counters that were not asked for, as a reading's sets: a new reference, NULL when they are none. */
json_t *perf_copy(const struct vm *vm, const json_t *counters);

/* perf.get */
void perf_get(struct rpc_call *call, void *ctx);

#endif
