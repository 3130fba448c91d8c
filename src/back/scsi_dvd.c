/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A DVD-ROM drive (MMC-6) over a read-only disk that may change or be missing. Without a medium every command that needs one fails with
 * NOT READY 3Ah; a new one raises UNIT ATTENTION 28h and a media event. A read holds its own reference, so a medium that
 * is changed under it goes when the read is done.
 */
#include "back/scsi.h"

#include <errno.h>
#include <stdlib.h>

#include "back/scsi_dvd_priv.h"

#define PRODUCT "Virtual DVD-ROM"

struct disk *scsi_dvd_medium(struct scsi_dvd *dvd)
{
	struct disk *medium;

	pthread_mutex_lock(&dvd->lock);
	medium = dvd->medium ? disk_ref(dvd->medium) : NULL;
	pthread_mutex_unlock(&dvd->lock);
	return medium;
}

struct disk *scsi_dvd_need_medium(struct scsi_dvd *dvd, struct scsi_cmd *cmd)
{
	struct disk *medium = scsi_dvd_medium(dvd);
	bool open;

	if (medium)
		return medium;
	pthread_mutex_lock(&dvd->lock);
	open = dvd->tray_open;
	pthread_mutex_unlock(&dvd->lock);
	scsi_fail(cmd,
		  open ? SCSI_MEDIUM_NOT_PRESENT_TRAY_OPEN : SCSI_MEDIUM_NOT_PRESENT);
	return NULL;
}

uint32_t scsi_dvd_sectors(const struct disk *medium)
{
	return (uint32_t)MIN(disk_bytes(medium) >> DVD_SECTOR_SHIFT,
			     (uint64_t)UINT32_MAX);
}

/* Puts a medium in, or NULL, and tells the guest; gives back the old one. */
static struct disk *change_locked(struct scsi_dvd *dvd, struct disk *medium)
{
	struct disk *old = dvd->medium;

	dvd->medium = medium;
	dvd->prevented = false;
	if (medium) {
		dvd->tray_open = false;
		dvd->event = MMC_EVENT_NEW_MEDIA;
		scsi_dev_attention(&dvd->dev, SCSI_UA_MEDIUM_CHANGED);
	} else if (old) {
		dvd->event = MMC_EVENT_MEDIA_REMOVAL;
	}
	return old;
}

static void test_unit_ready(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct disk *medium = scsi_dvd_need_medium(scsi_dvd_of(dev), cmd);

	if (!medium)
		return;
	disk_unref(medium);
	scsi_good(cmd, 0);
}

static void read_done(struct disk_req *req, int r)
{
	struct scsi_cmd *cmd = container_of(req, struct scsi_cmd, req);

	disk_unref(req->disk);
	if (r < 0)
		scsi_fail_errno(cmd, r, false);
	else
		scsi_good(cmd, (uint32_t)req->len);
}

/* `blocks` from `lba`; consumes the reference. */
static void start_read(struct disk *medium, struct scsi_cmd *cmd, uint32_t lba,
		       uint32_t blocks)
{
	uint64_t len = (uint64_t)blocks << DVD_SECTOR_SHIFT, left = len;
	unsigned int n = 0;

	scsi_save(cmd);
	for (; left; n++) {
		cmd->iov[n].iov_len = MIN(left, (uint64_t)cmd->iov[n].iov_len);
		left -= cmd->iov[n].iov_len;
	}
	cmd->req.op = DISK_READ;
	cmd->req.flags = 0;
	cmd->req.off = (uint64_t)lba << DVD_SECTOR_SHIFT;
	cmd->req.len = len;
	cmd->req.iov = cmd->iov;
	cmd->req.iovcnt = n;
	cmd->req.done = read_done;
	disk_submit(medium, cmd->aio, &cmd->req);
}

static void read_sectors(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	uint32_t lba = be32_get(&cmd->cdb[2]);
	uint32_t blocks = cmd->cdb[0] == SCSI_READ_12 ? be32_get(&cmd->cdb[6])
						      : be16_get(&cmd->cdb[7]);
	uint64_t len = (uint64_t)blocks << DVD_SECTOR_SHIFT;
	struct disk *medium = scsi_dvd_need_medium(scsi_dvd_of(dev), cmd);
	enum scsi_sense sense = SCSI_NO_SENSE;

	if (!medium)
		return;
	if (!range_ok(lba, blocks, scsi_dvd_sectors(medium)))
		sense = SCSI_LBA_OUT_OF_RANGE;
	else if (blocks && (cmd->data != SCSI_DATA_IN || len > cmd->data_bytes))
		sense = SCSI_INVALID_FIELD_IN_CDB;
	if (!sense && blocks) {
		start_read(medium, cmd, lba, blocks);
		return;
	}
	disk_unref(medium);
	if (sense)
		scsi_fail(cmd, sense);
	else
		scsi_good(cmd, 0);
}

