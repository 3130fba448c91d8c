/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * New blocks, and zeros. A block gets its place at the end, where the footer is: that goes first to a new place some blocks further on, and is
 * durable there before the old one is overwritten. The block is zeros, and its bitmap too in a child; in a dynamic image it is all ones at
 * once, since a block of zeros says the same, and nothing more needs to be kept of it.
 *
 * Nothing is taken out of use: a discarded block becomes a hole of the host's file and keeps its place. So no write that is in flight can
 * land in another block's data.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <string.h>

#include "vhd/file.h"

#define GROW_BYTES (32ull << 20)
#define GROW_BLOCKS 16u
#define SCAN_BYTES_MAX (16u << 20) /* of the table */
#define DATA_ALIGN 4096u           /* the host's pages */
#define ZERO_BLOCKS_A_TURN 512u

/* ---- the first change ---- */

static int write_footer(struct vhd *v, uint64_t off)
{
	return file_write(v->keeper.fd, &v->layout.footer, sizeof(v->layout.footer), off);
}

/* The end of what is used: a session that was cut off may have left room behind it. */
static int find_free(struct vhd *v)
{
	const struct vhd_layout *l = &v->layout;
	uint64_t need = (uint64_t)l->bitmap_bytes + l->block_bytes;
	uint64_t end = vhd_layout_structures_end(l);
	be32_t entries[VHD_PAGE_ENTRIES];
	int r = 0;

	v->free = l->end;
	v->fresh = l->end;
	if (l->table_bytes > SCAN_BYTES_MAX)
		return 0;
	for (uint64_t block = 0; block < l->blocks && r == 0; block++) {
		uint64_t at = block % VHD_PAGE_ENTRIES;
		uint32_t entry;

		if (!at)
			r = file_read(v->keeper.fd, entries,
				      vhd_page_bytes(l, block / VHD_PAGE_ENTRIES),
				      l->table_offset + block * sizeof(be32_t));
		entry = be32_get(&entries[at]);
		if (r < 0 || entry == VHD_BAT_UNUSED)
			continue;
		if (!vhd_entry_is_sound(l, block, entry))
			return 0; /* damaged: what is there is left alone */
		end = MAX(end, (uint64_t)entry * VHD_SECTOR_BYTES + need);
	}
	if (r == 0)
		v->free = MIN(end, l->end);
	return r;
}

static void set_end(struct vhd *v, uint64_t end)
{
	pthread_mutex_lock(&v->keeper.lock);
	v->layout.end = end;
	v->layout.file_bytes = end + sizeof(v->layout.footer);
	pthread_mutex_unlock(&v->keeper.lock);
}

/* The last block has all of its place, so that another one can go behind it. */
static int complete_last(struct vhd *v)
{
	struct vhd_layout l = v->layout;
	int r = vhd_complete_last(v->keeper.fd, &l);

	if (r == 0 && l.end != v->layout.end)
		set_end(v, l.end);
	return r;
}

static int begin(struct vhd *v)
{
	int r = keeper_failed(&v->keeper);

	if (r < 0 || v->begun)
		return r;
	r = vhd_heal(v->keeper.fd, &v->layout);
	if (r == 0)
		r = complete_last(v);
	if (r == 0)
		r = find_free(v);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->keeper.lock);
	v->begun = true;
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

/* ---- places ---- */

/* Moves the footer to `end` or, for the blocks to come, further. What was between is zeros after it. */
static int grow(struct vhd *v, uint64_t end, uint64_t need)
{
	static const uint8_t zeros[sizeof(struct vhd_footer)];
	uint64_t old = v->layout.end;
	uint64_t more = end + MIN(GROW_BYTES / need, (uint64_t)GROW_BLOCKS) * need;
	int r = write_footer(v, more);

	if (r < 0 && more > end) {
		more = end;
		r = write_footer(v, more);
	}
	if (r < 0) {
		/* Without the room, the old footer is to be the last thing again. */
		if (file_resize(v->keeper.fd, v->layout.file_bytes) < 0)
			return -EIO;
		return r;
	}
	r = keeper_sync(&v->keeper);
	if (r < 0)
		return r;
	set_end(v, more);
	return file_write(v->keeper.fd, zeros, sizeof(zeros), old);
}

