/* SPDX-License-Identifier: BSD-2-Clause */
/* Region tables and metadata: [MS-VHDX] 2.2.3 and 2.6. Each table is read once, checked, and only then used. */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

static const struct guid region_bat = VHDX_REGION_BAT;
static const struct guid region_metadata = VHDX_REGION_METADATA;

static int damaged(struct image_error *error, const char *what)
{
	return image_fail(error, -EUCLEAN, "is damaged: %s", what);
}

/* ---- regions ---- */

static bool table_is_valid(const char *table)
{
	const struct vhdx_region_table *t = (const void *)table;

	return t->signature == VHDX_SIGNATURE_REGI &&
	       t->entries <= VHDX_TABLE_ENTRIES_MAX &&
	       t->checksum == vhdx_checksum(table, VHDX_REGION_TABLE_BYTES,
					    offsetof(struct vhdx_region_table, checksum));
}

static int take_region(const struct vhdx_region_entry *e, uint64_t file_bytes,
		       uint64_t *offset, uint64_t *bytes, struct image_error *error)
{
	if (*bytes)
		return damaged(error, "a region is there twice");
	if (!e->length || !is_aligned(e->length, VHDX_MIB) ||
	    !is_aligned(e->offset, VHDX_MIB) || e->offset < VHDX_HEADER_SECTION_BYTES ||
	    !range_ok(e->offset, e->length, file_bytes))
		return damaged(error, "a region is not inside the file");
	*offset = e->offset;
	*bytes = e->length;
	return 0;
}

static int take_regions(const char *table, uint64_t file_bytes, struct vhdx_layout *l,
			struct image_error *error)
{
	const struct vhdx_region_table *t = (const void *)table;
	const struct vhdx_region_entry *e = (const void *)(t + 1);
	int r = 0;

	for (uint32_t i = 0; i < t->entries && r == 0; i++, e++) {
		if (memcmp(e->guid, &region_bat, sizeof(region_bat)) == 0)
			r = take_region(e, file_bytes, &l->bat_offset, &l->bat_bytes,
					error);
		else if (memcmp(e->guid, &region_metadata, sizeof(region_metadata)) == 0)
			r = take_region(e, file_bytes, &l->metadata_offset,
					&l->metadata_bytes, error);
		else if (e->flags & VHDX_REGION_REQUIRED)
			r = image_fail(error, -ENOTSUP,
				       "has a required region of an unknown kind");
	}
	if (r == 0 && (!l->bat_bytes || !l->metadata_bytes))
		r = damaged(error, "it has no block table or no metadata");
	return r;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

int vhdx_region_table_read(int fd, char *ret)
{
	static const uint64_t places[] = { VHDX_REGION_OFFSET_1, VHDX_REGION_OFFSET_2 };
	int r = -ENODATA;

	for (size_t i = 0; i < ARRAY_SIZE(places) && r < 0; i++) {
		r = file_read(fd, ret, VHDX_REGION_TABLE_BYTES, places[i]);
		if (r == 0 && !table_is_valid(ret))
			r = -EUCLEAN;
	}
	return r;
}

static int read_regions(int fd, uint64_t file_bytes, struct vhdx_layout *l,
			struct image_error *error)
{
	cleanup_free char *table = malloc(VHDX_REGION_TABLE_BYTES);
	int r;

	if (!table)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	r = vhdx_region_table_read(fd, table);
	if (r < 0)
		return damaged(error, "neither of its region tables is valid");
	r = take_regions(table, file_bytes, l, error);
	if (r < 0)
		return r;
	if (overlap(l->bat_offset, l->bat_bytes, l->metadata_offset, l->metadata_bytes) ||
	    overlap(l->bat_offset, l->bat_bytes, l->log_offset, l->log_bytes) ||
	    overlap(l->metadata_offset, l->metadata_bytes, l->log_offset, l->log_bytes))
		return damaged(error, "its regions overlap");
	return 0;
}

/* ---- metadata ---- */

struct items {
	struct vhdx_file_parameters parameters;
	uint64_t disk_bytes;
	struct guid disk_id;
	uint32_t logical, physical;
	uint64_t size_at; /* disk_bytes, in the file */
	uint64_t locator_offset;
	uint32_t locator_bytes; /* 0: there is none */
};

/* The items that an image must have, by their place in `struct items`. */
static const struct known {
	struct guid item;
	size_t at, bytes;
} known[] = {
	{ VHDX_ITEM_FILE_PARAMETERS, offsetof(struct items, parameters),
	  sizeof(struct vhdx_file_parameters) },
	{ VHDX_ITEM_DISK_SIZE, offsetof(struct items, disk_bytes), sizeof(uint64_t) },
	{ VHDX_ITEM_DISK_ID, offsetof(struct items, disk_id), sizeof(struct guid) },
	{ VHDX_ITEM_LOGICAL_SECTOR, offsetof(struct items, logical), sizeof(uint32_t) },
	{ VHDX_ITEM_PHYSICAL_SECTOR, offsetof(struct items, physical), sizeof(uint32_t) },
};
#define ALL_KNOWN ((1u << ARRAY_SIZE(known)) - 1)

static const struct guid item_parent = VHDX_ITEM_PARENT_LOCATOR;

static bool is_inside(const struct vhdx_layout *l, const struct vhdx_metadata_entry *e)
{
	return e->offset >= VHDX_METADATA_TABLE_BYTES &&
	       range_ok(e->offset, e->length, l->metadata_bytes);
}

static int take_item(int fd, const struct vhdx_layout *l,
		     const struct vhdx_metadata_entry *e, struct items *items,
		     unsigned int *seen, struct image_error *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if ((e->flags & VHDX_METADATA_USER) ||
		    memcmp(e->item, &known[i].item, sizeof(e->item)) != 0)
			continue;
		if (*seen & 1u << i)
			return damaged(error, "a metadata item is there twice");
		*seen |= 1u << i;
		if (known[i].at == offsetof(struct items, disk_bytes))
			items->size_at = l->metadata_offset + e->offset;
		if (e->length != known[i].bytes || !is_inside(l, e))
			return damaged(error, "a metadata item is not where it may be");
		return file_read(fd, (char *)items + known[i].at, e->length,
				 l->metadata_offset + e->offset) < 0
			       ? damaged(error, "a metadata item cannot be read")
			       : 0;
	}
	if (!(e->flags & VHDX_METADATA_USER) &&
	    memcmp(e->item, &item_parent, sizeof(e->item)) == 0) {
		if (items->locator_bytes || !e->length || !is_inside(l, e))
			return damaged(error,
				       "its parent locator is not where it may be");
		items->locator_offset = l->metadata_offset + e->offset;
		items->locator_bytes = e->length;
		return 0;
	}
	if (e->flags & VHDX_METADATA_REQUIRED)
		return image_fail(error, -ENOTSUP,
				  "has a required metadata item of an unknown kind");
	return 0;
}

