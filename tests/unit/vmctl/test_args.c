/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "unit/test.h"

static const struct option own[] = {
	{ "memory", OPT_SIZE, "SIZE", .help = "" },
	{ "cpus", OPT_COUNT, "N", .help = "" },
	{ "disk", OPT_PATH, "FILE", .repeat = true, .help = "" },
	{ "wait", OPT_CHOICE, "WHAT", "running|heartbeat", .help = "" },
	{ "force", OPT_FLAG, .help = "" },
	{ NULL },
};
static const struct option common[] = { { "json", OPT_FLAG, .help = "" },
					{ "help", OPT_FLAG, .help = "" },
					{ NULL } };
static const struct args_tables tables = { own, common };

/* argv is writable in a program, and outlives what points into it. */
static int parse(const char *const *words, struct args *ret, char *error)
{
	static char text[16][64];
	char *argv[16];
	int argc = 0;

	error[0] = '\0';
	for (; words[argc]; argc++)
		argv[argc] = strcpy(text[argc], words[argc]);
	return args_parse(&tables, argc, argv, ret, error);
}

static const struct {
	const char *words[8];
	const char *says;
} wrong[] = {
	{ { "--none" }, "there is no option --none" },
	{ { "--memroy", "1M" }, "there is no option --memroy; did you mean --memory?" },
	{ { "--jsn" }, "there is no option --jsn; did you mean --json?" },
	{ { "-m" }, "there is no option -m; options have two dashes" },
	{ { "--memory" }, "--memory wants a value: --memory SIZE" },
	{ { "--memory", "" }, "--memory wants a size such as 64M or 2G, not \"\"" },
	{ { "--memory=64X" }, "--memory wants a size such as 64M or 2G, not \"64X\"" },
	{ { "--memory=-1" }, "--memory wants a size such as 64M or 2G, not \"-1\"" },
	{ { "--memory=16777216T" },
	  "--memory wants a size such as 64M or 2G, not \"16777216T\"" },
	{ { "--memory=8388608T" },
	  "--memory wants a size such as 64M or 2G, not \"8388608T\"" },
	{ { "--cpus=0" }, "--cpus wants a number such as 2, not \"0\"" },
	{ { "--cpus=2x" }, "--cpus wants a number such as 2, not \"2x\"" },
	{ { "--cpus=9223372036854775808" },
	  "--cpus wants a number such as 2, not \"9223372036854775808\"" },
	{ { "--cpus=1", "--cpus=2" }, "--cpus is given twice" },
	{ { "--force=yes" }, "--force takes no value" },
	{ { "--force", "--force" }, "--force is given twice" },
	{ { "--disk", "" }, "--disk wants the path of a file" },
	{ { "--wait=run" }, "--wait is one of running|heartbeat, not \"run\"" },
	{ { "--wait=running|heartbeat" },
	  "--wait is one of running|heartbeat, not \"running|heartbeat\"" },
	{ { "--wait=" }, "--wait is one of running|heartbeat, not \"\"" },
	{ { "a", "b", "c", "d", "e" }, "\"e\" is one word too many" },
};

START_TEST(wrong_use_is_named)
{
	char error[ARGS_ERROR_MAX];
	struct args a;

	ck_assert_int_eq(parse(wrong[_i].words, &a, error), -EINVAL);
	ck_assert_str_eq(error, wrong[_i].says);
	ck_assert_uint_eq(a.nvalues, 0);
	ck_assert_ptr_null(a.values);
}
END_TEST

START_TEST(options_and_words_in_any_order)
{
	const char *words[] = { "--memory=2G", "web1", "--cpus", "4", "--json",
				"two",         "--",   "--x",    NULL };
	char error[ARGS_ERROR_MAX];
	struct args a;

	ck_assert_int_eq(parse(words, &a, error), 0);
	ck_assert_uint_eq(a.nwords, 3);
	ck_assert_str_eq(a.words[0], "web1");
	ck_assert_str_eq(a.words[1], "two");
	ck_assert_str_eq(a.words[2], "--x");
	ck_assert_uint_eq(args_find(&a, "memory")->number, 2ull << 30);
	ck_assert_uint_eq(args_find(&a, "cpus")->number, 4);
	ck_assert(args_has(&a, "json"));
	ck_assert(!args_has(&a, "force"));
	args_done(&a);
}
END_TEST

START_TEST(paths_become_absolute)
{
	const char *words[] = { "--disk", "a b.img", "--disk=/dev/sdb", NULL };
	char error[ARGS_ERROR_MAX], want[4200], cwd[4096];
	struct args a;

	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/a b.img", cwd);
	ck_assert_int_eq(parse(words, &a, error), 0);
	ck_assert_uint_eq(a.nvalues, 2);
	ck_assert_str_eq(a.values[0].text, want);
	ck_assert_str_eq(a.values[1].text, "/dev/sdb");
	args_done(&a);
}
END_TEST

START_TEST(options_are_bounded)
{
	char *argv[ARGS_VALUES_MAX + 1], error[ARGS_ERROR_MAX], disk[] = "--disk=/x";
	struct args a;

	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		argv[i] = disk;
	ck_assert_int_eq(args_parse(&tables, ARGS_VALUES_MAX, argv, &a, error), 0);
	args_done(&a);
	ck_assert_int_eq(args_parse(&tables, ARGS_VALUES_MAX + 1, argv, &a, error),
			 -EINVAL);
}
END_TEST

START_TEST(suggestions)
{
	const char *const names[] = { "start", "stop", "list", "host check", "restart" };

	ck_assert_str_eq(args_suggest("strat", names, 5), "start");
	ck_assert_str_eq(args_suggest("lst", names, 5), "list");
	ck_assert_str_eq(args_suggest("host chek", names, 5), "host check");
	ck_assert_str_eq(args_suggest("res", names, 5), "restart");
	ck_assert_ptr_null(args_suggest("banana", names, 5));
	ck_assert_ptr_null(args_suggest("", names, 5));
	ck_assert_ptr_null(args_suggest(
		"starrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrt", names, 5));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("args");
	TCase *t = tcase_create("args");

	tcase_add_loop_test(t, wrong_use_is_named, 0, ARRAY_SIZE(wrong));
	tcase_add_test(t, options_and_words_in_any_order);
	tcase_add_test(t, paths_become_absolute);
	tcase_add_test(t, options_are_bounded);
	tcase_add_test(t, suggestions);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
