/* SPDX-License-Identifier: BSD-2-Clause */
/* Making an image: log, metadata and block table behind the header section, then, for a fixed image, all its blocks in order. */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

#define LOG_OFFSET VHDX_HEADER_SECTION_BYTES
#define LOG_BYTES VHDX_MIB
#define METADATA_OFFSET (LOG_OFFSET + LOG_BYTES)
#define METADATA_BYTES VHDX_MIB
#define BAT_OFFSET (METADATA_OFFSET + METADATA_BYTES)
#define TABLE_BYTES VHDX_METADATA_TABLE_BYTES
#define BLOCK_BYTES_DEFAULT (32u << 20)

static uint64_t payload_offset(const struct vhdx_layout *l)
{
	return l->bat_offset + l->bat_bytes;
}

static void put_item(uint8_t *region, unsigned int i, const struct guid *item,
		     uint32_t flags, const void *value, uint32_t bytes)
{
	struct vhdx_metadata_table *t = (void *)region;
	struct vhdx_metadata_entry *e = (struct vhdx_metadata_entry *)(void *)(t + 1) + i;

	memcpy(e->item, item, sizeof(e->item));
	e->offset = TABLE_BYTES + i * 16;
	e->length = bytes;
	e->flags = flags | VHDX_METADATA_REQUIRED;
	memcpy(region + e->offset, value, bytes);
	t->entries = (uint16_t)(i + 1);
}

static int write_metadata(int fd, const struct vhdx_layout *l)
{
	static const struct guid parameters = VHDX_ITEM_FILE_PARAMETERS,
				 size = VHDX_ITEM_DISK_SIZE, id = VHDX_ITEM_DISK_ID,
				 logical = VHDX_ITEM_LOGICAL_SECTOR,
				 physical = VHDX_ITEM_PHYSICAL_SECTOR;
	const struct vhdx_file_parameters p = {
		.block_bytes = l->block_bytes,
		.flags = l->leave_allocated ? VHDX_PARAM_LEAVE_ALLOCATED : 0,
	};
	cleanup_free uint8_t *region = calloc(1, TABLE_BYTES + VHDX_SECTOR_BYTES);

	if (!region)
		return -ENOMEM;
	((struct vhdx_metadata_table *)(void *)region)->signature =
		VHDX_SIGNATURE_METADATA;
	put_item(region, 0, &parameters, 0, &p, sizeof(p));
	put_item(region, 1, &size, VHDX_METADATA_VIRTUAL_DISK, &l->disk_bytes,
		 sizeof(l->disk_bytes));
	put_item(region, 2, &id, VHDX_METADATA_VIRTUAL_DISK, &l->disk_id,
		 sizeof(l->disk_id));
	put_item(region, 3, &logical, VHDX_METADATA_VIRTUAL_DISK, &l->logical_bytes,
		 sizeof(l->logical_bytes));
	put_item(region, 4, &physical, VHDX_METADATA_VIRTUAL_DISK, &l->physical_bytes,
		 sizeof(l->physical_bytes));
	return file_write(fd, region, TABLE_BYTES + VHDX_SECTOR_BYTES,
			  l->metadata_offset);
}

static int write_regions(int fd, const struct vhdx_layout *l)
{
	static const struct guid bat = VHDX_REGION_BAT, metadata = VHDX_REGION_METADATA;
	cleanup_free uint8_t *table = calloc(1, VHDX_REGION_TABLE_BYTES);
	struct vhdx_region_table *t = (void *)table;
	struct vhdx_region_entry *e = (void *)(t + 1);
	int r;

	if (!table)
		return -ENOMEM;
	t->signature = VHDX_SIGNATURE_REGI;
	t->entries = 2;
	memcpy(e[0].guid, &bat, sizeof(bat));
	e[0].offset = l->bat_offset;
	e[0].length = (uint32_t)l->bat_bytes;
	e[0].flags = VHDX_REGION_REQUIRED;
	memcpy(e[1].guid, &metadata, sizeof(metadata));
	e[1].offset = l->metadata_offset;
	e[1].length = (uint32_t)l->metadata_bytes;
	e[1].flags = VHDX_REGION_REQUIRED;
	t->checksum = vhdx_checksum(table, VHDX_REGION_TABLE_BYTES,
				    offsetof(struct vhdx_region_table, checksum));
	r = file_write(fd, table, VHDX_REGION_TABLE_BYTES, VHDX_REGION_OFFSET_1);
	return r < 0 ? r
		     : file_write(fd, table, VHDX_REGION_TABLE_BYTES,
				  VHDX_REGION_OFFSET_2);
}

