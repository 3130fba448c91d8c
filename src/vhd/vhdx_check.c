/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check of a whole image. Headers, regions and metadata are checked by reading them; here every entry of the block table is, and that no
 * two blocks share a megabyte of the file.
 *
 * A repair is the same walk over an image that is open for changes: an entry that is damaged is given up, one that shares its place gets a copy of its
 * own, so that a write to one no longer changes the other.
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
	struct vhdx *v;
	bool mend;
	uint64_t *used; /* a bit a megabyte of the file */
	uint64_t used_n, map_mib;
	bool partial; /* a block of this chunk needs the bitmap */
	struct image_check *found;
	int r; /* of a change */
};

static void wrong(struct walk *w, uint64_t index, const char *what)
{
	if (!w->found->errors++)
		snprintf(w->found->first, sizeof(w->found->first),
			 "entry %llu of the block table %s", (unsigned long long)index,
			 what);
}

/* ---- mending ---- */

static void set(struct walk *w, uint64_t index, uint64_t entry)
{
	if (!w->mend || w->r < 0)
		return;
	w->r = vhdx_entry_set(w->v, index, entry);
	w->found->mended++;
}

static void give_copy(struct walk *w, uint64_t index, uint64_t entry, uint64_t len)
{
	uint64_t from = VHDX_BAT_OFFSET(entry), to = 0;
	uint64_t has = MIN(len, w->v->file_bytes - from);

	if (!w->mend || w->r < 0)
		return;
	/* What is longer than any VHDX afterwards could not be looked at again. */
	w->r = w->v->file_bytes + len > VHDX_FILE_BYTES_MAX ? -EFBIG
							    : vhdx_grow(w->v, len, &to);
	if (w->r == 0)
		w->r = vhdx_copy(w->v->keeper.fd, from, to, has);
	set(w, index, to | VHDX_BAT_STATE(entry));
}

/* The blocks of a chunk whose bitmap is lost: nobody knows which of their sectors count. */
static void give_up_partial(struct walk *w, uint64_t index)
{
	for (uint64_t i = index - (1ull << w->v->layout.chunk_shift);
	     w->mend && w->r == 0 && i < index; i++) {
		uint64_t entry;

		w->r = vhdx_entry_get(w->v, i, &entry);
		if (w->r == 0 && VHDX_BAT_STATE(entry) == VHDX_BLOCK_PARTIALLY_PRESENT)
			w->r = vhdx_entry_set(w->v, i, VHDX_BLOCK_NOT_PRESENT);
	}
}

/* ---- the walk ---- */

/* Takes the block's megabytes; false when one is taken. */
static bool take(struct walk *w, uint64_t off, uint64_t len)
{
	uint64_t first = off / VHDX_MIB;
	uint64_t end = MIN(first + len / VHDX_MIB, w->map_mib);
	bool is_free = true;

	for (uint64_t i = first; i < end; i++) {
		uint64_t bit = 1ull << i % 64;

		is_free &= !(w->used[i / 64] & bit);
		w->used_n += !(w->used[i / 64] & bit);
		w->used[i / 64] |= bit;
	}
	return is_free;
}

/* False: the entry was given up. */
static bool check_place(struct walk *w, uint64_t index, uint64_t entry, bool is_sound,
			uint64_t len)
{
	if (!is_sound) {
		wrong(w, index, "lies outside of the file or in its tables");
		set(w, index, 0);
		return false;
	}
	if (!take(w, VHDX_BAT_OFFSET(entry), len)) {
		wrong(w, index, "names a place that another one has");
		give_copy(w, index, entry, len);
	} else if (entry & RESERVED_BITS) {
		wrong(w, index, "has reserved bits set");
		set(w, index, entry & ~(uint64_t)RESERVED_BITS);
	}
	return true;
}

static void bad_state(struct walk *w, uint64_t index, const char *what)
{
	wrong(w, index, what);
	set(w, index, 0);
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
		if (!w->v->layout.has_parent) {
			bad_state(w, index,
				  "is there in part, in an image without parent");
			return;
		}
		w->found->blocks++;
		break;
	case VHDX_BLOCK_FULLY_PRESENT:
		w->found->blocks++;
		break;
	default:
		bad_state(w, index, "has a state that there is not");
		return;
	}
	if (check_place(w, index, entry, vhdx_bat_is_sound(w->v, block, entry),
			w->v->layout.block_bytes))
		w->partial |= state == VHDX_BLOCK_PARTIALLY_PRESENT;
}

