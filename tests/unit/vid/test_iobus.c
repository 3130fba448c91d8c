/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/iobus.h"

#include <errno.h>
#include "unit/test.h"

/* A device that remembers its last access. */
struct dev {
	uint64_t off, value;
	unsigned int len, reads, writes;
};

static uint64_t dev_read(void *opaque, uint64_t off, unsigned int len)
{
	struct dev *d = opaque;

	d->off = off;
	d->len = len;
	d->reads++;
	return 0x1122334455667788ull;
}

static void dev_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct dev *d = opaque;

	*d = (struct dev){ off, value, len, d->reads, d->writes + 1 };
}

static const struct iobus_ops ops = { dev_read, dev_write };

static struct iobus *bus;
static struct dev a, b;

static void setup(void)
{
	ck_assert_int_eq(iobus_new(&bus), 0);
	ck_assert_int_eq(iobus_add(bus, IOBUS_PIO, 0x100, 8, "a", &ops, &a), 0);
	ck_assert_int_eq(iobus_add(bus, IOBUS_PIO, 0x108, 2, "b", &ops, &b), 0);
}

static void teardown(void)
{
	iobus_free(bus);
}

static const struct {
	enum iobus_space space;
	uint64_t base, len;
	int r;
} adds[] = {
	{ IOBUS_PIO, 0, 0, -EINVAL },
	{ IOBUS_PIO, 0x10000, 1, -EINVAL },
	{ IOBUS_PIO, 0xffff, 2, -EINVAL },
	{ IOBUS_PIO, UINT64_MAX, 2, -EINVAL },
	{ IOBUS_MMIO, UINT64_MAX, 2, -EINVAL },
	{ IOBUS_MMIO, 1, UINT64_MAX, 0 },
	{ IOBUS_MMIO, 2, UINT64_MAX, -EINVAL },
	{ IOBUS_PIO, 0xff, 2, -EEXIST },
	{ IOBUS_PIO, 0, 0x10000, -EEXIST },
	{ IOBUS_PIO, 0x100, 8, -EEXIST },
	{ IOBUS_PIO, 0x107, 1, -EEXIST },
	{ IOBUS_PIO, 0x109, 2, -EEXIST },
	{ IOBUS_PIO, 0xff, 1, 0 },
	{ IOBUS_PIO, 0x10a, 1, 0 },
	{ IOBUS_PIO, 0xffff, 1, 0 },
	{ IOBUS_MMIO, 0x100, 8, 0 },
};

START_TEST(add_refuses_overlap_and_wrap)
{
	ck_assert_int_eq(iobus_add(bus, adds[_i].space, adds[_i].base, adds[_i].len, "x",
				   &ops, NULL),
			 adds[_i].r);
}
END_TEST

START_TEST(unclaimed_reads_as_ones)
{
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0xfff0, 1), 0xff);
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0xfff0, 2), 0xffff);
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0xfff0, 4), 0xffffffff);
	ck_assert_uint_eq(iobus_read(bus, IOBUS_MMIO, 0x100, 8), UINT64_MAX);
	ck_assert_uint_eq(iobus_read(bus, IOBUS_MMIO, UINT64_MAX, 8), UINT64_MAX);
	iobus_write(bus, IOBUS_MMIO, UINT64_MAX, 8, 1);
	iobus_write(bus, IOBUS_PIO, 0x10a, 4, 1);
	ck_assert_uint_eq(a.writes + b.writes, 0);
}
END_TEST

START_TEST(access_inside_goes_whole)
{
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0x104, 4), 0x55667788);
	ck_assert_uint_eq(a.off, 4);
	ck_assert_uint_eq(a.len, 4);
	iobus_write(bus, IOBUS_PIO, 0x109, 1, 0xfff);
	ck_assert_uint_eq(b.off, 1);
	ck_assert_uint_eq(b.value, 0xff);
}
END_TEST

START_TEST(access_over_an_edge_goes_by_bytes)
{
	/* Two bytes of a, two of b. */
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0x106, 4), 0x88888888);
	ck_assert_uint_eq(a.reads, 2);
	ck_assert_uint_eq(b.reads, 2);
	/* The last of b, then nobody. */
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0x109, 2), 0xff88);
	iobus_write(bus, IOBUS_PIO, 0x107, 2, 0xabcd);
	ck_assert_uint_eq(a.value, 0xcd);
	ck_assert_uint_eq(b.value, 0xab);
	/* A length that no bus has. */
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0x100, 3), 0x888888);
	ck_assert_uint_eq(a.len, 1);
}
END_TEST

START_TEST(del_gives_the_place_back)
{
	iobus_del(bus, IOBUS_PIO, 0x101);
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0x100, 1), 0x88);
	iobus_del(bus, IOBUS_PIO, 0x100);
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0x100, 1), 0xff);
	ck_assert_uint_eq(iobus_read(bus, IOBUS_PIO, 0x108, 1), 0x88);
	ck_assert_int_eq(iobus_add(bus, IOBUS_PIO, 0x101, 7, "c", &ops, &a), 0);
}
END_TEST

START_TEST(bounded)
{
	int r = 0;

	for (unsigned int i = 0; i < 10000 && !r; i++)
		r = iobus_add(bus, IOBUS_MMIO, i * 16, 16, "x", &ops, NULL);
	ck_assert_int_eq(r, -ENOSPC);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("iobus");
	TCase *t = tcase_create("iobus");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, add_refuses_overlap_and_wrap, 0, (int)ARRAY_SIZE(adds));
	tcase_add_test(t, unclaimed_reads_as_ones);
	tcase_add_test(t, access_inside_goes_whole);
	tcase_add_test(t, access_over_an_edge_goes_by_bytes);
	tcase_add_test(t, del_gives_the_place_back);
	tcase_add_test(t, bounded);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
