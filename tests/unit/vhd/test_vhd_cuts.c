/* SPDX-License-Identifier: BSD-2-Clause */
/* Power cuts under VHD: see cuts.h. A few thousand each time; CUTS=N makes N times as many, over as many seeds. */
#include "vhd/vhd.h"

#include <string.h>
#include "proto/vhd.h"
#include "unit/test.h"
#include "unit/vhd/cuts.h"
#include "unit/vhd/fakes.h"
#include "unit/vhd/tape.h"
#include "vhd/file.h"

#define BLOCK (32u << 10)
#define DISK_BYTES (1ull << 30)
#define SEED 0x9e3779b97f4a7c15

static struct image_error error;

static struct disk *parent(void)
{
	return fakes_parent(DISK_BYTES);
}

/* ---- images ---- */

static void make_image(int fd, struct disk *below)
{
	struct image_create_params p = { .format = IMAGE_VHD,
					 .kind = below ? IMAGE_DIFFERENCING
						       : IMAGE_DYNAMIC,
					 .disk_bytes = DISK_BYTES,
					 .block_bytes = BLOCK,
					 .parent = below,
					 .parent_relative = "parent.vhd" };

	ck_assert_msg(image_create(fd, &p, &error) == 0, "%s", error.message);
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

	ck_assert_msg(vhd_open(&layer, &disk, &error) == 0, "%s", error.message);
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

	ck_assert_msg(vhd_check(fd, &found, NULL, &error) == 0, "%s", error.message);
	ck_assert_msg(!found.errors, "cut %zu: %s", cut, found.first);
}

