/* SPDX-License-Identifier: BSD-2-Clause */
/* VHDX and qemu-img: what we make, it finds whole and equal; what it makes, we read and write. */
#include <string.h>
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
		"subformat=dynamic,block_size=256M,log_size=2M",
		"subformat=dynamic,block_state_zero=off",
		"subformat=fixed",
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

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_qemu");
	TCase *t = tcase_create("vhdx_qemu");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, readers_setup, readers_teardown);
	tcase_add_loop_test(t, qemu_reads_ours, 0, 3);
	tcase_add_loop_test(t, we_read_and_write_qemus, 0, 4);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN_NEEDS(suite, readers_no_qemu)