/* LoEj without Start takes the medium out, for good: the image is the host's to put in again (MMC-6 6.42). */
static void start_stop(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_dvd *dvd = scsi_dvd_of(dev);
	struct disk *old = NULL;
	bool refused = false;

	if (cmd->cdb[4] & SCSI_LOEJ) {
		pthread_mutex_lock(&dvd->lock);
		refused = dvd->prevented && !(cmd->cdb[4] & SCSI_START);
		if (cmd->cdb[4] & SCSI_START) {
			dvd->tray_open = false;
		} else if (!refused) {
			old = change_locked(dvd, NULL);
			dvd->tray_open = true;
		}
		pthread_mutex_unlock(&dvd->lock);
	}
	if (old && dev->ejected)
		dev->ejected(dev->told_opaque);
	disk_unref(old);
	if (refused)
		scsi_fail(cmd, SCSI_MEDIUM_REMOVAL_PREVENTED);
	else
		scsi_good(cmd, 0);
}

static void prevent_allow(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_dvd *dvd = scsi_dvd_of(dev);

	pthread_mutex_lock(&dvd->lock);
	dvd->prevented = dvd->medium && (cmd->cdb[4] & 1);
	pthread_mutex_unlock(&dvd->lock);
	scsi_good(cmd, 0);
}

/* Nothing is cached that was not written. */
static void synchronize_cache(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	scsi_good(cmd, 0);
}

static const struct scsi_op ops[256] = {
	[SCSI_TEST_UNIT_READY] = { test_unit_ready, 6 },
	[SCSI_REQUEST_SENSE] = { scsi_request_sense, 6, true },
	[SCSI_INQUIRY] = { scsi_dvd_inquiry, 6, true },
	[SCSI_MODE_SENSE_6] = { scsi_dvd_mode_sense, 6 },
	[SCSI_START_STOP_UNIT] = { start_stop, 6 },
	[SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL] = { prevent_allow, 6 },
	[SCSI_READ_CAPACITY_10] = { scsi_dvd_capacity, 10 },
	[SCSI_READ_10] = { read_sectors, 10 },
	[SCSI_SYNCHRONIZE_CACHE_10] = { synchronize_cache, 10 },
	[SCSI_READ_TOC] = { scsi_dvd_toc, 10 },
	/* MMC-6 4.1.6: neither reports nor clears a unit attention. */
	[SCSI_GET_CONFIGURATION] = { scsi_dvd_configuration, 10, true },
	[SCSI_GET_EVENT_STATUS_NOTIFICATION] = { scsi_dvd_event, 10, true },
	[SCSI_READ_DISC_INFORMATION] = { scsi_dvd_disc_information, 10 },
	[SCSI_MODE_SENSE_10] = { scsi_dvd_mode_sense, 10 },
	[SCSI_READ_12] = { read_sectors, 12 },
	[SCSI_MECHANISM_STATUS] = { scsi_dvd_mechanism, 12 },
};

static void execute(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	scsi_dispatch(dev, ops, cmd);
}

static void dvd_free(struct scsi_dev *dev)
{
	struct scsi_dvd *dvd = scsi_dvd_of(dev);

	disk_unref(dvd->medium);
	pthread_mutex_destroy(&dvd->lock);
	free(dvd);
}

static uint64_t bytes(struct scsi_dev *dev)
{
	struct disk *medium = scsi_dvd_medium(scsi_dvd_of(dev));
	uint64_t n = medium ? disk_bytes(medium) : 0;

	disk_unref(medium);
	return n;
}

static const struct scsi_dev_ops dev_ops = { .execute = execute,
					     .free = dvd_free,
					     .bytes = bytes };

static bool is_fit(const struct disk *medium)
{
	return !medium || (scsi_dvd_sectors(medium) &&
			   medium->info.logical_bytes <= DVD_SECTOR_BYTES);
}

int scsi_dvd_new(struct disk *medium, const struct guid *id, struct scsi_dev **ret)
{
	struct scsi_dvd *dvd;

	if (!is_fit(medium))
		return -EINVAL;
	dvd = calloc(1, sizeof(*dvd));
	if (!dvd)
		return -ENOMEM;
	scsi_dev_init(&dvd->dev, &dev_ops, SCSI_TYPE_DVD, PRODUCT, id);
	pthread_mutex_init(&dvd->lock, NULL);
	dvd->medium = medium;
	*ret = &dvd->dev;
	return 0;
}

int scsi_dvd_change(struct scsi_dev *dev, struct disk *medium)
{
	struct scsi_dvd *dvd = scsi_dvd_of(dev);
	struct disk *old;

	if (dev->ops != &dev_ops || !is_fit(medium))
		return -EINVAL;
	pthread_mutex_lock(&dvd->lock);
	old = change_locked(dvd, medium);
	pthread_mutex_unlock(&dvd->lock);
	disk_unref(old);
	return 0;
}

int scsi_dvd_ask_eject(struct scsi_dev *dev)
{
	struct scsi_dvd *dvd = scsi_dvd_of(dev);
	bool locked;

	if (dev->ops != &dev_ops)
		return 0;
	pthread_mutex_lock(&dvd->lock);
	locked = dvd->medium && dvd->prevented;
	if (locked)
		dvd->event = MMC_EVENT_EJECT_REQUEST;
	pthread_mutex_unlock(&dvd->lock);
	return locked ? -EBUSY : 0;
}

bool scsi_dvd_loaded(struct scsi_dev *dev)
{
	struct scsi_dvd *dvd = scsi_dvd_of(dev);
	bool loaded;

	if (dev->ops != &dev_ops)
		return false;
	pthread_mutex_lock(&dvd->lock);
	loaded = dvd->medium;
	pthread_mutex_unlock(&dvd->lock);
	return loaded;
}
