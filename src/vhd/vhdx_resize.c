/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another size for the disk, while it is used or not: on the image's thread. Each step leaves a whole image, of the old size until the last:
 *
 *   1. a table that is too short moves to the end of the file: copied, synced, then both region tables change by one log entry;
 *   2. the entries that come or go say what the disk has there: nothing, or, of a fixed image, new blocks;
 *   3. the size in the metadata changes, by a log entry.
 *
 * A disk shrinks only where nothing is lost: what is cut off must read as zeros.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <string.h>

#include "vhd/file.h"

/* ---- the table's place ---- */

static int fill_table(struct vhdx *v, uint64_t to, uint64_t bytes)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t kept = MIN(bytes, l->bat_bytes);
	int r = vhdx_copy(v->keeper.fd, l->bat_offset, to, kept);

	if (r == 0 && bytes > kept)
		r = file_zero(v->keeper.fd, to + kept, bytes - kept, true);
	return r;
}

int vhdx_move_table(struct vhdx *v, uint64_t to, uint64_t bytes)
{
	int r = vhdx_commit(v);

	if (r == 0)
		r = fill_table(v, to, bytes);
	/* The commit's first step makes the copy durable before the entry that names it. */
	if (r == 0)
		r = vhdx_put_bat_region(v, to, bytes);
	if (r == 0)
		r = vhdx_commit(v);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->keeper.lock);
	v->layout.bat_offset = to;
	v->layout.bat_bytes = bytes;
	for (unsigned int i = 0; i < v->cache_n; i++) {
		struct vhdx_page *p = v->cache[i];

		if (p->key != VHDX_KEY_NONE && VHDX_KEY_IS_BAT(p->key))
			p->offset = to + p->key / 2 * VHDX_SECTOR_BYTES;
	}
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

static int make_room(struct vhdx *v, const struct vhdx_layout *next)
{
	uint64_t needed = align_up(vhdx_bat_entries(next) * sizeof(uint64_t), VHDX_MIB);
	uint64_t to = 0;
	int r;

	if (needed <= v->layout.bat_bytes)
		return 0;
	r = vhdx_grow(v, needed, &to);
	return r < 0 ? r : vhdx_move_table(v, to, needed);
}

/* ---- entries ---- */

/* What was behind the old end of its last block must not be seen: the disk grows by zeros. */
static int clear_tail(struct vhdx *v)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t block = vhdx_blocks(l) - 1, len = vhdx_block_len(l, block), entry = 0,
		 at;
	int r = vhdx_entry_get(v, vhdx_bat_index(l, block), &entry);

	if (r < 0 || len == l->block_bytes)
		return r;
	r = vhdx_is_present(v, block, entry);
	if (r <= 0)
		return r;
	at = VHDX_BAT_OFFSET(entry);
	/* Others let the file end with the disk. */
	r = vhdx_extend(v, at + l->block_bytes);
	return r < 0 ? r
		     : file_zero(v->keeper.fd, at + len, l->block_bytes - len,
				 v->can_punch);
}

static int add_entries(struct vhdx *v, const struct vhdx_layout *next)
{
	uint64_t first = vhdx_bat_entries(&v->layout), end = vhdx_bat_entries(next);
	uint64_t blocks = vhdx_blocks(&v->layout), entry, at = 0;
	int r = clear_tail(v);

	for (uint64_t i = first; i < end && r == 0; i++) {
		r = vhdx_entry_get(v, i, &entry);
		if (r == 0 && entry)
			r = vhdx_entry_set(v, i, 0);
	}
	if (r < 0 || !next->leave_allocated)
		return r;
	r = vhdx_grow(v, (vhdx_blocks(next) - blocks) * next->block_bytes, &at);
	if (r == 0)
		r = file_reserve(v->keeper.fd, v->file_bytes);
	for (; blocks < vhdx_blocks(next) && r == 0; blocks++, at += next->block_bytes)
		r = vhdx_entry_set(v, vhdx_bat_index(next, blocks),
				   at | VHDX_BLOCK_FULLY_PRESENT);
	return r;
}

