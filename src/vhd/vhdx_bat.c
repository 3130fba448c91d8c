/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the block allocation table says of a place of the disk: [MS-VHDX] 2.5. A block of a differencing image that is there in part has a
 * bit a sector in its chunk's bitmap; a block that is not there at all is the parent's, and one that is ZERO, UNMAPPED or UNDEFINED is nobody's: zeros.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>

/* ---- entries ---- */

static uint64_t key_of(uint64_t index)
{
	return VHDX_KEY_BAT(index / VHDX_PAGE_ENTRIES);
}

static int load_entry(struct vhdx *v, uint64_t index, struct vhdx_page **ret)
{
	return vhdx_page_load(v, key_of(index),
			      v->layout.bat_offset +
				      index / VHDX_PAGE_ENTRIES * VHDX_SECTOR_BYTES,
			      ret);
}

int vhdx_entry_get(struct vhdx *v, uint64_t index, uint64_t *ret)
{
	struct vhdx_page *p;
	int r = load_entry(v, index, &p);

	*ret = r == 0 ? p->words[index % VHDX_PAGE_ENTRIES] : 0;
	return r;
}

int vhdx_entry_set(struct vhdx *v, uint64_t index, uint64_t entry)
{
	struct vhdx_page *p;
	int r = load_entry(v, index, &p);

	if (r == 0)
		r = vhdx_page_room(v, p);
	if (r == 0)
		vhdx_page_set(v, p, index % VHDX_PAGE_ENTRIES, entry);
	return r;
}

static bool clear_of(uint64_t off, uint64_t len, uint64_t region, uint64_t region_len)
{
	return off + len <= region || off >= region + region_len;
}

bool vhdx_place_is_sound(const struct vhdx *v, uint64_t entry, uint64_t len)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t off = VHDX_BAT_OFFSET(entry);

	return off >= VHDX_HEADER_SECTION_BYTES && range_ok(off, len, v->file_bytes) &&
	       clear_of(off, len, l->bat_offset, l->bat_bytes) &&
	       clear_of(off, len, l->metadata_offset, l->metadata_bytes) &&
	       clear_of(off, len, l->log_offset, l->log_bytes);
}

/* Of the last block as much as the disk has. */
bool vhdx_bat_is_sound(const struct vhdx *v, uint64_t block, uint64_t entry)
{
	return vhdx_place_is_sound(v, entry, vhdx_block_len(&v->layout, block));
}

/* ---- looking up ---- */

static enum vhdx_kind kind_of(const struct vhdx *v, uint64_t block, uint64_t entry)
{
	switch (VHDX_BAT_STATE(entry)) {
	case VHDX_BLOCK_NOT_PRESENT:
		return v->layout.has_parent ? VHDX_PARENT : VHDX_ABSENT;
	case VHDX_BLOCK_UNDEFINED:
	case VHDX_BLOCK_ZERO:
	case VHDX_BLOCK_UNMAPPED:
		return VHDX_ABSENT;
	case VHDX_BLOCK_FULLY_PRESENT:
		return vhdx_bat_is_sound(v, block, entry) ? VHDX_PRESENT : VHDX_BAD;
	case VHDX_BLOCK_PARTIALLY_PRESENT:
		return v->layout.has_parent && vhdx_bat_is_sound(v, block, entry)
			       ? VHDX_PARTIAL
			       : VHDX_BAD;
	default:
		return VHDX_BAD;
	}
}

/* Of a block that is there in part: whose the sectors are. */
static void look_at_bits(struct vhdx *v, uint64_t off, struct vhdx_extent *x,
			 bool for_write)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t sector = off / l->logical_bytes, run;
	uint64_t n = MIN(x->bytes / l->logical_bytes,
			 VHDX_PAGE_BITS - sector % VHDX_PAGE_BITS);
	struct vhdx_page *p =
		vhdx_page_find_locked(v, VHDX_KEY_BITMAP(sector / VHDX_PAGE_BITS));
	bool set;

	if (!p) {
		x->kind = VHDX_MISS;
		return;
	}
	set = vhdx_bits_run(p, sector, n, &run);
	x->dirty |= p->dirty;
	x->bytes = n * l->logical_bytes;
	if (set && (run == n || !for_write)) {
		x->kind = VHDX_PRESENT;
		x->bytes = run * l->logical_bytes;
	} else if (!for_write) {
		x->kind = VHDX_PARENT;
		x->bytes = run * l->logical_bytes;
	}
}

