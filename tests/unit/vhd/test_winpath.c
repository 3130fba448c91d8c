/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/winpath.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

/* ASCII to UTF-16. */
static size_t wide(const char *s, uint8_t *ret)
{
	size_t n = 0;

	for (; *s; s++) {
		ret[n++] = (uint8_t)*s;
		ret[n++] = 0;
	}
	return n;
}

static const struct {
	const char *windows, *host;
	int r;
} rows[] = {
	{ "", NULL, -EINVAL },
	{ "\\\\server\\share\\a.vhdx", NULL, -EINVAL },
	{ "\\\\?\\UNC\\server\\share\\a.vhdx", NULL, -EINVAL },
	{ "\\\\?\\Volume{26A21BDA", NULL, -EINVAL },
	{ "\\\\?\\Volume{26A21BDA}a", NULL, -EINVAL },
	{ "c:a.vhdx", NULL, -EINVAL },
	{ ".\\", NULL, -EINVAL },
	{ "a\nb", NULL, -EINVAL },
	{ "a.vhdx", "a.vhdx", 0 },
	{ ".\\a.vhdx", "a.vhdx", 0 },
	{ ".\\.\\b\\a.vhdx", "b/a.vhdx", 0 },
	{ "..\\b\\a.vhdx", "../b/a.vhdx", 0 },
	{ "c:\\vm\\a.vhdx", "/vm/a.vhdx", 0 },
	{ "\\\\?\\D:\\vm\\a.vhdx", "/vm/a.vhdx", 0 },
	{ "\\\\?\\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\\p\\a.vhdx", "/p/a.vhdx",
	  0 },
};

START_TEST(to_the_host)
{
	uint8_t text[256];
	char path[64] = "untouched";
	size_t n = wide(rows[_i].windows, text);

	ck_assert_int_eq(winpath_to_host(text, n, path, sizeof(path)), rows[_i].r);
	ck_assert_str_eq(path, rows[_i].r ? "untouched" : rows[_i].host);
}
END_TEST

START_TEST(bad_text_is_refused)
{
	static const uint8_t alone[] = { 0x00, 0xd8, 'a', 0 }, low[] = { 0x00, 0xdc },
			     cut[] = { 'a', 0, 0x00, 0xd8 },
			     nul[] = { 'a', 0, 0, 0, 'b', 0 };
	uint8_t text[256];
	char path[8];
	size_t n;

	ck_assert_int_eq(winpath_to_host(alone, 4, path, sizeof(path)), -EINVAL);
	ck_assert_int_eq(winpath_to_host(low, 2, path, sizeof(path)), -EINVAL);
	ck_assert_int_eq(winpath_to_host(cut, 4, path, sizeof(path)), -EINVAL);
	ck_assert_int_eq(winpath_to_host(nul, 6, path, sizeof(path)), -EINVAL);
	n = wide("abcdefgh", text);
	ck_assert_int_eq(winpath_to_host(text, n, path, sizeof(path)), -ENAMETOOLONG);
	ck_assert_int_eq(winpath_from_host("a\\b", true, text, 256, &n), -EINVAL);
	ck_assert_int_eq(winpath_from_host("a\xc3", true, text, 256, &n), -EINVAL);
	ck_assert_int_eq(winpath_from_host("\xe0\x80\x80", true, text, 256, &n), -EINVAL);
	ck_assert_int_eq(winpath_from_host("", true, text, 256, &n), -EINVAL);
	ck_assert_int_eq(winpath_from_host("abc", true, text, 9, &n), -ENAMETOOLONG);
}
END_TEST

static const char *const there[] = {
	"a.vhdx",
	"../a.vhdx",
	"/vm/\xc3\xa4/a.vhdx",
	"\xf0\x9f\x90\x98/a.vhdx",
	"d/\xe2\x82\xac.avhdx",
};

START_TEST(and_back)
{
	uint8_t text[256];
	char path[64];
	size_t n;

	for (int long_form = 0; long_form < 2; long_form++) {
		ck_assert_int_eq(winpath_from_host(there[_i], long_form, text, 256, &n),
				 0);
		ck_assert_int_eq(winpath_to_host(text, n, path, sizeof(path)), 0);
		ck_assert_str_eq(path, there[_i]);
	}
}
END_TEST

START_TEST(candidates)
{
	static struct image_parent parent;
	uint8_t text[256];

	winpath_add(&parent, text, wide("..\\x\\a.vhdx", text));
	winpath_add(&parent, text, wide("\\\\server\\a.vhdx", text));
	winpath_add(&parent, text, wide("..\\x\\a.vhdx", text));
	winpath_add(&parent, text, wide("C:\\x\\a.vhdx", text));
	winpath_add_names(&parent);
	ck_assert_uint_eq(parent.path_n, 3);
	ck_assert_str_eq(parent.paths[0], "../x/a.vhdx");
	ck_assert_str_eq(parent.paths[1], "/x/a.vhdx");
	ck_assert_str_eq(parent.paths[2], "a.vhdx");
	for (char c = 'b'; c < 'z'; c++) {
		char name[3] = { c, 'x' };

		winpath_add(&parent, text, wide(name, text));
	}
	ck_assert_uint_eq(parent.path_n, IMAGE_PATHS_MAX);
	winpath_add_names(&parent);
	ck_assert_uint_eq(parent.path_n, IMAGE_PATHS_MAX);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("winpath");
	TCase *t = tcase_create("winpath");

	tcase_add_loop_test(t, to_the_host, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, bad_text_is_refused);
	tcase_add_loop_test(t, and_back, 0, ARRAY_SIZE(there));
	tcase_add_test(t, candidates);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
