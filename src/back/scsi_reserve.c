/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/scsi_reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BYTE_STATE 0
#define BYTE_USERS 1
#define BYTE_COMMANDS (1 << 20)
#define QUIET_POLL_NS 1000000u

struct scsi_reserve {
	/* Fixed after init. */
	struct guid initiator;
	int fd;
	/* Under lock. */
	pthread_mutex_t lock;
	struct scsi_pr pr;     /* as last seen */
	unsigned int commands; /* under way, of a shared disk */
	/* Whom a PREEMPT AND ABORT waits for. */
	struct guid victims[SCSI_PR_SLOTS];
	unsigned int victim_count;
};

/* ---- the file ---- */

static int lock_byte(const struct scsi_reserve *r, short type, off_t byte, bool wait)
{
	struct flock l = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	return fcntl(r->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

static void unlock_byte(const struct scsi_reserve *r, off_t byte)
{
	int e = lock_byte(r, F_UNLCK, byte, false);

	(void)e; /* there is nothing to be done, and closing does it */
}

static off_t commands_byte(const struct guid *initiator)
{
	return BYTE_COMMANDS + (initiator->b[0] << 8 | initiator->b[1]);
}

/* 0 for a file that is new, and then an empty state. */
static int load(struct scsi_reserve *r)
{
	struct scsi_pr pr;
	ssize_t n = pread(r->fd, &pr, sizeof(pr), 0);

	if (n == 0)
		scsi_pr_init(&pr);
	else if (n != sizeof(pr) || !scsi_pr_is_sane(&pr))
		return n < 0 ? -errno : -EIO;
	r->pr = pr;
	return 0;
}

static int store(struct scsi_reserve *r, const struct scsi_pr *pr)
{
	bool persists = r->pr.aptpl || pr->aptpl;

	if (r->fd >= 0) {
		if (pwrite(r->fd, pr, sizeof(*pr), 0) != sizeof(*pr))
			return -EIO;
		if (persists && fdatasync(r->fd) < 0)
			return -errno;
	}
	r->pr = *pr;
	return 0;
}

/* Whether the file has another state than was last seen; a look at one number. */
static bool is_old(const struct scsi_reserve *r)
{
	uint64_t changes = 0;

	if (r->fd < 0)
		return false;
	return pread(r->fd, &changes, sizeof(changes),
		     offsetof(struct scsi_pr, changes)) != sizeof(changes) ||
	       changes != r->pr.changes;
}

/* Under lock, to look at the state or change it. -EAGAIN: another worker changes it just now. */
static int begin(struct scsi_reserve *r, short type)
{
	int e;

	if (r->fd < 0)
		return 0;
	e = lock_byte(r, type, BYTE_STATE, false);
	if (e < 0)
		return e == -EACCES ? -EAGAIN : e;
	e = load(r);
	if (e < 0)
		unlock_byte(r, BYTE_STATE);
	return e;
}

static void end(struct scsi_reserve *r)
{
	if (r->fd >= 0)
		unlock_byte(r, BYTE_STATE);
}

/* ---- the life of it ---- */

static int join(struct scsi_reserve *r)
{
	struct scsi_pr empty;
	bool first;
	int e = lock_byte(r, F_WRLCK, BYTE_STATE, true);

	if (e < 0)
		return e;
	first = lock_byte(r, F_WRLCK, BYTE_USERS, false) == 0;
	e = load(r);
	if (e == 0 && first && !r->pr.aptpl) {
		scsi_pr_init(&empty);
		empty.changes = r->pr.changes + 1;
		e = store(r, &empty);
	}
	if (e == 0)
		e = lock_byte(r, F_RDLCK, BYTE_USERS, false);
	unlock_byte(r, BYTE_STATE);
	return e;
}

int scsi_reserve_new(const struct guid *initiator, int fd, struct scsi_reserve **ret)
{
	struct scsi_reserve *r = calloc(1, sizeof(*r));
	int e = 0;

	if (!r)
		return -ENOMEM;
	r->initiator = *initiator;
	r->fd = fd;
	scsi_pr_init(&r->pr);
	if (fd >= 0)
		e = join(r);
	if (e < 0) {
		free(r);
		return e;
	}
	pthread_mutex_init(&r->lock, NULL);
	*ret = r;
	return 0;
}

void scsi_reserve_free(struct scsi_reserve *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- commands ---- */

static int take_ua_locked(struct scsi_reserve *r, unsigned int *ret)
{
	struct scsi_pr pr;
	int e = begin(r, F_WRLCK);

	if (e < 0)
		return e;
	pr = r->pr;
	*ret = scsi_pr_take_ua(&pr, &r->initiator);
	e = *ret ? store(r, &pr) : 0;
	end(r);
	return e;
}

static int look_locked(struct scsi_reserve *r, const uint8_t *cdb, unsigned int *ret_ua)
{
	int e = 0;

	if (is_old(r)) {
		e = begin(r, F_RDLCK);
		if (e == 0)
			end(r);
	}
	if (e == 0 && scsi_pr_has_ua(&r->pr, &r->initiator))
		e = take_ua_locked(r, ret_ua);
	if (e == 0 && scsi_pr_conflicts(&r->pr, &r->initiator, cdb))
		e = -EBUSY;
	return e == 0 || e == -EBUSY || e == -EAGAIN ? e : -EIO;
}

static void leave_locked(struct scsi_reserve *r)
{
	if (r->fd >= 0 && --r->commands == 0)
		unlock_byte(r, commands_byte(&r->initiator));
}

int scsi_reserve_enter(struct scsi_reserve *r, const uint8_t *cdb, unsigned int *ret_ua)
{
	int e = 0;

	*ret_ua = 0;
	pthread_mutex_lock(&r->lock);
	if (r->fd >= 0 && r->commands++ == 0)
		e = lock_byte(r, F_RDLCK, commands_byte(&r->initiator), false);
	if (e < 0)
		e = -EAGAIN;
	else
		e = look_locked(r, cdb, ret_ua);
	if (e < 0)
		leave_locked(r);
	pthread_mutex_unlock(&r->lock);
	return e;
}

void scsi_reserve_leave(struct scsi_reserve *r)
{
	pthread_mutex_lock(&r->lock);
	leave_locked(r);
	pthread_mutex_unlock(&r->lock);
}

/* True when no victim has a command under way any more. */
static bool victims_are_quiet_locked(struct scsi_reserve *r)
{
	while (r->victim_count) {
		struct flock l = { .l_type = F_WRLCK,
				   .l_whence = SEEK_SET,
				   .l_start = commands_byte(
					   &r->victims[r->victim_count - 1]),
				   .l_len = 1 };

		if (r->fd >= 0 && fcntl(r->fd, F_OFD_GETLK, &l) == 0 &&
		    l.l_type != F_UNLCK)
			return false;
		r->victim_count--;
	}
	return true;
}

static void wait_for_victims(struct scsi_reserve *r, struct scsi_cmd *cmd)
{
	struct timespec ts;
	bool quiet;

	pthread_mutex_lock(&r->lock);
	quiet = victims_are_quiet_locked(r);
	pthread_mutex_unlock(&r->lock);
	if (quiet || !cmd->hold) {
		scsi_good(cmd, cmd->data_bytes);
		return;
	}
	cmd->phase = 1;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	scsi_hold(cmd, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec +
			       QUIET_POLL_NS);
}

static int do_out(struct scsi_reserve *r, const struct scsi_pr_out *out,
		  struct scsi_pr_result *ret)
{
	struct scsi_pr pr;
	int e;

	pthread_mutex_lock(&r->lock);
	e = begin(r, F_WRLCK);
	if (e == 0) {
		pr = r->pr;
		scsi_pr_out(&pr, &r->initiator, out, r->fd >= 0, ret);
		if (!ret->conflict && !ret->sense)
			e = store(r, &pr);
		end(r);
	}
	if (e == 0 && out->action == SCSI_PR_PREEMPT_AND_ABORT) {
		memcpy(r->victims, ret->victims, sizeof(r->victims));
		r->victim_count = ret->victim_count;
	}
	pthread_mutex_unlock(&r->lock);
	return e;
}

#define SPEC_I_PT 0x08u
#define ALL_TG_PT 0x04u
#define APTPL 0x01u
#define LIST_BYTES 24u

/* SPC-4 6.16.3. Ports other than this one, and other initiators, can not be named. */
static enum scsi_sense take_list(const struct scsi_cmd *cmd, struct scsi_pr_out *out)
{
	uint8_t list[LIST_BYTES];

	*out = (struct scsi_pr_out){ .action = cmd->cdb[1] & 0x1f,
				     .scope = cmd->cdb[2] >> 4,
				     .type = cmd->cdb[2] & 15 };
	if (out->action > SCSI_PR_REGISTER_AND_IGNORE)
		return SCSI_INVALID_FIELD_IN_CDB;
	if (be32_get(&cmd->cdb[5]) != LIST_BYTES ||
	    scsi_fetch(cmd, 0, list, sizeof(list)) < 0)
		return SCSI_PARAMETER_LIST_LENGTH_ERROR;
	if (list[20] & (SPEC_I_PT | ALL_TG_PT))
		return SCSI_INVALID_FIELD_IN_PARAMETERS;
	out->key = be64_get(&list[0]);
	out->action_key = be64_get(&list[8]);
	out->aptpl = list[20] & APTPL;
	return SCSI_NO_SENSE;
}

void scsi_reserve_out(struct scsi_reserve *r, struct scsi_cmd *cmd)
{
	struct scsi_pr_result result;
	struct scsi_pr_out out;
	enum scsi_sense sense = cmd->phase ? SCSI_NO_SENSE : take_list(cmd, &out);
	int e;

	if (sense) {
		scsi_fail(cmd, sense);
		return;
	}
	if (cmd->phase) {
		wait_for_victims(r, cmd);
		return;
	}
	e = do_out(r, &out, &result);
	if (e == -EAGAIN)
		scsi_status(cmd, SCSI_BUSY);
	else if (e < 0)
		scsi_fail(cmd, SCSI_INTERNAL_TARGET_FAILURE);
	else if (result.conflict)
		scsi_status(cmd, SCSI_RESERVATION_CONFLICT);
	else if (result.sense)
		scsi_fail(cmd, result.sense);
	else if (out.action == SCSI_PR_PREEMPT_AND_ABORT)
		wait_for_victims(r, cmd);
	else
		scsi_good(cmd, cmd->data_bytes);
}

void scsi_reserve_in(struct scsi_reserve *r, struct scsi_cmd *cmd)
{
	uint8_t buf[SCSI_PR_IN_MAX];
	size_t n = 0;
	int e;

	pthread_mutex_lock(&r->lock);
	e = begin(r, F_RDLCK);
	if (e == 0) {
		n = scsi_pr_in(&r->pr, cmd->cdb[1] & 0x1f, r->fd >= 0, buf);
		end(r);
	}
	pthread_mutex_unlock(&r->lock);
	if (e == -EAGAIN)
		scsi_status(cmd, SCSI_BUSY);
	else if (e < 0)
		scsi_fail(cmd, SCSI_INTERNAL_TARGET_FAILURE);
	else if (!n)
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else
		scsi_reply(cmd, buf, n, be16_get(&cmd->cdb[7]));
}
