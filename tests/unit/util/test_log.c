/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/log.h"

#include <string.h>
#include <unistd.h>
#include "unit/test.h"

static int p[2];

static void setup(void)
{
	ck_assert_int_eq(pipe(p), 0);
	log_init("vmwp/t", p[1], LOG_LVL_INFO);
}

static size_t drain(char *buf, size_t size)
{
	ssize_t n;

	close(p[1]);
	n = read(p[0], buf, size - 1);
	ck_assert_int_ge(n, 0);
	buf[n] = 0;
	return (size_t)n;
}

START_TEST(a_line_has_its_prefix_and_stays_one)
{
	char buf[4096];

	log_thread("storvsp/0");
	log_info("guest says %s", "a\nb\033[2J");
	drain(buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "vmwp/t storvsp/0: guest says a b [2J\n"));
}
END_TEST

START_TEST(a_long_line_is_cut)
{
	char buf[4096], big[3000];
	size_t n;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	log_info("%s", big);
	n = drain(buf, sizeof(buf));
	ck_assert_uint_lt(n, 1025);
	ck_assert_int_eq(buf[n - 1], '\n');
}
END_TEST

START_TEST(debug_is_silent_by_default)
{
	char buf[16];

	log_debug("no");
	ck_assert_uint_eq(drain(buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(ratelimit_drops_and_counts)
{
	struct ratelimit rl = { .interval_ms = 1000000, .burst = 3 };
	unsigned int dropped, passed = 0;

	for (int i = 0; i < 10; i++)
		passed += ratelimit_ok(&rl, &dropped);
	ck_assert_uint_eq(passed, 3);
	rl.interval_ms = 0; /* the interval is over */
	ck_assert(ratelimit_ok(&rl, &dropped));
	ck_assert_uint_eq(dropped, 7);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_line_has_its_prefix_and_stays_one);
	tcase_add_test(t, a_long_line_is_cut);
	tcase_add_test(t, debug_is_silent_by_default);
	tcase_add_test(t, ratelimit_drops_and_counts);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
