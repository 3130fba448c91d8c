/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/ic/ic_msg.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

static const struct ic_version known[] = { { 1, 0 }, { 3, 0 }, { 3, 1 } };
static const struct ic_versions versions = { known, ARRAY_SIZE(known) };

/* A well-formed answer with `bytes` of body; returns its length. */
static size_t answer(uint8_t *buf, uint16_t type, const void *body, size_t bytes)
{
	const struct ic_pipe pipe = { 1, (uint32_t)(sizeof(struct ic_header) + bytes) };
	const struct ic_header h = { .message_type = type,
				     .message_size = (uint16_t)bytes,
				     .flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE };

	memcpy(buf, &pipe, sizeof(pipe));
	memcpy(buf + sizeof(pipe), &h, sizeof(h));
	memcpy(buf + IC_MSG_HEAD_BYTES, body, bytes);
	return IC_MSG_HEAD_BYTES + bytes;
}

#define PIPE_SIZE offsetof(struct ic_pipe, msgsize)
#define MESSAGE_SIZE (sizeof(struct ic_pipe) + offsetof(struct ic_header, message_size))
#define FLAGS (sizeof(struct ic_pipe) + offsetof(struct ic_header, flags))

START_TEST(answers_that_are_none)
{
	static const struct {
		size_t off;
		uint32_t value;
		size_t bytes;
	} rows[] = {
		{ PIPE_SIZE, 0, 4 },
		{ PIPE_SIZE, 19, 4 },         /* a byte less than a header */
		{ PIPE_SIZE, 27, 4 },         /* a byte less than the message */
		{ PIPE_SIZE, 29, 4 },         /* a byte more than there is */
		{ PIPE_SIZE, 0xfffffff8, 4 }, /* wraps with its own size */
		{ PIPE_SIZE, 0xffffffff, 4 },
		{ MESSAGE_SIZE, 9, 2 },
		{ MESSAGE_SIZE, 0xffff, 2 },
		{ FLAGS, 0, 1 },
		{ FLAGS, IC_FLAG_REQUEST | IC_FLAG_TRANSACTION, 1 },
	};
	uint8_t buf[64], body[8] = { 0 };
	struct ic_answer a;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = answer(buf, 1, body, sizeof(body));

		memcpy(buf + rows[i].off, &rows[i].value, rows[i].bytes);
		ck_assert_msg(ic_msg_answer(buf, len, &a) == -EPROTO, "row %zu", i);
	}
	answer(buf, 1, body, sizeof(body));
	for (size_t len = 0; len < IC_MSG_HEAD_BYTES + sizeof(body); len++)
		ck_assert_int_eq(ic_msg_answer(buf, len, &a), -EPROTO);
}
END_TEST

START_TEST(padding_behind_an_answer_is_fine)
{
	uint8_t buf[64] = { 0 };
	struct ic_answer a;
	size_t len = answer(buf, 7, "abc", 3);

	ck_assert_int_eq(ic_msg_answer(buf, len + 5, &a), 0);
	ck_assert_uint_eq(a.type, 7);
	ck_assert_uint_eq(a.body_bytes, 3);
	ck_assert_mem_eq(a.body, "abc", 3);
}
END_TEST

START_TEST(versions_that_nobody_offered)
{
	static const struct {
		uint16_t body[8]; /* counts, reserved, versions */
		size_t bytes;
		int want;
	} rows[] = {
		{ { 0 }, 0, -EPROTO },
		{ { 1, 1 }, 7, -EPROTO },
		{ { 1, 1 }, 8, -EPROTO },
		{ { 1, 1, 0, 0, 3, 0, 3, 0 }, 15, -EPROTO },
		{ { 0, 0 }, 8, -EOPNOTSUPP },
		{ { 1, 0 }, 8, -EOPNOTSUPP },
		{ { 0, 1 }, 8, -EOPNOTSUPP },
		{ { 2, 1, 0, 0, 3, 0, 3, 0 }, 16, -EPROTO },
		{ { 1, 0xffff, 0, 0, 3, 0, 3, 0 }, 16, -EPROTO },
		{ { 1, 1, 0, 0, 2, 0, 3, 0 }, 16, -EPROTO },
		{ { 1, 1, 0, 0, 3, 0, 4, 0 }, 16, -EPROTO },
		{ { 1, 1, 0, 0, 3, 0, 3, 2 }, 16, -EPROTO },
		{ { 1, 1, 0, 0, 3, 0, 3, 1 }, 16, 0 },
		{ { 1, 1, 0, 0, 1, 0, 1, 0 }, 16, 0 },
	};
	struct ic_version fw, msg;
	struct ic_answer a;
	uint8_t buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = answer(buf, 0, rows[i].body, rows[i].bytes);

		ck_assert_int_eq(ic_msg_answer(buf, len, &a), 0);
		ck_assert_msg(ic_msg_versions(&a, &versions, &fw, &msg) == rows[i].want,
			      "row %zu", i);
	}
	a.type = ICMSGTYPE_HEARTBEAT;
	ck_assert_int_eq(ic_msg_versions(&a, &versions, &fw, &msg), -EPROTO);
}
END_TEST

