/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/guestmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "unit/test.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct guestmem *gm;

static void setup(void)
{
	ck_assert_int_eq(guestmem_new(5 * GIB, &gm), 0);
}

static void teardown(void)
{
	guestmem_free(gm);
}

static const struct {
	uint64_t bytes;
	int r;
} sizes[] = {
	{ 0, -EINVAL },
	{ 1, -EINVAL },
	{ 4096, -EINVAL },
	{ 2 * MIB - 1, -EINVAL },
	{ 3 * MIB, -EINVAL },
	{ UINT64_MAX, -EINVAL },
	{ UINT64_MAX - 2 * MIB + 1, -EINVAL },
	{ (1ull << 44) + 2 * MIB, -EINVAL },
	{ 2 * MIB, 0 },
	{ 3 * GIB, 0 },
	{ 3 * GIB + 2 * MIB, 0 },
};

START_TEST(size_is_checked)
{
	struct guestmem *one = NULL;

	ck_assert_int_eq(guestmem_new(sizes[_i].bytes, &one), sizes[_i].r);
	ck_assert_int_eq(one != NULL, sizes[_i].r == 0);
	if (one)
		ck_assert_uint_eq(guestmem_bytes(one), sizes[_i].bytes);
	guestmem_free(one);
}
END_TEST

/* RAM is [0, 3 GiB) and [4 GiB, 6 GiB). */
static const struct {
	uint64_t gpa, len;
	bool ram;
} ranges[] = {
	{ 3 * GIB, 1, false },
	{ 3 * GIB - 1, 2, false },
	{ 4 * GIB - 1, 1, false },
	{ 4 * GIB - 1, 2, false },
	{ 6 * GIB, 1, false },
	{ 6 * GIB - 1, 2, false },
	{ 3 * GIB - 4096, 2 * GIB, false },
	{ 0, UINT64_MAX, false },
	{ 1, UINT64_MAX, false },
	{ UINT64_MAX, 1, false },
	{ UINT64_MAX, UINT64_MAX, false },
	{ 4 * GIB, UINT64_MAX - 4 * GIB + 1, false },
	{ 0, 1, true },
	{ 0, 3 * GIB, true },
	{ 3 * GIB - 1, 1, true },
	{ 4 * GIB, 2 * GIB, true },
	{ 6 * GIB - 1, 1, true },
};

START_TEST(pointers_end_where_ram_ends)
{
	void *p = guestmem_ptr(gm, ranges[_i].gpa, ranges[_i].len);

	ck_assert_int_eq(p != NULL, ranges[_i].ram);
}
END_TEST

START_TEST(copies_are_whole_or_not_at_all)
{
	char in[8] = "1234567", out[8] = "-------";

	ck_assert_int_eq(guestmem_write(gm, 3 * GIB - 4, in, 8), -EFAULT);
	ck_assert_int_eq(guestmem_read(gm, 3 * GIB - 4, out, 4), 0);
	ck_assert_mem_eq(out, "\0\0\0\0", 4);
	memset(out, '-', 8);
	ck_assert_int_eq(guestmem_read(gm, 3 * GIB - 4, out, 8), -EFAULT);
	ck_assert_mem_eq(out, "--------", 8);
	ck_assert_int_eq(guestmem_zero(gm, 6 * GIB - 4, 8), -EFAULT);
	ck_assert_int_eq(guestmem_write(gm, 4 * GIB, in, 8), 0);
	ck_assert_int_eq(guestmem_read(gm, 4 * GIB, out, 8), 0);
	ck_assert_str_eq(out, in);
	ck_assert_int_eq(guestmem_zero(gm, 4 * GIB, 4), 0);
	ck_assert_int_eq(guestmem_read(gm, 4 * GIB, out, 8), 0);
	ck_assert_mem_eq(out,
			 "\0\0\0\0"
			 "567",
			 8);
}
END_TEST

START_TEST(banks_leave_the_hole)
{
	const struct guestmem_bank *b;

	ck_assert_uint_eq(guestmem_banks(gm, &b), 2);
	ck_assert_uint_eq(b[0].gpa, 0);
	ck_assert_uint_eq(b[0].bytes, 3 * GIB);
	ck_assert_uint_eq(b[1].gpa, 4 * GIB);
	ck_assert_uint_eq(b[1].bytes, 2 * GIB);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq((uintptr_t)b[i].host % (2u << 20), 0);
}
END_TEST

START_TEST(discard_zeroes_and_gives_back)
{
	unsigned char core = 1;
	char c = 1;

	ck_assert_int_eq(guestmem_write(gm, 4096, "x", 1), 0);
	ck_assert_int_eq(guestmem_discard(gm), 0);
	ck_assert_int_eq(mincore(guestmem_ptr(gm, 4096, 1), 4096, &core), 0);
	ck_assert_int_eq(core & 1, 0);
	ck_assert_int_eq(guestmem_read(gm, 4096, &c, 1), 0);
	ck_assert_int_eq(c, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("guestmem");
	TCase *t = tcase_create("guestmem");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, size_is_checked, 0, (int)ARRAY_SIZE(sizes));
	tcase_add_loop_test(t, pointers_end_where_ram_ends, 0, (int)ARRAY_SIZE(ranges));
	tcase_add_test(t, copies_are_whole_or_not_at_all);
	tcase_add_test(t, banks_leave_the_hole);
	tcase_add_test(t, discard_zeroes_and_gives_back);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
