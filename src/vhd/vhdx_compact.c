/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file as short as its blocks allow. First blocks that hold nothing are given up: zeros, and those of which a child has no sector; and bitmaps that no
 * block needs. Then what lies
 * behind the length that the rest needs moves into the gaps before it: copied there, while its old place stays as it was; the commit that changes its
 * entry syncs the copy first. So a cut leaves an image whose every entry names a place with its data. The file is cut at the end, when nothing behind
 * is named any more, neither by the table nor by the log.
 *
 * Memory: a bit a megabyte of the file.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

struct work {
	struct vhdx *v;
	uint64_t *used; /* a bit a megabyte */
	uint64_t file_mib, used_mib, end_mib;
	uint64_t hint; /* nothing is free before, for a payload block */
	const struct image_progress *progress;
	uint64_t entries;
};

/* ---- the map of the file ---- */

static bool is_used(const struct work *w, uint64_t mib)
{
	return w->used[mib / 64] >> mib % 64 & 1;
}

static void take(struct work *w, uint64_t offset, uint64_t bytes)
{
	uint64_t end = MIN((offset + bytes + VHDX_MIB - 1) / VHDX_MIB, w->file_mib);

	for (uint64_t i = offset / VHDX_MIB; i < end; i++) {
		w->used_mib += !is_used(w, i);
		w->used[i / 64] |= 1ull << i % 64;
	}
	w->end_mib = MAX(w->end_mib, end);
}

/* The first gap so large before `limit` megabytes; 0: there is none. */
static uint64_t find_gap(struct work *w, uint64_t n, uint64_t limit)
{
	bool payload = n == w->v->layout.block_bytes / VHDX_MIB;
	uint64_t run = 0;

	for (uint64_t i = payload ? w->hint : 1; i < limit; i++) {
		run = is_used(w, i) ? 0 : run + 1;
		if (run < n)
			continue;
		if (payload)
			w->hint = i + 1;
		return (i + 1 - n) * VHDX_MIB;
	}
	if (payload)
		w->hint = limit;
	return 0;
}

static bool is_bitmap(const struct vhdx_layout *l, uint64_t index, uint64_t *block)
{
	uint64_t chunk = (1ull << l->chunk_shift) + 1;

	*block = index / chunk * (chunk - 1) + index % chunk;
	return index % chunk == chunk - 1;
}

/* The bytes of the file that this entry holds, 0 for none. */
static uint64_t held(const struct vhdx *v, uint64_t index, uint64_t entry)
{
	unsigned int state = VHDX_BAT_STATE(entry);
	uint64_t block;

	if (is_bitmap(&v->layout, index, &block))
		return state == VHDX_BITMAP_PRESENT ? VHDX_MIB : 0;
	return state == VHDX_BLOCK_FULLY_PRESENT || state == VHDX_BLOCK_PARTIALLY_PRESENT
		       ? v->layout.block_bytes
		       : 0;
}

static int map_file(struct work *w)
{
	const struct vhdx_layout *l = &w->v->layout;
	int r = 0;

	take(w, 0, VHDX_HEADER_SECTION_BYTES);
	take(w, l->log_offset, l->log_bytes);
	take(w, l->bat_offset, l->bat_bytes);
	take(w, l->metadata_offset, l->metadata_bytes);
	for (uint64_t i = 0; i < w->entries && r == 0; i++) {
		uint64_t entry, bytes;

		r = vhdx_entry_get(w->v, i, &entry);
		bytes = r == 0 ? held(w->v, i, entry) : 0;
		if (bytes)
			take(w, VHDX_BAT_OFFSET(entry), bytes);
	}
	return r;
}

/* ---- blocks that hold nothing ---- */

enum content { SOME, ZEROS, NO_SECTOR, ALL_SECTORS };