static int write_bitmap(struct vhd *v, uint64_t off)
{
	_Alignas(DATA_ALIGN) uint8_t bits[DATA_ALIGN] = { 0 };
	uint64_t ones = v->layout.block_bytes / VHD_SECTOR_BYTES / 8;
	int r = 0;

	/* Whole sectors; what is behind the last bit of a small block is zeros. */
	memset(bits, 0xff, MIN(ones, (uint64_t)sizeof(bits)));
	for (uint64_t left = v->layout.bitmap_bytes, n; left && r == 0; left -= n) {
		n = MIN(left, (uint64_t)sizeof(bits));
		r = file_write(v->keeper.fd, bits, n, off);
		off += n;
	}
	return r;
}

/* A place for a block, of zeros; *ret is its sector. */
static int take_place(struct vhd *v, uint32_t *ret)
{
	const struct vhd_layout *l = &v->layout;
	uint64_t need = (uint64_t)l->bitmap_bytes + l->block_bytes;
	uint64_t off = align_up(v->free + l->bitmap_bytes, DATA_ALIGN) - l->bitmap_bytes;
	int r = 0;

	if ((off + need) / VHD_SECTOR_BYTES >= VHD_BAT_UNUSED)
		return -EFBIG;
	if (off + need > l->end)
		r = grow(v, off + need, need);
	if (r == 0 && off < v->fresh)
		r = file_zero(v->keeper.fd, off, MIN(need, v->fresh - off), v->can_punch);
	if (r == 0 && !vhd_is_child(v))
		r = write_bitmap(v, off);
	if (r < 0)
		return r;
	v->free = off + need;
	*ret = (uint32_t)(off / VHD_SECTOR_BYTES);
	return 0;
}

static int allocate(struct vhd *v, uint64_t block, uint32_t *ret)
{
	int r = 0;

	if (!vhd_page_of(v, block)->dirty && v->dirty_pages_n == VHD_PAGES_DIRTY_MAX)
		r = vhd_commit(v);
	if (r == 0)
		r = take_place(v, ret);
	if (r == 0)
		vhd_bat_set(v, block, *ret, !vhd_is_child(v));
	return r;
}

/* ---- blocks ---- */

/* 1: the block has a place, *ret; 0: it has none. */
static int find_block(struct vhd *v, uint64_t block, uint32_t *ret)
{
	int r = vhd_bat_load(v, block);

	if (r < 0)
		return r;
	*ret = vhd_page_entry(vhd_page_of(v, block), block);
	if (*ret == VHD_BAT_UNUSED)
		return 0;
	return vhd_entry_is_sound(&v->layout, block, *ret) ? 1 : -EIO;
}

static void note_full(struct vhd *v, uint64_t block)
{
	uint64_t sectors = vhd_block_len(&v->layout, block) / VHD_SECTOR_BYTES;
	const struct vhd_bits *b;

	if (v->layout.windows > 1)
		return;
	pthread_mutex_lock(&v->keeper.lock);
	b = vhd_bits_find_locked(v, block);
	if (b && !b->dirty && vhd_bits_are_set(b->bits, (uint32_t)sectors))
		vhd_page_set_full_locked(vhd_page_of(v, block), block);
	pthread_mutex_unlock(&v->keeper.lock);
}

/* The bitmap for the byte `within` of a block that has a place. */
static int load_bits(struct vhd *v, uint64_t block, uint64_t within, uint32_t entry)
{
	uint64_t window = within / VHD_WINDOW_BYTES;
	int r;

	if (vhd_page_is_full(vhd_page_of(v, block), block))
		return 0;
	r = vhd_bits_load(v, block * v->layout.windows + window,
			  (uint64_t)entry * VHD_SECTOR_BYTES + window * VHD_BITS_BYTES);
	if (r == 0)
		note_full(v, block);
	return r;
}

int vhd_load_at(struct vhd *v, uint64_t off)
{
	uint64_t block = off / v->layout.block_bytes;
	uint32_t entry;
	int r = find_block(v, block, &entry);

	return r <= 0 ? r : load_bits(v, block, off % v->layout.block_bytes, entry);
}

