/* SPDX-License-Identifier: BSD-2-Clause */
/* What a disk says of itself: INQUIRY pages, MODE SENSE, READ CAPACITY. */
#include "back/scsi_disk_priv.h"

#include <string.h>

static size_t fill_limits(struct scsi_dev *dev, uint8_t buf[SCSI_VPD_MAX])
{
	const struct scsi_disk *sd = scsi_disk_of(dev);
	const struct disk_info *info = &sd->disk->info;
	uint32_t physical = info->physical_bytes >> sd->shift;
	struct scsi_vpd_block_limits b = {
		.wsnz = 1,
		.optimal_granularity = be16((uint16_t)physical),
		.max_write_same = be64(WRITE_SAME_BYTES_MAX >> sd->shift),
	};

	if (info->can_discard) {
		b.max_unmap_blocks = be32((uint32_t)(UNMAP_BYTES_MAX >> sd->shift));
		b.max_unmap_descriptors = be32(UNMAP_DESCRIPTORS_MAX);
		b.unmap_granularity = be32(info->unmap_granularity >> sd->shift);
		b.unmap_alignment = be32(1u << 31);
	}
	memcpy(buf, &b, sizeof(b));
	return sizeof(b);
}

static size_t fill_characteristics(struct scsi_dev *dev, uint8_t buf[SCSI_VPD_MAX])
{
	struct scsi_vpd_block_characteristics b = { .rotation_rate = be16(1) };

	memcpy(buf, &b, sizeof(b));
	return sizeof(b);
}

static size_t fill_provisioning(struct scsi_dev *dev, uint8_t buf[SCSI_VPD_MAX])
{
	const struct disk_info *info = &scsi_disk_of(dev)->disk->info;
	struct scsi_vpd_provisioning b = { .type = 2 };

	b.flags = SCSI_LBPU | SCSI_LBPWS | SCSI_LBPWS10;
	if (info->discard_zeroes)
		b.flags |= SCSI_LBPRZ;
	memcpy(buf, &b, sizeof(b));
	return sizeof(b);
}

void scsi_disk_inquiry(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	static const struct scsi_vpd_page pages[] = {
		{ SCSI_VPD_BLOCK_LIMITS, fill_limits },
		{ SCSI_VPD_BLOCK_CHARACTERISTICS, fill_characteristics },
		{ SCSI_VPD_PROVISIONING, fill_provisioning },
	};
	bool thin = scsi_disk_of(dev)->disk->info.can_discard;

	/* The last page exists on thin disks only. */
	scsi_inquiry(dev, cmd, pages, ARRAY_SIZE(pages) - (thin ? 0 : 1));
}

void scsi_disk_mode_sense(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	static const uint8_t pages[][SCSI_MODE_PAGE_MAX] = {
		{ SCSI_PAGE_CACHING, 18, SCSI_CACHING_WCE },
		{ SCSI_PAGE_CONTROL, 10, 0, 0x10 /* unrestricted reordering */ },
		{ SCSI_PAGE_EXCEPTIONS, 10, 0x08 /* DEXCPT: none are reported */ },
	};
	const struct scsi_disk *sd = scsi_disk_of(dev);
	struct scsi_mode mode = {
		.device_specific = SCSI_MODE_DPOFUA,
		.blocks = scsi_disk_blocks(sd),
		.block_bytes = 1u << sd->shift,
		.pages = pages,
		.n = ARRAY_SIZE(pages),
	};

	if (sd->disk->info.read_only)
		mode.device_specific |= SCSI_MODE_WP;
	scsi_mode_sense(cmd, &mode);
}

void scsi_disk_capacity_10(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	const struct scsi_disk *sd = scsi_disk_of(dev);
	uint64_t last = scsi_disk_blocks(sd) - 1;
	struct scsi_capacity_10 c = {
		.last_lba = be32((uint32_t)MIN(last, (uint64_t)UINT32_MAX)),
		.block_bytes = be32(1u << sd->shift),
	};

	/* Without PMI an address means nothing: SBC-3 5.15.1. */
	if (!(cmd->cdb[8] & 1) && be32_get(&cmd->cdb[2]))
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else
		scsi_reply(cmd, &c, sizeof(c), sizeof(c));
}

static void capacity_16(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	const struct scsi_disk *sd = scsi_disk_of(dev);
	const struct disk_info *info = &sd->disk->info;
	struct scsi_capacity_16 c = {
		.last_lba = be64(scsi_disk_blocks(sd) - 1),
		.block_bytes = be32(1u << sd->shift),
	};

	c.physical_exponent =
		(uint8_t)__builtin_ctz(MIN(info->physical_bytes, 1u << 30) >> sd->shift);
	if (info->can_discard)
		c.provisioning |= SCSI_CAPACITY_LBPME;
	if (info->discard_zeroes)
		c.provisioning |= SCSI_CAPACITY_LBPRZ;
	scsi_reply(cmd, &c, sizeof(c), be32_get(&cmd->cdb[10]));
}

void scsi_disk_service_action_in(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	switch (cmd->cdb[1] & 0x1f) {
	case SCSI_SA_READ_CAPACITY_16:
		capacity_16(dev, cmd);
		break;
	case SCSI_SA_GET_LBA_STATUS:
		scsi_disk_lba_status(dev, cmd);
		break;
	default:
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	}
}
