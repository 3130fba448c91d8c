/* SPDX-License-Identifier: BSD-2-Clause */
/* MODE SENSE (6) and (10): SPC-4 6.11, 6.12, 7.5. A header, perhaps a block descriptor, pages. */
#include "back/scsi.h"

#include <string.h>

#define PAGE_CONTROL_CHANGEABLE 1u
#define PAGE_CONTROL_SAVED 3u
#define DATA_MAX 255u

/* SBC-3 6.5.2.2: more blocks than the field holds are told as all ones. */
static size_t put_descriptor(uint8_t *p, const struct scsi_mode *mode)
{
	struct scsi_mode_descriptor d = {
		.blocks = be32((uint32_t)MIN(mode->blocks, (uint64_t)UINT32_MAX)),
		.block_bytes = be32(mode->block_bytes & 0xffffff),
	};

	memcpy(p, &d, sizeof(d));
	return sizeof(d);
}

/* The pages asked for; 0 when there is none of that code. */
static size_t put_pages(uint8_t *p, const struct scsi_mode *mode, uint8_t code,
			unsigned int control)
{
	size_t n = 0;

	for (size_t i = 0; i < mode->n; i++) {
		const uint8_t *page = mode->pages[i];
		size_t bytes = page[1] + 2u;

		if (code != SCSI_PAGE_ALL && code != page[0])
			continue;
		memcpy(p + n, page, bytes);
		if (control == PAGE_CONTROL_CHANGEABLE)
			memset(p + n + 2, 0, bytes - 2);
		n += bytes;
	}
	return n;
}

static size_t put_header(uint8_t *p, const struct scsi_mode *mode, bool is_10,
			 size_t descriptor_bytes, size_t page_bytes)
{
	if (is_10) {
		struct scsi_mode_header_10 h = {
			.data_bytes = be16((uint16_t)(sizeof(h) - 2 + descriptor_bytes +
						      page_bytes)),
			.device_specific = mode->device_specific,
			.descriptor_bytes = be16((uint16_t)descriptor_bytes),
		};

		memcpy(p, &h, sizeof(h));
		return sizeof(h);
	}
	struct scsi_mode_header_6 h = {
		.data_bytes = (uint8_t)(sizeof(h) - 1 + descriptor_bytes + page_bytes),
		.device_specific = mode->device_specific,
		.descriptor_bytes = (uint8_t)descriptor_bytes,
	};
	memcpy(p, &h, sizeof(h));
	return sizeof(h);
}

void scsi_mode_sense(struct scsi_cmd *cmd, const struct scsi_mode *mode)
{
	bool is_10 = cmd->cdb[0] == SCSI_MODE_SENSE_10;
	bool wants_descriptor = !(cmd->cdb[1] & SCSI_MODE_DBD) && mode->block_bytes;
	size_t allocated = is_10 ? be16_get(&cmd->cdb[7]) : cmd->cdb[4];
	unsigned int control = cmd->cdb[2] >> 6;
	uint8_t code = cmd->cdb[2] & 0x3f, subpage = cmd->cdb[3];
	uint8_t pages[DATA_MAX], data[DATA_MAX + sizeof(struct scsi_mode_header_10) +
				      sizeof(struct scsi_mode_descriptor)];
	size_t page_bytes = put_pages(pages, mode, code, control), n;

	if (control == PAGE_CONTROL_SAVED) {
		scsi_fail(cmd, SCSI_SAVING_NOT_SUPPORTED);
		return;
	}
	if (!page_bytes || (subpage && !(code == SCSI_PAGE_ALL && subpage == 0xff))) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	n = put_header(data, mode, is_10,
		       wants_descriptor ? sizeof(struct scsi_mode_descriptor) : 0,
		       page_bytes);
	if (wants_descriptor)
		n += put_descriptor(data + n, mode);
	memcpy(data + n, pages, page_bytes);
	scsi_reply(cmd, data, n + page_bytes, allocated);
}
