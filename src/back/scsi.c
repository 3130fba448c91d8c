/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/scsi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

void scsi_dev_init(struct scsi_dev *dev, const struct scsi_dev_ops *ops, uint8_t type,
		   const char *product, const struct guid *id)
{
	dev->ops = ops;
	dev->type = type;
	dev->product = product;
	dev->id = *id;
	atomic_init(&dev->refs, 1);
	atomic_init(&dev->active, 0);
	atomic_init(&dev->ua, 0);
	atomic_init(&dev->stalls_on_io_error, false);
	atomic_init(&dev->was_idle, true);
	throttle_init(&dev->limit);
	dev->stalled = NULL;
	dev->ejected = NULL;
	dev->told_opaque = NULL;
	for (size_t i = 0; i < sizeof(id->b); i++)
		snprintf(dev->serial + 2 * i, 3, "%02x", id->b[i]);
}

struct scsi_dev *scsi_dev_ref(struct scsi_dev *dev)
{
	atomic_fetch_add_explicit(&dev->refs, 1, memory_order_relaxed);
	return dev;
}

void scsi_dev_unref(struct scsi_dev *dev)
{
	if (dev && atomic_fetch_sub_explicit(&dev->refs, 1, memory_order_acq_rel) == 1)
		dev->ops->free(dev);
}

void scsi_dev_attention(struct scsi_dev *dev, unsigned int ua)
{
	atomic_fetch_or(&dev->ua, ua);
}

/* A command's end at its device, which may be NULL. */
static void leave(struct scsi_dev *dev, bool entered)
{
	if (!dev)
		return;
	if (entered)
		dev->ops->left(dev);
	if (atomic_fetch_sub(&dev->active, 1) == 1)
		atomic_store_explicit(&dev->was_idle, true, memory_order_relaxed);
	scsi_dev_unref(dev);
}

/* The command is the front-end's again inside `done`, so what is needed after is taken before. */
static void finish(struct scsi_cmd *cmd, enum scsi_status status, uint32_t transferred)
{
	struct scsi_dev *dev = cmd->dev;
	bool entered = cmd->entered;

	cmd->status = status;
	cmd->transferred = transferred;
	cmd->done(cmd);
	leave(dev, entered);
}

void scsi_status(struct scsi_cmd *cmd, enum scsi_status status)
{
	finish(cmd, status, 0);
}

void scsi_save(struct scsi_cmd *cmd)
{
	if (!cmd->hold)
		return;
	memcpy(cmd->spare, cmd->iov, cmd->iovcnt * sizeof(*cmd->iov));
	cmd->saved = cmd->iovcnt;
}

void scsi_hold(struct scsi_cmd *cmd, uint64_t until_ns)
{
	struct scsi_dev *dev = take_ptr(&cmd->dev);
	bool entered = cmd->entered;

	if (cmd->saved) {
		memcpy(cmd->iov, cmd->spare, cmd->saved * sizeof(*cmd->iov));
		cmd->iovcnt = cmd->saved;
	}
	cmd->hold(cmd, until_ns);
	leave(dev, entered);
}

/* SBC and SAM know no error for a host that has run full: the guest had better not see it. */
static bool stalls(const struct scsi_cmd *cmd, int r)
{
	const struct scsi_dev *dev = cmd->dev;

	if (!cmd->hold || !dev || !dev->stalled)
		return false;
	if (r == -ENOSPC || r == -EDQUOT)
		return true;
	return r != -ENOMEM && r != -EROFS && r != -EINVAL &&
	       atomic_load(&dev->stalls_on_io_error);
}

void scsi_good(struct scsi_cmd *cmd, uint32_t transferred)
{
	finish(cmd, SCSI_GOOD, transferred);
}

void scsi_fail(struct scsi_cmd *cmd, enum scsi_sense sense)
{
	cmd->sense = (struct scsi_sense_fixed){
		.response_code = SCSI_SENSE_FIXED,
		.key = (uint8_t)((unsigned int)sense >> 16),
		.additional_bytes = sizeof(cmd->sense) - 8,
		.asc = (uint8_t)((unsigned int)sense >> 8),
		.ascq = (uint8_t)sense,
	};
	cmd->has_sense = true;
	finish(cmd, SCSI_CHECK_CONDITION, 0);
}

void scsi_fail_errno(struct scsi_cmd *cmd, int r, bool is_write)
{
	if (stalls(cmd, r)) {
		cmd->dev->stalled(cmd->dev->told_opaque, r);
		scsi_hold(cmd, 0);
		return;
	}
	switch (r) {
	case -ENOMEM:
		/* The guest tries again. */
		finish(cmd, SCSI_BUSY, 0);
		break;
	case -EROFS:
		scsi_fail(cmd, SCSI_WRITE_PROTECTED);
		break;
	case -ENOSPC:
	case -EDQUOT:
		scsi_fail(cmd, SCSI_SPACE_ALLOCATION_FAILED);
		break;
	case -EINVAL:
		/* It was inside when we looked: the disk has shrunk since. */
		scsi_fail(cmd, SCSI_LBA_OUT_OF_RANGE);
		break;
	default:
		scsi_fail(cmd, is_write ? SCSI_WRITE_ERROR : SCSI_UNRECOVERED_READ_ERROR);
	}
}

void scsi_reply(struct scsi_cmd *cmd, const void *data, size_t len, size_t allocated)
{
	const char *p = data;
	size_t room = MIN(allocated, (size_t)cmd->data_bytes), n = MIN(len, room);
	size_t left = n;

	if (left && cmd->data != SCSI_DATA_IN) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	for (unsigned int i = 0; left; i++) {
		size_t part = MIN(left, cmd->iov[i].iov_len);

		memcpy(cmd->iov[i].iov_base, p, part);
		p += part;
		left -= part;
	}
	scsi_good(cmd, (uint32_t)n);
}

