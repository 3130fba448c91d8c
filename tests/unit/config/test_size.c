/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/config.h"

#include <errno.h>
#include "unit/test.h"

static const struct {
	const char *text;
	int r;
	uint64_t bytes;
} rows[] = {
	{ "", -EINVAL },
	{ "M", -EINVAL },
	{ "-1", -EINVAL },
	{ "1.5G", -EINVAL },
	{ "64 M", -EINVAL },
	{ "64X", -EINVAL },
	{ "64MB!", -EINVAL },
	{ "64BM", -EINVAL },
	{ "0x10", -EINVAL },
	{ "18446744073709551616", -ERANGE },
	{ "16777216T", -ERANGE },
	{ "0", 0, 0 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "64M", 0, 64 << 20 },
	{ "64MiB", 0, 64 << 20 },
	{ "64mb", -EINVAL },
	{ "64m", 0, 64 << 20 },
	{ "2GB", 0, 2ull << 30 },
	{ "1T", 0, 1ull << 40 },
	{ "4096K", 0, 4 << 20 },
	{ "512B", 0, 512 },
};

START_TEST(parse)
{
	uint64_t n = 99;
	int r = config_parse_size(rows[_i].text, &n);

	ck_assert_msg(r == rows[_i].r, "%s: %d", rows[_i].text, r);
	ck_assert_uint_eq(n, r ? 99 : rows[_i].bytes);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *text;
} forms[] = {
	{ 0, "0" },
	{ 1, "1" },
	{ 1024, "1K" },
	{ 1025, "1025" },
	{ 64 << 20, "64M" },
	{ 3ull << 30, "3G" },
	{ 1536ull << 20, "1536M" },
	{ 1ull << 50, "1024T" },
	{ UINT64_MAX, "18446744073709551615" },
};

START_TEST(format)
{
	char text[CONFIG_SIZE_STR];
	uint64_t n;

	config_format_size(forms[_i].bytes, text);
	ck_assert_str_eq(text, forms[_i].text);
	ck_assert_int_eq(config_parse_size(text, &n), 0);
	ck_assert_uint_eq(n, forms[_i].bytes);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("size");

	tcase_add_loop_test(t, parse, 0, ARRAY_SIZE(rows));
	tcase_add_loop_test(t, format, 0, ARRAY_SIZE(forms));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
