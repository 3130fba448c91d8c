/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A direct-access block device (SBC-3) over a disk. Each command is one entry of the table at the end. Reads and writes
 * hand their iovec to the disk as it is; what has to wait for the disk ends in a `_done`.
 */
#include "back/scsi.h"

#include <errno.h>
#include <stdlib.h>

#include "back/scsi_disk_priv.h"

#define PRODUCT "Virtual Disk"

struct scsi_extent scsi_disk_extent(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0:
		/* 21 bits of address; a length of 0 is 256: SBC-3 5.9. */
		return (struct scsi_extent){ be32_get(cdb) & 0x1fffff,
					     cdb[4] ? cdb[4] : 256u };
	case 4:
		return (struct scsi_extent){ be64_get(&cdb[2]), be32_get(&cdb[10]) };
	case 5:
		return (struct scsi_extent){ be32_get(&cdb[2]), be32_get(&cdb[6]) };
	default:
		return (struct scsi_extent){ be32_get(&cdb[2]), be16_get(&cdb[7]) };
	}
}

bool scsi_disk_check(const struct scsi_disk *sd, struct scsi_cmd *cmd,
		     const struct scsi_extent *e)
{
	if (range_ok(e->lba, e->blocks, scsi_disk_blocks(sd)))
		return true;
	scsi_fail(cmd, SCSI_LBA_OUT_OF_RANGE);
	return false;
}

bool scsi_disk_writable(const struct scsi_disk *sd, struct scsi_cmd *cmd)
{
	if (!sd->disk->info.read_only)
		return true;
	scsi_fail(cmd, SCSI_WRITE_PROTECTED);
	return false;
}

static void rw_done(struct disk_req *req, int r)
{
	struct scsi_cmd *cmd = container_of(req, struct scsi_cmd, req);

	if (r < 0)
		scsi_fail_errno(cmd, r, req->op == DISK_WRITE);
	else
		scsi_good(cmd, (uint32_t)req->len);
}

/* Shortens the command's data to `len` bytes, which it covers: a guest may lend more than it moves. */
static void trim(struct scsi_cmd *cmd, uint64_t len)
{
	uint64_t left = len;
	unsigned int n = 0;

	if (cmd->data_bytes == len)
		return;
	for (; left; n++) {
		cmd->iov[n].iov_len = MIN(left, (uint64_t)cmd->iov[n].iov_len);
		left -= cmd->iov[n].iov_len;
	}
	cmd->iovcnt = n;
}

static void start_rw(struct scsi_disk *sd, struct scsi_cmd *cmd, enum disk_op op,
		     unsigned int flags)
{
	struct scsi_extent e = scsi_disk_extent(cmd->cdb);
	uint64_t len = (uint64_t)e.blocks << sd->shift;

	if (op == DISK_WRITE && !scsi_disk_writable(sd, cmd))
		return;
	if (!scsi_disk_check(sd, cmd, &e))
		return;
	if (!e.blocks) {
		scsi_good(cmd, 0);
		return;
	}
	if (cmd->data != (op == DISK_READ ? SCSI_DATA_IN : SCSI_DATA_OUT) ||
	    len > cmd->data_bytes) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	scsi_save(cmd);
	trim(cmd, len);
	cmd->req.op = op;
	cmd->req.flags = flags;
	cmd->req.off = e.lba << sd->shift;
	cmd->req.len = len;
	cmd->req.iov = cmd->iov;
	cmd->req.iovcnt = cmd->iovcnt;
	cmd->req.done = rw_done;
	disk_submit(sd->disk, cmd->aio, &cmd->req);
}

#define PROTECT 0xe0u /* RDPROTECT, WRPROTECT: no protection information here */
#define FUA 0x08u
#define BYTCHK 0x06u

static void read_write_6(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	start_rw(scsi_disk_of(dev), cmd,
		 cmd->cdb[0] == SCSI_READ_6 ? DISK_READ : DISK_WRITE, 0);
}

static void read_blocks(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	if (cmd->cdb[1] & PROTECT)
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else
		start_rw(scsi_disk_of(dev), cmd, DISK_READ, 0);
}

static void write_blocks(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	if (cmd->cdb[1] & PROTECT)
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else
		start_rw(scsi_disk_of(dev), cmd, DISK_WRITE,
			 cmd->cdb[1] & FUA ? DISK_FUA : 0);
}

/* What reached stable storage is verified as far as we can know. */
static void write_and_verify(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	if (cmd->cdb[1] & (PROTECT | BYTCHK))
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else
		start_rw(scsi_disk_of(dev), cmd, DISK_WRITE, DISK_FUA);
}

/* Without a byte check (SBC-3 5.30): no data moves. */
static void verify(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_extent e = scsi_disk_extent(cmd->cdb);

	if (cmd->cdb[1] & (PROTECT | BYTCHK))
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else if (scsi_disk_check(scsi_disk_of(dev), cmd, &e))
		scsi_good(cmd, 0);
}

static void flushed(struct disk_req *req, int r)
{
	struct scsi_cmd *cmd = container_of(req, struct scsi_cmd, req);

	if (r < 0)
		scsi_fail_errno(cmd, r, true);
	else
		scsi_good(cmd, 0);
}

static void flush(struct scsi_disk *sd, struct scsi_cmd *cmd)
{
	cmd->req.op = DISK_FLUSH;
	cmd->req.flags = 0;
	cmd->req.off = cmd->req.len = 0;
	cmd->req.done = flushed;
	disk_submit(sd->disk, cmd->aio, &cmd->req);
}

/* The whole disk, whatever the range; IMMED only allows an early answer (SBC-3 5.26). */
static void synchronize_cache(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_extent e = scsi_disk_extent(cmd->cdb);
	struct scsi_disk *sd = scsi_disk_of(dev);

	if (scsi_disk_check(sd, cmd, &e))
		flush(sd, cmd);
}

