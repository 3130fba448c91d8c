/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker of one VM from vmms's side: its process, which outlives vmms, and its control socket.
 *
 *   start: resources → fork → record of the process → exec → connect → worker.hello → worker.setup → vm.start
 *   adopt: record → the same process still? → connect → worker.hello
 *   end:   pidfd readable → why (report, exit status) → run folder removed → the VM is Off
 *
 * A worker that cannot be talked to is not ended for it: its VM is Critical and vmms tries again. One that fails
 * while it starts is. Thread: the event loop's.
 */
#ifndef VMMS_WORKER_WORKER_H
#define VMMS_WORKER_WORKER_H

#include <jansson.h>
#include <sys/types.h>
#include "rpc/peer.h"

struct rpc_call;
struct vm;
struct vmms;
struct worker;

/*
 * Starts a worker for a VM that is Off. 0: the VM is Starting, and `call` is answered when it runs or has
 * failed; else an error (nothing is left of it) and the call is still the caller's.
 */
int worker_start(struct vmms *v, struct vm *vm, struct rpc_call *call,
		 struct rpc_error *e) __must_check;
/* Takes over the worker that an earlier vmms started. -ESRCH when there is none (any more). */
int worker_adopt(struct vmms *v, struct vm *vm) __must_check;
/* Whether it has answered, or failed to, since it was adopted. */
bool worker_was_heard(const struct worker *w);
/* Whether the process of a run folder (RUN/vms/<id>) lives. */
bool worker_is_alive(struct vmms *v, const char *id);
/* Lets go of it; the process goes on. */
void worker_leave(struct worker *w);

/* A call to it. -EPIPE while there is no connection; `fn` is then not called. Takes params. */
int worker_call(struct worker *w, const char *method, json_t *params,
		unsigned int timeout_ms, rpc_peer_fn fn, void *arg) __must_check;
/* The same with descriptors, which are closed in any case. */
int worker_call_fds(struct worker *w, const char *method, json_t *params, int *fds,
		    size_t nfds, unsigned int timeout_ms, rpc_peer_fn fn,
		    void *arg) __must_check;
/* Off by its own hand, or by SIGKILL when that takes too long. */
void worker_turn_off(struct worker *w);

pid_t worker_pid(const struct worker *w);
/* With the pid it names one process for ever; clock ticks since the host's boot. */
uint64_t worker_starttime(const struct worker *w);
const char *worker_console_socket(const struct worker *w);
const char *worker_console_pty(const struct worker *w);

#endif
