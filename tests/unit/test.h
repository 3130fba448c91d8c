/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The main of every Check suite: runs it and prints TAP on standard output, one line a test, so that
 * ./runtests can count tests and not programs. Use: `TEST_MAIN(suite_fn)` with `Suite *suite_fn(void)`.
 * TEST_MAIN_NEEDS(suite_fn, missing_fn) asks `const char *missing_fn(void)` first: what it says is missing here skips the suite.
 * CK_FORK=no (for debuggers and sanitizers) and CK_RUN_CASE work as check(3) has them.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static inline const char *test_nothing_missing(void)
{
	return NULL;
}

#define TEST_MAIN(suite_fn) TEST_MAIN_NEEDS(suite_fn, test_nothing_missing)

#define TEST_MAIN_NEEDS(suite_fn, missing_fn)                \
	int main(void)                                       \
	{                                                    \
		const char *missing = missing_fn();          \
		SRunner *sr;                                 \
		int failed;                                  \
		if (missing) {                               \
			printf("1..0 # SKIP %s\n", missing); \
			return EXIT_SUCCESS;                 \
		}                                            \
		sr = srunner_create(suite_fn());             \
		srunner_set_tap(sr, "-");                    \
		srunner_run_all(sr, CK_SILENT);              \
		failed = srunner_ntests_failed(sr);          \
		srunner_free(sr);                            \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS; \
	}

#endif
