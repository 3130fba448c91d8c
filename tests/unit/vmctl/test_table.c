/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/table.h"

#include <string.h>
#include "unit/test.h"

static const struct table_column columns[] = { { "NAME", .shrinks = true },
					       { "STATE" },
					       { "MEMORY", .right = true } };

static char *render(const char *const rows[][3], size_t n, unsigned int indent,
		    unsigned int width)
{
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(table_add(t, rows[i]), 0);
	table_print(t, f, indent, width);
	fclose(f);
	table_free(t);
	return text;
}

static const char *const rows[][3] = {
	{ "web1", "Running", "2 GiB" },
	{ "a-name-that-is-long", "Off", NULL },
};

START_TEST(columns_line_up)
{
	char *text = render(rows, 2, 2, 0);

	ck_assert_str_eq(text, "  NAME                 STATE    MEMORY\n"
			       "  web1                 Running   2 GiB\n"
			       "  a-name-that-is-long  Off           -\n");
	free(text);
}
END_TEST

START_TEST(narrow_terminals_cut_what_may_shrink)
{
	char *text = render(rows, 2, 0, 28);

	ck_assert_str_eq(text, "NAME         STATE    MEMORY\n"
			       "web1         Running   2 GiB\n"
			       "a-name-tha…  Off           -\n");
	free(text);
	/* Nothing is cut below its least width, however narrow. */
	text = render(rows, 2, 0, 5);
	ck_assert_ptr_nonnull(strstr(text, "\na-name-…  Off"));
	free(text);
}
END_TEST

START_TEST(letters_count_not_bytes)
{
	const char *const umlauts[][3] = { { "größe", "Off", "1 B" } };
	char *text = render(umlauts, 1, 0, 0);

	ck_assert_str_eq(text, "NAME   STATE  MEMORY\n"
			       "größe  Off       1 B\n");
	free(text);
}
END_TEST

START_TEST(cells_are_cleaned)
{
	const char *const evil[][3] = { { "a\x1b[2Jb\nc", "\x9b", "\xc2\x9b\x7f" } };
	char *text = render(evil, 1, 0, 0);

	ck_assert_str_eq(text, "NAME      STATE  MEMORY\n"
			       "a?[2Jb?c  ?          ??\n");
	free(text);
}
END_TEST

static const struct {
	const char *text, *clean, *clean_lines;
} cleaned[] = {
	{ "", "", "" },
	{ "a\tb\r\nc", "a b??c", "a b?\nc" },
	{ "\xff\xfe", "??", "??" },
	{ "\xc0\x80", "??", "??" },             /* overlong */
	{ "\xe0\x80\x80", "???", "???" },       /* overlong */
	{ "\xed\xa0\x80", "???", "???" },       /* surrogate */
	{ "\xf4\x90\x80\x80", "????", "????" }, /* beyond U+10FFFF */
	{ "\xe2\x82", "??", "??" },             /* cut off */
	{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80",
	  "\xe2\x82\xac \xf0\x9f\x98\x80" },
};

START_TEST(text_is_made_harmless)
{
	char *a = text_clean(cleaned[_i].text, false),
	     *b = text_clean(cleaned[_i].text, true);

	ck_assert_str_eq(a, cleaned[_i].clean);
	ck_assert_str_eq(b, cleaned[_i].clean_lines);
	free(a);
	free(b);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *text;
} sizes[] = {
	{ 0, "0 B" },
	{ 1023, "1023 B" },
	{ 1024, "1 KiB" },
	{ 64ull << 20, "64 MiB" },
	{ 1536ull << 20, "1.5 GiB" },
	{ (2ull << 30) - 1, "1.9 GiB" },
	{ UINT64_MAX, "15.9 EiB" },
};

START_TEST(sizes_for_people)
{
	char text[TEXT_SIZE_MAX];

	text_format_size(sizes[_i].bytes, text);
	ck_assert_str_eq(text, sizes[_i].text);
}
END_TEST

static const struct {
	uint64_t us;
	const char *text;
} times[] = {
	{ 999999, "0 s" },
	{ 59000000, "59 s" },
	{ 125000000, "2 min 5 s" },
	{ 15600000000, "4 h 20 min" },
	{ 1047600000000, "12 d 3 h" },
	{ UINT64_MAX, "213503982 d 8 h" },
};

START_TEST(times_for_people)
{
	char text[TEXT_TIME_MAX];

	text_format_time(times[_i].us, text);
	ck_assert_str_eq(text, times[_i].text);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("table");
	TCase *t = tcase_create("table");

	tcase_add_loop_test(t, text_is_made_harmless, 0, ARRAY_SIZE(cleaned));
	tcase_add_test(t, cells_are_cleaned);
	tcase_add_test(t, columns_line_up);
	tcase_add_test(t, narrow_terminals_cut_what_may_shrink);
	tcase_add_test(t, letters_count_not_bytes);
	tcase_add_loop_test(t, sizes_for_people, 0, ARRAY_SIZE(sizes));
	tcase_add_loop_test(t, times_for_people, 0, ARRAY_SIZE(times));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
