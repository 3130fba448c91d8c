/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cursor goes over the source and passes by what is not to be copied. Of a whole chain: parts that no file has, and holes in their files. Of one image
 * alone: what is its parent's. What is left is read in pieces by a fixed number of slots; a slot leaves out the zeros of its piece, or makes zeros of
 * them, writes the rest, run by run, and takes the next piece. So memory is SLOTS pieces, whatever the disk's size.
 */
#include "vhd/image_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/chain.h"
#include "vhd/file.h"

#define SLOTS 16u
#define PIECE_BYTES (256u << 10) /* all slots' together stay in a processor's cache */
#define RUN_BYTES (16u << 10)    /* zeros that are left out */
#define SECTOR_BYTES 4096u       /* the largest of a target */
#define ZEROS_BYTES_MAX (1ull << 30)
#define STEP_BYTES (32ull << 20)

struct copy;

struct slot {
	struct copy *copy;
	struct disk_req req;
	struct iovec iov;
	uint64_t off;
	size_t len, at; /* of the piece; `at`: up to where it is written */
	bool busy;
	char *buf;
};

struct copy {
	struct disk *from, *to;
	bool own; /* what `from` itself has, zeros too; else all that it reads as, where that is not zeros */
	struct aio *aio;
	uint64_t bytes; /* of the source */
	uint64_t next;  /* the cursor */
	uint64_t known; /* up to here the cursor's part is to be read, */
	bool zeros;     /* or made zeros */
	uint64_t told;
	const struct image_progress *progress;
	unsigned int busy;
	int r;
	char *buffers;
	struct slot slots[SLOTS];
};

/* ---- the cursor ---- */

/* Of an extent in a file, what a hole at its beginning takes, or 0; *data becomes what is data from there on. */
static uint64_t hole_at(const struct disk_extent *x, uint64_t *data)
{
	/* Whole runs only, so that pieces begin and end at sectors. */
	uint64_t hole = align_down(MIN(file_hole(x->fd, x->offset), x->bytes), RUN_BYTES);

	*data = MIN(file_data(x->fd, x->offset + hole), x->bytes - hole);
	*data = MAX(align_up(*data, RUN_BYTES), (uint64_t)RUN_BYTES);
	return hole;
}

/* What of a whole chain is to be read from the cursor on; it moves behind what is not. */
static int look_at_all(struct copy *c)
{
	struct disk_extent x;
	uint64_t hole, data = 0;
	int r = chain_map_wait(c->from, c->aio, c->next, c->bytes - c->next, &x);

	if (r < 0)
		return r;
	hole = x.place == DISK_PLACE_ZEROS ? x.bytes : hole_at(&x, &data);
	if (hole)
		c->next += hole;
	else
		c->known = MIN(align_up(c->next + data, SECTOR_BYTES), c->bytes);
	return 0;
}

/* The same of what the image itself has, zeros too. */
static int look_at_own(struct copy *c)
{
	struct disk_extent x;
	int r = chain_own_wait(c->from, c->aio, c->next, c->bytes - c->next, &x);

	if (r < 0)
		return r;
	if (x.place == DISK_PLACE_PARENT) {
		c->next += x.bytes;
	} else {
		c->known = c->next + x.bytes;
		c->zeros = x.place == DISK_PLACE_ZEROS;
	}
	return 0;
}

/* The cursor stands on what is to be copied, or at the end. */
static int find_data(struct copy *c)
{
	int r = 0;

	while (r == 0 && c->next < c->bytes && c->next >= c->known)
		r = c->own ? look_at_own(c) : look_at_all(c);
	return r;
}

/* ---- slots ---- */

static void write_run(struct slot *s);

static void slot_end(struct slot *s, int r)
{
	s->busy = false;
	s->copy->busy--;
	if (s->copy->r == 0)
		s->copy->r = r;
}

static void submit(struct slot *s, struct disk *d, enum disk_op op, size_t at, size_t n,
		   void (*done)(struct disk_req *, int))
{
	s->iov = (struct iovec){ s->buf + at, n };
	s->req = (struct disk_req){ .op = op,
				    .off = s->off + at,
				    .len = n,
				    .iov = &s->iov,
				    .iovcnt = 1,
				    .done = done };
	disk_submit(d, s->copy->aio, &s->req);
}

static void written(struct disk_req *req, int r)
{
	struct slot *s = container_of(req, struct slot, req);

	if (r < 0)
		slot_end(s, r);
	else
		write_run(s);
}

static bool is_zero(const char *p, size_t n)
{
	return !*p && memcmp(p, p + 1, n - 1) == 0;
}

static void submit_zeros(struct slot *s, uint64_t off, uint64_t len)
{
	s->req = (struct disk_req){ .op = DISK_WRITE_ZEROES,
				    .flags = DISK_MAY_UNMAP,
				    .off = off,
				    .len = len,
				    .done = written };
	disk_submit(s->copy->to, s->copy->aio, &s->req);
}

