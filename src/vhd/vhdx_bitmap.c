/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sector bitmaps of a differencing image: [MS-VHDX] 2.4 and 2.5.1.2. A megabyte a chunk, a bit a sector, set when the file has the sector and clear when
 * the parent has. They mean something only for blocks that are PARTIALLY_PRESENT.
 *
 * A bit is set after its sector's data were written, and reaches the file in a commit, whose first step syncs those data: so a cut leaves
 * of each sector what was there before, or what was written, and never what happened to stand at the block's place.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>

#define WORD_BITS 64u

bool vhdx_bits_run(const struct vhdx_page *p, uint64_t sector, uint64_t n, uint64_t *ret)
{
	unsigned int first = (unsigned int)(sector % VHDX_PAGE_BITS), at = first;
	unsigned int end = first + (unsigned int)n;
	bool set = p->words[at / WORD_BITS] >> at % WORD_BITS & 1;

	while (at < end) {
		uint64_t other =
			set ? ~p->words[at / WORD_BITS] : p->words[at / WORD_BITS];

		other >>= at % WORD_BITS;
		if (other) {
			at += (unsigned int)__builtin_ctzll(other);
			break;
		}
		at = (at / WORD_BITS + 1) * WORD_BITS;
	}
	*ret = MIN(at, end) - first;
	return set;
}

/* The page with this sector's bit; -EIO where the chunk has no sound bitmap. */
int vhdx_bits_load(struct vhdx *v, uint64_t sector, struct vhdx_page **ret)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t index = vhdx_bitmap_index(l, sector * l->logical_bytes / l->block_bytes);
	uint64_t page = sector / VHDX_PAGE_BITS, entry;
	int r;

	*ret = vhdx_page_find(v, VHDX_KEY_BITMAP(page));
	if (*ret)
		return 0;
	r = vhdx_entry_get(v, index, &entry);
	if (r < 0)
		return r;
	if (VHDX_BAT_STATE(entry) != VHDX_BITMAP_PRESENT ||
	    !vhdx_place_is_sound(v, entry, VHDX_MIB))
		return -EIO;
	page %= VHDX_CHUNK_SECTORS / VHDX_PAGE_BITS;
	return vhdx_page_load(v, VHDX_KEY_BITMAP(sector / VHDX_PAGE_BITS),
			      VHDX_BAT_OFFSET(entry) + page * VHDX_SECTOR_BYTES, ret);
}

/* ---- changes ---- */

/* The bits of [from, to) in one word. */
static uint64_t mask(unsigned int from, unsigned int to)
{
	uint64_t m = UINT64_MAX << from;

	return to == WORD_BITS ? m : m & ~(UINT64_MAX << to);
}

/* Sets or clears the bits of n sectors, all in page p. */
static int change_in_page(struct vhdx *v, struct vhdx_page *p, unsigned int at,
			  unsigned int n, bool set)
{
	unsigned int end = at + n;
	int r;

	while (at < end) {
		unsigned int word = at / WORD_BITS,
			     to = MIN(end - word * WORD_BITS, WORD_BITS);
		uint64_t m = mask(at % WORD_BITS, to), old = p->words[word];
		uint64_t value = set ? old | m : old & ~m;

		if (value != old) {
			r = vhdx_page_room(v, p);
			if (r < 0)
				return r;
			vhdx_page_set(v, p, word, value);
		}
		at = word * WORD_BITS + to;
	}
	return 0;
}

static int change(struct vhdx *v, uint64_t sector, uint64_t n, bool set)
{
	while (n) {
		unsigned int at = (unsigned int)(sector % VHDX_PAGE_BITS);
		unsigned int part = (unsigned int)MIN(n, (uint64_t)VHDX_PAGE_BITS - at);
		struct vhdx_page *p;
		int r = vhdx_bits_load(v, sector, &p);

		if (r == 0)
			r = change_in_page(v, p, at, part, set);
		if (r < 0)
			return r;
		sector += part;
		n -= part;
	}
	return 0;
}

static int make_bitmap(struct vhdx *v, uint64_t index)
{
	uint64_t off = 0;
	int r = vhdx_grow(v, VHDX_MIB, &off);

	return r < 0 ? r : vhdx_entry_set(v, index, off | VHDX_BITMAP_PRESENT);
}

int vhdx_bits_prepare(struct vhdx *v, uint64_t block)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t index = vhdx_bitmap_index(l, block), entry;
	int r = vhdx_entry_get(v, index, &entry);

	if (r < 0)
		return r;
	if (VHDX_BAT_STATE(entry) != VHDX_BITMAP_PRESENT)
		return make_bitmap(v, index);
	return change(v, block * (l->block_bytes / l->logical_bytes),
		      l->block_bytes / l->logical_bytes, false);
}

/* Whether every sector of the block is the file's. Pages that are not in memory are not worth a look. */
static bool is_full(struct vhdx *v, uint64_t block)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t sector = block * (l->block_bytes / l->logical_bytes);
	uint64_t end = sector + vhdx_block_len(l, block) / l->logical_bytes;

	while (sector < end) {
		const struct vhdx_page *p =
			vhdx_page_find(v, VHDX_KEY_BITMAP(sector / VHDX_PAGE_BITS));
		uint64_t n = MIN(end - sector, VHDX_PAGE_BITS - sector % VHDX_PAGE_BITS);
		uint64_t run;

		if (!p || !vhdx_bits_run(p, sector, n, &run) || run < n)
			return false;
		sector += n;
	}
	return true;
}

static int mark_in_block(struct vhdx *v, uint64_t block, uint64_t off, uint64_t len)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t index = vhdx_bat_index(l, block), entry;
	int r = vhdx_entry_get(v, index, &entry);

	/* In any other state the bits mean nothing: the block is full, or was discarded meanwhile. */
	if (r < 0 || VHDX_BAT_STATE(entry) != VHDX_BLOCK_PARTIALLY_PRESENT)
		return r;
	r = change(v, off / l->logical_bytes, len / l->logical_bytes, true);
	if (r == 0 && is_full(v, block))
		r = vhdx_entry_set(v, index,
				   VHDX_BAT_OFFSET(entry) | VHDX_BLOCK_FULLY_PRESENT);
	return r;
}

int vhdx_bits_mark(struct vhdx *v, uint64_t off, uint64_t len)
{
	const struct vhdx_layout *l = &v->layout;
	int r = 0;

	while (len && r == 0) {
		uint64_t n = MIN(l->block_bytes - off % l->block_bytes, len);

		r = mark_in_block(v, off / l->block_bytes, off, n);
		off += n;
		len -= n;
	}
	return r;
}
