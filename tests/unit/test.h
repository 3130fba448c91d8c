/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The main of every Check suite: runs it and prints TAP on standard output, one line a test, so that
 * ./runtests can count tests and not programs. Use: `TEST_MAIN(suite_fn)` with `Suite *suite_fn(void)`.
 * CK_FORK=no (for debuggers and sanitizers) and CK_RUN_CASE work as check(3) has them.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <check.h>
#include <stdlib.h>

#define TEST_MAIN(suite_fn)                                  \
	int main(void)                                       \
	{                                                    \
		SRunner *sr = srunner_create(suite_fn());    \
		int failed;                                  \
		srunner_set_tap(sr, "-");                    \
		srunner_run_all(sr, CK_SILENT);              \
		failed = srunner_ntests_failed(sr);          \
		srunner_free(sr);                            \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS; \
	}

#endif
