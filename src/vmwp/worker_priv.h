/* SPDX-License-Identifier: BSD-2-Clause */
/* What worker.c (process) and control.c (methods) share. Owner: the loop. */
#ifndef VMWP_WORKER_PRIV_H
#define VMWP_WORKER_PRIV_H

#include "rpc/server.h"
#include "vmwp/drives.h"
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

/* control.c: ends a call by what became of it. */
void control_answer(struct rpc_call *call, int r, const struct machine_error *error);
/* machine_done_fn of every operation that a call waits for. */
void control_answer_done(void *opaque, int r, const struct machine_error *error);
/* The machine, or NULL when there is none and the call was answered so. */
struct machine *control_machine(struct worker *w, struct rpc_call *call);

/*
 * control_drive.c: the descriptors that came for a drive, its image's and with `parents` (an array of paths, may be NULL) those of its chain. None is
 * no error; some of a chain is.
 */
int control_take_files(struct rpc_call *call, unsigned int controller, unsigned int lun,
		       const char *path, const json_t *parents, struct drive_files *ret,
		       struct machine_error *error) __must_check;
void control_drive_attach(struct rpc_call *call, void *ctx);
void control_drive_detach(struct rpc_call *call, void *ctx);
void control_drive_set(struct rpc_call *call, void *ctx);
void control_drive_resize(struct rpc_call *call, void *ctx);
void control_dvd_change(struct rpc_call *call, void *ctx);

/* control_nic.c: the descriptors that came for an adapter. */
void control_take_nic_fds(struct rpc_call *call, unsigned int number,
			  struct machine_nic_fds *ret);
void control_nic_attach(struct rpc_call *call, void *ctx);
void control_nic_detach(struct rpc_call *call, void *ctx);
void control_nic_link(struct rpc_call *call, void *ctx);

/* For machine_env. */
void worker_changed(void *opaque);
void worker_ended(void *opaque);

#endif
