/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The persistent reservations of one disk in one VM (scsi_pr.h has the rules). A disk of one VM keeps them in memory. A shared one keeps them in
 * a file that the workers of all its VMs have open:
 *
 *   byte 0      locked while the state is read (shared) or changed (exclusive)
 *   byte 1      locked shared by each worker that uses the disk: who finds it free is the first, and forgets what was not to outlive (APTPL) the last one
 *   1 MiB + h   locked shared by a worker while commands of it are under way, h from its initiator: PREEMPT AND ABORT waits for it
 *
 * They are locks of open file descriptions, so a worker that dies holds none. A command takes its own lock, then looks at the state; a preempter
 * changes the state, then looks at the lock: one of the two sees the other.
 * Thread: any.
 */
#ifndef BACK_SCSI_RESERVE_H
#define BACK_SCSI_RESERVE_H

#include "back/scsi_pr.h"

struct scsi_reserve;

/* `fd`: the file, taken over on success; -1: in memory. -EIO when the file is no such one, -errno. */
int scsi_reserve_new(const struct guid *initiator, int fd,
		     struct scsi_reserve **ret) __must_check;
void scsi_reserve_free(struct scsi_reserve *r);

/*
 * Before a command: 0, then scsi_reserve_leave() when it has ended; -EBUSY when it meets a reservation, -EAGAIN when the state cannot be looked at now,
 * -EIO when its file is damaged. *ret_ua: what the initiator is to be told first.
 */
int scsi_reserve_enter(struct scsi_reserve *r, const uint8_t *cdb,
		       unsigned int *ret_ua) __must_check;
void scsi_reserve_leave(struct scsi_reserve *r);

/* PERSISTENT RESERVE OUT and IN, for a device whose `reserve` this is; each ends the command, or holds it. */
void scsi_reserve_out(struct scsi_reserve *r, struct scsi_cmd *cmd);
void scsi_reserve_in(struct scsi_reserve *r, struct scsi_cmd *cmd);

#endif
