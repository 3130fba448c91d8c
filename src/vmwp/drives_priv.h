/* SPDX-License-Identifier: BSD-2-Clause */
/* What drives.c, drives_change.c and drives_qos.c share. Owner, but for `stalled` and `ejected`: the worker's loop. */
#ifndef VMWP_DRIVES_PRIV_H
#define VMWP_DRIVES_PRIV_H

#include "back/qos.h"
#include "util/list.h"
#include "vmwp/machine_priv.h"

struct medium;
struct scsi_dev;

/* Whether the guest took the present medium out. */
enum drive_ejected {
	DRIVE_NOT_EJECTED,
	DRIVE_EJECTED_NEW /* not told yet */,
	DRIVE_EJECTED
};

struct drive {
	struct list link; /* machine.drives */
	struct machine *m;
	unsigned int controller, lun;
	enum drive_kind kind;
	char *name;
	struct medium *medium;       /* NULL: none */
	struct machine_op detach_op; /* who waits for its end */
	struct qos qos;
	atomic_int stalled; /* -errno of a command that is held; any thread */
	atomic_int ejected; /* enum drive_ejected; any thread */
};

/* drives.c: of a controller that is there, the drive of a place of it. NULL with an error. */
struct storvsp *controller_find(struct machine *m, unsigned int controller,
				struct machine_error *error);
struct drive *drive_find(struct machine *m, unsigned int controller, unsigned int lun,
			 struct machine_error *error);
/* The identity of a drive. */
void drive_id(const struct machine *m, const struct drive_config *d, struct guid *ret);
void drive_apply_policies(struct drive *d, struct scsi_dev *dev,
			  const struct drive_config *c);

/* drives_qos.c: looks whether disks get their minimum, as long as one has any. */
void machine_qos_watch(struct machine *m);
void machine_qos_unwatch(struct machine *m);

#endif
