/* SPDX-License-Identifier: BSD-2-Clause */
/* VHD and qemu-img: what we make, it finds whole and equal; what it makes, we read and write. It knows no differencing images. */
#include <string.h>
#include "unit/test.h"
#include "unit/vhd/readers.h"

#define MIB (1u << 20)

static const char *const image = "image.vhd";

static void use(enum disk_op op, unsigned char *p, uint64_t bytes)
{
	readers_whole(&image, 1, IMAGE_VHD, op, p, bytes);
}

static void check_with_qemu(void)
{
	ck_assert_int_eq(readers_sh("qemu-img compare -q -f raw -F vpc raw image.vhd"),
			 0);
	readers_check(image, IMAGE_VHD);
}

/* The size too, to the byte: qemu takes it from the geometry where it does not know the creator. */
START_TEST(qemu_reads_ours)
{
	static const struct image_create_params rows[] = {
		{ .kind = IMAGE_DYNAMIC },
		{ .kind = IMAGE_DYNAMIC, .block_bytes = MIB / 2 },
		{ .kind = IMAGE_DYNAMIC, .block_bytes = 4096 },
		{ .kind = IMAGE_DYNAMIC, .block_bytes = 256 * MIB },
		{ .kind = IMAGE_FIXED },
	};
	struct image_create_params p = rows[_i];

	p.format = IMAGE_VHD;
	p.disk_bytes = READERS_BYTES;
	readers_make(image, &p);
	use(DISK_WRITE, readers_data, READERS_BYTES);
	check_with_qemu();
	ck_assert_int_eq(readers_sh("qemu-img info -f vpc --output json image.vhd | "
				    "grep -q '\"virtual-size\": %u,'",
				    READERS_BYTES),
			 0);
}
END_TEST

/* And what it writes into ours, we find. */
START_TEST(qemu_writes_ours)
{
	static const enum image_kind kinds[] = { IMAGE_DYNAMIC, IMAGE_FIXED };
	struct image_create_params p = { .format = IMAGE_VHD,
					 .kind = kinds[_i],
					 .disk_bytes = READERS_BYTES };

	readers_make(image, &p);
	ck_assert_int_eq(readers_sh("qemu-img convert -n -f raw -O vpc raw image.vhd"),
			 0);
	readers_check(image, IMAGE_VHD);
	use(DISK_READ, readers_buf, READERS_BYTES);
	ck_assert_int_eq(memcmp(readers_data, readers_buf, READERS_BYTES), 0);
}
END_TEST

START_TEST(we_read_and_write_qemus)
{
	static const char *const options[] = {
		"subformat=dynamic,force_size=on",
		"subformat=fixed,force_size=on",
	};

	ck_assert_int_eq(readers_sh("qemu-img convert -f raw -O vpc -o %s raw image.vhd",
				    options[_i]),
			 0);
	readers_check(image, IMAGE_VHD);
	use(DISK_READ, readers_buf, READERS_BYTES);
	ck_assert_int_eq(memcmp(readers_data, readers_buf, READERS_BYTES), 0);
	use(DISK_WRITE, readers_data, READERS_BYTES);
	check_with_qemu();
}
END_TEST

/* Without force_size its disk is as many cylinders as hold the data: 603 of 4 heads and 17 sectors. */
START_TEST(sizes_by_geometry_are_the_same)
{
	static const char *const options[] = { "dynamic", "fixed" };
	const uint64_t bytes = 603ull * 4 * 17 * 512;

	ck_assert_int_eq(
		readers_sh("qemu-img convert -f raw -O vpc -o subformat=%s raw image.vhd",
			   options[_i]),
		0);
	readers_check(image, IMAGE_VHD);
	use(DISK_READ, readers_buf, bytes);
	ck_assert_int_eq(memcmp(readers_data, readers_buf, READERS_BYTES), 0);
	for (uint64_t i = READERS_BYTES; i < bytes; i++)
		ck_assert_uint_eq(readers_buf[i], 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhd_qemu");
	TCase *t = tcase_create("vhd_qemu");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, readers_setup, readers_teardown);
	tcase_add_loop_test(t, qemu_reads_ours, 0, 5);
	tcase_add_loop_test(t, qemu_writes_ours, 0, 2);
	tcase_add_loop_test(t, we_read_and_write_qemus, 0, 2);
	tcase_add_loop_test(t, sizes_by_geometry_are_the_same, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN_NEEDS(suite, readers_no_qemu)
