/* SPDX-License-Identifier: BSD-2-Clause */
/* Where Prometheus' text is served: the address, and a listening socket there. Thread: the event loop's. */
#ifndef VMMS_METRICS_PROMETHEUS_LISTEN_H
#define VMMS_METRICS_PROMETHEUS_LISTEN_H

#include <sys/socket.h>
#include "rpc/error.h"
#include "vmms/settings.h"

struct prometheus_address {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* A path, or an address and port of the loopback interface: 0, -EINVAL for anything else; `ret` may be NULL. */
int prometheus_address(const char *where, struct prometheus_address *ret) __must_check;
/*
 * Listens, nonblocking. A Unix socket replaces what has its name, if that is one; the members of the group that may look can connect. The port that port 0 became
 * is told in the log.
 */
int prometheus_listen(const struct settings *s, const char *where, int *ret_fd,
		      struct rpc_error *e) __must_check;
/* Closes it (-1: nothing) and removes a Unix socket's name. */
void prometheus_close(int fd, const char *where);

#endif
