/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of a VM and what may be asked of it in each. Pure: no I/O, nothing allocated. Thread: any.
 */
#ifndef VMMS_VM_STATE_H
#define VMMS_VM_STATE_H

#include "rpc/error.h"
#include "util/macros.h"

enum vm_state {
	VM_OFF,
	VM_STARTING,
	VM_RUNNING,
	VM_PAUSING,
	VM_PAUSED,
	VM_STOPPING,
	VM_RESETTING,
};

enum vm_health { VM_OK, VM_CRITICAL };

enum vm_op {
	VM_OP_START,
	VM_OP_STOP, /* through the guest */
	VM_OP_TURN_OFF,
	VM_OP_RESTART, /* through the guest */
	VM_OP_RESET,
	VM_OP_PAUSE,
	VM_OP_RESUME,
	VM_OP_CONSOLE,
	VM_OP_DRIVES,    /* its drives, on or off */
	VM_OP_NICS,      /* its network adapters, likewise */
	VM_OP_CONFIGURE, /* its drives or adapters as a whole */
	VM_OP_DELETE,
};

const char *state_name(enum vm_state s);
/* -EINVAL for a name that no state has. */
int state_parse(const char *name, enum vm_state *ret) __must_check;
const char *health_name(enum vm_health h);

/* 0, or -EBUSY and one line that says what state forbids it and what to do. */
int state_check(enum vm_op op, enum vm_state s, const char *vm_name,
		struct rpc_error *e) __must_check;

#endif
