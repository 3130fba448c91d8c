/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the DVD drive: medium and reading (scsi_dvd.c), what it tells (scsi_dvd_info.c). */
#ifndef BACK_SCSI_DVD_PRIV_H
#define BACK_SCSI_DVD_PRIV_H

#include <pthread.h>
#include "back/scsi.h"

#define DVD_SECTOR_BYTES 2048u
#define DVD_SECTOR_SHIFT 11u

struct scsi_dvd {
	struct scsi_dev dev;
	/* Under lock. */
	pthread_mutex_t lock;
	struct disk *medium;
	bool prevented; /* the guest locked the tray */
	bool tray_open;
	uint8_t event; /* MMC_EVENT_* for the next GET EVENT STATUS NOTIFICATION */
};

static inline struct scsi_dvd *scsi_dvd_of(struct scsi_dev *dev)
{
	return container_of(dev, struct scsi_dvd, dev);
}

/* A reference on the medium, or NULL. */
struct disk *scsi_dvd_medium(struct scsi_dvd *dvd);
/* The same; when there is none the command has failed. */
struct disk *scsi_dvd_need_medium(struct scsi_dvd *dvd, struct scsi_cmd *cmd);
/* Sectors, at most what 32 bits of LBA reach. */
uint32_t scsi_dvd_sectors(const struct disk *medium);

void scsi_dvd_inquiry(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_dvd_mode_sense(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_dvd_capacity(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_dvd_toc(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_dvd_configuration(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_dvd_event(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_dvd_disc_information(struct scsi_dev *dev, struct scsi_cmd *cmd);
void scsi_dvd_mechanism(struct scsi_dev *dev, struct scsi_cmd *cmd);

#endif
