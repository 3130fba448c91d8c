/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a command descriptor block on a target, for tests. The data buffer lies in two pieces, as a guest's pages may. */
#ifndef TESTS_UNIT_BACK_SCSI_RUN_H
#define TESTS_UNIT_BACK_SCSI_RUN_H

#include <check.h>
#include <string.h>
#include "back/scsi_target.h"

#define RUN_DATA_MAX (1u << 20)

struct scsi_run {
	struct scsi_cmd cmd;
	struct iovec iov[2];
	unsigned int done;
	uint8_t data[RUN_DATA_MAX];
};

static void scsi_run_done(struct scsi_cmd *cmd)
{
	container_of(cmd, struct scsi_run, cmd)->done++;
}

/* Starts; the caller looks at run->done. */
static inline void scsi_run_start(struct scsi_run *run, struct scsi_target *t,
				  unsigned int lun, const uint8_t *cdb, uint8_t cdb_bytes,
				  enum scsi_data dir, uint32_t bytes)
{
	struct scsi_cmd *cmd = &run->cmd;
	uint32_t first = bytes > 1 ? bytes / 3 + 1 : bytes;

	memset(cmd, 0xee, sizeof(*cmd)); /* what the front-end need not set */
	memset(cmd->cdb, 0, sizeof(cmd->cdb));
	memcpy(cmd->cdb, cdb, cdb_bytes);
	cmd->cdb_bytes = cdb_bytes;
	cmd->lun = (uint8_t)lun;
	cmd->data = dir;
	cmd->data_bytes = bytes;
	run->iov[0] = (struct iovec){ run->data, first };
	run->iov[1] = (struct iovec){ run->data + first, bytes - first };
	cmd->iov = run->iov;
	cmd->iovcnt = !bytes ? 0 : bytes > 1 ? 2 : 1;
	cmd->aio = NULL;
	cmd->done = scsi_run_done;
	cmd->hold = NULL;
	cmd->admitted = false;
	cmd->phase = 0;
	run->done = 0;
	scsi_target_execute(t, cmd);
}

static inline unsigned int scsi_run_sense(const struct scsi_run *run)
{
	const struct scsi_sense_fixed *s = &run->cmd.sense;

	if (run->cmd.status != SCSI_CHECK_CONDITION)
		return 0;
	ck_assert(run->cmd.has_sense);
	ck_assert_uint_eq(s->response_code, SCSI_SENSE_FIXED);
	ck_assert_uint_eq(s->additional_bytes, 10);
	return (unsigned int)SCSI_SENSE((unsigned int)s->key, (unsigned int)s->asc,
					(unsigned int)s->ascq);
}

/* Runs to its end: 0 when good, else the sense. */
static inline unsigned int scsi_run(struct scsi_run *run, struct scsi_target *t,
				    unsigned int lun, const uint8_t *cdb,
				    uint8_t cdb_bytes, enum scsi_data dir, uint32_t bytes)
{
	scsi_run_start(run, t, lun, cdb, cdb_bytes, dir, bytes);
	ck_assert_uint_eq(run->done, 1);
	return scsi_run_sense(run);
}

#define CDB(...) \
	((const uint8_t[]){ __VA_ARGS__ }), sizeof((const uint8_t[]){ __VA_ARGS__ })

#endif
