/* SPDX-License-Identifier: BSD-2-Clause */
/* What drives.c and drives_qos.c share. Owner, but for `stalled`: the worker's loop. */
#ifndef VMWP_DRIVES_PRIV_H
#define VMWP_DRIVES_PRIV_H

#include "util/list.h"
#include "vmwp/machine_priv.h"

struct medium;

struct drive {
	struct list link; /* machine.drives */
	struct machine *m;
	unsigned int controller, lun;
	enum drive_kind kind;
	char *name;
	struct medium *medium;       /* NULL: none */
	struct machine_op detach_op; /* who waits for its end */
	uint32_t min_iops, max_iops;
	uint64_t units; /* done, when last looked at */
	uint32_t rate;  /* units a second between the last two looks */
	bool below_minimum;
	atomic_int stalled; /* -errno of a command that is held; any thread */
};

/* drives_qos.c: looks whether disks get their minimum, as long as one has any. */
void machine_qos_watch(struct machine *m);
void machine_qos_unwatch(struct machine *m);

#endif
