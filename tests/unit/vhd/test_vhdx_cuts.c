/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts under VHDX: see cuts.h. A few thousand each time; CUTS=N makes N times as many, over as many seeds.
 */
#include "vhd/vhdx.h"

#include <errno.h>
#include "unit/test.h"
#include "unit/vhd/cuts.h"
#include "unit/vhd/fakes.h"
#include "unit/vhd/tape.h"
#include "vhd/vhdx_priv.h"

#define MIB (1ull << 20)
#define DISK_BYTES (5ull << 30)
#define DISTANCE (600 * MIB)
#define SEED 0x9e3779b97f4a7c15

static struct image_error error;

#define OK(call) ck_assert_msg((call) == 0, "%s", error.message)

static struct disk *parent(void)
{
	return fakes_parent(DISK_BYTES);
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

START_TEST(a_guest_writes)
{
	for (unsigned int i = 0; i < cuts_times(); i++) {
		cuts_record(&kinds[_i], SEED + i);
		cuts_verify(&kinds[_i]);
	}
	ck_assert_uint_gt(cuts_made, 1500 * cuts_times());
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

static void grow_and_shrink(int fd)
{
	grow_table(fd);
	OK(vhdx_resize_file(fd, DISK_BYTES, true, &error));
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
	{ 0, grow },
	{ 0, grow_table },
	{ 0, compact },
	{ 0, grow_and_compact },
	{ 0, repair },
	{ 0, grow_and_shrink },
	{ 1, grow },
	{ 1, compact },
	{ 1, grow_and_compact },
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
		cuts_verify(&c);
	}
	ck_assert_uint_gt(cuts_made, 0);
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
		cuts_verify_replay(c, (i * 7919 + 100) % points);
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
		for (size_t cut = 0; cut <= tape_len(); cut++, cuts_made++) {
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

static struct disk *open_both(int fd)
{
	return fakes_child(&kinds[0], open_dynamic(fd));
}

static struct disk *open_all_three(int fd)
{
	return fakes_child(&kinds[1], open_child(fd));
}

static unsigned int merge_kind;

static void merge(int fd)
{
	static const struct guid id = { { 2 } };
	struct image_layer layer = { .fd = fd,
				     .keep_content_id = true,
				     .parent = merge_kind ? parent() : NULL };
	struct disk *below;

	OK(vhdx_open(&layer, &below, &error));
	fakes_merge(&kinds[merge_kind], below);
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
	c.shown = fakes_shown;
	c.open_changed = _i ? open_all_three : open_both;
	c.check = check_merge;
	for (unsigned int i = 0; i < 2 * cuts_times(); i++) {
		cuts_record_change(&c, SEED + i, merge);
		cuts_verify(&c);
	}
	ck_assert_uint_gt(cuts_made, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_cuts");
	TCase *t = tcase_create("vhdx_cuts");

	tcase_set_timeout(t, 3600);
	tcase_add_checked_fixture(t, cuts_setup, cuts_teardown);
	tcase_add_test(t, a_create_is_cut);
	tcase_add_loop_test(t, the_image_changes, 0, ARRAY_SIZE(changes));
	tcase_add_loop_test(t, a_merge_is_cut, 0, ARRAY_SIZE(kinds));
	tcase_add_test(t, a_replay_is_cut);
	tcase_add_loop_test(t, a_guest_writes, 0, ARRAY_SIZE(kinds));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