/* Other threads may go on changing bitmaps up to the bound; then they ask here. */
static int bound_dirty_bits(struct vhd *v)
{
	bool many;

	pthread_mutex_lock(&v->keeper.lock);
	many = v->dirty_bits_n >= VHD_BITS_DIRTY_MAX;
	pthread_mutex_unlock(&v->keeper.lock);
	return many ? vhd_commit(v) : 0;
}

int vhd_prepare(struct vhd *v, uint64_t off, uint64_t len)
{
	uint64_t last = (off + len - 1) / v->layout.block_bytes;
	uint32_t entry;
	int r = begin(v);

	if (r == 0)
		r = bound_dirty_bits(v);
	for (uint64_t block = off / v->layout.block_bytes; block <= last && r == 0;
	     block++) {
		r = find_block(v, block, &entry);
		if (r == 0)
			r = allocate(v, block, &entry);
		else if (r > 0)
			r = 0;
	}
	return r < 0 ? r : vhd_load_at(v, off);
}

/* ---- discard, and zeros ---- */

/* The sectors' bits, of a block that has a place. */
static int set_bits(struct vhd *v, uint64_t block, uint32_t entry, uint64_t within,
		    uint64_t len)
{
	uint64_t n;
	int r = 0;

	for (; len && r == 0; within += n, len -= n) {
		struct vhd_bits *b;

		n = MIN(len, VHD_WINDOW_BYTES - within % VHD_WINDOW_BYTES);
		if (vhd_page_is_full(vhd_page_of(v, block), block))
			return 0;
		r = bound_dirty_bits(v);
		if (r == 0)
			r = load_bits(v, block, within, entry);
		if (r < 0)
			return r;
		pthread_mutex_lock(&v->keeper.lock);
		b = vhd_bits_find_locked(v, block * v->layout.windows +
						    within / VHD_WINDOW_BYTES);
		if (b) /* or all are set */
			vhd_bits_set_locked(
				v, b,
				(uint32_t)(within % VHD_WINDOW_BYTES / VHD_SECTOR_BYTES),
				(uint32_t)(n / VHD_SECTOR_BYTES));
		pthread_mutex_unlock(&v->keeper.lock);
	}
	return r;
}

static int zero_block(struct vhd *v, const struct disk_req *req, uint64_t block,
		      uint64_t within, uint64_t len)
{
	bool punch = req->op == DISK_DISCARD ||
		     ((req->flags & DISK_MAY_UNMAP) && v->keeper.disk.info.can_discard);
	uint32_t entry;
	int r = find_block(v, block, &entry);

	if (r < 0)
		return r;
	if (r == 0) {
		/* A dynamic image has zeros there, and a hint need not be taken. */
		if (req->op == DISK_DISCARD || !vhd_is_child(v))
			return 0;
		r = allocate(v, block, &entry);
		if (r < 0)
			return r;
	}
	r = file_zero(v->keeper.fd,
		      (uint64_t)entry * VHD_SECTOR_BYTES + v->layout.bitmap_bytes +
			      within,
		      len, punch);
	if (r < 0 || req->op == DISK_DISCARD || !vhd_is_child(v))
		return r;
	return set_bits(v, block, entry, within, len);
}

int vhd_zero(struct vhd *v, const struct disk_req *req, struct keeper_piece *p)
{
	uint64_t bytes = v->layout.block_bytes;
	int r = begin(v);

	/* In turns, so that a whole disk's does not hold up the others. */
	for (unsigned int n = 0; r == 0 && p->done < req->len; n++) {
		uint64_t off = req->off + p->done, within = off % bytes;
		uint64_t len = MIN(bytes - within, req->len - p->done);

		if (n == ZERO_BLOCKS_A_TURN)
			return KEEPER_AGAIN;
		r = zero_block(v, req, off / bytes, within, len);
		p->done += len;
	}
	return r;
}

/* ---- the end ---- */

int vhd_trim(struct vhd *v)
{
	uint64_t end = align_up(v->free, VHD_SECTOR_BYTES);
	int r;

	if (!v->begun || end >= v->layout.end)
		return 0;
	/* In room that nothing uses; the one at the end stays good until this is durable. */
	r = write_footer(v, end);
	if (r == 0)
		r = keeper_sync(&v->keeper);
	if (r == 0)
		r = file_resize(v->keeper.fd, end + sizeof(v->layout.footer));
	if (r == 0)
		set_end(v, end);
	return r;
}
