/* SPDX-License-Identifier: BSD-2-Clause */
/* Power cuts under VHDX: see cuts.h. */
#include "vhd/vhdx.h"

#include <malloc.h>
#include "unit/test.h"
#include "unit/vhd/cuts.h"
#include "unit/vhd/tape.h"

#define MIB (1ull << 20)
#define DISK_BYTES (5ull << 30)

static struct image_error error;

static void make(int fd)
{
	struct vhdx_create_params p = { .fd = fd,
					.disk_bytes = DISK_BYTES,
					.block_bytes = MIB };

	ck_assert_int_eq(vhdx_create(&p, &error), 0);
}

static struct disk *open_image(int fd)
{
	struct image_layer layer = { .fd = fd };
	struct disk *disk;

	ck_assert_msg(vhdx_open(&layer, &disk, &error) == 0, "%s", error.message);
	return disk;
}

static void check_image(int fd, size_t cut)
{
	struct image_check found;

	ck_assert_msg(vhdx_check(fd, &found, NULL, &error) == 0, "%s", error.message);
	ck_assert_msg(!found.errors, "cut %zu: %s", cut, found.first);
}

/* The blocks are so far apart that each has a page of the block table for itself. */
static const struct cuts dynamic = {
	.blocks = 8,
	.block_bytes = MIB,
	.distance = 600 * MIB,
	.steps = 350,
	.reopen = 175,
	.a_point = 4,
	.make = make,
	.open = open_image,
	.check = check_image,
};

START_TEST(every_cut_leaves_what_was_flushed)
{
	/* Thousands of logs are read: their pages are kept, not given back and faulted in each time. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	cuts_record(&dynamic, 0x9e3779b97f4a7c15 + (uint64_t)_i);
	ck_assert_uint_gt(cuts_verify(&dynamic), 8000);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_cuts");
	TCase *t = tcase_create("vhdx_cuts");

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, every_cut_leaves_what_was_flushed, 0, 1);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
