/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/state.h"

#include <errno.h>
#include <string.h>

static const char *const names[] = {
	[VM_OFF] = "Off",
	[VM_STARTING] = "Starting",
	[VM_RUNNING] = "Running",
	[VM_PAUSING] = "Pausing",
	[VM_PAUSED] = "Paused",
	[VM_STOPPING] = "Stopping",
	[VM_RESETTING] = "Resetting",
};

#define IN(s) (1u << (s))
#define UP (IN(VM_RUNNING) | IN(VM_PAUSING) | IN(VM_PAUSED) | IN(VM_RESETTING))

static const struct {
	const char *verb;
	unsigned int in;                    /* the states in which it may be asked */
	const char *advice_off, *advice_up; /* by whether the VM that refuses is off */
} ops[] = {
	[VM_OP_START] = { "start", IN(VM_OFF), "", "it is started already" },
	/* A second stop while one is under way waits for the same end. */
	[VM_OP_STOP] = { "stop", IN(VM_RUNNING) | IN(VM_STOPPING),
			 "there is nothing to stop",
			 "resume it first, or turn it off with --force" },
	[VM_OP_TURN_OFF] = { "turn off", UP | IN(VM_STARTING) | IN(VM_STOPPING),
			     "there is nothing to turn off", "" },
	[VM_OP_RESTART] = { "restart", IN(VM_RUNNING), "start it instead",
			    "wait until it is Running, or reset it with --force" },
	[VM_OP_RESET] = { "reset", IN(VM_RUNNING) | IN(VM_PAUSED), "start it instead",
			  "wait until it is Running" },
	[VM_OP_PAUSE] = { "pause", IN(VM_RUNNING), "start it first",
			  "wait until it is Running" },
	[VM_OP_RESUME] = { "resume", IN(VM_PAUSED), "start it instead",
			   "it is not paused" },
	[VM_OP_CONSOLE] = { "reach the console of", ~IN(VM_OFF), "start it first", "" },
	[VM_OP_DRIVES] = { "change the drives of",
			   IN(VM_OFF) | IN(VM_RUNNING) | IN(VM_PAUSED), "",
			   "wait until it is Running" },
	[VM_OP_NICS] = { "change the network adapters of",
			 IN(VM_OFF) | IN(VM_RUNNING) | IN(VM_PAUSED), "",
			 "wait until it is Running" },
	[VM_OP_CONFIGURE] = { "replace the devices of", IN(VM_OFF), "",
			      "its drives and network adapters change one at a time "
			      "('vmctl disk', 'vmctl nic'), or stop it first" },
	[VM_OP_DELETE] = { "delete", IN(VM_OFF), "", "stop it first" },
};

const char *state_name(enum vm_state s)
{
	return names[s];
}

int state_parse(const char *name, enum vm_state *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum vm_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *health_name(enum vm_health h)
{
	return h == VM_CRITICAL ? "Critical" : "Ok";
}

int state_check(enum vm_op op, enum vm_state s, const char *vm_name, struct rpc_error *e)
{
	if (ops[op].in & IN(s))
		return 0;
	return rpc_error_set(e, -EBUSY, "cannot %s %s: it is %s; %s", ops[op].verb,
			     vm_name, names[s],
			     s == VM_OFF ? ops[op].advice_off : ops[op].advice_up);
}
