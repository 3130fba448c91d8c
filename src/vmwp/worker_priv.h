/* SPDX-License-Identifier: BSD-2-Clause */
/* What worker.c (process) and control.c (methods) share. Owner: the loop. */
#ifndef VMWP_WORKER_PRIV_H
#define VMWP_WORKER_PRIV_H

#include "rpc/server.h"
#include "vmwp/machine.h"
#include "vmwp/worker.h"

struct worker {
	/* fixed after init */
	const struct worker_options *options;
	struct event_base *loop;
	struct rpc_server *server;

	struct vm_config *config;  /* NULL before worker.setup */
	struct machine *machine;   /* likewise */
	int report_fd;             /* -1: none was given */
	bool over;                 /* the loop ends */
	struct rpc_call *turn_off; /* waits for the end */
};

extern const struct rpc_handler control_handlers[];
extern const size_t control_handler_count;

/* For machine_env. */
void worker_changed(void *opaque);
void worker_ended(void *opaque);

#endif
