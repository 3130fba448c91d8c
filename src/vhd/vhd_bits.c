/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sector bitmaps in memory, a sector of them (2 MiB of the disk) at a time, found by a hash. They are needed only for blocks that are not full:
 * once a bitmap was seen to be all ones, the table's page says so and it is not looked at again. A bit is set when the write of its
 * data has ended, and the bitmap is pinned until then.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "vhd/file.h"

static unsigned int hash_of(uint64_t key)
{
	return (unsigned int)(key * 0x9e3779b97f4a7c15ull >> 40) % VHD_HASH;
}

/* ---- bits ---- */

static bool bit(const uint8_t *bits, uint32_t i)
{
	return bits[i / 8] >> (7 - i % 8) & 1;
}

uint32_t vhd_bits_run(const uint8_t *bits, uint32_t first, uint32_t n, bool *ret_set)
{
	bool set = bit(bits, first);
	uint32_t i = first + 1, end = first + n;

	*ret_set = set;
	while (i < end) {
		if (i % 8 == 0 && end - i >= 8 && bits[i / 8] == (set ? 0xff : 0)) {
			i += 8;
			continue;
		}
		if (bit(bits, i) != set)
			break;
		i++;
	}
	return i - first;
}

bool vhd_bits_are_set(const uint8_t *bits, uint32_t n)
{
	bool set;

	return vhd_bits_run(bits, 0, n, &set) == n && set;
}

struct vhd_bits *vhd_bits_find_locked(const struct vhd *v, uint64_t key)
{
	struct vhd_bits *b = v->hash[hash_of(key)];

	while (b && b->key != key)
		b = b->next;
	return b;
}

void vhd_bits_set_locked(struct vhd *v, struct vhd_bits *b, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		b->bits[i / 8] |= (uint8_t)(0x80 >> i % 8);
	b->generation++;
	if (b->dirty)
		return;
	b->dirty = true;
	b->next_dirty = v->dirty_bits;
	v->dirty_bits = b;
	v->dirty_bits_n++;
}

/* ---- the cache ---- */

static void unlink_locked(struct vhd *v, struct vhd_bits *b)
{
	struct vhd_bits **at = &v->hash[hash_of(b->key)];

	if (b->key == UINT64_MAX)
		return;
	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	b->key = UINT64_MAX;
}

/* One that is given up; NULL when all are in use. */
static struct vhd_bits *victim_locked(struct vhd *v)
{
	for (unsigned int n = 0; n < 2 * VHD_CACHE_BITS; n++) {
		struct vhd_bits *b = v->bits[v->bits_hand];

		v->bits_hand = (v->bits_hand + 1) % VHD_CACHE_BITS;
		if (!b->dirty && !b->pins && !b->used) {
			unlink_locked(v, b);
			return b;
		}
		b->used = false;
	}
	return NULL;
}

static struct vhd_bits *room_locked(struct vhd *v)
{
	struct vhd_bits *b;

	if (v->bits_n == VHD_CACHE_BITS)
		return victim_locked(v);
	b = calloc(1, sizeof(*b));
	if (b) {
		b->key = UINT64_MAX;
		v->bits[v->bits_n++] = b;
	}
	return b;
}

int vhd_bits_load(struct vhd *v, uint64_t key, uint64_t file_offset)
{
	struct vhd_bits *b;
	int r;

	pthread_mutex_lock(&v->keeper.lock);
	b = vhd_bits_find_locked(v, key);
	if (b) {
		pthread_mutex_unlock(&v->keeper.lock);
		return 0;
	}
	b = room_locked(v);
	pthread_mutex_unlock(&v->keeper.lock);
	if (!b)
		return -ENOMEM;
	/* Nobody else sees it yet. */
	r = file_read(v->keeper.fd, b->bits, sizeof(b->bits), file_offset);
	if (r < 0)
		return r;
	b->file_offset = file_offset;
	pthread_mutex_lock(&v->keeper.lock);
	b->key = key;
	b->used = true;
	b->next = v->hash[hash_of(key)];
	v->hash[hash_of(key)] = b;
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

void vhd_bits_free(struct vhd *v)
{
	for (unsigned int i = 0; i < v->bits_n; i++)
		free(v->bits[i]);
}