static int read_items(int fd, const struct vhdx_layout *l, struct items *items,
		      struct image_error *error)
{
	cleanup_free char *table = malloc(VHDX_METADATA_TABLE_BYTES);
	const struct vhdx_metadata_table *t = (const void *)table;
	const struct vhdx_metadata_entry *e;
	unsigned int seen = 0;
	int r = 0;

	if (!table)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	if (file_read(fd, table, VHDX_METADATA_TABLE_BYTES, l->metadata_offset) < 0 ||
	    t->signature != VHDX_SIGNATURE_METADATA ||
	    t->entries > VHDX_TABLE_ENTRIES_MAX)
		return damaged(error, "its metadata table is not valid");
	e = (const void *)(t + 1);
	for (unsigned int i = 0; i < t->entries && r == 0; i++, e++)
		r = take_item(fd, l, e, items, &seen, error);
	if (r == 0 && seen != ALL_KNOWN)
		r = damaged(error, "a metadata item is missing");
	return r;
}

static bool is_power_of_two(uint32_t v)
{
	return v && !(v & (v - 1));
}

static bool is_sector(uint32_t bytes)
{
	return bytes == 512 || bytes == 4096;
}

int vhdx_layout_check(struct vhdx_layout *l, struct image_error *error)
{
	if (!is_power_of_two(l->block_bytes) || l->block_bytes < VHDX_BLOCK_BYTES_MIN ||
	    l->block_bytes > VHDX_BLOCK_BYTES_MAX)
		return image_fail(error, -EINVAL,
				  "has blocks of %u bytes; a power of two from 1 to 256 "
				  "MiB may be",
				  l->block_bytes);
	if (!is_sector(l->logical_bytes) || !is_sector(l->physical_bytes))
		return image_fail(error, -EINVAL,
				  "has sectors of %u and %u bytes; 512 and 4096 may be",
				  l->logical_bytes, l->physical_bytes);
	if (!l->disk_bytes || l->disk_bytes > VHDX_DISK_BYTES_MAX ||
	    !is_aligned(l->disk_bytes, l->logical_bytes))
		return image_fail(error, -EINVAL,
				  "has %llu bytes; a multiple of the sector up to 64 TB "
				  "may be",
				  (unsigned long long)l->disk_bytes);
	l->chunk_shift = (unsigned int)__builtin_ctzll(VHDX_CHUNK_SECTORS *
						       l->logical_bytes / l->block_bytes);
	return 0;
}

static int take_items(const struct items *m, struct vhdx_layout *l,
		      struct image_error *error)
{
	l->disk_bytes = m->disk_bytes;
	l->block_bytes = m->parameters.block_bytes;
	l->logical_bytes = m->logical;
	l->physical_bytes = m->physical;

	l->disk_id = m->disk_id;
	l->has_parent = m->parameters.flags & VHDX_PARAM_HAS_PARENT;
	/* 2.6.2.1: ignored in a differencing image */
	l->leave_allocated =
		(m->parameters.flags & VHDX_PARAM_LEAVE_ALLOCATED) && !l->has_parent;
	if (l->has_parent && !m->locator_bytes)
		return damaged(error, "it says nothing of its parent");
	l->size_at = m->size_at;
	l->locator_offset = m->locator_offset;
	l->locator_bytes = m->locator_bytes;
	if (vhdx_layout_check(l, error) < 0)
		return -EUCLEAN;
	if (vhdx_bat_entries(l) > l->bat_bytes / sizeof(uint64_t))
		return damaged(error, "its block table is too short for the disk");
	return 0;
}

int vhdx_layout_read(int fd, uint64_t file_bytes, const struct vhdx_header *h,
		     struct vhdx_layout *ret, struct image_error *error)
{
	struct items items = { 0 };
	struct vhdx_layout l = { .log_offset = h->log_offset,
				 .log_bytes = h->log_length };
	int r;

	/* An empty log is not read, but written to: behind the end it would make the file as long as a header says. */
	if (!range_ok(l.log_offset, l.log_bytes, file_bytes))
		return damaged(error, "its log is not inside the file");
	r = read_regions(fd, file_bytes, &l, error);

	if (r == 0)
		r = read_items(fd, &l, &items, error);
	if (r == 0)
		r = take_items(&items, &l, error);
	if (r == 0)
		*ret = l;
	return r;
}
