/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/throttle.h"

#include "unit/test.h"

#define S 1000000000ull

static const struct {
	uint32_t bytes, units;
} sizes[] = {
	{ 0, 1 },     { 1, 1 },          { 512, 1 },
	{ 8192, 1 },  { 8193, 2 },       { 65536, 8 },
	{ 65537, 9 }, { 1u << 20, 128 }, { UINT32_MAX, 524288 },
};

START_TEST(counts_in_units)
{
	ck_assert_uint_eq(throttle_units(sizes[_i].bytes), sizes[_i].units);
}
END_TEST

START_TEST(no_bound)
{
	struct throttle t;

	throttle_init(&t);
	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(throttle_take(&t, 1000, 0), 0);
	ck_assert_uint_eq(atomic_load(&t.units), 1000000);
}
END_TEST

/* Takes at a moment until it has to wait, goes to the time it is told: as many as the rate in any second. */
static const struct {
	uint32_t iops, units;
} rates[] = {
	{ 10, 1 }, { 100, 1 }, { 1000, 1 }, { 1000, 8 }, { 50, 3 }, { 1000000, 128 }
};

START_TEST(keeps_the_rate)
{
	uint64_t now = 5 * S, end = now + 10 * S, taken = 0, until;
	uint64_t most, least;
	struct throttle t;

	throttle_init(&t);
	throttle_set(&t, rates[_i].iops);
	for (;;) {
		until = throttle_take(&t, rates[_i].units, now);
		ck_assert_uint_le(now, until ? until : now);
		now = until ? until : now;
		if (now >= end)
			break;
		taken += rates[_i].units;
	}
	/* Ten seconds' worth, one bucket and one operation more at most. */
	most = 10ull * rates[_i].iops + rates[_i].iops / 10 + 2 * rates[_i].units;
	least = 10ull * rates[_i].iops - rates[_i].units;
	ck_assert_uint_le(taken, most);
	ck_assert_uint_ge(taken, least);
}
END_TEST

START_TEST(is_full_after_a_rest)
{
	struct throttle t;
	unsigned int n = 0;

	throttle_init(&t);
	throttle_set(&t, 100);
	while (!throttle_take(&t, 1, S))
		n++;
	ck_assert_uint_ge(n, 10);
	ck_assert_uint_le(n, 12);
	ck_assert_uint_eq(throttle_take(&t, 1, 100 * S), 0);
	/* A rest of a hundred seconds is no credit for ten thousand. */
	for (n = 0; !throttle_take(&t, 1, 100 * S);)
		n++;
	ck_assert_uint_le(n, 12);
}
END_TEST

START_TEST(another_rate)
{
	struct throttle t;

	throttle_init(&t);
	throttle_set(&t, 1);
	ck_assert_uint_eq(throttle_take(&t, 1000, S), 0); /* larger than the bucket */
	ck_assert_uint_gt(throttle_take(&t, 1, S), 900 * S);
	throttle_set(&t, 1000);
	ck_assert_uint_eq(throttle_take(&t, 1, S), 0);
	throttle_set(&t, 0);
	ck_assert_uint_eq(throttle_take(&t, UINT32_MAX, S), 0);
	throttle_set(&t, UINT32_MAX);
	ck_assert_uint_eq(throttle_take(&t, 1, S), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("throttle");
	TCase *t = tcase_create("throttle");

	tcase_add_loop_test(t, counts_in_units, 0, ARRAY_SIZE(sizes));
	tcase_add_test(t, no_bound);
	tcase_add_loop_test(t, keeps_the_rate, 0, ARRAY_SIZE(rates));
	tcase_add_test(t, is_full_after_a_rest);
	tcase_add_test(t, another_rate);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
