/* SPDX-License-Identifier: BSD-2-Clause */
/* VHDX and qemu-img: what we make, it finds whole and equal; what it makes, we read and write. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vhd/readers.h"

#define MIB (1u << 20)

static const char *const image = "image.vhdx";

static void use(enum disk_op op, unsigned char *p)
{
	readers_whole(&image, 1, IMAGE_VHDX, op, p, READERS_BYTES);
}

static void check_with_qemu(void)
{
	ck_assert_int_eq(readers_sh("qemu-img check -q image.vhdx"), 0);
	ck_assert_int_eq(readers_sh("qemu-img compare -q raw image.vhdx"), 0);
}

START_TEST(qemu_reads_ours)
{
	static const struct image_create_params rows[] = {
		{ .kind = IMAGE_DYNAMIC, .block_bytes = MIB },
		{ .kind = IMAGE_DYNAMIC, .block_bytes = 0 },
		{ .kind = IMAGE_DYNAMIC, .block_bytes = 256 * MIB },
		{ .kind = IMAGE_FIXED, .block_bytes = 2 * MIB },
	};
	struct image_create_params p = rows[_i];

	p.format = IMAGE_VHDX;
	p.disk_bytes = READERS_BYTES;
	readers_make(image, &p);
	use(DISK_WRITE, readers_data);
	check_with_qemu();
}
END_TEST

START_TEST(we_read_and_write_qemus)
{
	static const char *const options[] = {
		"subformat=dynamic,block_size=1M",
		"subformat=dynamic,block_size=2M,log_size=1M,block_state_zero=on",
		"subformat=dynamic,block_size=32M,block_state_zero=off",
		"subformat=dynamic,block_size=256M,log_size=2M",
		"subformat=dynamic,log_size=16M",
		"subformat=fixed",
		"subformat=fixed,block_size=8M,log_size=4M,block_state_zero=off",
	};

	ck_assert_int_eq(
		readers_sh("qemu-img convert -f raw -O vhdx -o %s raw image.vhdx",
			   options[_i]),
		0);
	use(DISK_READ, readers_buf);
	ck_assert_int_eq(memcmp(readers_data, readers_buf, READERS_BYTES), 0);
	use(DISK_WRITE, readers_data);
	check_with_qemu();
}
END_TEST

/* ---- after each operation ---- */

#define LARGER (READERS_BYTES / 512 * 512 + 24 * MIB)

static off_t bat; /* where the block table is */

static int operate(int (*op)(int fd))
{
	int fd = readers_open(image, O_RDWR), r = op(fd);

	close(fd);
	return r;
}

static int grow(int fd)
{
	return image_resize(fd, IMAGE_VHDX, LARGER, false, &readers_error);
}

static int shrink(int fd)
{
	return image_resize(fd, IMAGE_VHDX, READERS_BYTES, true, &readers_error);
}

static int compact(int fd)
{
	return image_compact(fd, IMAGE_VHDX, NULL, &readers_error);
}

/* A header, and the entry of a block that is zeros in `raw`, are damaged. */
static int damage_and_repair(int fd)
{
	const uint64_t entry = 0x7fffffff00000006;
	struct image_check found;
	int r;

	ck_assert_int_eq(pwrite(fd, "x", 1, 64 << 10), 1);
	ck_assert_int_eq(pwrite(fd, &entry, sizeof(entry), bat), sizeof(entry));
	r = image_repair(fd, IMAGE_VHDX, &found, NULL, &readers_error);
	ck_assert_uint_eq(found.mended, found.errors);
	return r;
}

/* Our own image, and qemu's. */
START_TEST(qemu_finds_changed_images_whole)
{
	static int (*const ops[])(int fd) = { grow, compact, shrink, damage_and_repair,
					      compact };
	struct image_create_params p = { .format = IMAGE_VHDX,
					 .kind = IMAGE_DYNAMIC,
					 .disk_bytes = READERS_BYTES,
					 .block_bytes = MIB };

	bat = _i ? 2 * MIB : 3 * MIB;
	if (_i) {
		ck_assert_int_eq(readers_sh("qemu-img convert -f raw -O vhdx -o "
					    "block_size=1M raw image.vhdx"),
				 0);
	} else {
		readers_make(image, &p);
		use(DISK_WRITE, readers_data);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		ck_assert_msg(operate(ops[i]) == 0, "%zu: %s", i, readers_error.message);
		/* Zeros behind the shorter one are no difference. */
		check_with_qemu();
		readers_check(image, IMAGE_VHDX);
	}
}
END_TEST

/* It knows no child, but reads what became of one. */
START_TEST(qemu_reads_what_was_merged)
{
	static const char *const names[] = { "child.avhdx", "image.vhdx" };
	struct image_create_params p = { .format = IMAGE_VHDX,
					 .kind = IMAGE_DYNAMIC,
					 .disk_bytes = READERS_BYTES,
					 .block_bytes = MIB };
	struct image_file files[2];
	struct image_params chain = { .files = files, .nfiles = 2 };

	readers_make(image, &p);
	memset(readers_buf, 0xaa, READERS_BYTES);
	use(DISK_WRITE, readers_buf);
	files[0] = (struct image_file){ readers_open(image, O_RDONLY), IMAGE_VHDX };
	p.kind = IMAGE_DIFFERENCING;
	p.parent_relative = image;
	chain.nfiles = 1;
	chain.read_only = true;
	ck_assert_int_eq(image_open(&chain, &p.parent, &readers_error), 0);
	readers_make(names[0], &p);
	disk_unref(p.parent);
	readers_whole(names, 2, IMAGE_VHDX, DISK_WRITE, readers_data, READERS_BYTES);
	for (unsigned int i = 0; i < 2; i++)
		files[i] =
			(struct image_file){ readers_open(names[i], O_RDWR), IMAGE_VHDX };
	chain.nfiles = 2;
	chain.read_only = false;
	ck_assert_msg(image_merge(&chain, NULL, &readers_error) == 0, "%s",
		      readers_error.message);
	close(files[0].fd);
	close(files[1].fd);
	check_with_qemu();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_qemu");
	TCase *t = tcase_create("vhdx_qemu");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, readers_setup, readers_teardown);
	tcase_add_loop_test(t, qemu_reads_ours, 0, 4);
	tcase_add_loop_test(t, we_read_and_write_qemus, 0, 7);
	tcase_add_loop_test(t, qemu_finds_changed_images_whole, 0, 2);
	tcase_add_test(t, qemu_reads_what_was_merged);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN_NEEDS(suite, readers_no_qemu)
