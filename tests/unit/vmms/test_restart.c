/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/restart.h"

#include "unit/test.h"

/* How long each worker of a row ran, in ms, and what followed; the clock is the table's. */
static const struct {
	enum restart_policy policy;
	unsigned int failures_before;
	uint64_t ran_ms;
	enum restart_do next;
	uint64_t wait_ms;
	unsigned int failures_after;
} rows[] = {
	{ RESTART_NEVER, 0, 0, RESTART_NOT, 0, 0 },
	{ RESTART_NEVER, 9, 0, RESTART_NOT, 0, 0 },
	{ RESTART_ON_FAILURE, 0, 0, RESTART_LATER, 1000, 1 },
	{ RESTART_ON_FAILURE, 1, 5, RESTART_LATER, 2000, 2 },
	{ RESTART_ON_FAILURE, 5, RESTART_GOOD_MS - 1, RESTART_LATER, 32000, 6 },
	{ RESTART_ON_FAILURE, 6, 0, RESTART_LATER, 64000, 7 },
	{ RESTART_ON_FAILURE, 7, 0, RESTART_LATER, 64000, 8 },
	{ RESTART_ON_FAILURE, 9, 0, RESTART_LATER, 64000, 10 },
	{ RESTART_ON_FAILURE, 10, 0, RESTART_GIVEN_UP, 0, 10 },
	{ RESTART_ON_FAILURE, 4000000000u, 0, RESTART_GIVEN_UP, 0, 4000000000u },
	{ RESTART_ON_FAILURE, 10, RESTART_GOOD_MS, RESTART_LATER, 1000, 1 },
	{ RESTART_ON_FAILURE, 3, UINT64_MAX, RESTART_LATER, 1000, 1 },
};

START_TEST(decides)
{
	unsigned int failures = rows[_i].failures_before;
	uint64_t wait_ms = 0;

	ck_assert_int_eq(restart_decide(rows[_i].policy, 1000, rows[_i].ran_ms, &failures,
					&wait_ms),
			 rows[_i].next);
	ck_assert_uint_eq(wait_ms, rows[_i].wait_ms);
	ck_assert_uint_eq(failures, rows[_i].failures_after);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("restart");
	TCase *t = tcase_create("decide");

	tcase_add_loop_test(t, decides, 0, ARRAY_SIZE(rows));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
