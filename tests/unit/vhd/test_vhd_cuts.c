/* SPDX-License-Identifier: BSD-2-Clause */
/* Power cuts under VHD: see cuts.h. */
#include "vhd/vhd.h"

#include <string.h>
#include "unit/test.h"
#include "unit/vhd/cuts.h"
#include "unit/vhd/tape.h"
#include "vhd/file.h"

#define BLOCK (32u << 10)
#define DISK_BYTES (1ull << 30)

static struct image_error error;

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

static struct disk *parent(void)
{
	static const struct disk_info info = { .logical_bytes = 512,
					       .physical_bytes = 512,
					       .read_only = true,
					       .content_id = { { 1 } } };
	static struct disk d;

	disk_init(&d, &parent_ops, &info, DISK_BYTES);
	return &d;
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
	  .make = make_dynamic,
	  .open = open_dynamic,
	  .check = check_image },
	{ .blocks = 24,
	  .block_bytes = BLOCK,
	  .distance = 41ull << 20,
	  .fresh = TAPE_PARENT_VALUE,
	  .steps = 150,
	  .reopen = 60,
	  .make = make_child,
	  .open = open_child,
	  .check = check_image },
};

START_TEST(every_cut_leaves_what_was_flushed)
{
	struct cuts c = kinds[_i];

	c.a_point = cuts_times();
	cuts_record(&c, 0x9e3779b97f4a7c15 + (uint64_t)_i);
	ck_assert_uint_gt(cuts_verify(&c), 500 * cuts_times());
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
	{ 1, grow, check_size },
	{ 1, set_parent, check_parent },
};

START_TEST(every_cut_of_a_change_leaves_the_content)
{
	struct cuts c = kinds[changes[_i].kind];

	c.steps = 120;
	c.a_point = 2 * cuts_times();
	c.check = changes[_i].check;
	cuts_record_change(&c, 0x2545f4914f6cdd1d + (uint64_t)_i, changes[_i].change);
	ck_assert_uint_gt(cuts_verify(&c), 15 * cuts_times());
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
			ck_assert_msg(found[i] == (off ? 0 : 0x77), "cut %zu: byte %llu",
				      cut, (unsigned long long)(off + i));
	}
}

START_TEST(every_cut_of_a_fixed_images_resize)
{
	struct image_create_params p = { .format = IMAGE_VHD, .disk_bytes = 2 * DATA };
	static uint8_t data[DATA];
	uint64_t seed = 0x9e3779b97f4a7c15;

	tape_reset();
	ck_assert_int_eq(image_create(TAPE_LIVE, &p, &error), 0);
	memset(data, 0x77, sizeof(data));
	ck_assert_int_eq(file_write(TAPE_LIVE, data, sizeof(data), 0), 0);
	tape_start();
	ck_assert_int_eq(vhd_resize(TAPE_LIVE, 5 * DATA, false, &error), 0);
	ck_assert_int_eq(vhd_resize(TAPE_LIVE, DATA, true, &error), 0);
	ck_assert_int_eq(vhd_resize(TAPE_LIVE, 2 * DATA, false, &error), 0);
	for (size_t cut = 0; cut <= tape_len(); cut++) {
		for (unsigned int i = 0; i < 4 * cuts_times(); i++) {
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

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, every_cut_leaves_what_was_flushed, 0, ARRAY_SIZE(kinds));
	tcase_add_loop_test(t, every_cut_of_a_change_leaves_the_content, 0,
			    ARRAY_SIZE(changes));
	tcase_add_test(t, every_cut_of_a_fixed_images_resize);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