/* 1: all that the disk has from `off` to the block's end reads as zeros. */
static int is_tail_zero(struct vhdx *v, uint64_t block, uint64_t within)
{
	uint64_t entry;
	int r = vhdx_entry_get(v, vhdx_bat_index(&v->layout, block), &entry);

	if (r == 0)
		r = vhdx_is_present(v, block, entry);
	if (r <= 0)
		return r < 0 ? r : 1;
	return vhdx_is_zero(v->keeper.fd, VHDX_BAT_OFFSET(entry) + within,
			    vhdx_block_len(&v->layout, block) - within);
}

/* -ENOTEMPTY: there is data behind the new size. Changes nothing. */
static int check_rest(struct vhdx *v, const struct vhdx_layout *next)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t keep = vhdx_blocks(next);
	int r = 1;

	if (next->disk_bytes % l->block_bytes)
		r = is_tail_zero(v, keep - 1, next->disk_bytes % l->block_bytes);
	for (uint64_t b = keep; b < vhdx_blocks(l) && r > 0; b++)
		r = is_tail_zero(v, b, 0);
	if (r < 0)
		return r;
	return r ? 0 : -ENOTEMPTY;
}

static int drop_entries(struct vhdx *v, const struct vhdx_layout *next)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t entry;
	int r = 0;

	for (uint64_t i = vhdx_bat_entries(next); i < vhdx_bat_entries(l) && r == 0;
	     i++) {
		r = vhdx_entry_get(v, i, &entry);
		if (r == 0 && entry)
			r = vhdx_entry_set(v, i, 0);
	}
	return r;
}

/* ---- the size ---- */

static int put_size(struct vhdx *v, uint64_t bytes)
{
	/* Alone in its entry, so that it is not cut in two. */
	int r = vhdx_commit(v);

	if (r == 0)
		r = vhdx_put(v, v->layout.size_at, &bytes, sizeof(bytes));
	if (r == 0)
		r = vhdx_commit(v);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->keeper.lock);
	v->layout.disk_bytes = bytes;
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

int vhdx_resize(struct vhdx *v, uint64_t bytes, bool shrink, struct image_error *error)
{
	struct vhdx_layout next = v->layout;
	int r;

	next.disk_bytes = bytes;
	r = vhdx_layout_check(&next, error);
	if (r < 0 || bytes == v->layout.disk_bytes)
		return r;
	if (bytes < next.logical_bytes || (bytes < v->layout.disk_bytes && !shrink))
		return image_fail(error, -EINVAL,
				  "would become smaller, which was not asked for");
	if (bytes < v->layout.disk_bytes && next.has_parent)
		return image_fail(
			error, -EINVAL,
			"is a differencing image, which cannot shrink; merge it "
			"first");
	if (bytes < v->layout.disk_bytes)
		r = check_rest(v, &next);
	if (r == 0)
		r = vhdx_begin(v, false);
	if (r == 0)
		r = make_room(v, &next);
	if (r == 0)
		r = bytes > v->layout.disk_bytes ? add_entries(v, &next)
						 : drop_entries(v, &next);
	if (r == 0)
		r = put_size(v, bytes);
	if (r == -ENOTEMPTY)
		return image_fail(
			error, r,
			"has data behind that size; make its partitions smaller "
			"first");
	return r < 0 ? image_fail(error, r, "cannot be resized: %s", strerror(-r)) : 0;
}

int vhdx_resize_file(int fd, uint64_t bytes, bool shrink, struct image_error *error)
{
	struct vhdx *v;
	int r = vhdx_session_open(fd, &v, error);

	return r < 0 ? r
		     : vhdx_session_close(v, vhdx_resize(v, bytes, shrink, error), error);
}