int scsi_fetch(const struct scsi_cmd *cmd, size_t off, void *buf, size_t len)
{
	char *p = buf;

	if (cmd->data != SCSI_DATA_OUT || !range_ok(off, len, cmd->data_bytes))
		return -EINVAL;
	for (unsigned int i = 0; len; i++) {
		const struct iovec *v = &cmd->iov[i];
		size_t part;

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		part = MIN(len, v->iov_len - off);
		memcpy(p, (const char *)v->iov_base + off, part);
		p += part;
		len -= part;
		off = 0;
	}
	return 0;
}

/* Takes the most important unit attention; false when there is none. */
static bool take_attention(struct scsi_dev *dev, enum scsi_sense *ret)
{
	static const struct {
		unsigned int ua;
		enum scsi_sense sense;
	} order[] = {
		{ SCSI_UA_RESET, SCSI_DEVICE_RESET },
		{ SCSI_UA_MEDIUM_CHANGED, SCSI_MEDIUM_CHANGED },
		{ SCSI_UA_CAPACITY_CHANGED, SCSI_CAPACITY_CHANGED },
		{ SCSI_UA_LUNS_CHANGED, SCSI_REPORTED_LUNS_CHANGED },
		{ SCSI_UA_RESERVATIONS_PREEMPTED, SCSI_RESERVATIONS_PREEMPTED },
		{ SCSI_UA_RESERVATIONS_RELEASED, SCSI_RESERVATIONS_RELEASED },
		{ SCSI_UA_REGISTRATIONS_PREEMPTED, SCSI_REGISTRATIONS_PREEMPTED },
	};

	if (!atomic_load_explicit(&dev->ua, memory_order_relaxed))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		if (atomic_fetch_and(&dev->ua, ~order[i].ua) & order[i].ua) {
			*ret = order[i].sense;
			return true;
		}
	}
	return false;
}

bool scsi_fail_attention(struct scsi_cmd *cmd)
{
	enum scsi_sense sense;

	if (!take_attention(cmd->dev, &sense))
		return false;
	scsi_fail(cmd, sense);
	return true;
}

void scsi_dispatch(struct scsi_dev *dev, const struct scsi_op ops[256],
		   struct scsi_cmd *cmd)
{
	const struct scsi_op *op = &ops[cmd->cdb[0]];
	enum scsi_sense sense;

	if (!op->run)
		scsi_fail(cmd, SCSI_INVALID_OPCODE);
	else if (cmd->cdb_bytes < op->cdb_bytes ||
		 (cmd->cdb[op->cdb_bytes - 1] & SCSI_CONTROL_NACA))
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else if (!op->ignores_ua && take_attention(dev, &sense))
		scsi_fail(cmd, sense);
	else if (!op->ignores_ua && dev->ops->reserved && dev->ops->reserved(dev, cmd))
		return;
	else
		op->run(dev, cmd);
}

/* SPC-4 6.39: reports, and clears, what the next command would have met. */
static void reply_sense(struct scsi_cmd *cmd, enum scsi_sense sense)
{
	uint8_t key = (uint8_t)((unsigned int)sense >> 16),
		asc = (uint8_t)((unsigned int)sense >> 8), ascq = (uint8_t)sense;
	struct scsi_sense_fixed fixed = { .response_code = SCSI_SENSE_FIXED,
					  .key = key,
					  .additional_bytes = sizeof(fixed) - 8,
					  .asc = asc,
					  .ascq = ascq };
	struct scsi_sense_descriptor desc = { .response_code = SCSI_SENSE_DESCRIPTOR,
					      .key = key,
					      .asc = asc,
					      .ascq = ascq };

	if (cmd->cdb[1] & 1)
		scsi_reply(cmd, &desc, sizeof(desc), cmd->cdb[4]);
	else
		scsi_reply(cmd, &fixed, sizeof(fixed), cmd->cdb[4]);
}

void scsi_request_sense(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	enum scsi_sense sense = SCSI_NO_SENSE;

	take_attention(dev, &sense);
	reply_sense(cmd, sense);
}

/*
 * SPC-4 6.6.1: INQUIRY answers with peripheral qualifier 011b, which tells a scan that there is nothing to attach and no need to
 * wait; REQUEST SENSE delivers the sense as data; everything else fails.
 */
void scsi_no_lun(struct scsi_cmd *cmd)
{
	struct scsi_inquiry inquiry = {
		.type = SCSI_TYPE_NO_LUN,
		.version = SCSI_VERSION_SPC4,
		.response_format = 2,
		.additional_bytes = sizeof(inquiry) - 5,
	};

	if (cmd->cdb[0] == SCSI_INQUIRY && cmd->cdb_bytes >= 6 && !cmd->cdb[1] &&
	    !cmd->cdb[2]) {
		memset(inquiry.vendor, ' ',
		       sizeof(inquiry) - offsetof(struct scsi_inquiry, vendor));
		scsi_reply(cmd, &inquiry, sizeof(inquiry), be16_get(&cmd->cdb[3]));
		return;
	}
	cmd->no_lun = true;
	if (cmd->cdb[0] == SCSI_REQUEST_SENSE && cmd->cdb_bytes >= 6)
		reply_sense(cmd, SCSI_LUN_NOT_SUPPORTED);
	else
		scsi_fail(cmd, SCSI_LUN_NOT_SUPPORTED);
}
