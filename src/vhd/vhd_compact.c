/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compaction. Blocks that hold nothing lose their entries; then the last blocks of the file go, some at a time, into the gaps before them, and the file
 * ends behind what is left. A block is copied, synced, and only then does its entry name the new place; the old one is not used again before
 * the end, so that at each moment every entry names whole data. A table that lies behind a gap it fits in goes there last.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

#define DATA_ALIGN 4096u
#define BLOCKS_MAX (4u << 20) /* 32 MiB of memory; Hyper-V's blocks are never more */
#define BATCH 16u             /* moves that share two syncs */

struct place {
	uint32_t sector, block;
};
struct span {
	uint64_t off, len;
};

struct compact {
	int fd;
	struct vhd_layout l;
	uint64_t need;
	uint8_t *buf;
	struct place *blocks; /* by sector */
	size_t n;
	struct span fixed[2 + VHD_LOCATORS]; /* structures that stay, by offset */
	unsigned int fixed_n;
	const struct image_progress *progress;
	uint64_t done, total;
};

static int by_sector(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->sector < y->sector ? -1 : x->sector > y->sector;
}

static int by_offset(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

static bool step(struct compact *c)
{
	return image_step(c->progress, c->done, c->total);
}

/* ---- blocks that hold nothing ---- */

static int look_at(struct compact *c, uint64_t block, be32_t *entry, bool *ret_changed)
{
	uint32_t sector = be32_get(entry);
	int r;

	if (sector == VHD_BAT_UNUSED)
		return 0;
	r = vhd_block_is_empty(c->fd, &c->l, sector, 0, vhd_block_len(&c->l, block),
			       c->buf);
	if (r > 0) {
		*entry = be32(VHD_BAT_UNUSED);
		*ret_changed = true;
		return 0;
	}
	if (r == 0)
		c->blocks[c->n++] =
			(struct place){ .sector = sector, .block = (uint32_t)block };
	return r;
}

/* A page of the table: its blocks are noted, or leave it. */
static int look_at_page(struct compact *c, uint64_t first)
{
	uint64_t index = first / VHD_PAGE_ENTRIES;
	uint64_t at = c->l.table_offset + index * VHD_PAGE_BYTES;
	size_t bytes = vhd_page_bytes(&c->l, index);
	be32_t entries[VHD_PAGE_ENTRIES];
	bool changed = false;
	int r = file_read(c->fd, entries, bytes, at);

	for (uint64_t i = 0; i < VHD_PAGE_ENTRIES && first + i < c->l.blocks && r == 0;
	     i++) {
		if (i % 16 == 0 && !step(c))
			r = -ECANCELED;
		else
			r = look_at(c, first + i, &entries[i], &changed);
		c->done++;
	}
	return r == 0 && changed ? file_write(c->fd, entries, bytes, at) : r;
}

/* What left the table is free when that is durable. */
static int drop_empty(struct compact *c)
{
	int r = 0;

	for (uint64_t first = 0; first < c->l.blocks && r == 0; first += VHD_PAGE_ENTRIES)
		r = look_at_page(c, first);
	if (r == 0)
		r = file_sync(c->fd);
	qsort(c->blocks, c->n, sizeof(*c->blocks), by_sector);
	return r;
}

/* ---- gaps ---- */

static void add_fixed(struct compact *c, uint64_t off, uint64_t len)
{
	if (len)
		c->fixed[c->fixed_n++] = (struct span){ off, len };
}

static void note_structures(struct compact *c)
{
	const struct vhd_layout *l = &c->l;

	c->fixed_n = 0;
	add_fixed(c, l->header_offset, sizeof(l->header));
	add_fixed(c, l->table_offset, l->table_bytes);
	for (unsigned int i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator *e = &l->header.locators[i];
		uint64_t off = be64_get(&e->data_offset);
		uint64_t len = be32_get(&e->data_length);

		if (be32_get(&e->platform) && range_ok(off, len, l->end))
			add_fixed(c, off, len);
	}
	qsort(c->fixed, c->fixed_n, sizeof(*c->fixed), by_offset);
}

/* Behind everything that begins before `at` + `len` and reaches over `at`; *i is the block that was looked at last. */
static uint64_t clear_from(const struct compact *c, uint64_t at, uint64_t len, size_t *i)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (unsigned int f = 0; f < c->fixed_n; f++) {
			const struct span *s = &c->fixed[f];

			if (at < s->off + s->len && s->off < at + len) {
				at = s->off + s->len;
				moved = true;
			}
		}
		for (; *i < c->n; ++*i) {
			uint64_t off = (uint64_t)c->blocks[*i].sector * VHD_SECTOR_BYTES;

			if (off >= at + len)
				break;
			if (at < off + c->need) {
				at = off + c->need;
				moved = true;
			}
		}
	}
	return at;
}

/* Where the next block can go, from `at` on: its data at a page of the host. */
static uint64_t next_gap(const struct compact *c, uint64_t at, size_t *i)
{
	uint32_t bitmap = c->l.bitmap_bytes;

	for (;;) {
		uint64_t to = align_up(at + bitmap, DATA_ALIGN) - bitmap;

		at = clear_from(c, to, c->need, i);
		if (at == to)
			return to;
	}
}

/* ---- moving ---- */

struct move {
	uint32_t from, to, block;
};