/* The next run: zeros are passed by, or made. */
static void write_run(struct slot *s)
{
	size_t from = s->at, to;

	while (from < s->len &&
	       is_zero(s->buf + from, MIN(s->len - from, (size_t)RUN_BYTES)))
		from += MIN(s->len - from, (size_t)RUN_BYTES);
	if (s->copy->own && from > s->at) {
		to = s->at;
		s->at = from;
		submit_zeros(s, s->off + to, from - to);
		return;
	}
	for (to = from;
	     to < s->len && !is_zero(s->buf + to, MIN(s->len - to, (size_t)RUN_BYTES));)
		to += MIN(s->len - to, (size_t)RUN_BYTES);
	s->at = to;
	if (from == to)
		slot_end(s, 0);
	else
		submit(s, s->copy->to, DISK_WRITE, from, to - from, written);
}

static void have_read(struct disk_req *req, int r)
{
	struct slot *s = container_of(req, struct slot, req);

	if (r < 0) {
		slot_end(s, r);
		return;
	}
	s->at = 0;
	write_run(s);
}

static void take_zeros(struct slot *s)
{
	struct copy *c = s->copy;
	uint64_t n = MIN(c->known - c->next, ZEROS_BYTES_MAX);

	c->next += n;
	s->at = s->len = 0;
	s->busy = true;
	c->busy++;
	submit_zeros(s, s->off, n);
}

static void take_piece(struct slot *s)
{
	struct copy *c = s->copy;
	uint64_t piece_end = align_down(c->next, PIECE_BYTES) + PIECE_BYTES;

	/* What of a chain is read or written twice because of it is the same. */
	s->off = c->own ? c->next : align_down(c->next, SECTOR_BYTES);
	if (c->zeros) {
		take_zeros(s);
		return;
	}
	s->len = (size_t)(MIN(c->known, piece_end) - s->off);
	c->next = s->off + s->len;
	s->busy = true;
	c->busy++;
	submit(s, c->from, DISK_READ, 0, s->len, have_read);
}

/* Gives each free slot a piece. */
static int fill(struct copy *c)
{
	int r = 0;

	for (unsigned int i = 0; i < SLOTS && r == 0; i++) {
		if (c->slots[i].busy)
			continue;
		r = find_data(c);
		if (r < 0 || c->next >= c->bytes)
			break;
		take_piece(&c->slots[i]);
	}
	return r;
}

static int wait_for_some(struct copy *c)
{
	struct pollfd p = { .fd = aio_fd(c->aio), .events = POLLIN };

	aio_submit(c->aio);
	if (!aio_pending(c->aio) || aio_reap(c->aio, 0))
		return 0;
	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		return -errno;
	aio_reap(c->aio, 0);
	return 0;
}

static int run(struct copy *c)
{
	int r = 0;

	while (r == 0 && c->r == 0 && (c->next < c->bytes || c->busy)) {
		r = fill(c);
		if (r == 0)
			r = wait_for_some(c);
		if (r == 0 && c->next >= c->told + STEP_BYTES) {
			c->told = c->next;
			if (!image_step(c->progress, c->next, c->bytes))
				r = -ECANCELED;
		}
	}
	aio_drain(c->aio);
	return r < 0 ? r : c->r;
}

static void flushed(struct disk_req *req, int r)
{
	slot_end(container_of(req, struct slot, req), r);
}

static int flush(struct copy *c)
{
	struct slot *s = &c->slots[0];

	c->busy++;
	s->req = (struct disk_req){ .op = DISK_FLUSH, .done = flushed };
	disk_submit(c->to, c->aio, &s->req);
	aio_drain(c->aio);
	return c->r;
}

static int run_and_flush(struct copy *c)
{
	int r = run(c);

	return r < 0 ? r : flush(c);
}

int image_copy(struct disk *from, struct disk *to, bool own,
	       const struct image_progress *progress)
{
	struct aio_params ap = { .depth = 2 * SLOTS };
	struct copy *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (!c)
		return r;
	*c = (struct copy){ .from = from,
			    .to = to,
			    .own = own,
			    .bytes = disk_bytes(from),
			    .progress = progress };
	if (posix_memalign((void **)&c->buffers, 4096, SLOTS * (size_t)PIECE_BYTES) == 0)
		r = aio_new(&ap, &c->aio);
	for (unsigned int i = 0; r == 0 && i < SLOTS; i++) {
		c->slots[i].copy = c;
		c->slots[i].buf = c->buffers + i * (size_t)PIECE_BYTES;
	}
	if (r == 0)
		r = run_and_flush(c);
	aio_free(c->aio);
	free(c->buffers);
	free(c);
	return r;
}
