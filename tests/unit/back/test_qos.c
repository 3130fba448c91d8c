/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/qos.h"

#include "unit/test.h"

#define S 1000000000ull
#define MINIMUM 100u

enum { BUSY = 1, IDLE = 0, SKIP = 2 };

/* Looks one after another: after so many seconds, so many units more, what was seen; then whether it is below. */
struct look {
	unsigned int seconds, units, how;
	bool below;
};

static const struct {
	const char *name;
	struct look looks[9];
} rows[] = {
	{ "never looked at before", { { 1000, 0, BUSY, false } } },
	{ "slow for less than the window",
	  { { 10, 0, BUSY, false },
	    { 10, 999, BUSY, false },
	    { 10, 999, BUSY, false },
	    { 10, 1000, BUSY, false },
	    { 10, 999, BUSY, false } } },
	{ "slow for the window, then well",
	  { { 10, 5, BUSY, false },
	    { 10, 999, BUSY, false },
	    { 10, 0, BUSY, false },
	    { 10, 999, BUSY, true },
	    { 10, 999, BUSY, true },
	    { 10, 1000, BUSY, false },
	    { 10, 999, BUSY, false } } },
	{ "slow because nothing is asked of it",
	  { { 10, 0, IDLE, false },
	    { 10, 1, IDLE, false },
	    { 10, 1, IDLE, false },
	    { 100, 1, IDLE, false } } },
	{ "an idle moment ends it",
	  { { 10, 0, BUSY, false },
	    { 30, 0, BUSY, true },
	    { 10, 0, IDLE, false },
	    { 29, 0, BUSY, false },
	    { 1, 0, BUSY, true } } },
	{ "a late look counts the time that went by",
	  { { 10, 0, BUSY, false },
	    { 15, 1499, BUSY, false },
	    { 20, 2000, BUSY, false } } },
	{ "the machine stood: that time does not count, and what was, stays",
	  { { 10, 0, BUSY, false },
	    { 20, 0, BUSY, false },
	    { 1000, 0, SKIP, false },
	    { 10, 0, BUSY, false },
	    { 29, 0, BUSY, false },
	    { 1, 0, BUSY, true },
	    { 1000, 0, SKIP, true },
	    { 10, 0, BUSY, true },
	    { 10, 0, BUSY, true } } },
	{ "more than can be counted",
	  { { 10, 0, BUSY, false }, { 40, UINT32_MAX, BUSY, false } } },
};

START_TEST(says_when_it_is_below)
{
	struct qos q = { 0 };
	uint64_t now = 5, units = 7;

	qos_set(&q, MINIMUM);
	for (size_t i = 0; i < ARRAY_SIZE(rows[_i].looks) && rows[_i].looks[i].seconds;
	     i++) {
		const struct look *l = &rows[_i].looks[i];
		bool was = q.below, changed = false;

		now += l->seconds * S;
		units += l->units;
		if (l->how == SKIP)
			qos_skip(&q);
		else
			changed = qos_look(&q, units, l->how == BUSY, now);
		ck_assert_msg(q.below == l->below, "%s: look %zu", rows[_i].name, i);
		ck_assert_msg(changed == (was != q.below), "%s: look %zu", rows[_i].name,
			      i);
	}
}
END_TEST

START_TEST(a_clock_that_stands_or_goes_back_does_no_harm)
{
	struct qos q = { 0 };

	qos_set(&q, MINIMUM);
	ck_assert(!qos_look(&q, 0, true, 100 * S));
	ck_assert(!qos_look(&q, 0, true, 100 * S));
	ck_assert(!qos_look(&q, 0, true, 1 * S));
	ck_assert(qos_look(&q, 10, true, 130 * S));
	ck_assert_uint_eq(q.rate, 0);
}
END_TEST

START_TEST(another_minimum_begins_anew)
{
	struct qos q = { 0 };

	qos_set(&q, MINIMUM);
	qos_look(&q, 0, true, 10 * S);
	ck_assert(qos_look(&q, 50 * 30, true, 40 * S));
	ck_assert_uint_eq(q.rate, 50);
	qos_set(&q, MINIMUM);
	ck_assert(q.below);
	qos_set(&q, 40);
	ck_assert(!q.below);
	ck_assert(!qos_look(&q, 3000, true, 80 * S));
	ck_assert(!qos_look(&q, 3000 + 40 * 30, true, 110 * S));
	qos_set(&q, 0);
	ck_assert(!qos_look(&q, 0, true, 200 * S) && !qos_look(&q, 0, true, 300 * S));
	ck_assert(!q.below);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("back");
	TCase *t = tcase_create("qos");

	tcase_add_loop_test(t, says_when_it_is_below, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, a_clock_that_stands_or_goes_back_does_no_harm);
	tcase_add_test(t, another_minimum_begins_anew);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