/* At the end of a chunk. */
static void check_bitmap(struct walk *w, uint64_t index, uint64_t entry)
{
	unsigned int state = VHDX_BAT_STATE(entry);
	bool is_there = state == VHDX_BITMAP_PRESENT;

	if (state && !w->v->layout.has_parent) {
		bad_state(w, index,
			  "is a sector bitmap, which only differencing images have");
	} else if (state && !is_there) {
		bad_state(w, index, "has a state that there is not");
	} else if (state) {
		is_there =
			check_place(w, index, entry,
				    vhdx_place_is_sound(w->v, entry, VHDX_MIB), VHDX_MIB);
	} else if (w->partial) {
		wrong(w, index, "has no sector bitmap, which a block of it needs");
		w->found->mended += w->mend;
	}
	if (w->partial && !is_there)
		give_up_partial(w, index);
	w->partial = false;
}

static void check_entry(struct walk *w, uint64_t index, uint64_t entry)
{
	uint64_t chunk = (1ull << w->v->layout.chunk_shift) + 1;
	uint64_t within = index % chunk, block = index / chunk * (chunk - 1) + within;

	if (within == chunk - 1)
		check_bitmap(w, index, entry);
	else if (block < vhdx_blocks(&w->v->layout))
		check_payload(w, block, index, entry);
}

static int check_table(struct walk *w, const struct image_progress *progress)
{
	uint64_t n = vhdx_bat_entries(&w->v->layout), entry = 0;
	int r = 0;

	for (uint64_t index = 0; index < n && r == 0; index++) {
		r = vhdx_entry_get(w->v, index, &entry);
		if (r == 0)
			check_entry(w, index, entry);
		if (r == 0)
			r = w->r;
		if (index % VHDX_PAGE_ENTRIES == 0 && !image_step(progress, index, n))
			r = -ECANCELED;
	}
	return r;
}

static uint64_t lost_bytes(const struct walk *w)
{
	const struct vhdx_layout *l = &w->v->layout;
	uint64_t known = VHDX_HEADER_SECTION_BYTES + l->log_bytes + l->metadata_bytes +
			 l->bat_bytes + w->used_n * VHDX_MIB;

	return w->map_mib * VHDX_MIB > known ? w->map_mib * VHDX_MIB - known : 0;
}

static int walk(struct vhdx *v, bool mend, struct image_check *ret,
		const struct image_progress *progress, struct image_error *error)
{
	struct image_check found = { 0 };
	struct walk w = { .v = v,
			  .mend = mend,
			  .found = &found,
			  .map_mib = (v->file_bytes + VHDX_MIB - 1) / VHDX_MIB };
	cleanup_free uint64_t *used = NULL;
	int r;

	if (v->file_bytes > VHDX_FILE_BYTES_MAX)
		return image_fail(error, -EUCLEAN, "is longer than any VHDX");
	used = calloc(w.map_mib / 64 + 1, sizeof(*used));
	if (!used)
		return image_fail(error, -ENOMEM, "cannot be checked: no memory");
	w.used = used;
	r = check_table(&w, progress);
	if (r < 0)
		return image_fail(error, r, "cannot be %s: %s",
				  mend ? "repaired" : "checked", strerror(-r));
	found.lost_bytes = lost_bytes(&w);
	*ret = found;
	return 0;
}

int vhdx_check(int fd, struct image_check *ret, const struct image_progress *progress,
	       struct image_error *error)
{
	struct vhdx *v = vhdx_new();
	int r;

	if (!v)
		return image_fail(error, -ENOMEM, "cannot be checked: no memory");
	v->keeper.fd = fd;
	r = vhdx_read_all(fd, true, v, error);
	if (r == 0)
		r = walk(v, false, ret, progress, error);
	vhdx_free(v);
	return r;
}

int vhdx_repair_file(int fd, struct image_check *ret,
		     const struct image_progress *progress, struct image_error *error)
{
	struct vhdx *v;
	int r = vhdx_session_open(fd, &v, error);

	if (r < 0)
		return r;
	r = vhdx_begin(v, false);
	/* Both copies of the region table as the one that is valid. */
	if (r == 0)
		r = vhdx_put_bat_region(v, v->layout.bat_offset, v->layout.bat_bytes);
	if (r == 0)
		r = vhdx_commit(v);
	if (r < 0)
		image_fail(error, r, "cannot be repaired: %s", strerror(-r));
	else
		r = walk(v, true, ret, progress, error);
	return vhdx_session_close(v, r, error);
}