/* A fixed image's table, a page at a time. */
static int write_table(int fd, const struct vhdx_layout *l)
{
	uint64_t entries[VHDX_PAGE_ENTRIES] = { 0 };
	uint64_t blocks = vhdx_blocks(l), index = 0;
	uint64_t off = l->bat_offset;
	int r = 0;

	for (uint64_t block = 0; block < blocks && r == 0; block++) {
		index = vhdx_bat_index(l, block);
		entries[index % VHDX_PAGE_ENTRIES] =
			(payload_offset(l) + block * l->block_bytes) |
			VHDX_BLOCK_FULLY_PRESENT;
		if (block + 1 < blocks &&
		    vhdx_bat_index(l, block + 1) / VHDX_PAGE_ENTRIES ==
			    index / VHDX_PAGE_ENTRIES)
			continue;
		r = file_write(fd, entries, sizeof(entries),
			       off + index / VHDX_PAGE_ENTRIES * sizeof(entries));
		memset(entries, 0, sizeof(entries));
	}
	return r;
}

static int write_headers(int fd, const struct vhdx_layout *l)
{
	struct vhdx_headers h = {
		.current = { .signature = VHDX_SIGNATURE_HEAD,
			     .version = VHDX_VERSION,
			     .log_version = VHDX_LOG_VERSION,
			     .log_length = l->log_bytes,
			     .log_offset = l->log_offset },
	};
	struct guid id;

	guid_new(&id);
	memcpy(h.current.file_write_guid, &id, sizeof(id));
	guid_new(&id);
	memcpy(h.current.data_write_guid, &id, sizeof(id));
	return vhdx_headers_write(fd, &h, false);
}

static int write_file_id(int fd)
{
	struct vhdx_file_id id = { .signature = VHDX_SIGNATURE_FILE,
				   .creator = { 'v', 'm', 'm', 's' } };

	return file_write(fd, &id, sizeof(id), 0);
}

static int write_all(int fd, const struct vhdx_layout *l)
{
	uint64_t bytes = payload_offset(l);
	int r = l->leave_allocated
			? file_reserve(fd, bytes + vhdx_blocks(l) * l->block_bytes)
			: file_resize(fd, bytes);

	if (r == 0)
		r = write_metadata(fd, l);
	if (r == 0)
		r = write_regions(fd, l);
	if (r == 0 && l->leave_allocated)
		r = write_table(fd, l);
	if (r == 0)
		r = write_headers(fd, l);
	if (r == 0)
		r = file_sync(fd);
	if (r == 0)
		r = write_file_id(fd);
	return r < 0 ? r : file_sync(fd);
}

int vhdx_create(const struct vhdx_create_params *params, struct image_error *error)
{
	struct vhdx_layout l = {
		.log_offset = LOG_OFFSET,
		.log_bytes = LOG_BYTES,
		.metadata_offset = METADATA_OFFSET,
		.metadata_bytes = METADATA_BYTES,
		.bat_offset = BAT_OFFSET,
		.disk_bytes = params->disk_bytes,
		.block_bytes =
			params->block_bytes ? params->block_bytes : BLOCK_BYTES_DEFAULT,
		.logical_bytes = params->logical_bytes ? params->logical_bytes : 512,
		.physical_bytes = params->physical_bytes ? params->physical_bytes : 4096,
		.leave_allocated = params->fixed,
	};
	uint64_t bytes;
	int r = vhdx_layout_check(&l, error);

	if (r < 0)
		return r;
	r = file_size(params->fd, &bytes);
	if (r == 0 && bytes)
		return image_fail(error, -EEXIST, "is there already, and not empty");
	l.bat_bytes = align_up(vhdx_bat_entries(&l) * sizeof(uint64_t), VHDX_MIB);
	guid_new(&l.disk_id);
	if (r == 0)
		r = write_all(params->fd, &l);
	return r < 0 ? image_fail(error, r, "cannot be made: %s", strerror(-r)) : 0;
}
