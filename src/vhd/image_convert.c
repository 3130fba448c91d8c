/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The content of one disk into a new image. A cursor goes over the source and passes by what stands nowhere: parts that no file of the chain
 * has, and holes in their files. What is left is read in pieces by a fixed number of slots; a slot leaves out the zeros of its piece,
 * writes the rest, run by run, and takes the next piece. So memory is SLOTS pieces, whatever the disk's size.
 *
 * The target is flushed once, at its end: before that it is no image anybody was promised.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vhd/chain.h"
#include "vhd/image_priv.h"

#define SLOTS 16u
#define PIECE_BYTES (1u << 20)
#define RUN_BYTES (16u << 10) /* zeros that are left out */
#define SECTOR_BYTES 4096u    /* the largest of a target */
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
	struct aio *aio;
	uint64_t bytes; /* of the source */
	uint64_t next;  /* the cursor */
	uint64_t known; /* up to here the cursor's part is to be read */
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
	off_t at = lseek(x->fd, (off_t)x->offset, SEEK_DATA), end;
	uint64_t hole;

	*data = x->bytes;
	if (at < 0)
		return errno == ENXIO ? x->bytes : 0;
	/* Whole runs only, so that pieces begin and end at sectors. */
	hole = align_down(MIN((uint64_t)at - x->offset, x->bytes), RUN_BYTES);
	if (hole)
		return hole;
	end = lseek(x->fd, at, SEEK_HOLE);
	if (end > at)
		*data = MIN(align_up((uint64_t)end - x->offset, RUN_BYTES), x->bytes);
	return 0;
}

/* The cursor stands on what is to be read, or at the end. */
static int find_data(struct copy *c)
{
	while (c->next < c->bytes && c->next >= c->known) {
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
	}
	return 0;
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

/* The next run that is not zeros, or the slot's end. */
static void write_run(struct slot *s)
{
	size_t from = s->at, to;

	while (from < s->len &&
	       is_zero(s->buf + from, MIN(s->len - from, (size_t)RUN_BYTES)))
		from += MIN(s->len - from, (size_t)RUN_BYTES);
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

static void take_piece(struct slot *s)
{
	struct copy *c = s->copy;
	uint64_t piece_end = align_down(c->next, PIECE_BYTES) + PIECE_BYTES;

	/* What is read or written twice because of it is the same. */
	s->off = align_down(c->next, SECTOR_BYTES);
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

static int copy_all(struct disk *from, struct disk *to,
		    const struct image_progress *progress)
{
	struct aio_params ap = { .depth = 2 * SLOTS };
	struct copy *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (!c)
		return r;
	*c = (struct copy){
		.from = from, .to = to, .bytes = disk_bytes(from), .progress = progress
	};
	if (posix_memalign((void **)&c->buffers, 4096, SLOTS * (size_t)PIECE_BYTES) == 0)
		r = aio_new(&ap, &c->aio);
	for (unsigned int i = 0; i < SLOTS; i++) {
		c->slots[i].copy = c;
		c->slots[i].buf = c->buffers + i * (size_t)PIECE_BYTES;
	}
	if (r == 0)
		r = run(c);
	if (r == 0)
		r = flush(c);
	aio_free(c->aio);
	free(c->buffers);
	free(c);
	return r;
}

static int copy_to_file(struct disk *from, int fd_, enum image_format format,
			const struct image_progress *progress, struct image_error *error)
{
	cleanup_fd int fd = fcntl(fd_, F_DUPFD_CLOEXEC, 0);
	struct image_file file = { .fd = fd, .format = format };
	struct image_params params = { .files = &file, .nfiles = 1 };
	struct disk *to;
	int r = fd < 0 ? -errno : 0;

	if (r < 0)
		return image_fail(error, r, "cannot be used: %s", strerror(-r));
	r = image_open(&params, &to, error);
	if (r < 0)
		return r;
	take_fd(&fd);
	r = copy_all(from, to, progress);
	disk_unref(to);
	if (r == -ECANCELED)
		return image_fail(error, r, "was not made: canceled");
	return r < 0 ? image_fail(error, r, "cannot be written: %s", strerror(-r)) : 0;
}

int image_convert(struct disk *from, int fd, const struct image_create_params *params,
		  const struct image_progress *progress, struct image_error *error)
{
	struct image_create_params p = *params;
	uint64_t bytes = disk_bytes(from);
	int r;

	if (!p.disk_bytes)
		p.disk_bytes = bytes;
	if (p.disk_bytes < bytes)
		return image_fail(error, -EINVAL,
				  "cannot be made: the disk has %llu bytes, and is not "
				  "cut short",
				  (unsigned long long)bytes);
	if (p.parent || p.kind == IMAGE_DIFFERENCING)
		return image_fail(error, -EINVAL,
				  "cannot be made: what a disk is converted to has no "
				  "parent");
	if (!p.logical_bytes)
		p.logical_bytes = from->info.logical_bytes;
	if (!p.physical_bytes)
		p.physical_bytes = MIN(from->info.physical_bytes, SECTOR_BYTES);
	r = image_create(fd, &p, error);
	if (r == 0)
		r = copy_to_file(from, fd, p.format, progress, error);
	if (r == 0)
		image_step(progress, p.disk_bytes, p.disk_bytes);
	return r;
}