static struct vhdx_extent lookup_block(struct vhdx *v, uint64_t off, uint64_t len,
				       bool for_write)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t block = off / l->block_bytes, within = off % l->block_bytes;
	uint64_t index = vhdx_bat_index(l, block), entry;
	struct vhdx_page *p = vhdx_page_find_locked(v, key_of(index));
	struct vhdx_extent x = { .kind = VHDX_MISS,
				 .bytes = MIN(l->block_bytes - within, len) };

	if (!p)
		return x;
	entry = p->words[index % VHDX_PAGE_ENTRIES];
	x.kind = kind_of(v, block, entry);
	x.dirty = p->dirty;
	x.file_offset = VHDX_BAT_OFFSET(entry) + within;
	if (x.kind == VHDX_PARTIAL)
		look_at_bits(v, off, &x, for_write);
	return x;
}

static bool can_join(const struct vhdx_extent *x, const struct vhdx_extent *next)
{
	if (next->kind != x->kind)
		return false;
	if (x->kind == VHDX_PRESENT || x->kind == VHDX_PARTIAL)
		return next->file_offset == x->file_offset + x->bytes;
	return x->kind == VHDX_ABSENT || x->kind == VHDX_PARENT;
}

/* Blocks that follow each other in the file too are one extent, as all of a fixed image are. */
struct vhdx_extent vhdx_lookup_locked(struct vhdx *v, uint64_t off, uint64_t len,
				      bool for_write)
{
	struct vhdx_extent x = lookup_block(v, off, len, for_write);

	while (x.bytes < len) {
		struct vhdx_extent next =
			lookup_block(v, off + x.bytes, len - x.bytes, for_write);

		if (!can_join(&x, &next))
			break;
		x.bytes += next.bytes;
		x.dirty |= next.dirty;
	}
	return x;
}

struct disk_extent vhdx_map(struct disk *d, uint64_t off, uint64_t len)
{
	static const enum disk_place places[] = {
		[VHDX_MISS] = DISK_PLACE_UNKNOWN,    [VHDX_ABSENT] = DISK_PLACE_ZEROS,
		[VHDX_PRESENT] = DISK_PLACE_DATA,    [VHDX_PARENT] = DISK_PLACE_PARENT,
		[VHDX_PARTIAL] = DISK_PLACE_UNKNOWN, [VHDX_BAD] = DISK_PLACE_BAD,
	};
	struct vhdx *v = container_of(d, struct vhdx, keeper.disk);
	struct vhdx_extent x;

	pthread_mutex_lock(&v->keeper.lock);
	x = vhdx_lookup_locked(v, off, len, false);
	pthread_mutex_unlock(&v->keeper.lock);
	return (struct disk_extent){ .place = places[x.kind],
				     .in_memory = v->keeper.in_memory,
				     .fd = v->keeper.fd,
				     .direct_align = v->keeper.direct_align,
				     .offset = x.file_offset,
				     .bytes = x.bytes };
}

int vhdx_load_at(struct vhdx *v, uint64_t off)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t block = off / l->block_bytes, entry;
	struct vhdx_page *p;
	int r = vhdx_entry_get(v, vhdx_bat_index(l, block), &entry);

	if (r < 0 || !l->has_parent ||
	    VHDX_BAT_STATE(entry) != VHDX_BLOCK_PARTIALLY_PRESENT)
		return r;
	return vhdx_bits_load(v, off / l->logical_bytes, &p);
}
