/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/scsi_target.h"

#include <errno.h>
#include <time.h>

/* Less than a sector is no data of the disk: inquiries, lists. */
#define THROTTLE_LEAST_BYTES 512u
#define REPORT_ALL 0u
#define REPORT_WELL_KNOWN 1u
#define REPORT_ALL_AND_WELL_KNOWN 2u
#define REPORT_LUNS_MIN 16u /* SPC-4 6.33: the least allocation length */

void scsi_target_init(struct scsi_target *t)
{
	pthread_mutex_init(&t->lock, NULL);
	for (unsigned int i = 0; i < SCSI_LUNS; i++)
		t->luns[i] = NULL;
}

void scsi_target_done(struct scsi_target *t)
{
	for (unsigned int i = 0; i < SCSI_LUNS; i++)
		scsi_dev_unref(t->luns[i]);
	pthread_mutex_destroy(&t->lock);
}

int scsi_target_attach(struct scsi_target *t, unsigned int lun, struct scsi_dev *dev)
{
	int r = 0;

	if (lun >= SCSI_LUNS)
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	if (t->luns[lun])
		r = -EEXIST;
	else
		t->luns[lun] = dev;
	pthread_mutex_unlock(&t->lock);
	return r;
}

int scsi_target_detach(struct scsi_target *t, unsigned int lun)
{
	struct scsi_dev *dev;

	if (lun >= SCSI_LUNS)
		return -ENOENT;
	pthread_mutex_lock(&t->lock);
	dev = t->luns[lun];
	t->luns[lun] = NULL;
	pthread_mutex_unlock(&t->lock);
	/* Outside the lock: closing a disk may take its time. */
	scsi_dev_unref(dev);
	return dev ? 0 : -ENOENT;
}

struct scsi_dev *scsi_target_get(struct scsi_target *t, unsigned int lun)
{
	struct scsi_dev *dev = NULL;

	if (lun >= SCSI_LUNS)
		return NULL;
	pthread_mutex_lock(&t->lock);
	if (t->luns[lun])
		dev = scsi_dev_ref(t->luns[lun]);
	pthread_mutex_unlock(&t->lock);
	return dev;
}

/* Single-level LUNs, peripheral addressing: SAM-5 4.7.7.2. */
static void report_luns(struct scsi_target *t, struct scsi_cmd *cmd)
{
	struct {
		struct scsi_lun_list header;
		be64_t luns[SCSI_LUNS];
	} data = { 0 };
	uint32_t allocated = be32_get(&cmd->cdb[6]), n = 0;

	if (cmd->cdb_bytes < 12 || cmd->cdb[2] > REPORT_ALL_AND_WELL_KNOWN ||
	    allocated < REPORT_LUNS_MIN) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	pthread_mutex_lock(&t->lock);
	for (unsigned int i = 0; i < SCSI_LUNS && cmd->cdb[2] != REPORT_WELL_KNOWN; i++) {
		if (t->luns[i])
			data.luns[n++] = be64((uint64_t)i << 48);
	}
	pthread_mutex_unlock(&t->lock);
	data.header.bytes = be32(n * (uint32_t)sizeof(be64_t));
	scsi_reply(cmd, &data, sizeof(data.header) + n * sizeof(be64_t), allocated);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The rate of its unit counts what moves data; what asks or orders is free. */
static bool must_wait(struct scsi_cmd *cmd, uint64_t *ret_until)
{
	struct throttle *limit = &cmd->dev->limit;
	bool bounded = atomic_load_explicit(&limit->unit_ns, memory_order_relaxed);

	if (cmd->admitted || !cmd->hold || cmd->data_bytes < THROTTLE_LEAST_BYTES)
		return false;
	cmd->admitted = true;
	*ret_until = throttle_take(limit, throttle_units(cmd->data_bytes),
				   bounded ? now_ns() : 0);
	return *ret_until;
}

void scsi_target_execute(struct scsi_target *t, struct scsi_cmd *cmd)
{
	uint64_t until;

	cmd->has_sense = false;
	cmd->no_lun = false;
	cmd->saved = 0;
	cmd->entered = false;
	cmd->dev = NULL;
	/* SPC-4 6.33: answered for the whole target, whether the unit exists or not. */
	if (cmd->cdb[0] == SCSI_REPORT_LUNS) {
		report_luns(t, cmd);
		return;
	}
	cmd->dev = scsi_target_get(t, cmd->lun);
	if (!cmd->dev) {
		scsi_no_lun(cmd);
		return;
	}
	atomic_fetch_add(&cmd->dev->active, 1);
	if (must_wait(cmd, &until))
		scsi_hold(cmd, until);
	else
		cmd->dev->ops->execute(cmd->dev, cmd);
}

static bool is_quiet_locked(const struct scsi_target *t, unsigned int from,
			    unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		if (t->luns[i] && atomic_load(&t->luns[i]->active))
			return false;
	}
	return true;
}

void scsi_target_attention(struct scsi_target *t, unsigned int ua)
{
	pthread_mutex_lock(&t->lock);
	for (unsigned int i = 0; i < SCSI_LUNS; i++) {
		if (t->luns[i])
			scsi_dev_attention(t->luns[i], ua);
	}
	pthread_mutex_unlock(&t->lock);
}

bool scsi_target_reset(struct scsi_target *t, unsigned int lun)
{
	unsigned int from = lun < SCSI_LUNS ? lun : 0;
	unsigned int to = lun < SCSI_LUNS ? lun + 1 : SCSI_LUNS;
	bool quiet;

	pthread_mutex_lock(&t->lock);
	quiet = is_quiet_locked(t, from, to);
	for (unsigned int i = from; quiet && i < to; i++) {
		if (t->luns[i])
			scsi_dev_attention(t->luns[i], SCSI_UA_RESET);
	}
	pthread_mutex_unlock(&t->lock);
	return quiet;
}
