/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts under VHDX: see cuts.h. A few thousand each time; CUTS=N makes N times as many, over as many seeds.
 */
#include "vhd/vhdx.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "unit/test.h"
#include "unit/vhd/cuts.h"
#include "unit/vhd/tape.h"
#include "vhd/image_copy.h"
#include "vhd/vhdx_priv.h"

#define MIB (1ull << 20)
#define DISK_BYTES (5ull << 30)
#define DISTANCE (600 * MIB)
#define SEED 0x9e3779b97f4a7c15

static struct image_error error;

#define OK(call) ck_assert_msg((call) == 0, "%s", error.message)

/* ---- a parent of one value ---- */

static void no_close(struct disk *d)
{
}

static struct disk_extent parent_map(struct disk *d, uint64_t off, uint64_t len)
{
	return (struct disk_extent){
		.place = DISK_PLACE_DATA, .fd = TAPE_PARENT, .offset = off, .bytes = len
	};
}

static const struct disk_ops parent_ops = { .format = "parent",
					    .close = no_close,
					    .map = parent_map };
static const struct disk_info parent_info = { .logical_bytes = 512,
					      .physical_bytes = 4096,
					      .read_only = true,
					      .content_id = { { 1 } } };

static struct disk *parent(void)
{
	static struct disk d;

	disk_init(&d, &parent_ops, &parent_info, DISK_BYTES);
	return &d;
}

/* ---- images ---- */

static void make_image(int fd, struct disk *below)
{
	struct vhdx_create_params p = { .fd = fd,
					.disk_bytes = DISK_BYTES,
					.block_bytes = MIB,
					.parent = below,
					.parent_relative = "parent.vhdx" };

	OK(vhdx_create(&p, &error));
}

static void make_dynamic(int fd)
{
	make_image(fd, NULL);
}

static void make_child(int fd)
{
	make_image(fd, parent());
}

static struct disk *open_image(int fd, struct disk *below)
{
	struct image_layer layer = { .fd = fd, .parent = below };
	struct disk *disk;

	OK(vhdx_open(&layer, &disk, &error));
	return disk;
}

static struct disk *open_dynamic(int fd)
{
	return open_image(fd, NULL);
}

static struct disk *open_child(int fd)
{
	return open_image(fd, parent());
}

static void check_image(int fd, size_t cut)
{
	struct image_check found;

	OK(vhdx_check(fd, &found, NULL, &error));
	ck_assert_msg(!found.errors, "cut %zu: %s", cut, found.first);
}

/* The blocks are so far apart that each has a page of the block table for itself. */
static const struct cuts kinds[] = {
	{ .blocks = 8,
	  .block_bytes = MIB,
	  .distance = DISTANCE,
	  .steps = 350,
	  .reopen = 175,
	  .a_point = 1,
	  .make = make_dynamic,
	  .open = open_dynamic,
	  .check = check_image },
	{ .blocks = 8,
	  .block_bytes = MIB,
	  .distance = DISTANCE,
	  .fresh = TAPE_PARENT_VALUE,
	  .steps = 350,
	  .reopen = 175,
	  .a_point = 1,
	  .make = make_child,
	  .open = open_child,
	  .check = check_image },
};

static size_t total;

