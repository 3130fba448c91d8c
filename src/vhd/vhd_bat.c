/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block allocation table, in pages of 4 KiB that are read when first needed. At most VHD_CACHE_PAGES are kept, whatever the table's
 * size; a clock hand finds the one to give up, never a dirty one. The array of pointers to pages is untouched memory until it is used.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/file.h"

struct vhd_page *vhd_page_of(const struct vhd *v, uint64_t block)
{
	return v->pages[block / VHD_PAGE_ENTRIES];
}

void vhd_page_set_full_locked(struct vhd_page *p, uint64_t block)
{
	p->full[block % VHD_PAGE_ENTRIES / 64] |= 1ull << block % 64;
}

size_t vhd_page_bytes(const struct vhd_layout *l, uint64_t index)
{
	return (size_t)MIN((uint64_t)VHD_PAGE_BYTES,
			   l->table_bytes - index * VHD_PAGE_BYTES);
}

/* A page to be read into: a new one, or one that is given up. There are more clean ones than are ever dirty. */
static struct vhd_page *room_for_page(struct vhd *v)
{
	struct vhd_page *p;

	if (v->cache_n < VHD_CACHE_PAGES) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		p->index = UINT64_MAX;
		v->cache[v->cache_n++] = p;
		return p;
	}
	for (;;) {
		p = v->cache[v->hand];
		v->hand = (v->hand + 1) % VHD_CACHE_PAGES;
		if (!p->dirty && !p->used)
			break;
		p->used = false;
	}
	if (p->index != UINT64_MAX)
		v->pages[p->index] = NULL;
	p->index = UINT64_MAX;
	return p;
}

int vhd_bat_load(struct vhd *v, uint64_t block)
{
	uint64_t index = block / VHD_PAGE_ENTRIES;
	struct vhd_page *p;
	int r;

	if (v->pages[index])
		return 0;
	pthread_mutex_lock(&v->keeper.lock);
	p = room_for_page(v);
	pthread_mutex_unlock(&v->keeper.lock);
	if (!p)
		return -ENOMEM;
	/* Nobody else sees it yet. */
	memset(p->full, 0, sizeof(p->full));
	r = file_read(v->keeper.fd, p->entries, vhd_page_bytes(&v->layout, index),
		      v->layout.table_offset + index * VHD_PAGE_BYTES);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->keeper.lock);
	p->index = index;
	p->used = true;
	v->pages[index] = p;
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

void vhd_bat_set(struct vhd *v, uint64_t block, uint32_t entry, bool full)
{
	struct vhd_page *p = vhd_page_of(v, block);

	pthread_mutex_lock(&v->keeper.lock);
	p->entries[block % VHD_PAGE_ENTRIES] = be32(entry);
	if (full)
		vhd_page_set_full_locked(p, block);
	if (!p->dirty) {
		p->dirty = true;
		v->dirty_pages[v->dirty_pages_n++] = p;
	}
	pthread_mutex_unlock(&v->keeper.lock);
}

void vhd_bat_free(struct vhd *v)
{
	for (unsigned int i = 0; i < v->cache_n; i++)
		free(v->cache[i]);
	free(v->pages);
}
