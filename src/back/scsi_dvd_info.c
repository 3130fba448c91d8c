/* SPDX-License-Identifier: BSD-2-Clause */
/* What a DVD drive tells of itself and of its medium: one data track, one finished session. */
#include "back/scsi_dvd_priv.h"

#include <string.h>

#define LEAD_OUT 0xaau
#define DATA_TRACK 0x14u
#define CD_SECTORS_MAX \
	360000u /* 80 minutes of 75 frames: what fits a CD is told as one */

void scsi_dvd_inquiry(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	scsi_inquiry(dev, cmd, NULL, 0);
}

void scsi_dvd_mode_sense(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	static const uint8_t pages[][SCSI_MODE_PAGE_MAX] = {
		{ SCSI_PAGE_RECOVERY, 10 },
		/* Reads CD-R, CD-RW, DVD-ROM; locks and ejects a tray; 8x (1,411 kB/s) in two places; MMC-3 6.3.10. */
		{ SCSI_PAGE_CAPABILITIES, 18, 0x0b, 0, 0x40, 0x20, 0x29, 0, 0x05, 0x83, 0,
		  0, 0, 0, 0x05, 0x83 },
	};
	const struct scsi_mode mode = {
		.device_specific = SCSI_MODE_WP,
		.pages = pages,
		.n = ARRAY_SIZE(pages),
	};

	scsi_mode_sense(cmd, &mode);
}

void scsi_dvd_capacity(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct disk *medium = scsi_dvd_need_medium(scsi_dvd_of(dev), cmd);
	struct scsi_capacity_10 c = { .block_bytes = be32(DVD_SECTOR_BYTES) };

	if (!medium)
		return;
	c.last_lba = be32(scsi_dvd_sectors(medium) - 1);
	disk_unref(medium);
	scsi_reply(cmd, &c, sizeof(c), sizeof(c));
}

/* With MSF, minute, second and frame from two seconds before sector 0. */
static be32_t address(uint32_t lba, bool msf)
{
	uint32_t frames = lba + 150;

	if (!msf)
		return be32(lba);
	return be32(frames / (60 * 75) << 16 | frames / 75 % 60 << 8 | frames % 75);
}

/* MMC-6 6.26: format 0 is the tracks, 1 the sessions. */
void scsi_dvd_toc(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	bool msf = cmd->cdb[1] & 2;
	uint8_t format = cmd->cdb[2] & 15, first = cmd->cdb[6];
	struct {
		be16_t data_bytes;
		uint8_t first, last;
		struct mmc_toc_track tracks[2];
	} toc = { .first = 1, .last = 1 };
	struct disk *medium = scsi_dvd_need_medium(scsi_dvd_of(dev), cmd);
	unsigned int n = 0;
	uint32_t end;

	if (!medium)
		return;
	end = scsi_dvd_sectors(medium);
	disk_unref(medium);
	if (!format)
		format = cmd->cdb[9] >> 6; /* where SFF-8020 drivers put it */
	if (format > 1 || (!format && first > 1 && first != LEAD_OUT)) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (format || first <= 1)
		toc.tracks[n++] = (struct mmc_toc_track){ .adr_control = DATA_TRACK,
							  .track = 1,
							  .start = address(0, msf) };
	if (!format)
		toc.tracks[n++] = (struct mmc_toc_track){ .adr_control = DATA_TRACK,
							  .track = LEAD_OUT,
							  .start = address(end, msf) };
	toc.data_bytes = be16((uint16_t)(2 + n * sizeof(toc.tracks[0])));
	scsi_reply(cmd, &toc, 4 + n * sizeof(toc.tracks[0]), be16_get(&cmd->cdb[7]));
}

/* A feature descriptor: code, version with the persistent and current bits, length, data (MMC-6 5.2.2). */
struct feature {
	uint16_t code;
	uint8_t flags; /* version << 2 | persistent << 1 | current */
	uint8_t bytes;
	uint8_t data[12];
};
#define NEEDS_MEDIUM 0x80u /* not on the wire: current while a medium is there */

static const struct feature features[] = {
	/* Profile list: DVD-ROM, CD-ROM. */
	{ 0x0000, 0x03, 8, { 0x00, 0x10, 0, 0, 0x00, 0x08, 0, 0 } },
	/* Core: ATAPI or SCSI, DBE. */
	{ 0x0001, 0x0b, 8, { 0, 0, 0, 1, 1 } },
	/* Morphing: events are polled. */
	{ 0x0002, 0x07, 4, { 0x02 } },
	/* Removable medium: tray, ejects, locks. */
	{ 0x0003, 0x07, 4, { 0x29 } },
	/* Random readable: 2,048 bytes a block, 16 blocks at once. */
	{ 0x0010, 0x00 | NEEDS_MEDIUM, 8, { 0, 0, 0x08, 0, 0, 0x10, 0 } },
	/* CD read, DVD read. */
	{ 0x001e, 0x08 | NEEDS_MEDIUM, 4, { 0 } },
	{ 0x001f, 0x08 | NEEDS_MEDIUM, 4, { 0 } },
};