START_TEST(negotiation_lists_all)
{
	uint8_t buf[IC_MSG_BYTES_MAX];
	struct ic_negotiate n;
	struct ic_header h;
	struct ic_version v[5];
	size_t len = ic_msg_negotiate(buf, &versions);

	ck_assert_uint_eq(len, IC_MSG_HEAD_BYTES + sizeof(n) + sizeof(v));
	memcpy(&h, buf + sizeof(struct ic_pipe), sizeof(h));
	memcpy(&n, buf + IC_MSG_HEAD_BYTES, sizeof(n));
	memcpy(v, buf + IC_MSG_HEAD_BYTES + sizeof(n), sizeof(v));
	ck_assert_uint_eq(h.message_type, ICMSGTYPE_NEGOTIATE);
	ck_assert_uint_eq(h.message_size, sizeof(n) + sizeof(v));
	ck_assert_uint_eq(h.flags, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST);
	ck_assert_uint_eq(n.framework_count, 2);
	ck_assert_uint_eq(n.message_count, 3);
	ck_assert_uint_eq(v[0].major, 1);
	ck_assert_uint_eq(v[1].major, 3);
	ck_assert_uint_eq(v[4].minor, 1);
}
END_TEST

START_TEST(text_becomes_utf16)
{
	static const struct {
		const char *utf8;
		uint16_t want[6];
	} rows[] = {
		{ "\xff\x61", { 0xfffd, 'a' } },
		{ "\xc3", { 0xfffd } }, /* cut short */
		{ "\xe2\x82", { 0xfffd, 0xfffd } },
		{ "\xf0\x9f\x98", { 0xfffd, 0xfffd, 0xfffd } },
		{ "\xc0\x80", { 0xfffd, 0xfffd } },             /* overlong */
		{ "\xed\xa0\x80", { 0xfffd, 0xfffd, 0xfffd } }, /* a surrogate */
		{ "\xf4\x90\x80\x80", { 0xfffd, 0xfffd, 0xfffd, 0xfffd } },
		{ "", { 0 } },
		{ "ab", { 'a', 'b' } },
		{ "\xc3\xa9", { 0xe9 } },
		{ "\xe2\x82\xac", { 0x20ac } },
		{ "\xf0\x9f\x98\x80", { 0xd83d, 0xde00 } },
	};
	uint8_t out[IC_SHUTDOWN_TEXT_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ic_msg_text(rows[i].utf8, out);
		ck_assert_msg(memcmp(out, rows[i].want, sizeof(rows[i].want)) == 0,
			      "row %zu", i);
	}
}
END_TEST

START_TEST(long_text_is_cut_between_characters)
{
	static char utf8[3000];
	uint8_t out[IC_SHUTDOWN_TEXT_BYTES + 4];

	memset(utf8, 'a', sizeof(utf8) - 1);
	memset(out, 0xee, sizeof(out));
	ic_msg_text(utf8, out);
	ck_assert_uint_eq(out[IC_SHUTDOWN_TEXT_BYTES - 4], 'a');
	ck_assert_uint_eq(out[IC_SHUTDOWN_TEXT_BYTES - 2], 0);
	ck_assert_uint_eq(out[IC_SHUTDOWN_TEXT_BYTES], 0xee);
	memcpy(utf8 + 1022, "\xf0\x9f\x98\x80", 4); /* needs two units, one is left */
	ic_msg_text(utf8, out);
	ck_assert_uint_eq(out[IC_SHUTDOWN_TEXT_BYTES - 6], 'a');
	ck_assert_uint_eq(out[IC_SHUTDOWN_TEXT_BYTES - 4], 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ic_msg");
	TCase *t = tcase_create("ic_msg");

	tcase_add_test(t, answers_that_are_none);
	tcase_add_test(t, padding_behind_an_answer_is_fine);
	tcase_add_test(t, versions_that_nobody_offered);
	tcase_add_test(t, negotiation_lists_all);
	tcase_add_test(t, text_becomes_utf16);
	tcase_add_test(t, long_text_is_cut_between_characters);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
