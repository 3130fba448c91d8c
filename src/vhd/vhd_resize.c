/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another size. The footer at the end says it, in one sector; what the new size needs is durable before, and what it drops holds nothing. A table that is
 * too short is made anew at the end of the file; the room of the old one comes back when the image is compacted.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

/* ---- fixed ---- */

static int set_size(int fd, struct vhd_layout *l, uint64_t bytes)
{
	l->disk_bytes = bytes;
	vhd_footer_set_size(&l->footer, bytes);
	return vhd_write_footers(fd, l);
}

static int grow_fixed(int fd, struct vhd_layout *l, uint64_t bytes)
{
	int r = 0;

	/* Between the disk and its footer there may be room. */
	if (l->end > l->disk_bytes)
		r = file_zero(fd, l->disk_bytes, l->end - l->disk_bytes, false);
	if (r == 0 && bytes > l->end) {
		r = file_reserve_behind(fd, l->end, bytes + sizeof(l->footer) - l->end);
		if (r == 0)
			r = vhd_move_end(fd, l, bytes);
	} else if (r == 0) {
		r = file_sync(fd);
	}
	return r < 0 ? r : set_size(fd, l, bytes);
}

static int file_is_zero(int fd, uint64_t off, uint64_t end, uint8_t *buf)
{
	for (uint64_t n; off < end; off += n) {
		int r;

		n = MIN(end - off, (uint64_t)VHD_COPY_BYTES);
		r = file_read(fd, buf, n, off);
		if (r < 0)
			return r;
		if (!vhd_is_zero(buf, n))
			return 0;
	}
	return 1;
}

static int shrink_fixed(int fd, struct vhd_layout *l, uint64_t bytes, uint8_t *buf)
{
	int r = file_is_zero(fd, bytes, l->disk_bytes, buf);

	if (r <= 0)
		return r < 0 ? r : -ENOTEMPTY;
	r = set_size(fd, l, bytes);
	return r < 0 ? r : vhd_cut_end(fd, l, bytes);
}

/* ---- the table ---- */

/* The table's last sector, from the entry behind the last one on: unused, whatever was there. */
static int clear_rest(int fd, const struct vhd_layout *l)
{
	uint64_t used = l->blocks * sizeof(be32_t);
	uint64_t sector = align_down(used, VHD_SECTOR_BYTES);
	uint8_t bytes[VHD_SECTOR_BYTES];
	int r;

	if (sector == used)
		return 0;
	r = file_read(fd, bytes, sizeof(bytes), l->table_offset + sector);
	if (r < 0)
		return r;
	memset(bytes + (used - sector), 0xff, sizeof(bytes) - (used - sector));
	r = file_write(fd, bytes, sizeof(bytes), l->table_offset + sector);
	return r < 0 ? r : file_sync(fd);
}

/* The old table, and unused entries behind it, at `to`; `buf`: VHD_COPY_BYTES. */
static int copy_table(int fd, const struct vhd_layout *l, uint64_t to, uint64_t bytes,
		      uint8_t *buf)
{
	int r = 0;

	for (uint64_t at = 0, n; at < bytes && r == 0; at += n) {
		n = MIN(bytes - at, (uint64_t)VHD_COPY_BYTES);
		memset(buf, 0xff, n);
		if (at < l->table_bytes)
			r = file_read(fd, buf, MIN(n, l->table_bytes - at),
				      l->table_offset + at);
		if (r == 0)
			r = file_write(fd, buf, n, to + at);
	}
	return r == 0 ? file_sync(fd) : r;
}

/* Room for the blocks of a larger disk. */
static int grow_table(int fd, struct vhd_layout *l, uint64_t blocks, uint8_t *buf)
{
	uint64_t bytes = align_up(blocks * sizeof(be32_t), VHD_SECTOR_BYTES);
	uint64_t to = l->end;
	int r = clear_rest(fd, l);

	if (r < 0)
		return r;
	if (bytes > l->table_bytes) {
		to = align_up(to, VHD_SECTOR_BYTES);
		r = vhd_move_end(fd, l, to + bytes);
		if (r == 0)
			r = copy_table(fd, l, to, bytes, buf);
		if (r < 0)
			return r;
		l->table_offset = to;
		l->table_bytes = bytes;
		l->header.table_offset = be64(to);
	} else if (be32_get(&l->header.table_entries) >= blocks) {
		return 0;
	}
	l->header.table_entries = be32((uint32_t)blocks);
	vhd_header_seal(&l->header);
	return vhd_write_header(fd, l);
}

