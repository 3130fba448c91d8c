/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a part of the disk stands: a look into what is in memory of the block table and the bitmaps, under the lock, that never waits. A sector
 * whose bit is not set is not in the file, even where the block is: zeros, or the parent's.
 */
#include "vhd/vhd_priv.h"

#define MERGES_MAX 1024u /* a bound on the time under the lock */

/* A place in a block, and the part of its bitmap that is for it. */
struct place {
	uint64_t block, within;
	uint64_t bytes; /* to the end of the window */
	uint64_t key;
	uint32_t first, n; /* bits */
};

static struct place place_of(const struct vhd_layout *l, uint64_t off, uint64_t len)
{
	struct place p = { .block = off / l->block_bytes,
			   .within = off % l->block_bytes };
	uint64_t window = MIN((uint64_t)l->block_bytes, (uint64_t)VHD_WINDOW_BYTES);
	uint64_t in_window = p.within % window;

	p.key = p.block * l->windows + p.within / window;
	p.bytes = MIN(len, window - in_window);
	p.first = (uint32_t)(in_window / VHD_SECTOR_BYTES);
	p.n = (uint32_t)(p.bytes / VHD_SECTOR_BYTES);
	return p;
}

static uint64_t data_offset(const struct vhd_layout *l, uint32_t entry, uint64_t within)
{
	return (uint64_t)entry * VHD_SECTOR_BYTES + l->bitmap_bytes + within;
}

/* ---- reading ---- */

static struct vhd_extent look_at_bits(struct vhd *v, const struct place *at,
				      uint32_t entry)
{
	struct vhd_bits *b = vhd_bits_find_locked(v, at->key);
	struct vhd_extent x = { .kind = VHD_MISS, .bytes = at->bytes };
	bool set;

	if (!b)
		return x;
	b->used = true;
	x.bytes = (uint64_t)vhd_bits_run(b->bits, at->first, at->n, &set) *
		  VHD_SECTOR_BYTES;
	x.kind = set ? VHD_PRESENT : VHD_ABSENT;
	x.file_offset = data_offset(&v->layout, entry, at->within);
	return x;
}

static struct vhd_extent look_at_block(struct vhd *v, uint64_t off, uint64_t len)
{
	const struct vhd_layout *l = &v->layout;
	struct place at = place_of(l, off, len);
	struct vhd_page *p = vhd_page_of(v, at.block);
	struct vhd_extent x = { .kind = VHD_MISS,
				.bytes = MIN(len, l->block_bytes - at.within) };
	uint32_t entry;

	if (!p)
		return x;
	p->used = true;
	entry = vhd_page_entry(p, at.block);
	if (entry == VHD_BAT_UNUSED) {
		x.kind = VHD_ABSENT;
	} else if (!vhd_entry_is_sound(l, at.block, entry)) {
		x.kind = VHD_BAD;
	} else if (vhd_page_is_full(p, at.block)) {
		x.kind = VHD_PRESENT;
		x.file_offset = data_offset(l, entry, at.within);
	} else {
		x = look_at_bits(v, &at, entry);
	}
	return x;
}

struct vhd_extent vhd_lookup_locked(struct vhd *v, uint64_t off, uint64_t len)
{
	struct vhd_extent x = look_at_block(v, off, len);

	for (unsigned int n = 0; x.bytes < len && n < MERGES_MAX &&
				 (x.kind == VHD_PRESENT || x.kind == VHD_ABSENT);
	     n++) {
		struct vhd_extent next = look_at_block(v, off + x.bytes, len - x.bytes);

		if (next.kind != x.kind || (x.kind == VHD_PRESENT &&
					    next.file_offset != x.file_offset + x.bytes))
			break;
		x.bytes += next.bytes;
	}
	return x;
}

struct disk_extent vhd_map(struct disk *d, uint64_t off, uint64_t len)
{
	struct vhd *v = container_of(d, struct vhd, keeper.disk);
	struct disk_extent ret = { .fd = v->keeper.fd,
				   .in_memory = v->keeper.in_memory,
				   .direct_align = v->keeper.direct_align };
	struct vhd_extent x;

	pthread_mutex_lock(&v->keeper.lock);
	x = vhd_lookup_locked(v, off, len);
	pthread_mutex_unlock(&v->keeper.lock);
	ret.offset = x.file_offset;
	ret.bytes = x.bytes;
	switch (x.kind) {
	case VHD_MISS:
		ret.place = DISK_PLACE_UNKNOWN;
		break;
	case VHD_ABSENT:
		ret.place = vhd_is_child(v) ? DISK_PLACE_PARENT : DISK_PLACE_ZEROS;
		break;
	case VHD_PRESENT:
		ret.place = DISK_PLACE_DATA;
		break;
	case VHD_BAD:
		ret.place = DISK_PLACE_BAD;
		break;
	}
	return ret;
}

/* ---- writing ---- */

/* The bitmap's part of a write to a block that has a place. */
static void aim_at_bits(struct vhd *v, const struct place *at, struct vhd_target *t)
{
	struct vhd_bits *b = vhd_bits_find_locked(v, at->key);
	bool set;

	if (!b)
		return;
	b->used = true;
	t->bytes = at->bytes;
	t->dirty |= b->dirty;
	if (vhd_bits_run(b->bits, at->first, at->n, &set) == at->n && set) {
		t->way = VHD_WAY_WRITE;
		return;
	}
	/* Too much to be committed: the image's thread does that first. */
	if (!b->dirty && !b->pins && v->dirty_bits_n >= VHD_BITS_DIRTY_MAX)
		return;
	b->pins++;
	t->bits = b;
	t->dirty = true;
	t->way = VHD_WAY_WRITE;
}

static struct vhd_target aim(struct vhd *v, uint64_t off, uint64_t len)
{
	const struct vhd_layout *l = &v->layout;
	struct place at = place_of(l, off, len);
	struct vhd_page *p = vhd_page_of(v, at.block);
	struct vhd_target t = { .way = VHD_WAY_ASK };
	uint32_t entry;

	if (v->keeper.failed) {
		t.way = VHD_WAY_BAD;
		return t;
	}
	if (!v->begun || !p)
		return t;
	p->used = true;
	entry = vhd_page_entry(p, at.block);
	if (entry == VHD_BAT_UNUSED)
		return t;
	if (!vhd_entry_is_sound(l, at.block, entry)) {
		t.way = VHD_WAY_BAD;
		return t;
	}
	t.dirty = p->dirty;
	t.file_offset = data_offset(l, entry, at.within);
	t.bytes = MIN(len, l->block_bytes - at.within);
	if (vhd_page_is_full(p, at.block))
		t.way = VHD_WAY_WRITE;
	else
		aim_at_bits(v, &at, &t);
	return t;
}

struct vhd_target vhd_target(struct vhd *v, uint64_t off, uint64_t len)
{
	struct vhd_target t;

	pthread_mutex_lock(&v->keeper.lock);
	t = aim(v, off, len);
	pthread_mutex_unlock(&v->keeper.lock);
	return t;
}

void vhd_written(struct vhd *v, struct vhd_bits *bits, uint64_t off, uint64_t len,
		 bool ok)
{
	struct place at = place_of(&v->layout, off, len);

	pthread_mutex_lock(&v->keeper.lock);
	if (ok)
		vhd_bits_set_locked(v, bits, at.first, at.n);
	bits->pins--;
	pthread_mutex_unlock(&v->keeper.lock);
}
