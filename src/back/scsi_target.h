/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The logical units of one controller: what a LUN number leads to, what an empty one answers, REPORT LUNS.
 * Thread: any; units come and go while commands run. A command holds its unit until it is done, so a unit that is
 * removed goes when its last command does.
 */
#ifndef BACK_SCSI_TARGET_H
#define BACK_SCSI_TARGET_H

#include <pthread.h>
#include "back/scsi.h"

#define SCSI_LUNS 64u

struct scsi_target {
	/* Under lock. */
	pthread_mutex_t lock;
	struct scsi_dev *luns[SCSI_LUNS];
};

void scsi_target_init(struct scsi_target *t);
/* No command is under way. */
void scsi_target_done(struct scsi_target *t);
/* Takes over the reference. -EEXIST, -EINVAL for a number that is none. */
int scsi_target_attach(struct scsi_target *t, unsigned int lun,
		       struct scsi_dev *dev) __must_check;
/* -ENOENT. The device goes with its last command. */
int scsi_target_detach(struct scsi_target *t, unsigned int lun) __must_check;
/* A reference on the unit, or NULL. */
struct scsi_dev *scsi_target_get(struct scsi_target *t, unsigned int lun);
/* cmd->lun may be any number. */
void scsi_target_execute(struct scsi_target *t, struct scsi_cmd *cmd);
/* Raises SCSI_UA_* on every unit. */
void scsi_target_attention(struct scsi_target *t, unsigned int ua);
/*
 * A reset of one unit, or with SCSI_LUNS of all: true and a unit attention once no command is under way there; until then false: ask again
 * as commands complete. Commands are never cut off: the host's I/O cannot be taken back.
 */
bool scsi_target_reset(struct scsi_target *t, unsigned int lun);

#endif
