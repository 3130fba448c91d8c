/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the SCSI disk: commands (scsi_disk.c), what has room (scsi_disk_map.c), freeing and zeroing (scsi_disk_unmap.c), its pages (scsi_disk_info.c). */
#ifndef BACK_SCSI_DISK_PRIV_H
#define BACK_SCSI_DISK_PRIV_H

#include "back/scsi.h"
#include "back/scsi_reserve.h"

/* Bounds that VPD page B0h tells and commands keep: how long one command may hold up the file. */
#define UNMAP_BYTES_MAX (4ull << 30)
#define UNMAP_DESCRIPTORS_MAX 256u
#define WRITE_SAME_BYTES_MAX (1ull << 30)

struct scsi_disk {
	struct scsi_dev dev;
	struct disk *disk;
	unsigned int shift; /* log2 of the logical block */
	bool shared;
	struct scsi_reserve *reserve;
};

static inline struct scsi_disk *scsi_disk_of(struct scsi_dev *dev)
{
	return container_of(dev, struct scsi_disk, dev);
}

static inline uint64_t scsi_disk_blocks(const struct scsi_disk *sd)
{
	return disk_bytes(sd->disk) >> sd->shift;
}

/* Where a CDB of 6, 10, 12 or 16 bytes says its blocks are: SPC-4 4.2.2. */
struct scsi_extent {
	uint64_t lba;
	uint32_t blocks;
};
struct scsi_extent scsi_disk_extent(const uint8_t *cdb);
/* True when it lies on the disk; otherwise the command has failed. */
bool scsi_disk_check(const struct scsi_disk *sd, struct scsi_cmd *cmd,
		     const struct scsi_extent *e) __must_check;
/* True when the disk takes writes; otherwise the command has failed. */
bool scsi_disk_writable(const struct scsi_disk *sd, struct scsi_cmd *cmd) __must_check;

void scsi_disk_unmap(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_disk_write_same(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_disk_lba_status(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_disk_inquiry(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_disk_mode_sense(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_disk_capacity_10(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_disk_service_action_in(struct scsi_dev *dev, struct scsi_cmd *cmd);

#endif
