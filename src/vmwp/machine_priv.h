/* SPDX-License-Identifier: BSD-2-Clause */
/* What machine*.c, drives.c and status.c share. Owner of every member: the worker's loop. */
#ifndef VMWP_MACHINE_PRIV_H
#define VMWP_MACHINE_PRIV_H

#include <stdatomic.h>
#include "back/chardev.h"
#include "chipset/board.h"
#include "util/list.h"
#include "vid/partition.h"
#include "vmbus/vmbus.h"
#include "vmwp/machine.h"
#include "vsp/ic/ic.h"

struct event;
struct netvsp;
struct storvsp;

#define MACHINE_CRASH_LINES 64u /* of a guest's panic text go to the log */

struct machine_crash {
	unsigned int count;
	uint64_t params[5];
	char text[PARTITION_EVENT_TEXT];
};

struct machine_op {
	machine_done_fn done; /* NULL: nobody waits */
	void *opaque;
};

struct machine {
	/* fixed after machine_new() */
	const struct vm_config *config;
	struct machine_env env;
	int kvm, kernel, initrd;
	struct chardev *console;
	struct partition *part;
	struct board *board;
	struct vmbus *bus;
	struct ic *ic;
	struct storvsp *scsi[CONFIG_CONTROLLERS_MAX];
	struct netvsp *nics[CONFIG_NICS_MAX]; /* by their number; NULL: none */
	struct event *part_ev, *asked_ev, *qos_ev;

	/* what the guest asked for by a port, or a disk's thread tells (drives.c); set on that thread, then asked_fd is written */
	int asked_fd;
	atomic_bool asked_power_off, asked_reset;

	enum machine_state state;
	bool devices_gone;
	bool stepping;       /* a pause or reset waits for devices or for the bus */
	bool critical, dead; /* dead: the VPs can not go on; reset or turn off */
	char *reason;
	struct machine_crash crash;
	unsigned int resets;
	uint64_t started_us; /* CLOCK_MONOTONIC of the last start; 0 while Off */

	bool stalled; /* a disk's error made it Critical: the next resume tries again */
	bool reset_on_resume; /* the guest asked for a reset just as it was paused */

	/* devices.c: a round that asks every device */
	unsigned int waiting; /* those that have not answered yet */
	void (*all_answered)(struct machine *m);

	struct list drives, media; /* drives.c, media.c */

	/* what callers wait for: a pause or reset, and the guest's answer to a shutdown request */
	struct machine_op power, ask;
};

void machine_changed(struct machine *m);
/* Tells who waits for `op`, if anyone does; error may be NULL with r 0. */
void machine_finish(struct machine_op *op, int r, const struct machine_error *error);

/* devices.c: what stands on the bus, one list. */
int devices_offer(struct machine *m, struct machine_error *error) __must_check;
/* One controller more; the guest finds it while it runs, too. */
int devices_offer_scsi(struct machine *m, unsigned int controller,
		       struct machine_error *error) __must_check;
/* Calls m->all_answered once every device has answered; maybe before the return. */
void devices_pause(struct machine *m, void (*answered)(struct machine *m));
void devices_resume(struct machine *m);
void devices_remove(struct machine *m, void (*answered)(struct machine *m));

/* A disk cannot go on: pauses a running machine, which is Critical for this reason until it is resumed. */
void machine_stall(struct machine *m, const char *why);

/* events.c: what the guest did. */
int events_watch(struct machine *m) __must_check;
void events_unwatch(struct machine *m);
/* For board_env. */
void events_power_off(void *opaque);
void events_reset(void *opaque);

#endif