/* Of a PARTIALLY_PRESENT block: which of its sectors it has. */
static int look_at_bits(struct vhdx *v, uint64_t block)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t len = vhdx_block_len(l, block), has = 0;

	for (uint64_t at = 0, run; at < len; at += run * l->logical_bytes) {
		uint64_t sector = (block * l->block_bytes + at) / l->logical_bytes;
		uint64_t n = MIN((len - at) / l->logical_bytes,
				 VHDX_PAGE_BITS - sector % VHDX_PAGE_BITS);
		struct vhdx_page *p;
		int r = vhdx_bits_load(v, sector, &p);

		if (r < 0)
			return r;
		if (vhdx_bits_run(p, sector, n, &run))
			has += run;
	}
	if (!has)
		return NO_SECTOR;
	return has == len / l->logical_bytes ? ALL_SECTORS : SOME;
}

/* enum content, of a block that has a place; or -errno. */
static int look_at(struct vhdx *v, uint64_t block, uint64_t entry)
{
	bool full = VHDX_BAT_STATE(entry) == VHDX_BLOCK_FULLY_PRESENT;
	int r = full ? ALL_SECTORS : look_at_bits(v, block);

	if (r != ALL_SECTORS)
		return r;
	r = vhdx_is_zero(v->keeper.fd, VHDX_BAT_OFFSET(entry),
			 vhdx_block_len(&v->layout, block));
	return r < 0 ? r : r ? ZEROS : ALL_SECTORS;
}

/* The entry as it is to be: without the place that it does not need, or keeps since it was discarded; without the bitmap where all is the block's own. */
static int give_up(struct vhdx *v, uint64_t block, uint64_t index, uint64_t entry)
{
	const uint64_t zeros =
		v->layout.has_parent ? VHDX_BLOCK_ZERO : VHDX_BLOCK_NOT_PRESENT;
	uint64_t next = entry;
	int r = vhdx_is_present(v, block, entry);

	if (r == 0 && VHDX_BAT_STATE(entry) != VHDX_BLOCK_NOT_PRESENT)
		next = zeros;
	if (r > 0) {
		r = look_at(v, block, entry);
		if (r == ZEROS)
			next = zeros;
		else if (r == NO_SECTOR)
			next = VHDX_BLOCK_NOT_PRESENT;
		else if (r == ALL_SECTORS)
			next = VHDX_BAT_OFFSET(entry) | VHDX_BLOCK_FULLY_PRESENT;
	}
	if (r < 0 || next == entry)
		return r < 0 ? r : 0;
	return vhdx_entry_set(v, index, next);
}

static int give_up_all(struct work *w)
{
	int r = 0;

	for (uint64_t i = 0; i < w->entries && r == 0; i++) {
		uint64_t entry, block;

		if (is_bitmap(&w->v->layout, i, &block) ||
		    block >= vhdx_blocks(&w->v->layout))
			continue;
		r = vhdx_entry_get(w->v, i, &entry);
		if (r == 0 && entry)
			r = give_up(w->v, block, i, entry);
		if (r == 0 && i % 64 == 0 && !image_step(w->progress, i, 2 * w->entries))
			r = -ECANCELED;
	}
	return r;
}

/* A chunk of which no block is there in part needs no bitmap. */
static int give_up_bitmaps(struct work *w)
{
	bool needed = false;
	int r = 0;

	for (uint64_t i = 0; i < w->entries && r == 0; i++) {
		uint64_t entry, block;

		r = vhdx_entry_get(w->v, i, &entry);
		if (!is_bitmap(&w->v->layout, i, &block)) {
			needed |= VHDX_BAT_STATE(entry) == VHDX_BLOCK_PARTIALLY_PRESENT;
			continue;
		}
		if (r == 0 && !needed && VHDX_BAT_STATE(entry) == VHDX_BITMAP_PRESENT)
			r = vhdx_entry_set(w->v, i, 0);
		needed = false;
	}
	return r;
}

/* ---- moves ---- */

