/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that are answered once a VM is as they ask, or their time is over, or their client left, or it cannot come
 * true any more. Each belongs to one VM; wait_settle() looks at all of a VM's after each change.
 * Thread: the event loop's.
 */
#ifndef VMMS_WAIT_H
#define VMMS_WAIT_H

#include "rpc/server.h"
#include "vmms/vm/vm.h"

struct event_base;

enum wait_for {
	WAIT_RUNNING,
	WAIT_PAUSED,
	WAIT_OFF,
	WAIT_HEARTBEAT,
	WAIT_RESET, /* the guest was reset since the wait began */
};

/* "running|paused|off|heartbeat" of vm.wait; the table of methods lets no other through. */
enum wait_for wait_parse(const char *name);

/*
 * Answers the call with the VM's summary, or an error. `late` is the message after timeout_s, for which
 * late_fn (may be NULL) is called first.
 */
void wait_add(struct event_base *base, struct vm *vm, enum wait_for what,
	      int64_t timeout_s, const char *late,
	      void (*late_fn)(void *ctx, struct vm *vm), void *ctx,
	      struct rpc_call *call);
/* After a change of the VM. */
void wait_settle(struct vm *vm);
/* Ends all with an error: the VM goes away. */
void wait_fail_all(struct vm *vm, const struct rpc_error *e);

#endif
