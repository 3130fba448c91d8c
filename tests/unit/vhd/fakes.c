/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vhd/fakes.h"

#include "unit/test.h"
#include "unit/vhd/tape.h"
#include "vhd/image_copy.h"

static void no_close(struct disk *d)
{
}

/* ---- the parent ---- */

static struct disk_extent parent_map(struct disk *d, uint64_t off, uint64_t len)
{
	return (struct disk_extent){
		.place = DISK_PLACE_DATA, .fd = TAPE_PARENT, .offset = off, .bytes = len
	};
}

static const struct disk_ops parent_ops = { .format = "parent",
					    .close = no_close,
					    .map = parent_map };

struct disk *fakes_parent(uint64_t bytes)
{
	static const struct disk_info info = { .logical_bytes = 512,
					       .physical_bytes = 4096,
					       .read_only = true,
					       .content_id = { { 1 } } };
	static struct disk d;

	disk_init(&d, &parent_ops, &info, bytes);
	return &d;
}

/* ---- the child ---- */

static const struct cuts *cuts;

static struct disk_extent child_map(struct disk *d, uint64_t off, uint64_t len)
{
	uint64_t block = off / cuts->distance, within = off % cuts->distance;
	uint64_t half = cuts->block_bytes / 2;
	struct disk_extent x = { .place = DISK_PLACE_PARENT,
				 .bytes = cuts->distance - within };

	if (block % 2 == 0 && block < cuts->blocks && within < half) {
		x.place = DISK_PLACE_DATA;
		x.fd = TAPE_PARENT;
		x.offset = off;
		x.bytes = half - within;
	} else if (block % 2 == 0 && block < cuts->blocks && within < 2 * half) {
		x.place = DISK_PLACE_ZEROS;
		x.bytes = 2 * half - within;
	}
	x.bytes = MIN(x.bytes, len);
	return x;
}

static void child_submit(struct disk *d, struct disk_req *req)
{
	enum disk_place place = DISK_PLACE_PARENT;

	if (req->op == DISK_READ)
		place = child_map(d, req->off, req->len).place;
	if (place == DISK_PLACE_PARENT) {
		disk_submit(d->parent, req->aio, req);
		return;
	}
	for (unsigned int i = 0; i < req->iovcnt; i++) {
		uint32_t *p = req->iov[i].iov_base;

		for (size_t n = 0; n < req->iov[i].iov_len / sizeof(*p); n++)
			p[n] = place == DISK_PLACE_DATA ? TAPE_PARENT_VALUE : 0;
	}
	disk_done(req, 0);
}

static const struct disk_ops child_ops = {
	.format = "child", .close = no_close, .map = child_map, .submit = child_submit
};

struct disk *fakes_child(const struct cuts *c, struct disk *below)
{
	static const struct disk_info info = { .logical_bytes = 512,
					       .physical_bytes = 4096,
					       .discard_zeroes = true };
	static struct disk d;

	cuts = c;
	disk_init(&d, &child_ops, &info, disk_bytes(below));
	d.parent = below;
	return &d;
}

uint32_t fakes_shown(const struct cuts *c, unsigned int block, uint64_t at,
		     uint32_t value)
{
	if (block % 2)
		return value;
	return at < c->block_bytes / 2 ? TAPE_PARENT_VALUE : 0;
}

void fakes_merge(const struct cuts *c, struct disk *below)
{
	struct disk *child = fakes_child(c, below);

	ck_assert_int_eq(image_copy(child, below, true, NULL), 0);
	disk_unref(child);
}
