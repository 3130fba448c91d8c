/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/journal.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

static char buf[256];

START_TEST(fields_are_lines)
{
	const struct journal_field f[] = { { "MESSAGE", "hello" },
					   { "VM_ID", NULL },
					   { "VM_NAME", "" } };
	const char wanted[] = "MESSAGE=hello\nVM_NAME=\n";

	ck_assert_int_eq(journal_format(f, ARRAY_SIZE(f), buf, sizeof(buf)),
			 sizeof(wanted) - 1);
	ck_assert_mem_eq(buf, wanted, sizeof(wanted) - 1);
}
END_TEST

START_TEST(a_newline_makes_no_field)
{
	const struct journal_field f = { "A", "x\nPRIORITY=0" };
	const char wanted[] = "A\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\n";

	ck_assert_int_eq(journal_format(&f, 1, buf, sizeof(buf)), sizeof(wanted) - 1);
	ck_assert_mem_eq(buf, wanted, sizeof(wanted) - 1);
}
END_TEST

/* Every room up to the one that is just enough: nothing is written behind it. */
START_TEST(too_large_is_refused)
{
	const struct journal_field f[] = { { "A", "x\ny" }, { "BC", "de" } };
	const size_t whole = 1 + 1 + 8 + 3 + 1 + 2 + 1 + 2 + 1;

	memset(buf, 0x5a, sizeof(buf));
	ck_assert_int_eq(journal_format(f, 2, buf, (size_t)_i),
			 (size_t)_i < whole ? -E2BIG : (int)whole);
	for (size_t i = (size_t)_i; i < sizeof(buf); i++)
		ck_assert_int_eq(buf[i], 0x5a);
}
END_TEST

static Suite *journal_suite(void)
{
	Suite *s = suite_create("util/journal");
	TCase *c = tcase_create("format");

	tcase_add_test(c, fields_are_lines);
	tcase_add_test(c, a_newline_makes_no_field);
	tcase_add_loop_test(c, too_large_is_refused, 0, 30);
	suite_add_tcase(s, c);
	return s;
}

TEST_MAIN(journal_suite)