static size_t put_feature(uint8_t *p, const struct feature *f, bool current,
			  uint16_t profile)
{
	be16_t code = be16(f->code);

	memcpy(p, &code, sizeof(code));
	p[2] = (uint8_t)((f->flags & ~NEEDS_MEDIUM) | current);
	p[3] = f->bytes;
	memcpy(p + 4, f->data, f->bytes);
	/* In the list, each profile says whether it is the medium's. */
	for (size_t i = 4; !f->code && i < 4u + f->bytes; i += 4)
		p[i + 2] = profile && be16_get(p + i) == profile;
	return 4u + f->bytes;
}

static uint16_t current_profile(struct scsi_dvd *dvd)
{
	struct disk *medium = scsi_dvd_medium(dvd);
	uint16_t profile;

	if (!medium)
		return 0;
	profile = scsi_dvd_sectors(medium) > CD_SECTORS_MAX ? MMC_PROFILE_DVD_ROM
							    : MMC_PROFILE_CD_ROM;
	disk_unref(medium);
	return profile;
}

/* MMC-6 6.5: all features from a number on, the current ones of them, or one. */
void scsi_dvd_configuration(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	uint8_t buf[128] = { 0 }, rt = cmd->cdb[1] & 3;
	uint16_t from = be16_get(&cmd->cdb[2]),
		 profile = current_profile(scsi_dvd_of(dev));
	struct mmc_feature_header h = { .current_profile = be16(profile) };
	size_t n = sizeof(h);

	if (rt == 3) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *f = &features[i];
		bool current = !(f->flags & NEEDS_MEDIUM) || profile;

		if (f->code < from || (rt == 2 && f->code != from) ||
		    (rt == 1 && !current))
			continue;
		n += put_feature(buf + n, f, current, profile);
	}
	h.data_bytes = be32((uint32_t)(n - sizeof(h.data_bytes)));
	memcpy(buf, &h, sizeof(h));
	scsi_reply(cmd, buf, n, be16_get(&cmd->cdb[7]));
}

/* MMC-6 6.6: only by polling, only the class of media. */
void scsi_dvd_event(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_dvd *dvd = scsi_dvd_of(dev);
	bool asked = cmd->cdb[4] & 1u << MMC_EVENT_CLASS_MEDIA;
	struct {
		struct mmc_event_header header;
		uint8_t event, status, start_slot, end_slot;
	} e = { .header = { .supported = 1u << MMC_EVENT_CLASS_MEDIA } };
	size_t n = asked ? sizeof(e) : sizeof(e.header);

	if (!(cmd->cdb[1] & 1)) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	e.header.data_bytes = be16((uint16_t)(n - sizeof(e.header.data_bytes)));
	e.header.class = asked ? MMC_EVENT_CLASS_MEDIA : 0x80;
	if (asked) {
		pthread_mutex_lock(&dvd->lock);
		e.event = dvd->event;
		dvd->event = 0;
		e.status = (dvd->medium ? MMC_MEDIA_PRESENT : 0) |
			   (dvd->tray_open ? MMC_MEDIA_TRAY_OPEN : 0);
		pthread_mutex_unlock(&dvd->lock);
	}
	scsi_reply(cmd, &e, n, be16_get(&cmd->cdb[7]));
}

void scsi_dvd_disc_information(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct mmc_disc_information d = {
		.data_bytes = be16(sizeof(d) - sizeof(d.data_bytes)),
		.status = 0x0e,
		.first_track = 1,
		.sessions = 1,
		.first_track_last_session = 1,
		.last_track_last_session = 1,
		.lead_in = { 0xff, 0xff, 0xff, 0xff },
		.lead_out = { 0xff, 0xff, 0xff, 0xff },
	};
	struct disk *medium;

	if (cmd->cdb[1] & 7) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	medium = scsi_dvd_need_medium(scsi_dvd_of(dev), cmd);
	if (!medium)
		return;
	disk_unref(medium);
	scsi_reply(cmd, &d, sizeof(d), be16_get(&cmd->cdb[7]));
}

/* MMC-6 6.10: a drive without a changer. */
void scsi_dvd_mechanism(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_dvd *dvd = scsi_dvd_of(dev);
	uint8_t status[8] = { 0 };

	pthread_mutex_lock(&dvd->lock);
	status[1] = dvd->tray_open ? 0x10 : 0;
	pthread_mutex_unlock(&dvd->lock);
	scsi_reply(cmd, status, sizeof(status), be16_get(&cmd->cdb[8]));
}