static int move(struct work *w, uint64_t index, uint64_t entry, uint64_t bytes,
		uint64_t limit)
{
	uint64_t n = bytes / VHDX_MIB, to = find_gap(w, n, limit);
	uint64_t from = VHDX_BAT_OFFSET(entry), len = MIN(bytes, w->v->file_bytes - from);
	int r;

	if (!to)
		return 0;
	r = vhdx_copy(w->v->keeper.fd, from, to, len);
	if (r == 0)
		r = vhdx_entry_set(w->v, index, to | VHDX_BAT_STATE(entry));
	if (r == 0)
		take(w, to, bytes);
	return r;
}

static int move_table(struct work *w, uint64_t limit)
{
	const struct vhdx_layout *l = &w->v->layout;
	uint64_t to;

	if (l->bat_offset + l->bat_bytes <= limit * VHDX_MIB)
		return 0;
	to = find_gap(w, l->bat_bytes / VHDX_MIB, limit);
	if (!to)
		return 0;
	take(w, to, l->bat_bytes);
	return vhdx_move_table(w->v, to, l->bat_bytes);
}

/* What lies behind `limit` megabytes goes before it, where there are gaps. No place that is left is taken again. */
static int move_all(struct work *w, uint64_t limit)
{
	int r = move_table(w, limit);

	for (uint64_t i = 0; i < w->entries && r == 0; i++) {
		uint64_t entry, bytes;

		r = vhdx_entry_get(w->v, i, &entry);
		bytes = r == 0 ? held(w->v, i, entry) : 0;
		if (bytes && VHDX_BAT_OFFSET(entry) + bytes > limit * VHDX_MIB)
			r = move(w, i, entry, bytes, limit);
		if (r == 0 && i % 64 == 0 &&
		    !image_step(w->progress, w->entries + i, 2 * w->entries))
			r = -ECANCELED;
	}
	return r;
}

static int new_map(struct work *w)
{
	w->file_mib = (w->v->file_bytes + VHDX_MIB - 1) / VHDX_MIB;
	w->used_mib = w->end_mib = 0;
	w->hint = 1;
	free(w->used);
	w->used = calloc(w->file_mib / 64 + 1, sizeof(*w->used));
	return w->used ? map_file(w) : -ENOMEM;
}

static int compact(struct work *w, uint64_t *ret_bytes)
{
	int r = vhdx_begin(w->v, false);

	if (r == 0)
		r = give_up_all(w);
	if (r == 0 && w->v->layout.has_parent)
		r = give_up_bitmaps(w);
	/* What the log does not yet say may come back: its places are not free before. */
	if (r == 0)
		r = vhdx_commit(w->v);
	if (r == 0)
		r = new_map(w);
	if (r == 0)
		r = move_all(w, w->used_mib);
	if (r == 0)
		r = new_map(w);
	*ret_bytes = w->end_mib * VHDX_MIB;
	return r;
}

static int cut_file(int fd, uint64_t bytes)
{
	uint64_t now;
	int r = file_size(fd, &now);

	if (r < 0 || now <= bytes)
		return r;
	r = file_resize(fd, bytes);
	return r < 0 ? r : file_sync(fd);
}

int vhdx_compact_file(int fd, const struct image_progress *progress,
		      struct image_error *error)
{
	struct work w = { .progress = progress };
	uint64_t bytes = 0;
	int r = vhdx_session_open(fd, &w.v, error);

	if (r < 0)
		return r;
	w.entries = vhdx_bat_entries(&w.v->layout);
	if (w.v->file_bytes > VHDX_FILE_BYTES_MAX)
		r = image_fail(error, -EUCLEAN, "is longer than any VHDX");
	else if (w.v->layout.leave_allocated)
		r = image_fail(error, -EINVAL,
			       "is a fixed image, which keeps room for all of its disk; "
			       "convert it to a dynamic one");
	else if ((r = compact(&w, &bytes)) < 0)
		r = image_fail(error, r, "is not compacted to the end: %s", strerror(-r));
	free(w.used);
	r = vhdx_session_close(w.v, r, error);
	if (r < 0)
		return r;
	r = cut_file(fd, bytes);
	return r < 0 ? image_fail(error, r, "cannot be cut: %s", strerror(-r)) : 0;
}
