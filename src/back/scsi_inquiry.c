/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INQUIRY. The names are those that Hyper-V's disks carry: Linux' hv_storvsc and Azure's udev rules look for vendor "Msft". The identification
 * page has an NAA designator of the form that Hyper-V builds: 6h, Microsoft's OUI, then bytes of the disk's identity.
 */
#include "back/scsi.h"

#include <string.h>

#define VENDOR "Msft"
#define REVISION "1.0"

/* Left-aligned, filled with spaces, no NUL: SPC-4 4.3.1. */
static void put_ascii(char *to, size_t len, const char *text)
{
	memset(to, ' ', len);
	memcpy(to, text, MIN(len, strlen(text)));
}

static void standard(struct scsi_dev *dev, struct scsi_cmd *cmd)
{
	struct scsi_inquiry data = {
		.type = dev->type,
		.removable = dev->type == SCSI_TYPE_DVD ? SCSI_INQUIRY_RMB : 0,
		.version = SCSI_VERSION_SPC4,
		.response_format = 2,
		.additional_bytes = sizeof(data) - 5,
		.flags7 = SCSI_INQUIRY_CMDQUE,
	};

	put_ascii(data.vendor, sizeof(data.vendor), VENDOR);
	put_ascii(data.product, sizeof(data.product), dev->product);
	put_ascii(data.revision, sizeof(data.revision), REVISION);
	scsi_reply(cmd, &data, sizeof(data), be16_get(&cmd->cdb[3]));
}

static size_t fill_serial(struct scsi_dev *dev, uint8_t buf[SCSI_VPD_MAX])
{
	size_t n = strlen(dev->serial);

	memcpy(buf + sizeof(struct scsi_vpd_header), dev->serial, n);
	return sizeof(struct scsi_vpd_header) + n;
}

static uint8_t *put_designator(uint8_t *p, uint8_t code_set, uint8_t type, size_t bytes)
{
	struct scsi_vpd_designator d = { .code_set = code_set,
					 .type = type,
					 .bytes = (uint8_t)bytes };

	memcpy(p, &d, sizeof(d));
	return p + sizeof(d);
}

/* SPC-4 7.8.6.5 (T10 vendor), 7.8.6.6.5 (NAA IEEE registered extended). */
static size_t fill_identification(struct scsi_dev *dev, uint8_t buf[SCSI_VPD_MAX])
{
	static const uint8_t naa[4] = { 0x60, 0x02, 0x24, 0x80 };
	uint8_t *p = buf + sizeof(struct scsi_vpd_header);
	size_t n = strlen(dev->serial);

	p = put_designator(p, 1, 3, 16);
	memcpy(p, naa, sizeof(naa));
	memcpy(p + sizeof(naa), dev->id.b, 16 - sizeof(naa));
	p = put_designator(p + 16, 2, 1, 8 + n);
	put_ascii((char *)p, 8, VENDOR);
	memcpy(p + 8, dev->serial, n);
	return (size_t)(p + 8 + n - buf);
}

static const struct scsi_vpd_page common[] = {
	{ SCSI_VPD_SERIAL, fill_serial },
	{ SCSI_VPD_IDENTIFICATION, fill_identification },
};

static size_t fill_supported(struct scsi_dev *dev, const struct scsi_vpd_page *pages,
			     size_t n, uint8_t *buf)
{
	uint8_t *p = buf + sizeof(struct scsi_vpd_header);

	*p++ = SCSI_VPD_SUPPORTED;
	for (size_t i = 0; i < ARRAY_SIZE(common) && !guid_is_null(&dev->id); i++)
		*p++ = common[i].page;
	for (size_t i = 0; i < n; i++)
		*p++ = pages[i].page;
	return (size_t)(p - buf);
}

static const struct scsi_vpd_page *find(uint8_t page, const struct scsi_vpd_page *pages,
					size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pages[i].page == page)
			return &pages[i];
	}
	return NULL;
}

static void vital(struct scsi_dev *dev, struct scsi_cmd *cmd,
		  const struct scsi_vpd_page *pages, size_t n)
{
	uint8_t buf[SCSI_VPD_MAX] = { 0 }, page = cmd->cdb[2];
	const struct scsi_vpd_page *vpd = find(page, pages, n);
	struct scsi_vpd_header header = { .type = dev->type, .page = page };
	size_t len = 0;

	if (!vpd && !guid_is_null(&dev->id))
		vpd = find(page, common, ARRAY_SIZE(common));
	if (vpd)
		len = vpd->fill(dev, buf);
	else if (page == SCSI_VPD_SUPPORTED)
		len = fill_supported(dev, pages, n, buf);
	if (!len) {
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	header.page_bytes = be16((uint16_t)(len - sizeof(header)));
	memcpy(buf, &header, sizeof(header));
	scsi_reply(cmd, buf, len, be16_get(&cmd->cdb[3]));
}

void scsi_inquiry(struct scsi_dev *dev, struct scsi_cmd *cmd,
		  const struct scsi_vpd_page *pages, size_t n)
{
	if (cmd->cdb[1] & ~SCSI_INQUIRY_EVPD)
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else if (cmd->cdb[1])
		vital(dev, cmd, pages, n);
	else if (cmd->cdb[2])
		scsi_fail(cmd, SCSI_INVALID_FIELD_IN_CDB);
	else
		standard(dev, cmd);
}
