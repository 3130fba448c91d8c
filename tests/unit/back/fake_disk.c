/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/back/fake_disk.h"

#include <stdlib.h>
#include <string.h>

static void move(struct fake_disk *f, struct disk_req *req)
{
	uint64_t off = req->off;

	for (unsigned int i = 0; i < req->iovcnt; i++) {
		const struct iovec *v = &req->iov[i];

		if (req->op == DISK_READ)
			memcpy(v->iov_base, f->bytes + off, v->iov_len);
		else
			memcpy(f->bytes + off, v->iov_base, v->iov_len);
		off += v->iov_len;
	}
}

static void perform(struct fake_disk *f, struct disk_req *req)
{
	if (f->fail) {
		disk_done(req, f->fail);
		return;
	}
	if (req->op == DISK_READ || req->op == DISK_WRITE)
		move(f, req);
	else if (req->op != DISK_FLUSH)
		memset(f->bytes + req->off, 0, req->len);
	disk_done(req, 0);
}

static void submit(struct disk *d, struct disk_req *req)
{
	struct fake_disk *f = container_of(d, struct fake_disk, disk);

	atomic_fetch_add(&f->count[req->op], 1);
	if (!f->hold) {
		perform(f, req);
		return;
	}
	f->last_flags = req->flags;
	f->last_off = req->off;
	f->last_len = req->len;
	if (f->held_n < FAKE_DISK_HELD)
		f->held[f->held_n++] = req;
	else
		abort();
}

void fake_disk_release(struct fake_disk *f)
{
	struct disk_req *held[FAKE_DISK_HELD];
	unsigned int n = f->held_n;

	/* The disk may go with its last request. */
	memcpy(held, f->held, sizeof(held));
	f->held_n = 0;
	f->hold = false;
	while (n)
		perform(f, held[--n]);
}

static void close_disk(struct disk *d)
{
	struct fake_disk *f = container_of(d, struct fake_disk, disk);

	if (f->closed)
		(*f->closed)++;
	free(f->bytes);
	free(f);
}

static struct disk_extent map(struct disk *d, uint64_t off, uint64_t len)
{
	const struct fake_disk *f = container_of(d, struct fake_disk, disk);
	uint64_t end = f->hole + f->hole_bytes;
	struct disk_extent e = { .place = DISK_PLACE_DATA, .fd = -1, .bytes = len };

	if (off >= f->hole && off < end)
		e = (struct disk_extent){ .place = DISK_PLACE_ZEROS,
					  .bytes = MIN(len, end - off) };
	else if (off < f->hole)
		e.bytes = MIN(len, f->hole - off);
	if (f->map_most)
		e.bytes = MIN(e.bytes, f->map_most);
	return e;
}

static const struct disk_ops ops = {
	.format = "fake", .submit = submit, .map = map, .close = close_disk
};

struct fake_disk *fake_disk_new(uint64_t bytes, const struct disk_info *info)
{
	static const struct disk_info plain = {
		.logical_bytes = 512,
		.physical_bytes = 4096,
		.unmap_granularity = 4096,
		.can_discard = true,
		.discard_zeroes = true,
		.id = { { 0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87, 0x98, 0xa9,
			  0xba, 0xcb, 0xdc, 0xed, 0xfe, 0x0f } },
	};
	struct fake_disk *f = calloc(1, sizeof(*f));

	f->bytes = malloc(bytes);
	for (uint64_t i = 0; i < bytes; i++)
		f->bytes[i] = (uint8_t)((i >> 9) * 3 + i);
	disk_init(&f->disk, &ops, info ? info : &plain, bytes);
	return f;
}
