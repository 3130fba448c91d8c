/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of the block table and of the sector bitmaps, 4 KiB each, read when first needed. At most VHDX_CACHE_PAGES are kept, whatever the
 * image's size; a clock hand finds the one to give up, never a dirty one.
 *
 * The image's thread alone changes anything here, under the lock; so it may look without.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/file.h"

static unsigned int bucket(uint64_t key)
{
	return (unsigned int)((key * 0x9e3779b97f4a7c15ull) >> 52);
}
static_assert(VHDX_BUCKETS == 1u << 12, "twelve bits of the product");

struct vhdx_page *vhdx_page_find(const struct vhdx *v, uint64_t key)
{
	struct vhdx_page *p = v->buckets[bucket(key)];

	while (p && p->key != key)
		p = p->next;
	return p;
}

struct vhdx_page *vhdx_page_find_locked(struct vhdx *v, uint64_t key)
{
	struct vhdx_page *p = vhdx_page_find(v, key);

	if (p)
		p->used = true;
	return p;
}

static void forget_locked(struct vhdx *v, struct vhdx_page *p)
{
	struct vhdx_page **at;

	if (p->key == VHDX_KEY_NONE)
		return;
	for (at = &v->buckets[bucket(p->key)]; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	p->key = VHDX_KEY_NONE;
}

static struct vhdx_page *new_page(struct vhdx *v)
{
	struct vhdx_page *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->key = VHDX_KEY_NONE;
	v->cache[v->cache_n++] = p;
	return p;
}

/* A page to be read into: a new one, or one that is given up. There are more clean ones than are ever dirty. */
static struct vhdx_page *room_for_page_locked(struct vhdx *v)
{
	struct vhdx_page *p;

	if (v->cache_n < VHDX_CACHE_PAGES)
		return new_page(v);
	for (;;) {
		p = v->cache[v->hand];
		v->hand = (v->hand + 1) % VHDX_CACHE_PAGES;
		if (!p->dirty && !p->used)
			break;
		p->used = false;
	}
	forget_locked(v, p);
	return p;
}

int vhdx_page_load(struct vhdx *v, uint64_t key, uint64_t offset, struct vhdx_page **ret)
{
	struct vhdx_page *p = vhdx_page_find(v, key);
	int r;

	*ret = p;
	if (p)
		return 0;
	pthread_mutex_lock(&v->keeper.lock);
	p = room_for_page_locked(v);
	pthread_mutex_unlock(&v->keeper.lock);
	if (!p)
		return -ENOMEM;
	/* Nobody else sees it yet. */
	r = file_read(v->keeper.fd, p->words, sizeof(p->words), offset);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->keeper.lock);
	p->key = key;
	p->offset = offset;
	p->used = true;
	p->next = v->buckets[bucket(key)];
	v->buckets[bucket(key)] = p;
	pthread_mutex_unlock(&v->keeper.lock);
	*ret = p;
	return 0;
}

int vhdx_page_room(struct vhdx *v, const struct vhdx_page *p)
{
	if (p->dirty || v->dirty_n < VHDX_DIRTY_MAX)
		return 0;
	return vhdx_commit(v);
}

void vhdx_page_set(struct vhdx *v, struct vhdx_page *p, unsigned int word, uint64_t value)
{
	pthread_mutex_lock(&v->keeper.lock);
	p->words[word] = value;
	if (!p->dirty) {
		p->dirty = true;
		v->dirty[v->dirty_n++] = p;
	}
	pthread_mutex_unlock(&v->keeper.lock);
}

void vhdx_page_free(struct vhdx *v)
{
	for (unsigned int i = 0; i < v->cache_n; i++)
		free(v->cache[i]);
}
