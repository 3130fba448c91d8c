/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine: a partition, its board, its bus and what is offered on it, and the power states that they go through
 * together. What the guest does (power off, reset, crash) and what the operator asks for meet here.
 *
 * Thread: the worker's loop makes all calls and gets all callbacks.
 *
 *   Off ──start──► Running ──pause──► Pausing ──► Paused ──resume──► Running
 *                    │  └──reset, or the guest's──► Resetting ──► Running
 *                    └──turn off, or the guest's──► Stopping ──► Off (for good)
 */
#ifndef VMWP_MACHINE_H
#define VMWP_MACHINE_H

#include "back/nic.h"
#include "config/config.h"
#include "util/guid.h"
#include "util/macros.h"

struct event_base;
struct machine;

enum machine_state {
	MACHINE_OFF,
	MACHINE_STARTING,
	MACHINE_RUNNING,
	MACHINE_PAUSING,
	MACHINE_PAUSED,
	MACHINE_STOPPING,
	MACHINE_RESETTING,
};

/* One line for people: what failed, why, what to do. */
struct machine_error {
	char text[400];
};

/* Sets the line and returns `err`. */
int machine_fail(struct machine_error *error, int err, const char *fmt, ...)
	__printf(3, 4);

/* The descriptors a machine is made of; -1 where there is none. */
struct machine_fds {
	int kvm, kernel, initrd;
	int console_pty, console_pty_peer, console_socket, console_log;
};

struct machine_env {
	struct event_base *loop;
	struct guid id; /* the VM's: serial numbers of its drives come from it */
	/* State, health, heartbeat, bus or crash changed: tell those who watch. */
	void (*changed)(void *opaque);
	/* The state is Off for good; machine_free() may be called from here on, but not from within. */
	void (*ended)(void *opaque);
	void *opaque;
};

/*
 * Builds the machine as the configuration says; nothing runs. Takes over `fds` in any case, closing what it does not keep. Drives are added by
 * machine_drive_attach() before the start. `config` outlives the machine.
 */
int machine_new(const struct vm_config *config, const struct machine_fds *fds,
		const struct machine_env *env, struct machine **ret,
		struct machine_error *error) __must_check;
void machine_free(struct machine *m);

/* Called once when an operation that takes time has ended; r is 0 or -errno with the reason in error. */
typedef void (*machine_done_fn)(void *opaque, int r, const struct machine_error *error);

/* Loads the kernel and runs. -EBUSY unless Off and never started. */
int machine_start(struct machine *m, struct machine_error *error) __must_check;
/*
 * Pause and reset begin at once and end with done(), maybe before the return. An error returned means that nothing began and done() is
 * not called: -EBUSY when the state does not allow it.
 */
int machine_pause(struct machine *m, machine_done_fn done, void *opaque,
		  struct machine_error *error) __must_check;
int machine_reset(struct machine *m, machine_done_fn done, void *opaque,
		  struct machine_error *error) __must_check;
int machine_resume(struct machine *m, struct machine_error *error) __must_check;
/*
 * Asks the guest through the shutdown integration service; done() when it has answered. -ENOTCONN when it can not be asked.
 */
int machine_shutdown(struct machine *m, bool restart, bool force, const char *reason,
		     machine_done_fn done, void *opaque,
		     struct machine_error *error) __must_check;
/* To Off, whatever the state; `reason` is copied. env.ended() follows, maybe before the return. */
void machine_turn_off(struct machine *m, const char *reason);

/* Drives: vmwp/drives.h. */

/* The descriptors of an adapter's back-end: none for kind none, one a queue for a tap. */
struct machine_nic_fds {
	int v[NIC_QUEUES_MAX];
	unsigned int n;
};
/*
 * Network adapter number `index`, before or after the start; takes over its descriptors in any case. -EEXIST (also while the
 * guest has not let go of one that had the number), -EINVAL, -ENOMEM.
 */
int machine_nic_attach(struct machine *m, unsigned int index,
		       const struct nic_config *config, struct machine_nic_fds *fds,
		       struct machine_error *error) __must_check;
/* Begins at once; done() when its back-end is free, maybe before the return. -ENOENT: nothing began. */
int machine_nic_detach(struct machine *m, unsigned int index, machine_done_fn done,
		       void *opaque, struct machine_error *error) __must_check;
/* Plugs its cable in or pulls it. -ENOENT. */
int machine_nic_link(struct machine *m, unsigned int index, bool up,
		     struct machine_error *error) __must_check;

/*
 * Offers or rescinds an integration service while the guest runs; -EINVAL for a name that is none.
 */
int machine_integration(struct machine *m, const char *service, bool enabled,
			struct machine_error *error) __must_check;

enum machine_state machine_state(const struct machine *m);
const char *machine_state_name(enum machine_state state);
bool machine_critical(const struct machine *m);
/* Why it is Off or Critical; NULL when it is neither. */
const char *machine_reason(const struct machine *m);

#endif
