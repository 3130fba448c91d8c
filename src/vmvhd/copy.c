/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All of a disk onto a new one. A cursor goes over the source and leaves out what is known to read as zeros: unallocated blocks, by the source's own
 * map, and holes of its files (lseek(2), SEEK_DATA). The rest is read by slots, several at once; what a slot has read is
 * searched for zeros, and its runs of data are written one after the other.
 *
 *   idle ─► read ─► write a run ─► … ─► idle
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmvhd/ops.h"

#define SLOTS 8u
#define SLOT_BYTES (1u << 20)
#define RUN_BYTES 65536u /* zeros are left out in such pieces */

struct copy;

struct slot {
	struct copy *copy;
	struct disk_req req;
	struct iovec iov;
	uint8_t *buf;
	uint64_t off; /* of the disk */
	size_t len;   /* read */
	size_t at;    /* looked through and written up to here */
	bool busy;
};

/* owner: the thread of the operation */
struct copy {
	struct disk *from, *to;
	struct aio *aio;
	uint64_t bytes, cursor;
	unsigned int busy;
	int r; /* the first error */
	struct slot slots[SLOTS];
};

/* ---- what need not be read ---- */

/* The end of a hole that begins at `offset` of a file, at most len away; `offset` itself where data begins, or none can say. */
static uint64_t hole_end(int fd, uint64_t offset, uint64_t len)
{
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? offset + len : offset;
	return MIN((uint64_t)data, offset + len);
}

/* How many bytes from `off` on surely read as zeros. */
static uint64_t zeros_at(struct disk *d, uint64_t off, uint64_t len)
{
	struct disk_extent x;

	for (; d; d = d->parent) {
		if (off >= disk_bytes(d))
			return len;
		len = MIN(len, disk_bytes(d) - off);
		if (!d->ops->map)
			return 0;
		x = d->ops->map(d, off, len);
		len = MIN(len, x.bytes);
		if (x.place == DISK_PLACE_ZEROS)
			return len;
		if (x.place == DISK_PLACE_DATA)
			return hole_end(x.fd, x.offset, len) - x.offset;
		if (x.place != DISK_PLACE_PARENT)
			return 0;
	}
	return len;
}

/* Moves the cursor to what must be read. Zeros count only in whole runs, so that requests stay aligned. */
static void skip_zeros(struct copy *c)
{
	while (c->cursor < c->bytes) {
		uint64_t n = zeros_at(c->from, c->cursor, c->bytes - c->cursor);

		if (c->cursor + n < c->bytes)
			n = align_down(n, RUN_BYTES);
		if (!n)
			return;
		c->cursor += n;
	}
}

/* ---- slots ---- */

static bool is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static void end_slot(struct slot *s, int r)
{
	struct copy *c = s->copy;

	if (r < 0 && c->r == 0)
		c->r = r;
	s->busy = false;
	c->busy--;
}

static void submit(struct slot *s, enum disk_op op, size_t from, size_t len);

/* The next run of data that was read, or the slot's end. */
static void write_on(struct slot *s)
{
	size_t begin = s->at, end;

	while (begin < s->len && is_zero(s->buf + begin, MIN(RUN_BYTES, s->len - begin)))
		begin += MIN(RUN_BYTES, s->len - begin);
	if (begin == s->len || s->copy->r < 0) {
		end_slot(s, 0);
		return;
	}
	end = begin;
	while (end < s->len && !is_zero(s->buf + end, MIN(RUN_BYTES, s->len - end)))
		end += MIN(RUN_BYTES, s->len - end);
	s->at = end;
	submit(s, DISK_WRITE, begin, end - begin);
}

static void on_done(struct disk_req *req, int r)
{
	struct slot *s = container_of(req, struct slot, req);

	if (r < 0)
		end_slot(s, r);
	else
		write_on(s);
}

static void submit(struct slot *s, enum disk_op op, size_t from, size_t len)
{
	struct copy *c = s->copy;

	s->iov = (struct iovec){ .iov_base = s->buf + from, .iov_len = len };
	s->req = (struct disk_req){ .op = op,
				    .off = s->off + from,
				    .len = len,
				    .iov = &s->iov,
				    .iovcnt = 1,
				    .done = on_done };
	disk_submit(op == DISK_READ ? c->from : c->to, c->aio, &s->req);
}

static void fill_slots(struct copy *c)
{
	for (unsigned int i = 0; i < SLOTS && c->r == 0; i++) {
		struct slot *s = &c->slots[i];

		if (s->busy)
			continue;
		skip_zeros(c);
		if (c->cursor == c->bytes)
			return;
		s->off = c->cursor;
		s->len = (size_t)MIN((uint64_t)SLOT_BYTES, c->bytes - c->cursor);
		s->at = 0;
		s->busy = true;
		c->busy++;
		c->cursor += s->len;
		submit(s, DISK_READ, 0, s->len);
	}
}

/* ---- the whole ---- */

static void wait_for_some(struct copy *c)
{
	struct pollfd p = { .fd = aio_fd(c->aio), .events = POLLIN };

	aio_submit(c->aio);
	if (c->busy)
		poll(&p, 1, -1);
	aio_reap(c->aio, 0);
}

static void flush_done(struct disk_req *req, int r)
{
	struct slot *s = container_of(req, struct slot, req);

	end_slot(s, r);
}

static void flush(struct copy *c)
{
	struct slot *s = &c->slots[0];

	s->busy = true;
	c->busy++;
	s->req = (struct disk_req){ .op = DISK_FLUSH, .done = flush_done };
	disk_submit(c->to, c->aio, &s->req);
	while (c->busy)
		wait_for_some(c);
}

static void run(struct copy *c, const struct image_progress *progress)
{
	while (c->r == 0) {
		fill_slots(c);
		if (!c->busy && c->cursor == c->bytes)
			break;
		wait_for_some(c);
		if (!image_step(progress, c->cursor, c->bytes) && c->r == 0)
			c->r = -ECANCELED;
	}
	while (c->busy)
		wait_for_some(c);
}

int copy_disk(struct disk *from, struct disk *to, const struct image_progress *progress)
{
	struct copy c = { .from = from, .to = to, .bytes = disk_bytes(from) };
	const size_t room = (size_t)SLOTS * SLOT_BYTES;
	uint8_t *buf;
	int r;

	if (disk_bytes(to) < c.bytes)
		return -EINVAL;
	buf = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	if (buf == MAP_FAILED)
		return -ENOMEM;
	r = aio_new(&(struct aio_params){ .engine = AIO_AUTO }, &c.aio);
	if (r < 0) {
		munmap(buf, room);
		return r;
	}
	for (unsigned int i = 0; i < SLOTS; i++) {
		c.slots[i].copy = &c;
		c.slots[i].buf = buf + (size_t)i * SLOT_BYTES;
	}
	run(&c, progress);
	if (c.r == 0)
		flush(&c);
	aio_free(c.aio);
	munmap(buf, room);
	return c.r;
}
