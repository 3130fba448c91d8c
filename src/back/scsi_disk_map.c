/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET LBA STATUS (SBC-3 5.6): which blocks of a thin disk have room of the host's, and which read as zeros from nowhere. As far as that is in memory: what
 * would have to be read first counts as mapped, which the standard allows ("mapped or in an unknown state").
 */
#include "back/scsi_disk_priv.h"

#include "vhd/chain.h"

#define DESCRIPTORS_MAX 32u
#define LOOKS_MAX 1024u /* how much one command may look at */

static bool is_deallocated(const struct scsi_disk *sd, uint64_t lba, uint64_t blocks,
			   uint64_t *ret_blocks)
{
	struct disk_extent e = { .place = DISK_PLACE_UNKNOWN };
	struct disk *at;

	if (sd->disk->ops->map)
		e = chain_map(sd->disk, lba << sd->shift, blocks << sd->shift, &at);
	else
		e.bytes = blocks << sd->shift;
	/* Part of a block stands otherwise than the rest: it has room. */
	*ret_blocks = MIN(MAX(e.bytes >> sd->shift, UINT64_C(1)), blocks);
	return e.place == DISK_PLACE_ZEROS && e.bytes >> sd->shift;
}

/* How many blocks from `lba` on, at most `most`, are the same. */
static uint32_t run_of(const struct scsi_disk *sd, uint64_t lba, uint64_t most,
		       unsigned int *looks, uint8_t *ret_status)
{
	uint64_t n = 0, blocks;

	for (most = MIN(most, (uint64_t)UINT32_MAX); n < most && *looks; n += blocks) {
		uint8_t status = is_deallocated(sd, lba + n, most - n, &blocks)
					 ? SCSI_LBA_DEALLOCATED
					 : SCSI_LBA_MAPPED;

		--*looks;
		if (n && status != *ret_status)
			break;
		*ret_status = status;
	}
	return (uint32_t)n;
}

void scsi_disk_lba_status(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	const struct scsi_disk *sd = scsi_disk_of(dev);
	uint64_t lba = be64_get(&cmd->cdb[2]), end = scsi_disk_blocks(sd);
	uint32_t allocated = be32_get(&cmd->cdb[10]);
	struct {
		struct scsi_lba_status_header header;
		struct scsi_lba_status_descriptor d[DESCRIPTORS_MAX];
	} reply = { 0 };
	unsigned int looks = LOOKS_MAX, n = 0;
	size_t room, bytes;

	if (!sd->disk->info.can_discard) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (lba >= end) {
		scsi_fail(cmd, SCSI_LBA_OUT_OF_RANGE);
		return;
	}
	room = MIN(allocated / sizeof(reply.d[0]), (size_t)DESCRIPTORS_MAX);
	for (; n < MAX(room, (size_t)1) && lba < end && looks; n++) {
		uint32_t blocks = run_of(sd, lba, end - lba, &looks, &reply.d[n].status);

		reply.d[n].lba = be64(lba);
		reply.d[n].blocks = be32(blocks);
		lba += blocks;
	}
	bytes = sizeof(reply.header) + n * sizeof(reply.d[0]);
	reply.header.data_bytes =
		be32((uint32_t)(bytes - sizeof(reply.header.data_bytes)));
	scsi_reply(cmd, &reply, bytes, allocated);
}