/* So far apart that each has a page of the table for itself. */
static const struct cuts kinds[] = {
	{ .blocks = 24,
	  .block_bytes = BLOCK,
	  .distance = 41ull << 20,
	  .steps = 150,
	  .reopen = 60,
	  .a_point = 1,
	  .make = make_dynamic,
	  .open = open_dynamic,
	  .check = check_image },
	{ .blocks = 24,
	  .block_bytes = BLOCK,
	  .distance = 41ull << 20,
	  .fresh = TAPE_PARENT_VALUE,
	  .steps = 150,
	  .reopen = 60,
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
	ck_assert_uint_gt(cuts_made, 500 * cuts_times());
}
END_TEST

/* What a cut left is used on, which begins by making its footers whole, and is cut again. */
START_TEST(what_a_cut_left_is_cut)
{
	for (unsigned int i = 0; i < 24 * cuts_times(); i++) {
		const struct cuts *c = &kinds[i % 2];

		cuts_record(c, SEED + i / 24);
		cuts_verify_replay(c, (i * 7919 + 100) % tape_len());
	}
}
END_TEST

/* The footer at the end comes last: what lacks it is found to be damaged, or is no image. */
START_TEST(a_create_is_cut)
{
	uint64_t seed = SEED;

	for (unsigned int i = 0; i < 20 * cuts_times(); i++) {
		tape_reset();
		tape_start();
		kinds[i % 2].make(TAPE_LIVE);
		for (size_t cut = 0; cut <= tape_len(); cut++, cuts_made++) {
			struct image_check found;

			tape_cut(cut, &seed);
			if (vhd_check(TAPE_CUT, &found, NULL, &error) == 0 &&
			    !found.errors)
				disk_unref(kinds[i % 2].open(TAPE_CUT));
			else
				ck_assert_uint_lt(cut, tape_len());
		}
	}
}
END_TEST

/* ---- changes of whole images ---- */

#define LARGER (4 * DISK_BYTES)

static void compact(int fd)
{
	ck_assert_msg(vhd_compact(fd, NULL, &error) == 0, "%s", error.message);
}

/* The table gets another place, and blocks are moved to where it was. */
static void grow(int fd)
{
	ck_assert_msg(vhd_resize(fd, LARGER, false, &error) == 0, "%s", error.message);
	compact(fd);
}

static void grow_and_shrink(int fd)
{
	grow(fd);
	ck_assert_msg(vhd_resize(fd, DISK_BYTES, true, &error) == 0, "%s", error.message);
}

/* The copy of the footer is damaged, which is told until it is mended. */
static void damage_and_repair(int fd)
{
	static const uint8_t junk[VHD_SECTOR_BYTES] = { 1 };
	struct image_check found;

	ck_assert_int_eq(file_write(fd, junk, sizeof(junk), 0), 0);
	ck_assert_int_eq(file_sync(fd), 0);
	ck_assert_msg(vhd_repair(fd, &found, NULL, &error) == 0, "%s", error.message);
	ck_assert_uint_eq(found.mended, 1);
}

static void set_parent(int fd)
{
	const struct image_new_parent p = { .disk = parent(),
					    .relative = "new.vhd",
					    .absolute = "/vm/new.vhd" };
	const struct guid id = { { 7 } };

	ck_assert_msg(vhd_set_parent(fd, &p, &error) == 0, "%s", error.message);
	ck_assert_msg(vhd_set_content_id(fd, &id, &error) == 0, "%s", error.message);
}

static void check_size(int fd, size_t cut)
{
	struct image_info info = { 0 };

	check_image(fd, cut);
	ck_assert_int_eq(vhd_info(fd, &info, &error), 0);
	ck_assert_msg(info.disk_bytes == DISK_BYTES || info.disk_bytes == LARGER,
		      "cut %zu: %llu bytes", cut, (unsigned long long)info.disk_bytes);
}

static void check_damaged(int fd, size_t cut)
{
	struct image_check found;

	ck_assert_msg(vhd_check(fd, &found, NULL, &error) == 0, "%s", error.message);
	ck_assert_msg(found.errors <= 1, "cut %zu: %s", cut, found.first);
}

static void check_parent(int fd, size_t cut)
{
	static struct image_parent found;

	check_image(fd, cut);
	ck_assert_int_eq(vhd_parent_of(fd, &found, &error), 1);
	ck_assert_msg(found.path_n && (strcmp(found.paths[0], "parent.vhd") == 0 ||
				       strcmp(found.paths[0], "new.vhd") == 0),
		      "cut %zu: the parent's path", cut);
}

static const struct {
	unsigned int kind;
	void (*change)(int fd);
	void (*check)(int fd, size_t cut);
} changes[] = {
	{ 0, compact, check_image },
	{ 0, grow_and_shrink, check_size },
	{ 0, damage_and_repair, check_damaged },
	{ 1, grow, check_size },
	{ 1, set_parent, check_parent },
};

START_TEST(the_image_changes)
{
	struct cuts c = kinds[changes[_i].kind];

	c.steps = 60;
	c.a_point = 6;
	c.check = changes[_i].check;
	for (unsigned int i = 0; i < cuts_times(); i++) {
		cuts_record_change(&c, SEED + 1000 * i, changes[_i].change);
		cuts_verify(&c);
	}
	ck_assert_uint_gt(cuts_made, 0);
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

	fakes_merge(&kinds[merge_kind], merge_kind ? open_child(fd) : open_dynamic(fd));
	ck_assert_msg(vhd_set_content_id(fd, &id, &error) == 0, "%s", error.message);
}

/* Begun again, it comes to its end. */
static void check_merge(int fd, size_t cut)
{
	static unsigned int n;
	struct image_info info;

	check_image(fd, cut);
	if (n++ % 8)
		return;
	merge(fd);
	check_image(fd, cut);
	ck_assert_int_eq(vhd_info(fd, &info, &error), 0);
	ck_assert_uint_eq(info.content_id.b[0], 2);
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
	for (unsigned int i = 0; i < cuts_times(); i++) {
		cuts_record_change(&c, SEED + i, merge);
		cuts_verify(&c);
	}
	ck_assert_uint_gt(cuts_made, 0);
}
END_TEST

/* ---- fixed ---- */

#define DATA (64u << 10)

/* Its data in the first DATA bytes, and zeros behind, whatever size it has. */
static void check_fixed(size_t cut)
{
	static uint8_t found[DATA];
	struct image_info info = { 0 };
	uint64_t off;

	check_image(TAPE_CUT, cut);
	ck_assert_int_eq(vhd_info(TAPE_CUT, &info, &error), 0);
	ck_assert_msg(info.disk_bytes == DATA || info.disk_bytes == 2 * DATA ||
			      info.disk_bytes == 5 * DATA,
		      "cut %zu: %llu bytes", cut, (unsigned long long)info.disk_bytes);
	for (off = 0; off < info.disk_bytes; off += DATA) {
		ck_assert_int_eq(file_read(TAPE_CUT, found, DATA, off), 0);
		for (uint64_t i = 0; i < DATA; i++)
			if (found[i] != (off ? 0 : 0x77))
				ck_abort_msg("cut %zu: byte %llu", cut,
					     (unsigned long long)(off + i));
	}
}

START_TEST(a_fixed_images_resize_is_cut)
{
	struct image_create_params p = { .format = IMAGE_VHD, .disk_bytes = 2 * DATA };
	static uint8_t data[DATA];
	uint64_t seed = SEED;

	tape_reset();
	ck_assert_int_eq(image_create(TAPE_LIVE, &p, &error), 0);
	memset(data, 0x77, sizeof(data));
	ck_assert_int_eq(file_write(TAPE_LIVE, data, sizeof(data), 0), 0);
	tape_start();
	ck_assert_int_eq(vhd_resize(TAPE_LIVE, 5 * DATA, false, &error), 0);
	ck_assert_int_eq(vhd_resize(TAPE_LIVE, DATA, true, &error), 0);
	ck_assert_int_eq(vhd_resize(TAPE_LIVE, 2 * DATA, false, &error), 0);
	for (size_t cut = 0; cut <= tape_len(); cut++) {
		for (unsigned int i = 0; i < 4 * cuts_times(); i++, cuts_made++) {
			tape_cut(cut, &seed);
			check_fixed(cut);
		}
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhd_cuts");
	TCase *t = tcase_create("vhd_cuts");

	tcase_set_timeout(t, 3600);
	tcase_add_checked_fixture(t, cuts_setup, cuts_teardown);
	tcase_add_test(t, a_create_is_cut);
	tcase_add_loop_test(t, the_image_changes, 0, ARRAY_SIZE(changes));
	tcase_add_test(t, a_fixed_images_resize_is_cut);
	tcase_add_loop_test(t, a_merge_is_cut, 0, ARRAY_SIZE(kinds));
	tcase_add_test(t, what_a_cut_left_is_cut);
	tcase_add_loop_test(t, a_guest_writes, 0, ARRAY_SIZE(kinds));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
