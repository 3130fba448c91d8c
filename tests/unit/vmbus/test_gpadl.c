/* SPDX-License-Identifier: BSD-2-Clause */
/* gpadl.c and gpadl_table.c; what the control plane makes of a guest's messages is in test_control*.c. */
#include "vmbus/gpadl_table.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"
#include "vid/guestmem.h"

#define RAM (4u << 20)
#define RANGE(bytes, offset) ((uint64_t)(bytes) | (uint64_t)(offset) << 32)

static struct guestmem *gm;
static uint8_t *ram;
static struct gpadl_table t;
static unsigned int notified;

static void notify(void *opaque)
{
	notified++;
}

static void setup(void)
{
	ck_assert_int_eq(guestmem_new(RAM, &gm), 0);
	ram = guestmem_ptr(gm, 0, RAM);
	gpadl_table_init(&t, gm, notify, NULL);
	notified = 0;
}

static void teardown(void)
{
	gpadl_table_done(&t);
	ck_assert_uint_eq(t.count, 0);
	ck_assert_uint_eq(t.words, 0);
	guestmem_free(gm);
}

static int make(uint32_t relid, uint32_t id, const uint64_t *words, size_t n)
{
	return gpadl_table_begin(&t, relid, id, n * 8, 1, words, n * 8);
}

static struct gpadl *get(uint32_t relid, uint32_t id)
{
	struct gpadl *g = NULL;

	return gpadl_table_get(&t, id, &relid, 1, &g) ? NULL : g;
}

/* Three pages, not neighbours, from an offset. */
static const uint64_t odd[] = { RANGE(2 * 4096 + 100, 1000), 7, 3, 4 };

START_TEST(copies_cross_pages)
{
	uint8_t in[2 * 4096 + 100], out[sizeof(in)];
	struct iovec iov[3];
	struct gpadl *g;
	unsigned int n;

	ck_assert_int_eq(make(1, 9, odd, 4), 0);
	g = get(1, 9);
	ck_assert_uint_eq(gpadl_bytes(g), sizeof(in));
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	ck_assert_int_eq(gpadl_write(g, 0, in, sizeof(in)), 0);
	ck_assert_mem_eq(ram + 0x7000 + 1000, in, 3096);
	ck_assert_mem_eq(ram + 0x3000, in + 3096, sizeof(in) - 3096);
	ck_assert_int_eq(gpadl_read(g, 0, out, sizeof(out)), 0);
	ck_assert_mem_eq(in, out, sizeof(in));
	ck_assert_int_eq(gpadl_read(g, 3090, out, 10), 0);
	ck_assert_mem_eq(in + 3090, out, 10);
	ck_assert_int_eq(gpadl_iov(g, 3000, 5000, iov, 3, &n), 0);
	ck_assert_uint_eq(n, 2); /* pages 3 and 4 are neighbours */
	ck_assert_ptr_eq(iov[0].iov_base, ram + 0x7000 + 4000);
	ck_assert_uint_eq(iov[0].iov_len, 96);
	ck_assert_ptr_eq(iov[1].iov_base, ram + 0x3000);
	ck_assert_uint_eq(iov[1].iov_len, 4904);
	ck_assert_int_eq(gpadl_iov(g, 0, sizeof(in), iov, 1, &n), -E2BIG);
	gpadl_unref(g);
}
END_TEST

static const struct {
	uint64_t off, len;
} beyond[] = {
	{ 0, 8293 },
	{ 8292, 1 },
	{ 8293, 0 },
	{ 8291, 2 },
	{ UINT64_MAX, 1 },
	{ 1, UINT64_MAX },
	{ UINT64_MAX, UINT64_MAX },
	{ 0, UINT64_MAX },
};

START_TEST(beyond_its_bytes)
{
	struct iovec iov[3];
	struct gpadl *g;
	unsigned int n;
	char c = 'c';

	ck_assert_int_eq(make(1, 9, odd, 4), 0);
	g = get(1, 9);
	ck_assert_int_eq(gpadl_iov(g, beyond[_i].off, beyond[_i].len, iov, 3, &n),
			 -ERANGE);
	ck_assert_int_eq(gpadl_read(g, beyond[_i].off, &c, beyond[_i].len), -ERANGE);
	ck_assert_int_eq(gpadl_write(g, beyond[_i].off, &c, beyond[_i].len), -ERANGE);
	gpadl_unref(g);
}
END_TEST

static const struct {
	const char *what;
	uint64_t words[4];
	size_t n;
	int result;
} ring_rows[] = {
	{ "two pages", { RANGE(8192, 0), 1, 2 }, 3, 0 },
	{ "an offset", { RANGE(4096, 8), 1, 2 }, 3, -EINVAL },
	{ "half a page more", { RANGE(6144, 0), 1, 2 }, 3, -EINVAL },
	{ "less than a page", { RANGE(8, 0), 1 }, 2, -EINVAL },
};