static int do_moves(struct compact *c, const struct move *moves, unsigned int n)
{
	int r = 0;

	for (unsigned int i = 0; i < n && r == 0; i++)
		r = vhd_block_copy(c->fd, &c->l, moves[i].from, moves[i].to, c->buf);
	if (r == 0)
		r = file_sync(c->fd);
	for (unsigned int i = 0; i < n && r == 0; i++) {
		be32_t entry = be32(moves[i].to);

		r = file_write(c->fd, &entry, sizeof(entry),
			       c->l.table_offset +
				       (uint64_t)moves[i].block * sizeof(entry));
	}
	return r == 0 ? file_sync(c->fd) : r;
}

/* The last blocks into the first gaps. Those that went are behind `left` in the list, with their new places. */
static int fill_gaps(struct compact *c)
{
	struct move moves[BATCH];
	unsigned int n = 0;
	uint64_t at = VHD_SECTOR_BYTES;
	size_t left = c->n, i = 0;
	int r = 0;

	while (left && r == 0) {
		struct place *last = &c->blocks[left - 1];
		uint64_t to = next_gap(c, at, &i);

		if (to + c->need > (uint64_t)last->sector * VHD_SECTOR_BYTES)
			break;
		moves[n++] =
			(struct move){ last->sector, (uint32_t)(to / VHD_SECTOR_BYTES),
				       last->block };
		last->sector = (uint32_t)(to / VHD_SECTOR_BYTES);
		at = to + c->need;
		left--;
		c->done++;
		if (n == BATCH) {
			r = step(c) ? do_moves(c, moves, n) : -ECANCELED;
			n = 0;
		}
	}
	if (r == 0 && n)
		r = do_moves(c, moves, n);
	qsort(c->blocks, c->n, sizeof(*c->blocks), by_sector);
	return r;
}

/* ---- the table ---- */

static int copy_table(struct compact *c, uint64_t to)
{
	int r = 0;

	for (uint64_t at = 0, n; at < c->l.table_bytes && r == 0; at += n) {
		n = MIN(c->l.table_bytes - at, (uint64_t)VHD_COPY_BYTES);
		r = file_read(c->fd, c->buf, n, c->l.table_offset + at);
		if (r == 0)
			r = file_write(c->fd, c->buf, n, to + at);
	}
	return r == 0 ? file_sync(c->fd) : r;
}

static int move_table(struct compact *c)
{
	struct vhd_layout *l = &c->l;
	uint64_t at = VHD_SECTOR_BYTES, to = 0;
	size_t i = 0;
	int r;

	while (to != at) {
		to = align_up(at, VHD_SECTOR_BYTES);
		at = clear_from(c, to, l->table_bytes, &i);
	}
	/* Its own place is taken: a gap is one before it. */
	if (to + l->table_bytes > l->table_offset)
		return 0;
	r = copy_table(c, to);
	if (r < 0)
		return r;
	l->table_offset = to;
	l->header.table_offset = be64(to);
	/* No more entries than were copied. */
	l->header.table_entries = be32((uint32_t)l->blocks);
	vhd_header_seal(&l->header);
	return vhd_write_header(c->fd, l);
}

/* ---- all ---- */

static int finish(struct compact *c)
{
	uint64_t end;
	int r = move_table(c);

	if (r < 0)
		return r;
	end = vhd_layout_structures_end(&c->l);
	if (c->n)
		end = MAX(end, (uint64_t)c->blocks[c->n - 1].sector * VHD_SECTOR_BYTES +
				       c->need);
	return vhd_cut_end(c->fd, &c->l, align_up(end, VHD_SECTOR_BYTES));
}

static int compact(struct compact *c)
{
	int r = drop_empty(c);

	if (r < 0)
		return r;
	note_structures(c);
	r = fill_gaps(c);
	if (r == 0)
		r = finish(c);
	if (r == 0) {
		c->done = c->total;
		step(c); /* too late to be canceled */
	}
	return r;
}

static int make_room(struct compact *c, uint64_t blocks, struct image_error *error)
{
	if (blocks > BLOCKS_MAX)
		return image_fail(
			error, -EFBIG,
			"has too many small blocks to be compacted; convert it");
	c->need = (uint64_t)c->l.bitmap_bytes + c->l.block_bytes;
	c->total = c->l.blocks + blocks;
	c->blocks = calloc(blocks + 1, sizeof(*c->blocks));
	c->buf = malloc(VHD_COPY_BYTES);
	if (!c->blocks || !c->buf)
		return image_fail(error, -ENOMEM, "cannot be compacted: no memory");
	return 0;
}

static int run(struct compact *c, uint64_t blocks, struct image_error *error)
{
	int r = make_room(c, blocks, error);

	if (r < 0)
		return r;
	r = compact(c);
	if (r == -ECANCELED)
		return image_fail(error, r, "was not compacted to the end");
	return r < 0 ? image_fail(error, r, "cannot be compacted: %s", strerror(-r)) : 0;
}

int vhd_compact(int fd, const struct image_progress *progress, struct image_error *error)
{
	struct compact c = { .fd = fd, .progress = progress };
	struct image_check found;
	int r = vhd_layout_read(fd, &c.l, error);

	if (r == 0 && c.l.type == VHD_FIXED)
		return image_fail(error, -EINVAL,
				  "is a fixed image, which keeps room for all of its "
				  "disk; convert it to a dynamic one");
	if (r == 0)
		r = vhd_change_begin(fd, &c.l, error);
	if (r < 0)
		return r;
	/* A block that another one overlaps cannot be moved. */
	r = vhd_check(fd, &found, NULL, error);
	if (r < 0)
		return r;
	if (found.errors)
		return image_fail(error, -EUCLEAN, "is damaged; repair it first");
	r = run(&c, found.blocks, error);
	free(c.blocks);
	free(c.buf);
	return r;
}