/* Nothing spins; a guest that stops the unit wants its data safe (SBC-3 5.25). */
static void start_stop(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	if (cmd->cdb[4] & SCSI_LOEJ)
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else if (cmd->cdb[4] & SCSI_START)
		scsi_good(cmd, 0);
	else
		flush(scsi_disk_of(dev), cmd);
}

static void good(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	scsi_good(cmd, 0);
}

static void reserve_in(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	scsi_reserve_in(scsi_disk_of(dev)->reserve, cmd);
}

static void reserve_out(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	scsi_reserve_out(scsi_disk_of(dev)->reserve, cmd);
}

static const struct scsi_op ops[256] = {
	[SCSI_TEST_UNIT_READY] = { good, 6 },
	[SCSI_REQUEST_SENSE] = { scsi_request_sense, 6, true },
	[SCSI_READ_6] = { read_write_6, 6 },
	[SCSI_WRITE_6] = { read_write_6, 6 },
	[SCSI_INQUIRY] = { scsi_disk_inquiry, 6, true },
	[SCSI_MODE_SENSE_6] = { scsi_disk_mode_sense, 6 },
	[SCSI_START_STOP_UNIT] = { start_stop, 6 },
	[SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL] = { good, 6 },
	[SCSI_READ_CAPACITY_10] = { scsi_disk_capacity_10, 10 },
	[SCSI_READ_10] = { read_blocks, 10 },
	[SCSI_WRITE_10] = { write_blocks, 10 },
	[SCSI_WRITE_AND_VERIFY_10] = { write_and_verify, 10 },
	[SCSI_VERIFY_10] = { verify, 10 },
	[SCSI_SYNCHRONIZE_CACHE_10] = { synchronize_cache, 10 },
	[SCSI_WRITE_SAME_10] = { scsi_disk_write_same, 10 },
	[SCSI_UNMAP] = { scsi_disk_unmap, 10 },
	[SCSI_MODE_SENSE_10] = { scsi_disk_mode_sense, 10 },
	[SCSI_PERSISTENT_RESERVE_IN] = { reserve_in, 10 },
	[SCSI_PERSISTENT_RESERVE_OUT] = { reserve_out, 10 },
	[SCSI_READ_16] = { read_blocks, 16 },
	[SCSI_WRITE_16] = { write_blocks, 16 },
	[SCSI_WRITE_AND_VERIFY_16] = { write_and_verify, 16 },
	[SCSI_VERIFY_16] = { verify, 16 },
	[SCSI_SYNCHRONIZE_CACHE_16] = { synchronize_cache, 16 },
	[SCSI_WRITE_SAME_16] = { scsi_disk_write_same, 16 },
	[SCSI_SERVICE_ACTION_IN_16] = { scsi_disk_service_action_in, 16 },
	[SCSI_READ_12] = { read_blocks, 12 },
	[SCSI_WRITE_12] = { write_blocks, 12 },
};

static void execute(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	scsi_dispatch(dev, ops, cmd);
}

static void disk_free(struct scsi_dev *dev)
{
	struct scsi_disk *sd = scsi_disk_of(dev);

	disk_unref(sd->disk);
	scsi_reserve_free(sd->reserve);
	free(sd);
}

/* Of a disk that only this VM has, there is nobody else who could have reserved it. */
static bool reserved(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_disk *sd = scsi_disk_of(dev);
	unsigned int ua;
	int r;

	if (!sd->shared)
		return false;
	r = scsi_reserve_enter(sd->reserve, cmd->cdb, &ua);
	cmd->entered = r == 0;
	if (ua)
		scsi_dev_attention(dev, ua);
	if (ua && scsi_fail_attention(cmd))
		return true;
	if (r == -EIO)
		scsi_fail(cmd, SCSI_INTERNAL_TARGET_FAILURE);
	else if (r < 0)
		scsi_status(cmd, r == -EBUSY ? SCSI_RESERVATION_CONFLICT : SCSI_BUSY);
	return r < 0;
}

static void left(struct scsi_dev *dev)
{
	scsi_reserve_leave(scsi_disk_of(dev)->reserve);
}

static uint64_t bytes(struct scsi_dev *dev)
{
	return disk_bytes(scsi_disk_of(dev)->disk);
}

static const struct scsi_dev_ops dev_ops = { .execute = execute,
					     .free = disk_free,
					     .reserved = reserved,
					     .left = left,
					     .bytes = bytes };

int scsi_disk_new(struct disk *disk, struct scsi_dev **ret)
{
	struct scsi_disk *sd = calloc(1, sizeof(*sd));
	int r = sd ? scsi_reserve_new(&disk->info.id, -1, &sd->reserve) : -ENOMEM;

	if (r < 0) {
		free(sd);
		return r;
	}
	scsi_dev_init(&sd->dev, &dev_ops, SCSI_TYPE_DISK, PRODUCT, &disk->info.id);
	sd->disk = disk;
	sd->shift = (unsigned int)__builtin_ctz(disk->info.logical_bytes);
	*ret = &sd->dev;
	return 0;
}

int scsi_disk_share(struct scsi_dev *dev, const struct guid *initiator, int fd)
{
	struct scsi_disk *sd = scsi_disk_of(dev);
	struct scsi_reserve *shared;
	int r = scsi_reserve_new(initiator, fd, &shared);

	if (r < 0)
		return r;
	scsi_reserve_free(sd->reserve);
	sd->reserve = shared;
	sd->shared = true;
	return 0;
}

struct disk *scsi_disk_disk(struct scsi_dev *dev)
{
	return dev->ops == &dev_ops ? scsi_disk_of(dev)->disk : NULL;
}
