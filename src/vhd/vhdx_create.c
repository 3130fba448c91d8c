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
#define BLOCK_BYTES_DIFFERENCING \
	(2u                      \
	 << 20) /* what Hyper-V takes: a block is copied to or merged as a whole more often */
#define SMALL_ITEMS 5u
#define LOCATOR_OFFSET (TABLE_BYTES + VHDX_SECTOR_BYTES)
#define ITEMS_BYTES (LOCATOR_OFFSET + VHDX_LOCATOR_BYTES_OURS)

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
	e->offset = i < SMALL_ITEMS ? TABLE_BYTES + i * 16 : LOCATOR_OFFSET;
	e->length = bytes;
	e->flags = flags | VHDX_METADATA_REQUIRED;
	memcpy(region + e->offset, value, bytes);
	t->entries = (uint16_t)(i + 1);
}

static int put_locator(uint8_t *region, const struct vhdx_create_params *params)
{
	static const struct guid item = VHDX_ITEM_PARENT_LOCATOR;
	cleanup_free uint8_t *value = malloc(VHDX_LOCATOR_BYTES_OURS);
	uint32_t bytes;
	int r;

	if (!value)
		return -ENOMEM;
	r = vhdx_locator_build(&params->parent->info.content_id, params->parent_relative,
			       params->parent_absolute, value, &bytes);
	if (r == 0)
		put_item(region, SMALL_ITEMS, &item, 0, value, bytes);
	return r;
}

static int write_metadata(int fd, const struct vhdx_layout *l,
			  const struct vhdx_create_params *params)
{
	static const struct guid parameters = VHDX_ITEM_FILE_PARAMETERS,
				 size = VHDX_ITEM_DISK_SIZE, id = VHDX_ITEM_DISK_ID,
				 logical = VHDX_ITEM_LOGICAL_SECTOR,
				 physical = VHDX_ITEM_PHYSICAL_SECTOR;
	const struct vhdx_file_parameters p = {
		.block_bytes = l->block_bytes,
		.flags = l->leave_allocated ? VHDX_PARAM_LEAVE_ALLOCATED
			 : l->has_parent    ? VHDX_PARAM_HAS_PARENT
					    : 0,
	};
	cleanup_free uint8_t *region = calloc(1, ITEMS_BYTES);
	int r;

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
	r = l->has_parent ? put_locator(region, params) : 0;
	return r < 0 ? r : file_write(fd, region, ITEMS_BYTES, l->metadata_offset);
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

static int write_all(int fd, const struct vhdx_layout *l,
		     const struct vhdx_create_params *params)
{
	uint64_t bytes = payload_offset(l);
	int r = l->leave_allocated
			? file_reserve(fd, bytes + vhdx_blocks(l) * l->block_bytes)
			: file_resize(fd, bytes);

	if (r == 0)
		r = write_metadata(fd, l, params);
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

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static void choose(const struct vhdx_create_params *params, struct vhdx_layout *l)
{
	const struct disk *parent = params->parent;

	l->log_offset = LOG_OFFSET;
	l->log_bytes = LOG_BYTES;
	l->metadata_offset = METADATA_OFFSET;
	l->metadata_bytes = METADATA_BYTES;
	l->bat_offset = BAT_OFFSET;
	l->has_parent = parent;
	l->leave_allocated = params->fixed;
	l->disk_bytes = params->disk_bytes;
	if (!l->disk_bytes && parent)
		l->disk_bytes = disk_bytes(parent);
	l->block_bytes = or_default(params->block_bytes, parent ? BLOCK_BYTES_DIFFERENCING
								: BLOCK_BYTES_DEFAULT);
	l->logical_bytes = or_default(params->logical_bytes,
				      parent ? parent->info.logical_bytes : 512);
	l->physical_bytes = or_default(params->physical_bytes,
				       parent ? parent->info.physical_bytes : 4096);
	/* A guest must not see that its disk was given a checkpoint. */
	if (parent && !guid_is_null(&parent->info.id))
		l->disk_id = parent->info.id;
	else
		guid_new(&l->disk_id);
}

static int check_parent(const struct vhdx_create_params *params,
			const struct vhdx_layout *l, struct image_error *error)
{
	const struct disk *parent = params->parent;

	if (!parent)
		return 0;
	if (guid_is_null(&parent->info.content_id))
		return image_fail(
			error, -EINVAL,
			"cannot be made: its parent is a raw image; convert that "
			"to VHDX");
	if (l->disk_bytes < disk_bytes(parent))
		return image_fail(error, -EINVAL,
				  "cannot be made: it would be smaller than its parent");
	if (l->logical_bytes != parent->info.logical_bytes)
		return image_fail(error, -EINVAL,
				  "cannot be made: its parent has sectors of %u bytes",
				  parent->info.logical_bytes);
	if (!params->parent_relative && !params->parent_absolute)
		return image_fail(error, -EINVAL,
				  "cannot be made: its parent has no path");
	return 0;
}

int vhdx_create(const struct vhdx_create_params *params, struct image_error *error)
{
	struct vhdx_layout l = { 0 };
	uint64_t bytes;
	int r;

	choose(params, &l);
	r = vhdx_layout_check(&l, error);
	if (r == 0)
		r = check_parent(params, &l, error);
	if (r < 0)
		return r;
	r = file_size(params->fd, &bytes);
	if (r == 0 && bytes)
		return image_fail(error, -EEXIST, "is there already, and not empty");
	l.bat_bytes = align_up(vhdx_bat_entries(&l) * sizeof(uint64_t), VHDX_MIB);
	if (r == 0)
		r = write_all(params->fd, &l, params);
	return r < 0 ? image_fail(error, r, "cannot be made: %s", strerror(-r)) : 0;
}
