/* SPDX-License-Identifier: BSD-2-Clause */
/* Differencing VHDX images: chains against a model of their content; who is let in as a parent; conversion of what a chain holds. */
#include "vhd/vhdx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "proto/vhdx.h"
#include "unit/test.h"
#include "unit/vhd/chains.h"

#define DISK (7 * MIB + 4096)
#define BASE (5 * MIB + 4096)

static const struct {
	uint32_t logical, block[3];
} kinds[] = {
	{ 512, { MIB, MIB, MIB } },
	{ 512, { 2 * MIB, MIB, 32 * MIB } },
	{ 4096, { MIB, 4 * MIB, MIB } },
	{ 4096, { 256 * MIB, MIB, 2 * MIB } },
};

/* The base is smaller than its children; each level is written, used again after an open, and read through. */
START_TEST(a_chain_holds_what_was_written)
{
	for (unsigned int level = 0; level < 3; level++) {
		unsigned int at = 2 - level;

		make(at, level, level ? DISK : BASE, kinds[_i].logical,
		     kinds[_i].block[level]);
		for (unsigned int turn = 0; turn < 2; turn++) {
			disk = open_chain(at, level + 1, false);
			for (unsigned int i = 0; i < 150; i++)
				random_step(kinds[_i].logical);
			read_all();
			disk_unref(disk);
			check(at);
		}
		disk = open_chain(at, level + 1, true);
		read_all();
		disk_unref(disk);
	}
	close_files(3);
}
END_TEST

START_TEST(a_full_block_needs_no_bitmap)
{
	make(1, 0, 4 * MIB, 512, MIB);
	make(0, 1, 0, 512, MIB);
	disk = open_chain(0, 2, false);
	for (uint64_t off = 0; off < MIB; off += 65536) {
		uint64_t entry;

		fill(buf, 65536);
		ck_assert_int_eq(run(disk, DISK_WRITE, 0, off, 65536, buf), 0);
		ck_assert_int_eq(run(disk, DISK_FLUSH, 0, 0, 0, NULL), 0);
		ck_assert_int_eq(pread(files[0].fd, &entry, 8, 3 * MIB), 8);
		ck_assert_uint_eq(VHDX_BAT_STATE(entry),
				  off + 65536 < MIB ? VHDX_BLOCK_PARTIALLY_PRESENT
						    : VHDX_BLOCK_FULLY_PRESENT);
	}
	disk_unref(disk);
	close_files(2);
}
END_TEST

START_TEST(the_deepest_chain)
{
	make(IMAGE_CHAIN_MAX - 1, 0, 4 * MIB, 512, MIB);
	for (unsigned int i = IMAGE_CHAIN_MAX - 1; i-- > 0;) {
		make(i, IMAGE_CHAIN_MAX - 1 - i, 0, 512, MIB);
		disk = open_chain(i, IMAGE_CHAIN_MAX - i, false);
		fill(model + i * 4096, 4096);
		ck_assert_int_eq(
			run(disk, DISK_WRITE, 0, i * 4096, 4096, model + i * 4096), 0);
		disk_unref(disk);
	}
	disk = open_chain(0, IMAGE_CHAIN_MAX, true);
	read_all();
	disk_unref(disk);
	files[IMAGE_CHAIN_MAX] = files[0];
	ck_assert_int_eq(try_chain(0, IMAGE_CHAIN_MAX + 1, true, &disk), -ELOOP);
	close_files(IMAGE_CHAIN_MAX);
}
END_TEST

static void write_to(unsigned int from, unsigned int n)
{
	disk = open_chain(from, n, false);
	fill(buf, 4096);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 0, 4096, buf), 0);
	disk_unref(disk);
}

START_TEST(wrong_parents_are_refused)
{
	struct stat before, after;

	make(2, 0, 4 * MIB, 512, MIB);
	make(1, 1, 0, 512, MIB);
	make(0, 2, 0, 512, MIB);
	ck_assert_int_eq(try_chain(0, 1, true, &disk), -ENOKEY);
	ck_assert_uint_eq(error.file, 0);
	ck_assert_int_eq(try_chain(0, 2, true, &disk), -ENOKEY);
	ck_assert_uint_eq(error.file, 1);
	/* One that needs none. */
	files[3] = files[0];
	ck_assert_int_eq(try_chain(2, 2, true, &disk), -ENOKEY);
	files[3] = (struct image_file){ new_file(), IMAGE_RAW };
	ck_assert_int_eq(ftruncate(files[3].fd, 4 * MIB), 0);
	ck_assert_int_eq(try_chain(2, 2, true, &disk), -EINVAL);
	ck_assert_uint_eq(error.file, 2 - 2);
	/* A cycle, and a file that is its own parent. */
	files[4] = files[1];
	files[5] = files[0];
	files[6] = files[1];
	ck_assert_int_eq(try_chain(4, 3, true, &disk), -ELOOP);
	files[5] = files[1];
	ck_assert_int_eq(try_chain(4, 2, true, &disk), -ELOOP);
	/* Another one in the middle left out, and a raw one. */
	files[5] = files[2];
	files[4] = files[0];
	ck_assert_int_eq(try_chain(4, 2, true, &disk), -ESTALE);
	files[5] = files[3];
	ck_assert_int_eq(try_chain(4, 2, true, &disk), -ESTALE);
	/* A parent that was written since. */
	write_to(0, 3);
	ck_assert_int_eq(fstat(files[0].fd, &before), 0);
	write_to(2, 1);
	ck_assert_int_eq(try_chain(0, 3, false, &disk), -ESTALE);
	ck_assert_uint_eq(error.file, 1);
	ck_assert_ptr_nonnull(strstr(error.message, "changed since"));
	ck_assert_int_eq(fstat(files[0].fd, &after), 0);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	close_files(4);
}
END_TEST

