/* SPDX-License-Identifier: BSD-2-Clause */
/* What worker.c (the process) and link.c (its control socket) share. */
#ifndef VMMS_WORKER_WORKER_PRIV_H
#define VMMS_WORKER_WORKER_PRIV_H

#include "rpc/error.h"
#include "vmms/vm/resources.h"
#include "vmms/worker/spawn.h"
#include "vmms/disk/vhd_chain.h"
#include "vmms/vmms.h"
#include "vmms/worker/worker.h"

struct event;

/* owner: the event loop */
struct worker {
	/* fixed after init */
	struct vmms *v;
	struct vm *vm;
	struct process process;
	char *console_socket;
	char console_pty[64];
	bool adopted;
	uid_t uid; /* its own user; SANDBOX_NO_UID: vmms's */

	struct event *exit_ev; /* pidfd */
	struct event *kill_ev; /* SIGKILL, when it has not ended by then */
	const char *kill_why;  /* what the VM's reason is then; NULL: has one already */

	/* link.c */
	struct rpc_peer *peer; /* NULL: not connected */
	struct event *retry_ev;
	unsigned int tries; /* since it last answered */
	bool heard;         /* hello was answered, or is not going to be soon */
	bool up;            /* its vm.start was answered, now or by an earlier vmms */
	uint64_t up_at_ms;  /* since when, or since it was adopted; CLOCK_MONOTONIC */

	/* while it starts */
	int gate; /* spawn_open_gate(); -1: it runs */
	struct resources res;
	bool have_res;
	struct rpc_call *start_call;
	struct vhd_chain
		*chain; /* its images' parents are looked for; there is no process yet */

	char end_reason[512]; /* why vmms ended it, "" when it did not */
	bool end_is_fault;
	int end_err;
};

/* Its vm.start was answered. */
void worker_is_up(struct worker *w);
/* Connects and says hello; then sets up and starts the VM, or only listens, as `up` says. */
void link_open(struct worker *w);
void link_close(struct worker *w);
/* Ends it, for this reason, which becomes the VM's; the error of a start that waits. */
void worker_fail(struct worker *w, int err, const char *fmt, ...) __printf(3, 4);
/* The same, in a moment, unless it ends by itself and can say more. `why` is a constant. */
void worker_fail_soon(struct worker *w, const char *why);

#endif
