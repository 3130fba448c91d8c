/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "unit/test.h"

/* Takes all lines that are whole; joins them with '|'. Returns what frame_next() ended with. */
static int take_all(struct frame_reader *r, char *out)
{
	char *line;
	size_t len;
	int n;

	while ((n = frame_next(r, &line, &len)) == 1) {
		ck_assert_uint_eq(strlen(line), len);
		strcat(out, line);
		strcat(out, "|");
	}
	return n;
}

static const struct {
	const char *in, *out;
	int r;
} rows[] = {
	{ "", "", 0 },
	{ "\n", "|", 0 },
	{ "abc", "", 0 },
	{ "abc\n", "abc|", 0 },
	{ "a\n\nb\nc", "a||b|", 0 },
	{ "12345678\n", "12345678|", 0 },
	{ "123456789\n", "", -EMSGSIZE },
	{ "123456789", "", -EMSGSIZE },
	{ "ok\n123456789\nno\n", "ok|", -EMSGSIZE },
};

/* The same outcome however the bytes arrive. */
START_TEST(lines_in_any_pieces)
{
	size_t len = strlen(rows[_i].in);

	for (size_t piece = 1; piece <= len + 1; piece++) {
		struct frame_reader r;
		char out[64] = "";
		int n = 0;

		frame_init(&r, 8);
		for (size_t at = 0; at < len && n == 0; at += piece) {
			ck_assert_int_eq(
				frame_append(&r, rows[_i].in + at, MIN(piece, len - at)),
				0);
			n = take_all(&r, out);
		}
		ck_assert_str_eq(out, rows[_i].out);
		ck_assert_int_eq(n, rows[_i].r);
		frame_done(&r);
	}
}
END_TEST

START_TEST(partial_counts_what_is_left)
{
	struct frame_reader r;
	char *line;
	size_t len;

	frame_init(&r, 100);
	ck_assert_int_eq(frame_append(&r, "a\nbcd", 5), 0);
	ck_assert_uint_eq(frame_partial(&r), 5);
	ck_assert_int_eq(frame_next(&r, &line, &len), 1);
	ck_assert_uint_eq(frame_partial(&r), 3);
	ck_assert_int_eq(frame_next(&r, &line, &len), 0);
	ck_assert_int_eq(frame_append(&r, "\n", 1), 0);
	ck_assert_int_eq(frame_next(&r, &line, &len), 1);
	ck_assert_str_eq(line, "bcd");
	ck_assert_uint_eq(frame_partial(&r), 0);
	frame_done(&r);
}
END_TEST

/* A long line does not leave its memory with a connection that then idles. */
START_TEST(large_buffers_are_given_back)
{
	size_t len = 1 << 20;
	char *big = malloc(len), *line;
	struct frame_reader r;

	memset(big, 'x', len);
	big[len - 1] = '\n';
	frame_init(&r, len);
	ck_assert_int_eq(frame_append(&r, big, len), 0);
	ck_assert_int_eq(frame_next(&r, &line, &len), 1);
	ck_assert_int_eq(frame_append(&r, "a\n", 2), 0);
	ck_assert_uint_le(r.cap, 65536);
	ck_assert_int_eq(frame_next(&r, &line, &len), 1);
	ck_assert_str_eq(line, "a");
	frame_done(&r);
	free(big);
}
END_TEST

static const char *const not_json[] = {
	"",      " ",   "{",           "{\"a\":1,\"a\":2}",
	"[1] 2", "nul", "\"\\u0000\"", "\"\xc0\x80\"",
	"1e999",
};

START_TEST(refuses_what_is_not_json)
{
	json_t *j = NULL;
	char why[100] = "";

	ck_assert_int_eq(
		frame_parse(not_json[_i], strlen(not_json[_i]), &j, why, sizeof(why)),
		-EBADMSG);
	ck_assert_ptr_null(j);
	ck_assert_ptr_eq(strstr(why, "line 1, column "), why);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
	size_t len = 1 << 20;
	char *text = malloc(len), why[100];
	json_t *j;

	memset(text, '[', len);
	ck_assert_int_eq(frame_parse(text, len, &j, why, sizeof(why)), -EBADMSG);
	free(text);
}
END_TEST

START_TEST(formats_one_line)
{
	json_t *j = json_pack("{s:s, s:[i, n]}", "a", "two\nlines", "b", 7), *back;
	char why[100], *line;
	size_t len;

	line = frame_format(j, &len);
	ck_assert_int_eq(line[len - 1], '\n');
	ck_assert_ptr_eq(memchr(line, '\n', len), line + len - 1);
	ck_assert_int_eq(frame_parse(line, len - 1, &back, why, sizeof(why)), 0);
	ck_assert(json_equal(j, back));
	json_decref(j);
	json_decref(back);
	free(line);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rpc");
	TCase *t = tcase_create("frame");

	tcase_add_loop_test(t, lines_in_any_pieces, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, partial_counts_what_is_left);
	tcase_add_test(t, large_buffers_are_given_back);
	tcase_add_loop_test(t, refuses_what_is_not_json, 0, ARRAY_SIZE(not_json));
	tcase_add_test(t, deep_nesting_is_refused);
	tcase_add_test(t, formats_one_line);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