START_TEST(what_a_child_says_of_its_parent)
{
	static struct image_parent parent;
	struct image_info info, child;

	make(1, 0, 4 * MIB, 512, MIB);
	make(0, 1, 5 * MIB, 512, 0);
	ck_assert_int_eq(image_info(files[1].fd, IMAGE_VHDX, &info, &error), 0);
	ck_assert_int_eq(image_info(files[0].fd, IMAGE_VHDX, &child, &error), 0);
	ck_assert_int_eq(info.kind, IMAGE_DYNAMIC);
	ck_assert_int_eq(child.kind, IMAGE_DIFFERENCING);
	ck_assert_uint_eq(child.disk_bytes, 5 * MIB);
	ck_assert(guid_equal(&child.id, &info.id));
	ck_assert_int_eq(image_parent_of(files[1].fd, IMAGE_VHDX, &parent, &error), 0);
	ck_assert_int_eq(image_parent_of(files[0].fd, IMAGE_VHDX, &parent, &error), 1);
	ck_assert(guid_equal(&parent.id, &info.content_id));
	ck_assert(guid_is_null(&parent.id2));
	ck_assert_uint_eq(parent.path_n, 2);
	ck_assert_str_eq(parent.paths[0], "base.vhdx");
	ck_assert_str_eq(parent.paths[1], "/vm/base.vhdx");
	close_files(2);
}
END_TEST

#define LOCATOR (2 * MIB + 65536 + 4096)
static const struct {
	const char *name;
	uint64_t at;
	unsigned char bytes[4];
	unsigned int n;
	int parent_of;
} hostile[] = {
	{ "another type", LOCATOR, { 1 }, 1, -ENOTSUP },
	{ "too many pairs", LOCATOR + 18, { 0xff, 0xff }, 2, -EUCLEAN },
	{ "no pairs", LOCATOR + 18, { 0, 0 }, 2, -EUCLEAN },
	{ "key behind the item", LOCATOR + 20, { 0xff, 0xff, 0xff, 0xff }, 4, -EUCLEAN },
	{ "value behind the item",
	  LOCATOR + 24,
	  { 0xf0, 0xff, 0xff, 0xff },
	  4,
	  -EUCLEAN },
	{ "long key", LOCATOR + 28, { 0xff, 0xff }, 2, -EUCLEAN },
	{ "odd identity", LOCATOR + 30, { 75, 0 }, 2, -EUCLEAN },
	{ "identity with a bad digit", LOCATOR + 20 + 36 + 28 + 2, { 'g' }, 1, -EUCLEAN },
	{ "the item behind the region",
	  2 * MIB + 32 + 5 * 32 + 16,
	  { 0, 0, 0xff, 0xff },
	  4,
	  -EUCLEAN },
	{ "a huge item",
	  2 * MIB + 32 + 5 * 32 + 20,
	  { 0xff, 0xff, 0xff, 0x7f },
	  4,
	  -EUCLEAN },
	{ "no item", 2 * MIB + 10, { 5 }, 1, -EUCLEAN },
};

START_TEST(hostile_locators)
{
	static struct image_parent parent;

	make(1, 0, 4 * MIB, 512, MIB);
	make(0, 1, 0, 512, MIB);
	ck_assert_int_eq(pwrite(files[0].fd, hostile[_i].bytes, hostile[_i].n,
				(off_t)hostile[_i].at),
			 hostile[_i].n);
	ck_assert_int_eq(image_parent_of(files[0].fd, IMAGE_VHDX, &parent, &error),
			 hostile[_i].parent_of);
	ck_assert_int_eq(try_chain(0, 2, false, &disk), hostile[_i].parent_of);
	close_files(2);
}
END_TEST

static const struct {
	const char *name;
	unsigned int index; /* of the block table */
	uint64_t entry;
	bool read, write;
} entries[] = {
	{ "part without a bitmap", 0, 4 * MIB | 7, false, false },
	{ "part behind the end", 0, (1ull << 62) | 7, false, false },
	{ "part in the table", 0, 3 * MIB | 7, false, false },
	{ "bitmap behind the end", 4096, (1ull << 62) | 6, true, false },
	{ "bitmap in the metadata", 4096, 2 * MIB | 6, true, false },
	{ "bitmap of another state", 4096, 4 * MIB | 3, true, true },
};