static int grow_blocks(int fd, struct vhd_layout *l, uint64_t bytes, uint8_t *buf)
{
	uint64_t blocks = (bytes + l->block_bytes - 1) / l->block_bytes;
	int r = vhd_complete_last(fd, l);

	if (r == 0 && blocks > l->blocks)
		r = grow_table(fd, l, blocks, buf);
	return r < 0 ? r : set_size(fd, l, bytes);
}

/* ---- smaller ---- */

/* Nothing is in the block from `within` on; a block that is left out wholly loses its entry. */
static int drop_block(int fd, const struct vhd_layout *l, uint64_t block, uint64_t within,
		      uint8_t *buf)
{
	static const uint8_t unused[sizeof(be32_t)] = { 0xff, 0xff, 0xff, 0xff };
	uint64_t at = l->table_offset + block * sizeof(be32_t);
	uint32_t entry;
	be32_t raw;
	int r = file_read(fd, &raw, sizeof(raw), at);

	entry = be32_get(&raw);
	if (r < 0 || entry == VHD_BAT_UNUSED)
		return r;
	if (!vhd_entry_is_sound(l, block, entry))
		return -EUCLEAN;
	r = vhd_block_is_empty(fd, l, entry, within, vhd_block_len(l, block) - within,
			       buf);
	if (r <= 0)
		return r < 0 ? r : -ENOTEMPTY;
	return within ? 0 : file_write(fd, unused, sizeof(unused), at);
}

/* The entries go first: they say what a later, larger disk would find there. Without them a block reads as it did. */
static int shrink_blocks(int fd, struct vhd_layout *l, uint64_t bytes, uint8_t *buf)
{
	int r = 0;

	for (uint64_t block = l->blocks; r == 0 && block-- > bytes / l->block_bytes;) {
		uint64_t first = block * l->block_bytes;

		r = drop_block(fd, l, block, bytes > first ? bytes - first : 0, buf);
	}
	if (r == 0)
		r = file_sync(fd);
	return r < 0 ? r : set_size(fd, l, bytes);
}

/* ---- any ---- */

static int change(int fd, struct vhd_layout *l, uint64_t bytes, uint8_t *buf)
{
	bool fixed = l->type == VHD_FIXED;

	if (bytes > l->disk_bytes)
		return fixed ? grow_fixed(fd, l, bytes) : grow_blocks(fd, l, bytes, buf);
	return fixed ? shrink_fixed(fd, l, bytes, buf) : shrink_blocks(fd, l, bytes, buf);
}

static int check_size(const struct vhd_layout *l, uint64_t bytes, bool shrink,
		      struct image_error *error)
{
	if (!bytes || bytes > VHD_DISK_BYTES_MAX || !is_aligned(bytes, VHD_SECTOR_BYTES))
		return image_fail(error, -EINVAL,
				  "cannot be resized: a VHD image has 512 bytes to 2,040 "
				  "GB, in sectors of 512 bytes");
	if (bytes < l->disk_bytes && !shrink)
		return image_fail(error, -EINVAL,
				  "would become smaller, which was not asked for");
	/* What its parent has behind the new end would be lost unseen. */
	if (bytes < l->disk_bytes && l->type == VHD_DIFFERENCING)
		return image_fail(
			error, -EINVAL,
			"is a differencing image, which cannot shrink; merge it "
			"first");
	return 0;
}

int vhd_resize(int fd, uint64_t bytes, bool shrink, struct image_error *error)
{
	cleanup_free uint8_t *buf = malloc(VHD_COPY_BYTES);
	struct vhd_layout l;
	int r;

	if (!buf)
		return image_fail(error, -ENOMEM, "cannot be resized: no memory");
	r = vhd_layout_read(fd, &l, error);
	if (r == 0)
		r = check_size(&l, bytes, shrink, error);
	if (r < 0 || bytes == l.disk_bytes)
		return r;
	r = vhd_change_begin(fd, &l, error);
	if (r < 0)
		return r;
	r = change(fd, &l, bytes, buf);
	if (r == -ENOTEMPTY)
		return image_fail(
			error, r,
			"has data behind that size; make its partitions smaller "
			"first");
	return r < 0 ? image_fail(error, r, "cannot be resized: %s", strerror(-r)) : 0;
}
