/* SPDX-License-Identifier: BSD-2-Clause */
/* Making an image: header, table and locators behind the footer's copy, and the footer. Both footers come when all else is durable. */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

#define TABLE_OFFSET (VHD_SECTOR_BYTES + sizeof(struct vhd_header))
#define CHUNK_BYTES (64u << 10)

static int fail_size(struct image_error *error)
{
	return image_fail(error, -EINVAL,
			  "cannot be made: a VHD image has 512 bytes to 2,040 GB, in "
			  "sectors of 512 bytes");
}

static int check_params(const struct image_create_params *p, struct vhd_layout *l,
			struct image_error *error)
{
	uint32_t block = p->block_bytes ? p->block_bytes : VHD_BLOCK_BYTES_DEFAULT;

	l->disk_bytes = p->disk_bytes;
	if (p->parent && !l->disk_bytes)
		l->disk_bytes = disk_bytes(p->parent);
	if (!l->disk_bytes || l->disk_bytes > VHD_DISK_BYTES_MAX ||
	    !is_aligned(l->disk_bytes, VHD_SECTOR_BYTES))
		return fail_size(error);
	if ((p->logical_bytes && p->logical_bytes != VHD_SECTOR_BYTES) ||
	    (p->parent && p->parent->info.logical_bytes != VHD_SECTOR_BYTES))
		return image_fail(error, -EINVAL,
				  "cannot be made: a VHD image has sectors of 512 "
				  "bytes");
	if (p->kind == IMAGE_FIXED && p->block_bytes)
		return image_fail(error, -EINVAL,
				  "cannot be made: a fixed VHD image has no blocks");
	if (p->kind != IMAGE_FIXED && !vhd_layout_set_blocks(l, block))
		return image_fail(error, -EINVAL,
				  "cannot be made: its blocks must be 4 KiB to 256 MiB, "
				  "a power of two");
	return 0;
}

static enum vhd_type type_of(enum image_kind kind)
{
	switch (kind) {
	case IMAGE_FIXED:
		break;
	case IMAGE_DYNAMIC:
		return VHD_DYNAMIC;
	case IMAGE_DIFFERENCING:
		return VHD_DIFFERENCING;
	}
	return VHD_FIXED;
}

static void make_header(struct vhd_layout *l)
{
	struct vhd_header h = {
		.data_offset = be64(VHD_NO_OFFSET),
		.table_offset = be64(TABLE_OFFSET),
		.version = be32(VHD_VERSION),
		.table_entries = be32((uint32_t)l->blocks),
		.block_size = be32(l->block_bytes),
	};

	memcpy(h.cookie, VHD_COOKIE_HEADER, sizeof(h.cookie));
	l->header = h;
	l->header_offset = VHD_SECTOR_BYTES;
	l->table_offset = TABLE_OFFSET;
}

static int write_table(int fd, const struct vhd_layout *l)
{
	cleanup_free uint8_t *unused = malloc(CHUNK_BYTES);
	uint64_t n;
	int r = 0;

	if (!unused)
		return -ENOMEM;
	memset(unused, 0xff, CHUNK_BYTES);
	for (uint64_t at = 0; at < l->table_bytes && r == 0; at += n) {
		n = MIN((uint64_t)CHUNK_BYTES, l->table_bytes - at);
		r = file_write(fd, unused, n, l->table_offset + at);
	}
	return r;
}

/* Sets `end` behind them. */
static int write_locators(int fd, const struct image_create_params *p,
			  struct vhd_layout *l)
{
	cleanup_free uint8_t *bytes = NULL;
	struct vhd_locator_data data;
	int r;

	l->end = l->table_offset + l->table_bytes;
	if (!p->parent)
		return 0;
	memcpy(l->header.parent_id, &p->parent->info.content_id,
	       sizeof(l->header.parent_id));
	l->header.parent_time_stamp = be32(vhd_time_stamp(p->parent_changed));
	r = vhd_locators_make(&l->header, l->end, p->parent_relative, p->parent_absolute,
			      &data);
	if (r < 0)
		return r;
	bytes = data.bytes;
	r = data.len ? file_write(fd, bytes, data.len, l->end) : 0;
	l->end += data.len;
	return r;
}

static int write_blocks(int fd, const struct image_create_params *p, struct vhd_layout *l)
{
	int r;

	make_header(l);
	r = write_table(fd, l);
	if (r == 0)
		r = write_locators(fd, p, l);
	if (r < 0)
		return r;
	vhd_header_seal(&l->header);
	return file_write(fd, &l->header, sizeof(l->header), l->header_offset);
}

/* The footer at the end is the last thing: without it, what has a copy is damaged, and what has none is no image. */
static int write_footers(int fd, const struct vhd_layout *l)
{
	int r = file_sync(fd);

	if (r == 0 && l->type != VHD_FIXED)
		r = file_write(fd, &l->footer, sizeof(l->footer), 0);
	if (r == 0)
		r = file_write(fd, &l->footer, sizeof(l->footer), l->end);
	return r == 0 ? file_sync(fd) : r;
}

int vhd_create(int fd, const struct image_create_params *params,
	       struct image_error *error)
{
	struct vhd_layout l = { .type = type_of(params->kind) };
	int r = check_params(params, &l, error);

	if (r < 0)
		return r;
	vhd_footer_make(&l.footer, l.type, l.disk_bytes);
	l.end = l.disk_bytes;
	r = l.type == VHD_FIXED ? file_reserve(fd, l.disk_bytes + sizeof(l.footer))
				: write_blocks(fd, params, &l);
	if (r == 0)
		r = write_footers(fd, &l);
	return r < 0 ? image_fail(error, r, "cannot be made: %s", strerror(-r)) : 0;
}
