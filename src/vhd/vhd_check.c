/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check of a whole image. Footer, header and the table's place are checked by reading them; here every entry of the table is, and that no two
 * blocks share a sector of the file. That takes a map with 4 bytes for each block that the file has room for. Where it would be large, as only
 * very small blocks make it, the table is read several times, each for a part of the file.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

#define STEP_PAGES 64u
#define MAP_UNITS (4u << 20) /* 16 MiB; Hyper-V's blocks never need more */

struct walk {
	struct vhd_layout l;
	uint64_t need;  /* of the file, for a block */
	uint64_t base;  /* the map's first unit of `need` bytes */
	uint64_t units; /* that it has */
	uint32_t *
		first; /* by unit: the sector where a block begins in it, plus 1; 0: none does */
	bool repair;
	struct image_check found;
};

static void wrong(struct walk *w, const char *what)
{
	if (!w->found.errors++)
		snprintf(w->found.first, sizeof(w->found.first), "%s", what);
}

static void wrong_entry(struct walk *w, uint64_t block, const char *what)
{
	char line[160];

	snprintf(line, sizeof(line), "entry %llu of the block table %s",
		 (unsigned long long)block, what);
	wrong(w, line);
}

static bool overlap(uint64_t a, uint64_t b, uint64_t need)
{
	return a < b + need && b < a + need;
}

/*
 * False when another block has part of the place. Blocks are all of one size, so at most one begins in each unit unless they overlap, and one that
 * overlaps begins in this unit or a neighbour.
 */
static bool take(struct walk *w, uint64_t off)
{
	uint64_t unit = off / w->need - w->base; /* wraps for what lies before */

	if (unit >= w->units)
		return true;
	for (uint64_t i = unit ? unit - 1 : 0; i <= unit + 1 && i < w->units; i++) {
		if (w->first[i] &&
		    overlap(off, (uint64_t)(w->first[i] - 1) * VHD_SECTOR_BYTES, w->need))
			return false;
	}
	w->first[unit] = (uint32_t)(off / VHD_SECTOR_BYTES) + 1;
	return true;
}

/* Whether it is as it should be. */
static bool check_entry(struct walk *w, uint64_t block, uint32_t entry)
{
	if (entry == VHD_BAT_UNUSED)
		return true;
	w->found.blocks += !w->base;
	if (!vhd_entry_is_sound(&w->l, block, entry)) {
		if (!w->base)
			wrong_entry(w, block,
				    "lies outside of the file or in its structures");
		return false;
	}
	if (take(w, (uint64_t)entry * VHD_SECTOR_BYTES))
		return true;
	wrong_entry(w, block, "names a place that another one has");
	return false;
}

/* A damaged entry is given up: its block reads as zeros, or as the parent. */
static int check_page(struct walk *w, int fd, uint64_t first)
{
	uint64_t index = first / VHD_PAGE_ENTRIES;
	uint64_t at = w->l.table_offset + index * VHD_PAGE_BYTES;
	size_t bytes = vhd_page_bytes(&w->l, index);
	be32_t entries[VHD_PAGE_ENTRIES];
	uint64_t mended = 0;
	int r = file_read(fd, entries, bytes, at);

	for (uint64_t i = 0; i < VHD_PAGE_ENTRIES && first + i < w->l.blocks && r == 0;
	     i++) {
		if (check_entry(w, first + i, be32_get(&entries[i])) || !w->repair)
			continue;
		entries[i] = be32(VHD_BAT_UNUSED);
		mended++;
	}
	if (r == 0 && mended)
		r = file_write(fd, entries, bytes, at);
	w->found.mended += mended;
	return r;
}

static int check_table(struct walk *w, int fd, const struct image_progress *progress)
{
	int r = 0;

	for (uint64_t first = 0; first < w->l.blocks && r == 0;
	     first += VHD_PAGE_ENTRIES) {
		if (first / VHD_PAGE_ENTRIES % STEP_PAGES == 0 &&
		    !image_step(progress, first, w->l.blocks))
			return -ECANCELED;
		r = check_page(w, fd, first);
	}
	return r;
}

static void check_footers(struct walk *w)
{
	if (w->l.footer_bad)
		wrong(w, "the footer at the end is damaged; the copy of it is in use");
	else if (w->l.copy_bad)
		wrong(w, "the copy of the footer is damaged");
}

static uint64_t lost_bytes(const struct walk *w)
{
	uint64_t known = vhd_layout_structures_end(&w->l) + w->found.blocks * w->need;

	return w->l.end > known ? w->l.end - known : 0;
}

static int check_blocks(struct walk *w, int fd, const struct image_progress *progress,
			struct image_error *error)
{
	cleanup_free uint32_t *first = NULL;
	uint64_t all;
	int r = 0;

	/* No entry of the table reaches further. */
	if (w->l.end > (uint64_t)UINT32_MAX * VHD_SECTOR_BYTES)
		return image_fail(error, -EUCLEAN, "is longer than any VHD");
	w->need = (uint64_t)w->l.bitmap_bytes + w->l.block_bytes;
	all = w->l.end / w->need + 1;
	w->units = MIN(all, (uint64_t)MAP_UNITS);
	w->first = first = malloc(w->units * sizeof(*first));
	if (!first)
		return image_fail(error, -ENOMEM, "cannot be checked: no memory");
	/* The parts share a unit, so that neighbours meet in one of them. */
	for (w->base = 0; r == 0 && (!w->base || w->base + 1 < all);
	     w->base += w->units - 1) {
		memset(first, 0, w->units * sizeof(*first));
		r = check_table(w, fd, progress);
		if (w->units == all)
			break;
	}
	if (r == -ECANCELED)
		return image_fail(error, r, "was not checked to the end");
	if (r < 0)
		return image_fail(error, r, "cannot be read: %s", strerror(-r));
	w->found.lost_bytes = lost_bytes(w);
	return 0;
}

static int walk(struct walk *w, int fd, struct image_check *ret,
		const struct image_progress *progress, struct image_error *error)
{
	int r = vhd_layout_read(fd, &w->l, error);

	if (r < 0)
		return r;
	check_footers(w);
	if (w->repair) {
		w->found.mended = w->found.errors;
		r = vhd_change_begin(fd, &w->l, error);
	}
	if (r == 0 && w->l.type != VHD_FIXED)
		r = check_blocks(w, fd, progress, error);
	if (r == 0 && w->repair && file_sync(fd) < 0)
		r = image_fail(error, -EIO, "cannot be written");
	if (r == 0)
		*ret = w->found;
	return r;
}

static int walk_all(int fd, bool repair, struct image_check *ret,
		    const struct image_progress *progress, struct image_error *error)
{
	cleanup_free struct walk *w = calloc(1, sizeof(*w));

	if (!w)
		return image_fail(error, -ENOMEM, "cannot be checked: no memory");
	w->repair = repair;
	return walk(w, fd, ret, progress, error);
}

int vhd_check(int fd, struct image_check *ret, const struct image_progress *progress,
	      struct image_error *error)
{
	return walk_all(fd, false, ret, progress, error);
}

int vhd_repair(int fd, struct image_check *ret, const struct image_progress *progress,
	       struct image_error *error)
{
	return walk_all(fd, true, ret, progress, error);
}
