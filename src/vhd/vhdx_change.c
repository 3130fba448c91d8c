/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of the block table: places for blocks that are written, zeros, discarded room. All on the image's thread.
 *
 * Space is only ever taken at the end of the file. A block that is discarded keeps its place in the file, as a hole, and gets it
 * again when it is written ([MS-VHDX] 2.5.1.1 lets an UNMAPPED block keep its offset): so a write in flight to a block that is being discarded
 * can never land in another block's data.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>

#include "vhd/file.h"

/* A block that has no data but keeps a place for them. */
static bool has_place(const struct vhdx *v, uint64_t block, uint64_t entry)
{
	unsigned int state = VHDX_BAT_STATE(entry);

	return (state == VHDX_BLOCK_UNMAPPED || state == VHDX_BLOCK_UNDEFINED) &&
	       VHDX_BAT_OFFSET(entry) && vhdx_bat_is_sound(v, block, entry);
}

/* What the file has of the block at this place. */
static uint64_t room_at(const struct vhdx *v, uint64_t off)
{
	return MIN((uint64_t)v->layout.block_bytes, v->file_bytes - off);
}

int vhdx_extend(struct vhdx *v, uint64_t bytes)
{
	int r = bytes > v->file_bytes ? file_resize(v->keeper.fd, bytes) : 0;

	if (r < 0)
		return r;
	pthread_mutex_lock(&v->keeper.lock);
	v->file_bytes = MAX(v->file_bytes, bytes);
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

int vhdx_grow(struct vhdx *v, uint64_t bytes, uint64_t *ret)
{
	uint64_t off = align_up(v->file_bytes, VHDX_MIB);
	int r = vhdx_extend(v, off + bytes);

	if (r == 0)
		*ret = off;
	return r;
}

static int set(struct vhdx *v, uint64_t block, uint64_t entry)
{
	return vhdx_entry_set(v, vhdx_bat_index(&v->layout, block), entry);
}

/* Of a block that is the parent's: a place, of which nothing counts yet. */
static int allocate_partial(struct vhdx *v, uint64_t block)
{
	uint64_t off = 0;
	int r = vhdx_bits_prepare(v, block);

	if (r == 0)
		r = vhdx_grow(v, v->layout.block_bytes, &off);
	return r < 0 ? r : set(v, block, off | VHDX_BLOCK_PARTIALLY_PRESENT);
}

/* Gives an absent block a place that reads as it did. */
static int allocate(struct vhdx *v, uint64_t block, uint64_t entry)
{
	uint64_t off = VHDX_BAT_OFFSET(entry);
	int r;

	if (v->layout.has_parent && VHDX_BAT_STATE(entry) == VHDX_BLOCK_NOT_PRESENT)
		return allocate_partial(v, block);
	if (has_place(v, block, entry))
		r = file_zero(v->keeper.fd, off, room_at(v, off), v->can_punch);
	else
		r = vhdx_grow(v, v->layout.block_bytes, &off);
	return r < 0 ? r : set(v, block, off | VHDX_BLOCK_FULLY_PRESENT);
}

int vhdx_is_present(const struct vhdx *v, uint64_t block, uint64_t entry)
{
	int sound = vhdx_bat_is_sound(v, block, entry) ? 1 : -EIO;

	switch (VHDX_BAT_STATE(entry)) {
	case VHDX_BLOCK_NOT_PRESENT:
	case VHDX_BLOCK_UNDEFINED:
	case VHDX_BLOCK_ZERO:
	case VHDX_BLOCK_UNMAPPED:
		return 0;
	case VHDX_BLOCK_PARTIALLY_PRESENT:
		return v->layout.has_parent ? sound : -EIO;
	case VHDX_BLOCK_FULLY_PRESENT:
		return sound;
	default:
		return -EIO;
	}
}

int vhdx_prepare(struct vhdx *v, uint64_t off, uint64_t len)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t block = off / l->block_bytes, last = (off + len - 1) / l->block_bytes;
	uint64_t entry;
	int r = vhdx_begin(v, true);

	for (; block <= last && r == 0; block++) {
		r = vhdx_entry_get(v, vhdx_bat_index(l, block), &entry);
		if (r == 0)
			r = vhdx_is_present(v, block, entry);
		if (r == 0)
			r = allocate(v, block, entry);
		else if (r > 0)
			r = 0;
		/* Else the page of bits that it needs may be what is missing. */
		if (r == 0)
			r = vhdx_load_at(v, MAX(off, block * l->block_bytes));
	}
	return r;
}

/* ---- zeros ---- */

struct part {
	uint64_t block, entry;
	uint64_t off, len; /* of the disk */
	bool whole;        /* all that the disk has of the block */
};

/* Zeros in the place of a block; what was the parent's there becomes ours. */
static int zero_place(struct vhdx *v, const struct part *p, bool punch)
{
	uint64_t within = p->off % v->layout.block_bytes;
	int r = file_zero(v->keeper.fd, VHDX_BAT_OFFSET(p->entry) + within, p->len,
			  punch);

	if (r == 0 && VHDX_BAT_STATE(p->entry) == VHDX_BLOCK_PARTIALLY_PRESENT)
		r = vhdx_bits_mark(v, p->off, p->len);
	return r;
}

/* A part of a block that is the parent's, or the whole. */
static int zero_parents(struct vhdx *v, const struct part *p)
{
	int r;

	if (p->whole)
		return set(v, p->block, VHDX_BLOCK_ZERO);
	/* The new place reads as zeros. */
	r = allocate_partial(v, p->block);
	return r < 0 ? r : vhdx_bits_mark(v, p->off, p->len);
}

static int discard(struct vhdx *v, const struct part *p)
{
	int r = 0;

	if (!p->whole)
		return zero_place(v, p, true);
	r = set(v, p->block, VHDX_BAT_OFFSET(p->entry) | VHDX_BLOCK_UNMAPPED);
	return r < 0 ? r
		     : file_zero(v->keeper.fd, VHDX_BAT_OFFSET(p->entry), p->len, true);
}

static int zero_absent(struct vhdx *v, const struct part *p)
{
	unsigned int state = VHDX_BAT_STATE(p->entry);

	if (state == VHDX_BLOCK_ZERO)
		return 0;
	/* The ZERO state keeps no place; where there is one, it is used, rather than lost to the file. */
	if (has_place(v, p->block, p->entry))
		return allocate(v, p->block, p->entry);
	return set(v, p->block, VHDX_BLOCK_ZERO);
}

int vhdx_zero(struct vhdx *v, const struct disk_req *req, uint64_t off, uint64_t len)
{
	const struct vhdx_layout *l = &v->layout;
	struct part p = { .block = off / l->block_bytes, .off = off, .len = len };
	bool punch = (req->flags & DISK_MAY_UNMAP) && v->keeper.disk.info.can_discard;
	int r = vhdx_entry_get(v, vhdx_bat_index(l, p.block), &p.entry);

	p.whole = len == vhdx_block_len(l, p.block);
	if (r == 0)
		r = vhdx_is_present(v, p.block, p.entry);
	if (r < 0)
		return r;
	if (r > 0)
		return req->op == DISK_DISCARD ? discard(v, &p)
					       : zero_place(v, &p, punch);
	if (l->has_parent && VHDX_BAT_STATE(p.entry) == VHDX_BLOCK_NOT_PRESENT)
		return zero_parents(v, &p);
	return req->op == DISK_DISCARD ? 0 : zero_absent(v, &p);
}