START_TEST(hostile_entries)
{
	struct image_check found;

	make(1, 0, 4 * MIB, 512, MIB);
	make(0, 1, 0, 512, MIB);
	write_to(0, 2); /* 4 MiB: bitmap; 5 MiB: block 0 */
	if (entries[_i].index == 0) {
		/* What it was in: a bitmap is not there any more. */
		uint64_t none = 0;

		ck_assert_int_eq(pwrite(files[0].fd, &none, 8, 3 * MIB + 4096 * 8), 8);
	} else {
		uint64_t none = 0;

		ck_assert_int_eq(pwrite(files[0].fd, &none, 8, 3 * MIB), 8);
	}
	ck_assert_int_eq(pwrite(files[0].fd, &entries[_i].entry, 8,
				(off_t)(3 * MIB + entries[_i].index * 8)),
			 8);
	ck_assert_int_eq(image_check(files[0].fd, IMAGE_VHDX, &found, NULL, &error), 0);
	ck_assert_uint_ge(found.errors, 1);
	disk = open_chain(0, 2, false);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 4096, buf),
			 entries[_i].read ? 0 : -EIO);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 0, 4096, buf),
			 entries[_i].write ? 0 : -EIO);
	disk_unref(disk);
	close_files(2);
}
END_TEST

/* ---- conversion ---- */

static const struct {
	enum image_format format;
	enum image_kind kind;
	uint32_t block;
} targets[] = {
	{ IMAGE_RAW, IMAGE_DYNAMIC, 0 },
	{ IMAGE_RAW, IMAGE_FIXED, 0 },
	{ IMAGE_VHDX, IMAGE_DYNAMIC, MIB },
	{ IMAGE_VHDX, IMAGE_FIXED, 2 * MIB },
};

static uint64_t allocated(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

START_TEST(a_chain_is_converted)
{
	struct image_create_params p = { .format = targets[_i].format,
					 .kind = targets[_i].kind,
					 .block_bytes = targets[_i].block };
	struct disk *from;

	make(1, 0, BASE, 512, MIB);
	make(0, 1, DISK, 512, MIB);
	disk = open_chain(0, 2, false);
	for (unsigned int i = 0; i < 60; i++)
		random_step(512);
	ck_assert_int_eq(run(disk, DISK_WRITE_ZEROES, 0, 2 * MIB, 3 * MIB, NULL), 0);
	memset(model + 2 * MIB, 0, 3 * MIB);
	disk_unref(disk);
	from = open_chain(0, 2, true);
	files[2] = (struct image_file){ new_file(), targets[_i].format };
	ck_assert_msg(image_convert(from, files[2].fd, &p, NULL, &error) == 0, "%s",
		      error.message);
	disk_unref(from);
	if (targets[_i].kind == IMAGE_DYNAMIC && targets[_i].format == IMAGE_RAW)
		ck_assert_uint_le(allocated(files[2].fd), DISK - 3 * MIB);
	disk = open_chain(2, 1, true);
	read_all();
	disk_unref(disk);
	close_files(3);
}
END_TEST

static bool refuse(void *arg, uint64_t at, uint64_t total)
{
	return false;
}

START_TEST(conversions_that_end_early)
{
	struct image_create_params p = { .format = IMAGE_VHDX, .kind = IMAGE_DYNAMIC };
	struct image_progress progress = { .step = refuse };

	files[0] = (struct image_file){ new_file(), IMAGE_RAW };
	ck_assert_int_eq(ftruncate(files[0].fd, 1 << 30), 0);
	disk = open_chain(0, 1, true);
	files[1] = (struct image_file){ new_file(), IMAGE_VHDX };
	p.disk_bytes = 1 << 20;
	ck_assert_int_eq(image_convert(disk, files[1].fd, &p, NULL, &error), -EINVAL);
	p.disk_bytes = 0;
	p.block_bytes = 3;
	ck_assert_int_eq(image_convert(disk, files[1].fd, &p, NULL, &error), -EINVAL);
	p.block_bytes = 0;
	ck_assert_int_eq(image_convert(disk, files[1].fd, &p, &progress, &error),
			 -ECANCELED);
	ck_assert_int_eq(image_convert(disk, files[1].fd, &p, NULL, &error), -EEXIST);
	disk_unref(disk);
	close_files(2);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_diff");
	TCase *t = tcase_create("vhdx_diff");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, chains_setup, chains_teardown);
	tcase_add_loop_test(t, hostile_locators, 0, ARRAY_SIZE(hostile));
	tcase_add_loop_test(t, hostile_entries, 0, ARRAY_SIZE(entries));
	tcase_add_test(t, wrong_parents_are_refused);
	tcase_add_loop_test(t, a_chain_holds_what_was_written, 0, ARRAY_SIZE(kinds));
	tcase_add_test(t, a_full_block_needs_no_bitmap);
	tcase_add_test(t, the_deepest_chain);
	tcase_add_test(t, what_a_child_says_of_its_parent);
	tcase_add_loop_test(t, a_chain_is_converted, 0, ARRAY_SIZE(targets));
	tcase_add_test(t, conversions_that_end_early);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