START_TEST(ring_pages)
{
	struct gpadl *g;
	unsigned int n;
	void **pages;

	ck_assert_int_eq(make(1, 9, ring_rows[_i].words, ring_rows[_i].n), 0);
	g = get(1, 9);
	ck_assert_msg(gpadl_ring_pages(g, &pages, &n) == ring_rows[_i].result, "%s",
		      ring_rows[_i].what);
	if (!ring_rows[_i].result) {
		ck_assert_uint_eq(n, 2);
		ck_assert_ptr_eq(pages[1], ram + 0x2000);
		free(pages);
	}
	gpadl_unref(g);
}
END_TEST

START_TEST(bodies)
{
	uint64_t words[64] = { RANGE(63 * 4096, 0) };
	uint32_t relid = 0;

	for (uint64_t i = 1; i < 64; i++)
		words[i] = i;
	ck_assert_int_eq(gpadl_table_append(&t, 5, words, 8, &relid), -ENOENT);
	ck_assert_int_eq(gpadl_table_begin(&t, 3, 5, sizeof(words), 1, words, 80),
			 -EINPROGRESS);
	ck_assert_ptr_null(get(3, 5));
	ck_assert_int_eq(gpadl_table_teardown(&t, 3, 5), -ENOENT);
	ck_assert_int_eq(gpadl_table_append(&t, 5, words + 10, 8 * 8, &relid),
			 -EINPROGRESS);
	ck_assert_uint_eq(relid, 3);
	/* More than is due: the rest of a message buffer. */
	ck_assert_int_eq(gpadl_table_append(&t, 5, words + 18, 46 * 8 + 3, &relid), 0);
	ck_assert_int_eq(gpadl_table_append(&t, 5, words, 8, &relid), -ENOENT);
	ck_assert_int_eq(gpadl_table_teardown(&t, 3, 5), 0);
}
END_TEST

START_TEST(lookup_is_by_channel)
{
	uint32_t relids[] = { 4, 1 };
	struct gpadl *g;

	ck_assert_int_eq(make(1, 9, odd, 4), 0);
	ck_assert_int_eq(make(2, 9, odd, 4), -EEXIST); /* handles are the VM's */
	ck_assert_ptr_null(get(2, 9));
	ck_assert_int_eq(gpadl_table_get(&t, 9, relids, 1, &g), -ENOENT);
	ck_assert_int_eq(gpadl_table_get(&t, 9, relids, 2, &g), 0);
	gpadl_unref(g);
}
END_TEST

START_TEST(teardown_waits_for_the_last_user)
{
	struct gpadl *g;
	uint32_t id = 0;

	ck_assert_int_eq(make(1, 9, odd, 4), 0);
	g = get(1, 9);
	gpadl_ref(g);
	ck_assert_int_eq(gpadl_table_teardown(&t, 1, 9), -EINPROGRESS);
	ck_assert_int_eq(gpadl_table_teardown(&t, 1, 9), -ENOENT);
	ck_assert_ptr_null(get(1, 9)); /* no new users */
	ck_assert_int_eq(make(1, 9, odd, 4), -EEXIST);
	gpadl_unref(g);
	ck_assert(!gpadl_table_reap(&t, &id));
	ck_assert_uint_eq(notified, 0);
	gpadl_unref(g);
	ck_assert_uint_eq(notified, 1);
	ck_assert(gpadl_table_reap(&t, &id));
	ck_assert_uint_eq(id, 9);
	ck_assert(!gpadl_table_reap(&t, &id));
	ck_assert_int_eq(make(1, 9, odd, 4), 0);
}
END_TEST

START_TEST(drop_leaves_it_to_its_user)
{
	struct gpadl *g;
	char c;

	ck_assert_int_eq(make(1, 9, odd, 4), 0);
	ck_assert_int_eq(make(2, 10, odd, 4), 0);
	g = get(1, 9);
	gpadl_table_drop(&t, 1);
	ck_assert_uint_eq(t.count, 1);
	ck_assert_int_eq(make(1, 9, odd, 4), 0); /* the handle is free */
	ck_assert_int_eq(gpadl_read(g, 0, &c, 1), 0);
	gpadl_unref(g);
	ck_assert_uint_eq(notified, 0);
	gpadl_table_drop(&t, 0);
	ck_assert_uint_eq(t.count, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gpadl");
	TCase *tc = tcase_create("gpadl");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, beyond_its_bytes, 0, ARRAY_SIZE(beyond));
	tcase_add_loop_test(tc, ring_pages, 0, ARRAY_SIZE(ring_rows));
	tcase_add_test(tc, copies_cross_pages);
	tcase_add_test(tc, bodies);
	tcase_add_test(tc, lookup_is_by_channel);
	tcase_add_test(tc, teardown_waits_for_the_last_user);
	tcase_add_test(tc, drop_leaves_it_to_its_user);
	suite_add_tcase(s, tc);
	return s;
}

TEST_MAIN(suite)
