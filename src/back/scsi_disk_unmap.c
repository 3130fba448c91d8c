/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UNMAP (SBC-3 5.28) and WRITE SAME (5.41, 5.43). The list of UNMAP stays in guest memory; each descriptor is copied, checked and
 * used in its turn, so no list is ever held, and a guest that rewrites it meanwhile gets what it wrote.
 */
#include "back/scsi_disk_priv.h"

#include <errno.h>
#include <string.h>

#define ANCHOR_UNMAP 0x01u
#define WRITE_SAME_PROTECT 0xe0u
#define WRITE_SAME_ANCHOR 0x10u
#define WRITE_SAME_UNMAP 0x08u
#define WRITE_SAME_OBSOLETE 0x06u
#define WRITE_SAME_NDOB 0x01u /* WRITE SAME (16) */
#define LOGICAL_BYTES_MAX 4096u

/* Copies and checks descriptor `step`; SCSI_NO_SENSE when it is good. */
static enum scsi_sense take_descriptor(const struct scsi_disk *sd,
				       const struct scsi_cmd *cmd, struct scsi_extent *e)
{
	struct scsi_unmap_descriptor d;
	size_t off = sizeof(struct scsi_unmap_header) + cmd->step * sizeof(d);

	if (scsi_fetch(cmd, off, &d, sizeof(d)) < 0)
		return SCSI_PARAMETER_LIST_LENGTH_ERROR;
	e->lba = be64_get(&d.lba);
	e->blocks = be32_get(&d.blocks);
	if (!range_ok(e->lba, e->blocks, scsi_disk_blocks(sd)))
		return SCSI_LBA_OUT_OF_RANGE;
	if ((uint64_t)e->blocks << sd->shift > UNMAP_BYTES_MAX)
		return SCSI_INVALID_FIELD_IN_PARAMETERS;
	return SCSI_NO_SENSE;
}

static void discarded(struct disk_req *req, int r);

/*
 * A disk may end a request inside disk_submit(): then the loop goes on here instead of in the callback, so that the stack does not grow with
 * the guest's list.
 */
static void unmap_rest(struct scsi_cmd *cmd)
{
	struct scsi_disk *sd = scsi_disk_of(cmd->dev);

	for (; cmd->step < cmd->steps; cmd->step++) {
		struct scsi_extent e;
		enum scsi_sense sense = take_descriptor(sd, cmd, &e);

		if (sense) {
			scsi_fail(cmd, sense);
			return;
		}
		cmd->req.op = DISK_DISCARD;
		cmd->req.flags = 0;
		cmd->req.off = e.lba << sd->shift;
		cmd->req.len = (uint64_t)e.blocks << sd->shift;
		cmd->req.done = discarded;
		cmd->submitting = true;
		cmd->done_inline = false;
		disk_submit(sd->disk, cmd->aio, &cmd->req);
		cmd->submitting = false;
		if (!cmd->done_inline)
			return;
		if (cmd->result < 0) {
			scsi_fail_errno(cmd, cmd->result, true);
			return;
		}
	}
	scsi_good(cmd, cmd->data_bytes);
}

static void discarded(struct disk_req *req, int r)
{
	struct scsi_cmd *cmd = container_of(req, struct scsi_cmd, req);

	if (cmd->submitting) {
		cmd->done_inline = true;
		cmd->result = r;
	} else if (r < 0) {
		scsi_fail_errno(cmd, r, true);
	} else {
		cmd->step++;
		unmap_rest(cmd);
	}
}

void scsi_disk_unmap(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_unmap_header h;
	size_t list = be16_get(&cmd->cdb[7]), descriptors;

	if (cmd->cdb[1] & ANCHOR_UNMAP) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!scsi_disk_writable(scsi_disk_of(dev), cmd))
		return;
	if (!list) {
		scsi_good(cmd, 0);
		return;
	}
	if (list < sizeof(h) || scsi_fetch(cmd, 0, &h, sizeof(h)) < 0) {
		scsi_fail(cmd, SCSI_PARAMETER_LIST_LENGTH_ERROR);
		return;
	}
	descriptors = be16_get(&h.descriptor_bytes);
	if (sizeof(h) + descriptors > list) {
		scsi_fail(cmd, SCSI_PARAMETER_LIST_LENGTH_ERROR);
		return;
	}
	cmd->step = 0;
	cmd->steps = (unsigned int)(descriptors / sizeof(struct scsi_unmap_descriptor));
	if (cmd->steps > UNMAP_DESCRIPTORS_MAX)
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_PARAMETERS);
	else
		unmap_rest(cmd);
}

static void zeroed(struct disk_req *req, int r)
{
	struct scsi_cmd *cmd = container_of(req, struct scsi_cmd, req);

	if (r < 0)
		scsi_fail_errno(cmd, r, true);
	else
		scsi_good(cmd, cmd->data_bytes);
}

/* The one block to be repeated. Zeros are what guests repeat; other patterns are refused, and they write them themselves. */
static enum scsi_sense check_pattern(const struct scsi_disk *sd,
				     const struct scsi_cmd *cmd)
{
	uint8_t block[LOGICAL_BYTES_MAX];
	size_t n = (size_t)1 << sd->shift;

	if (cmd->cdb[0] == SCSI_WRITE_SAME_16 && (cmd->cdb[1] & WRITE_SAME_NDOB))
		return SCSI_NO_SENSE;
	if (scsi_fetch(cmd, 0, block, n) < 0)
		return SCSI_INVALID_FIELD_IN_CDB;
	if (block[0] || memcmp(block, block + 1, n - 1) != 0)
		return SCSI_INVALID_FIELD_IN_PARAMETERS;
	return SCSI_NO_SENSE;
}

void scsi_disk_write_same(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_disk *sd = scsi_disk_of(dev);
	struct scsi_extent e = scsi_disk_extent(cmd->cdb);
	uint8_t refused = WRITE_SAME_PROTECT | WRITE_SAME_ANCHOR | WRITE_SAME_OBSOLETE;
	uint64_t len = (uint64_t)e.blocks << sd->shift;
	enum scsi_sense sense;

	if ((cmd->cdb[1] & refused) || !len || len > WRITE_SAME_BYTES_MAX) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!scsi_disk_writable(sd, cmd) || !scsi_disk_check(sd, cmd, &e))
		return;
	sense = check_pattern(sd, cmd);
	if (sense) {
		scsi_fail(cmd, sense);
		return;
	}
	cmd->req.op = DISK_WRITE_ZEROES;
	cmd->req.flags = cmd->cdb[1] & WRITE_SAME_UNMAP ? DISK_MAY_UNMAP : 0;
	cmd->req.off = e.lba << sd->shift;
	cmd->req.len = len;
	cmd->req.done = zeroed;
	disk_submit(sd->disk, cmd->aio, &cmd->req);
}
