/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block allocation table, in pages of 4 KiB that are read when first needed. At most VHDX_CACHE_PAGES are kept, whatever the table's
 * size; a clock hand finds the one to give up, never a dirty one. The array of pointers to pages is untouched memory until it is used.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "vhd/file.h"

static uint64_t page_of(const struct vhdx *v, uint64_t block)
{
	return vhdx_bat_index(&v->layout, block) / VHDX_PAGE_ENTRIES;
}

static uint64_t *entry_of(const struct vhdx *v, struct vhdx_page *p, uint64_t block)
{
	return &p->entries[vhdx_bat_index(&v->layout, block) % VHDX_PAGE_ENTRIES];
}

/* ---- looking up ---- */

static bool clear_of(uint64_t off, uint64_t len, uint64_t region, uint64_t region_len)
{
	return off + len <= region || off >= region + region_len;
}

bool vhdx_bat_is_sound(const struct vhdx *v, uint64_t block, uint64_t entry)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t off = VHDX_BAT_OFFSET(entry);
	/* Of the last block as much as the disk has. */
	uint64_t len =
		MIN((uint64_t)l->block_bytes, l->disk_bytes - block * l->block_bytes);

	return off >= VHDX_HEADER_SECTION_BYTES && range_ok(off, len, v->file_bytes) &&
	       clear_of(off, len, l->bat_offset, l->bat_bytes) &&
	       clear_of(off, len, l->metadata_offset, l->metadata_bytes) &&
	       clear_of(off, len, l->log_offset, l->log_bytes);
}

static enum vhdx_kind kind_of(const struct vhdx *v, uint64_t block, uint64_t entry)
{
	switch (VHDX_BAT_STATE(entry)) {
	case VHDX_BLOCK_NOT_PRESENT:
	case VHDX_BLOCK_UNDEFINED:
	case VHDX_BLOCK_ZERO:
	case VHDX_BLOCK_UNMAPPED:
		return VHDX_ABSENT;
	case VHDX_BLOCK_FULLY_PRESENT:
		return vhdx_bat_is_sound(v, block, entry) ? VHDX_PRESENT : VHDX_BAD;
	default:
		return VHDX_BAD;
	}
}

static struct vhdx_extent lookup_block(struct vhdx *v, uint64_t off)
{
	const struct vhdx_layout *l = &v->layout;
	uint64_t block = off / l->block_bytes, within = off % l->block_bytes;
	struct vhdx_page *p = v->pages[page_of(v, block)];
	struct vhdx_extent x = { .kind = VHDX_MISS, .bytes = l->block_bytes - within };
	uint64_t entry;

	if (!p)
		return x;
	p->used = true;
	entry = *entry_of(v, p, block);
	x.kind = kind_of(v, block, entry);
	x.dirty = p->dirty;
	x.file_offset = VHDX_BAT_OFFSET(entry) + within;
	return x;
}

/* Blocks that follow each other in the file too are one extent, as all of a fixed image are. */
struct vhdx_extent vhdx_lookup_locked(struct vhdx *v, uint64_t off, uint64_t len)
{
	struct vhdx_extent x = lookup_block(v, off);

	while (x.bytes < len && (x.kind == VHDX_PRESENT || x.kind == VHDX_ABSENT)) {
		struct vhdx_extent next = lookup_block(v, off + x.bytes);

		if (next.kind != x.kind || (x.kind == VHDX_PRESENT &&
					    next.file_offset != x.file_offset + x.bytes))
			break;
		x.bytes += next.bytes;
		x.dirty |= next.dirty;
	}
	x.bytes = MIN(x.bytes, len);
	return x;
}

/* ---- pages ---- */

/* A page to be read into: a new one, or one that is given up. There are more clean ones than are ever dirty. */
static struct vhdx_page *room_for_page(struct vhdx *v)
{
	struct vhdx_page *p;

	if (v->cache_n < VHDX_CACHE_PAGES) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		p->index = UINT64_MAX;
		v->cache[v->cache_n++] = p;
		return p;
	}
	for (;;) {
		p = v->cache[v->hand];
		v->hand = (v->hand + 1) % VHDX_CACHE_PAGES;
		if (!p->dirty && !p->used)
			break;
		p->used = false;
	}
	if (p->index != UINT64_MAX)
		v->pages[p->index] = NULL;
	p->index = UINT64_MAX;
	return p;
}

int vhdx_bat_load(struct vhdx *v, uint64_t block)
{
	uint64_t index = page_of(v, block);
	struct vhdx_page *p;
	int r;

	if (v->pages[index])
		return 0;
	pthread_mutex_lock(&v->lock);
	p = room_for_page(v);
	pthread_mutex_unlock(&v->lock);
	if (!p)
		return -ENOMEM;
	/* Nobody else sees it yet. */
	r = file_read(v->fd, p->entries, sizeof(p->entries),
		      v->layout.bat_offset + index * VHDX_SECTOR_BYTES);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->lock);
	p->index = index;
	p->used = true;
	v->pages[index] = p;
	pthread_mutex_unlock(&v->lock);
	return 0;
}

uint64_t vhdx_bat_get(const struct vhdx *v, uint64_t block)
{
	return *entry_of(v, v->pages[page_of(v, block)], block);
}

bool vhdx_bat_is_dirty(const struct vhdx *v, uint64_t block)
{
	return v->pages[page_of(v, block)]->dirty;
}

void vhdx_bat_set(struct vhdx *v, uint64_t block, uint64_t entry)
{
	struct vhdx_page *p = v->pages[page_of(v, block)];

	pthread_mutex_lock(&v->lock);
	*entry_of(v, p, block) = entry;
	if (!p->dirty) {
		p->dirty = true;
		v->dirty[v->dirty_n++] = p;
	}
	pthread_mutex_unlock(&v->lock);
}

void vhdx_bat_free(struct vhdx *v)
{
	for (unsigned int i = 0; i < v->cache_n; i++)
		free(v->cache[i]);
	free(v->pages);
}
