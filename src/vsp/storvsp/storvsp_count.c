/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest's commands come to, by unit. Each channel's thread counts alone, with plain stores; a reader on the bus thread, where
 * channels come and go, adds them up.
 */
#include <time.h>
#include "vsp/storvsp/storvsp_priv.h"

#define SECTOR_BYTES 512u

static void add(struct storvsp_count *c, enum storvsp_counter which, uint64_t n)
{
	_Atomic uint64_t *at = &c->n[which];

	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* False: it neither moves data nor flushes. */
static bool count_kind(struct storvsp_count *c, const struct scsi_cmd *cmd)
{
	if (cmd->cdb[0] == SCSI_SYNCHRONIZE_CACHE_10 ||
	    cmd->cdb[0] == SCSI_SYNCHRONIZE_CACHE_16) {
		add(c, STORVSP_FLUSHES, 1);
	} else if (cmd->data_bytes < SECTOR_BYTES || cmd->data == SCSI_DATA_NONE) {
		return false;
	} else if (cmd->data == SCSI_DATA_IN) {
		add(c, STORVSP_READS, 1);
		add(c, STORVSP_READ_BYTES, cmd->transferred);
	} else {
		add(c, STORVSP_WRITES, 1);
		add(c, STORVSP_WRITE_BYTES, cmd->transferred);
	}
	return true;
}

void storvsp_count_end(struct storvsp_channel *ch, const struct storvsp_request *req)
{
	const struct scsi_cmd *cmd = &req->cmd;
	struct storvsp_count *c;

	/* BUSY is no answer: the guest sends the command again. */
	if (cmd->lun >= SCSI_LUNS || cmd->no_lun || cmd->status == SCSI_BUSY)
		return;
	c = &ch->counts[cmd->lun];
	if (!count_kind(c, cmd))
		return;
	add(c, STORVSP_LATENCY_NS, now_ns() - req->began_ns);
	if (cmd->status != SCSI_GOOD)
		add(c, STORVSP_ERRORS, 1);
}

void storvsp_count_open(struct storvsp_channel *ch)
{
	list_add_tail(&ch->s->channels, &ch->link);
}

static void take(const struct storvsp_count *c, uint64_t to[STORVSP_COUNTS])
{
	for (unsigned int i = 0; i < STORVSP_COUNTS; i++)
		to[i] += atomic_load_explicit(&c->n[i], memory_order_relaxed);
}

void storvsp_count_close(struct storvsp_channel *ch)
{
	for (unsigned int lun = 0; lun < SCSI_LUNS; lun++)
		take(&ch->counts[lun], ch->s->past[lun]);
	list_del(&ch->link);
}

void storvsp_counts(const struct storvsp *s, unsigned int lun,
		    uint64_t ret[STORVSP_COUNTS])
{
	const struct storvsp_channel *ch;

	for (unsigned int i = 0; i < STORVSP_COUNTS; i++)
		ret[i] = s->past[lun][i];
	list_for_each (ch, &s->channels, link)
		take(&ch->counts[lun], ret);
}
