/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commit: how what was written comes to count.
 *
 *   1. the bitmaps that changed are copied: each set bit is of data whose write has ended;
 *   2. sync: those data, and new blocks (zeros, a bitmap, a footer behind them), are on stable storage;
 *   3. the copied bitmaps and the changed pages of the table are written, each sector of which is old or new after a power cut;
 *   4. sync.
 *
 * So no bit and no entry of the table is ever on stable storage before what it says. A block whose entry is there and whose bits are not
 * reads as before. What changes between 1 and 4 stays dirty for the next commit.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

/* The copies of changed bitmaps, in the order of the list of dirty ones as it was. */
struct copies {
	unsigned int n, room;
	struct vhd_bits **of;
	uint8_t (*bytes)[VHD_BITS_BYTES];
};

static int copies_make(struct copies *c, unsigned int n)
{
	free(c->of);
	free(c->bytes);
	c->of = calloc(n, sizeof(struct vhd_bits *));
	c->bytes = malloc((size_t)n * VHD_BITS_BYTES);
	c->room = n;
	return c->of && c->bytes ? 0 : -ENOMEM;
}

/*
 * All that are dirty: those that others add while room is made come before the older ones in the list, which must not be left out, for a flush
 * waits for them.
 */
static int copy_bits(struct vhd *v, struct copies *c)
{
	struct vhd_bits *b;
	unsigned int n;
	int r = 0;

	pthread_mutex_lock(&v->keeper.lock);
	while (r == 0 && (n = v->dirty_bits_n) > c->room) {
		pthread_mutex_unlock(&v->keeper.lock);
		r = copies_make(c, n);
		pthread_mutex_lock(&v->keeper.lock);
	}
	for (b = r == 0 ? v->dirty_bits : NULL; b; b = b->next_dirty) {
		c->of[c->n] = b;
		memcpy(c->bytes[c->n++], b->bits, VHD_BITS_BYTES);
		b->written = b->generation;
	}
	pthread_mutex_unlock(&v->keeper.lock);
	return r;
}

static int write_all(struct vhd *v, const struct copies *c)
{
	const struct vhd_layout *l = &v->layout;
	int r = 0;

	for (unsigned int i = 0; i < c->n && r == 0; i++)
		r = file_write(v->keeper.fd, c->bytes[i], VHD_BITS_BYTES,
			       c->of[i]->file_offset);
	for (unsigned int i = 0; i < v->dirty_pages_n && r == 0; i++) {
		const struct vhd_page *p = v->dirty_pages[i];

		r = file_write(v->keeper.fd, p->entries, vhd_page_bytes(l, p->index),
			       l->table_offset + p->index * VHD_PAGE_BYTES);
	}
	return r;
}

/* A bitmap without a zero need not be kept: the table's page tells of it. */
static void note_full_locked(struct vhd *v, const struct vhd_bits *b)
{
	uint64_t block = b->key / v->layout.windows;
	struct vhd_page *p = vhd_page_of(v, block);
	uint64_t sectors = vhd_block_len(&v->layout, block) / VHD_SECTOR_BYTES;

	if (p && v->layout.windows == 1 && vhd_bits_are_set(b->bits, (uint32_t)sectors))
		vhd_page_set_full_locked(p, block);
}

/* Takes from the list what has not changed since it was copied. */
static void clean_locked(struct vhd *v)
{
	struct vhd_bits **at = &v->dirty_bits, *b;

	while ((b = *at)) {
		if (b->written != b->generation) {
			at = &b->next_dirty;
			continue;
		}
		*at = b->next_dirty;
		b->dirty = false;
		v->dirty_bits_n--;
		note_full_locked(v, b);
	}
	for (unsigned int i = 0; i < v->dirty_pages_n; i++)
		v->dirty_pages[i]->dirty = false;
	v->dirty_pages_n = 0;
}

static int commit_copies(struct vhd *v, struct copies *c)
{
	int r = copy_bits(v, c);

	if (r == 0)
		r = keeper_sync(&v->keeper);
	if (r < 0 || (!c->n && !v->dirty_pages_n))
		return r;
	r = write_all(v, c);
	if (r == 0)
		r = keeper_sync(&v->keeper);
	if (r < 0)
		return r; /* all stays dirty, and the next commit writes it again */
	pthread_mutex_lock(&v->keeper.lock);
	clean_locked(v);
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

int vhd_commit(struct vhd *v)
{
	struct copies c = { 0 };
	int r = keeper_failed(&v->keeper);

	if (r == 0)
		r = commit_copies(v, &c);
	free(c.of);
	free(c.bytes);
	return r;
}