static void setup(void)
{
	/* Thousands of logs are read: their pages are kept, not given back and faulted in each time. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	total = 0;
}

static void teardown(void)
{
	printf("# %zu cuts\n", total);
}

START_TEST(a_guest_writes)
{
	for (unsigned int i = 0; i < cuts_times(); i++) {
		cuts_record(&kinds[_i], SEED + i);
		total += cuts_verify(&kinds[_i]);
	}
	ck_assert_uint_gt(total, 1500 * cuts_times());
}
END_TEST

/* ---- changes of the image, under what the guest has written ---- */

static void grow(int fd)
{
	OK(vhdx_resize_file(fd, DISK_BYTES + 4096 * MIB, false, &error));
}

/* 200 GiB need more than the MiB that the table has. */
static void grow_table(int fd)
{
	OK(vhdx_resize_file(fd, 200ull << 30, false, &error));
}

static void compact(int fd)
{
	OK(vhdx_compact_file(fd, NULL, &error));
}

static void set_parent(int fd)
{
	const struct image_new_parent p = { .disk = parent(), .absolute = "/vm/p.vhdx" };

	OK(vhdx_set_parent_file(fd, &p, &error));
}

static void repair(int fd)
{
	struct image_check found;

	OK(vhdx_repair_file(fd, &found, NULL, &error));
}

static void grow_and_compact(int fd)
{
	/* The table's old place is free then, and blocks move into it. */
	grow_table(fd);
	compact(fd);
}

static const struct {
	unsigned int kind;
	void (*change)(int fd);
} changes[] = {
	{ 0, grow },       { 0, grow_table }, { 0, compact }, { 0, grow_and_compact },
	{ 0, repair },     { 1, grow },       { 1, compact }, { 1, grow_and_compact },
	{ 1, set_parent },
};

START_TEST(the_image_changes)
{
	/* Short work, so that blocks are left free, and more cuts a point, for there are few. */
	struct cuts c = kinds[changes[_i].kind];

	c.steps = 60;
	c.a_point = 6;
	for (unsigned int i = 0; i < 2 * cuts_times(); i++) {
		cuts_record_change(&c, SEED + 1000 * i, changes[_i].change);
		total += cuts_verify(&c);
	}
	ck_assert_uint_gt(total, 0);
}
END_TEST

/* ---- cuts while what a cut left is made whole ---- */

START_TEST(a_replay_is_cut)
{
	size_t points;

	for (unsigned int i = 0; i < 24 * cuts_times(); i++) {
		const struct cuts *c = &kinds[i % 2];

		cuts_record(c, SEED + i / 24);
		points = tape_len();
		total += cuts_verify_replay(c, (i * 7919 + 100) % points);
	}
}
END_TEST

/* ---- a new image ---- */

START_TEST(a_create_is_cut)
{
	uint64_t seed = SEED;

	for (unsigned int i = 0; i < 20 * cuts_times(); i++) {
		tape_reset();
		tape_start();
		kinds[i % 2].make(TAPE_LIVE);
		for (size_t cut = 0; cut <= tape_len(); cut++, total++) {
			tape_cut(cut, &seed);
			if (!vhdx_probe(TAPE_CUT))
				continue;
			disk_unref(kinds[i % 2].open(TAPE_CUT));
			check_image(TAPE_CUT, cut);
		}
		ck_assert(vhdx_probe(TAPE_CUT));
	}
}
END_TEST

/* ---- a merge ---- */

/* A child that has every other block, the first half as the parent's value and the second as zeros. */
static struct disk_extent child_map(struct disk *d, uint64_t off, uint64_t len)
{
	uint64_t block = off / DISTANCE, within = off % DISTANCE;
	struct disk_extent x = { .place = DISK_PLACE_PARENT, .bytes = DISTANCE - within };

	if (block % 2 == 0 && block < 8 && within < MIB / 2) {
		x.place = DISK_PLACE_DATA;
		x.fd = TAPE_PARENT;
		x.offset = off;
		x.bytes = MIB / 2 - within;
	} else if (block % 2 == 0 && block < 8 && within < MIB) {
		x.place = DISK_PLACE_ZEROS;
		x.bytes = MIB - within;
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

/* What the guest sees through the child: `at` is in the block. */
static uint32_t through_child(unsigned int block, uint64_t at, uint32_t value)
{
	if (block % 2)
		return value;
	return at < MIB / 2 ? TAPE_PARENT_VALUE : 0;
}

static struct disk *over(struct disk *below)
{
	static const struct disk_info info = { .logical_bytes = 512,
					       .physical_bytes = 4096,
					       .discard_zeroes = true };
	static struct disk d;

	disk_init(&d, &child_ops, &info, DISK_BYTES);
	d.parent = below;
	return &d;
}

static struct disk *open_both(int fd)
{
	return over(open_dynamic(fd));
}

static struct disk *open_all_three(int fd)
{
	return over(open_child(fd));
}

static unsigned int merge_kind;

static void merge(int fd)
{
	static const struct guid id = { { 2 } };
	struct image_layer layer = { .fd = fd,
				     .keep_content_id = true,
				     .parent = merge_kind ? parent() : NULL };
	struct disk *below, *child;

	OK(vhdx_open(&layer, &below, &error));
	child = over(below);
	ck_assert_int_eq(image_copy(child, below, true, NULL), 0);
	disk_unref(child);
	OK(vhdx_set_content_id_file(fd, &id, &error));
}

/* Begun again, it comes to its end. */
static void check_merge(int fd, size_t cut)
{
	static unsigned int n;
	struct vhdx_headers h;

	check_image(fd, cut);
	if (n++ % 8)
		return;
	merge(fd);
	check_image(fd, cut);
	OK(vhdx_headers_read(fd, &h, &error));
	ck_assert_uint_eq(h.current.data_write_guid[0], 2);
}

START_TEST(a_merge_is_cut)
{
	struct cuts c = kinds[_i];

	merge_kind = (unsigned int)_i;
	c.steps = 60;
	c.a_point = 6;
	c.shown = through_child;
	c.open_changed = _i ? open_all_three : open_both;
	c.check = check_merge;
	for (unsigned int i = 0; i < 2 * cuts_times(); i++) {
		cuts_record_change(&c, SEED + i, merge);
		total += cuts_verify(&c);
	}
	ck_assert_uint_gt(total, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_cuts");
	TCase *t = tcase_create("vhdx_cuts");

	tcase_set_timeout(t, 3600);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_create_is_cut);
	tcase_add_loop_test(t, the_image_changes, 0, ARRAY_SIZE(changes));
	tcase_add_loop_test(t, a_merge_is_cut, 0, ARRAY_SIZE(kinds));
	tcase_add_test(t, a_replay_is_cut);
	tcase_add_loop_test(t, a_guest_writes, 0, ARRAY_SIZE(kinds));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
