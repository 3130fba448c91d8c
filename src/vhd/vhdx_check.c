/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check of a whole image. Headers, regions and metadata are checked by reading them; here every entry of the block table is, and that no
 * two blocks share a megabyte of the file.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

#define RESERVED_BITS (VHDX_MIB - 8) /* 3 to 19 */

struct walk {
	struct vhdx v;  /* only what vhdx_read_all() sets */
	uint64_t *used; /* a bit a megabyte of the file */
	uint64_t used_n;
	bool partial; /* a block of this chunk needs the bitmap */
	struct image_check *found;
};

static void wrong(struct walk *w, uint64_t index, const char *what)
{
	if (!w->found->errors++)
		snprintf(w->found->first, sizeof(w->found->first),
			 "entry %llu of the block table %s", (unsigned long long)index,
			 what);
}

/* Takes the block's megabytes; false when one is taken. */
static bool take(struct walk *w, uint64_t off, uint64_t len)
{
	uint64_t first = off / VHDX_MIB;
	uint64_t end = MIN(first + len / VHDX_MIB, w->v.file_bytes / VHDX_MIB + 1);
	bool is_free = true;

	for (uint64_t i = first; i < end; i++) {
		uint64_t bit = 1ull << i % 64;

		is_free &= !(w->used[i / 64] & bit);
		w->used_n += !(w->used[i / 64] & bit);
		w->used[i / 64] |= bit;
	}
	return is_free;
}

static void check_place(struct walk *w, uint64_t index, uint64_t entry, bool is_sound,
			uint64_t len)
{
	if (!is_sound)
		wrong(w, index, "lies outside of the file or in its tables");
	else if (!take(w, VHDX_BAT_OFFSET(entry), len))
		wrong(w, index, "names a place that another one has");
	if (entry & RESERVED_BITS)
		wrong(w, index, "has reserved bits set");
}

static void check_payload(struct walk *w, uint64_t block, uint64_t index, uint64_t entry)
{
	unsigned int state = VHDX_BAT_STATE(entry);

	switch (state) {
	case VHDX_BLOCK_NOT_PRESENT:
	case VHDX_BLOCK_ZERO:
		return; /* the offset is reserved */
	case VHDX_BLOCK_UNDEFINED:
	case VHDX_BLOCK_UNMAPPED:
		if (!VHDX_BAT_OFFSET(entry))
			return;
		break;
	case VHDX_BLOCK_PARTIALLY_PRESENT:
		if (!w->v.layout.has_parent) {
			wrong(w, index, "is there in part, in an image without parent");
			return;
		}
		w->partial = true;
		w->found->blocks++;
		break;
	case VHDX_BLOCK_FULLY_PRESENT:
		w->found->blocks++;
		break;
	default:
		wrong(w, index, "has a state that there is not");
		return;
	}
	check_place(w, index, entry, vhdx_bat_is_sound(&w->v, block, entry),
		    w->v.layout.block_bytes);
}

/* At the end of a chunk. */
static void check_bitmap(struct walk *w, uint64_t index, uint64_t entry)
{
	unsigned int state = VHDX_BAT_STATE(entry);

	if (state && !w->v.layout.has_parent)
		wrong(w, index,
		      "is a sector bitmap, which only differencing images have");
	else if (state && state != VHDX_BITMAP_PRESENT)
		wrong(w, index, "has a state that there is not");
	else if (state)
		check_place(w, index, entry, vhdx_place_is_sound(&w->v, entry, VHDX_MIB),
			    VHDX_MIB);
	else if (w->partial)
		wrong(w, index, "has no sector bitmap, which a block of it needs");
	w->partial = false;
}

static void check_entry(struct walk *w, uint64_t index, uint64_t entry)
{
	uint64_t chunk = (1ull << w->v.layout.chunk_shift) + 1;
	uint64_t within = index % chunk, block = index / chunk * (chunk - 1) + within;

	if (within == chunk - 1)
		check_bitmap(w, index, entry);
	else if (block < vhdx_blocks(&w->v.layout))
		check_payload(w, block, index, entry);
}

static int check_table(struct walk *w, int fd, const struct image_progress *progress)
{
	uint64_t entries[VHDX_PAGE_ENTRIES], n = vhdx_bat_entries(&w->v.layout);
	int r = 0;

	for (uint64_t index = 0; index < n && r == 0; index++) {
		uint64_t at = index % VHDX_PAGE_ENTRIES;

		if (!at)
			r = file_read(fd, entries, sizeof(entries),
				      w->v.layout.bat_offset + index * sizeof(uint64_t));
		if (!at && !image_step(progress, index, n))
			r = -ECANCELED;
		if (r == 0)
			check_entry(w, index, entries[at]);
	}
	return r;
}

static uint64_t lost_bytes(const struct walk *w)
{
	const struct vhdx_layout *l = &w->v.layout;
	uint64_t known = VHDX_HEADER_SECTION_BYTES + l->log_bytes + l->metadata_bytes +
			 l->bat_bytes + w->used_n * VHDX_MIB;

	return w->v.file_bytes > known ? w->v.file_bytes - known : 0;
}

int vhdx_check(int fd, struct image_check *ret, const struct image_progress *progress,
	       struct image_error *error)
{
	cleanup_free struct walk *w = calloc(1, sizeof(*w));
	cleanup_free uint64_t *used = NULL;
	struct image_check found = { 0 };
	int r;

	if (!w)
		return image_fail(error, -ENOMEM, "cannot be checked: no memory");
	r = vhdx_read_all(fd, true, &w->v, error);
	if (r < 0)
		return r;
	if (w->v.file_bytes > 2 * VHDX_DISK_BYTES_MAX)
		return image_fail(error, -EUCLEAN, "is longer than any VHDX");
	used = calloc(w->v.file_bytes / VHDX_MIB / 64 + 1, sizeof(*used));
	if (!used)
		return image_fail(error, -ENOMEM, "cannot be checked: no memory");
	w->used = used;
	w->found = &found;
	r = check_table(w, fd, progress);
	if (r < 0)
		return image_fail(error, r, "cannot be checked: %s", strerror(-r));
	found.lost_bytes = lost_bytes(w);
	*ret = found;
	return 0;
}
