/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/error.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

static const struct {
	int err, code;
} rows[] = {
	{ -ENOENT, RPC_NOT_FOUND },      { -ENODEV, RPC_NOT_FOUND },
	{ -EEXIST, RPC_EXISTS },         { -EPERM, RPC_DENIED },
	{ -EACCES, RPC_DENIED },         { -EBUSY, RPC_WRONG_STATE },
	{ -ETXTBSY, RPC_LOCKED },        { -ETIMEDOUT, RPC_TIMEOUT },
	{ -ENOSPC, RPC_LIMIT },          { -ENOMEM, RPC_LIMIT },
	{ -EPIPE, RPC_WORKER_GONE },     { -EOPNOTSUPP, RPC_NO_SERVICE },
	{ -EINVAL, RPC_INVALID_PARAMS }, { -EIO, RPC_FAILED },
	{ -ENOTTY, RPC_FAILED },         { 0, RPC_FAILED },
	{ 12345, RPC_FAILED },
};

START_TEST(codes_of_errnos)
{
	ck_assert_int_eq(rpc_code_of_errno(rows[_i].err), rows[_i].code);
	ck_assert_ptr_nonnull(rpc_code_name(rows[_i].code));
	/* And back: an errno that means the same. */
	ck_assert_int_eq(rpc_code_of_errno(rpc_errno_of_code(rows[_i].code)),
			 rows[_i].code);
}
END_TEST

START_TEST(unknown_codes)
{
	ck_assert_int_eq(rpc_errno_of_code(0), -EPROTO);
	ck_assert_int_eq(rpc_errno_of_code(-32099), -EPROTO);
	ck_assert_ptr_null(rpc_code_name(1));
}
END_TEST

START_TEST(messages_are_one_line_of_whole_characters)
{
	struct rpc_error e;
	char big[700];

	ck_assert_int_eq(rpc_error_set(&e, -ENOENT, "a\nb\tc\x7f%s", "\x1b[31m"),
			 -ENOENT);
	ck_assert_str_eq(e.message, "a b c  [31m");
	ck_assert_int_eq(e.code, RPC_NOT_FOUND);
	/* 511 bytes hold 255 characters of two bytes and half of another. */
	for (size_t i = 0; i + 1 < sizeof(big); i += 2)
		memcpy(big + i, "\xc3\xa9", 2);
	big[sizeof(big) - 1] = 0;
	rpc_error_set(&e, -EIO, "%s", big);
	ck_assert_uint_eq(strlen(e.message), 510);
	ck_assert_int_eq(rpc_error_set(NULL, -EIO, "nobody"), -EIO);
	ck_assert_int_eq(rpc_error_set_code(&e, RPC_PARSE_ERROR, "x"), -EBADMSG);
	ck_assert_int_eq(e.code, RPC_PARSE_ERROR);
}
END_TEST

START_TEST(travels_as_json)
{
	struct rpc_error e, back;
	json_t *j;

	rpc_error_set(&e, -ETXTBSY, "in use");
	j = rpc_error_to_json(&e);
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(j, "data"), "errno")),
		"ETXTBSY");
	rpc_error_from_json(j, &back);
	ck_assert_int_eq(back.code, RPC_LOCKED);
	ck_assert_int_eq(back.err, -ETXTBSY);
	ck_assert_str_eq(back.message, "in use");
	json_decref(j);
	/* A path may hold any bytes. */
	rpc_error_set(&e, -ENOENT, "no \xff here");
	j = rpc_error_to_json(&e);
	ck_assert_str_eq(json_string_value(json_object_get(j, "message")), "no ? here");
	json_decref(j);
}
END_TEST

static const char *const foreign[] = {
	"null",
	"7",
	"{}",
	"{\"code\":\"x\",\"message\":7}",
	"{\"code\":0,\"message\":\"m\"}",
	"{\"code\":99999999999}",
	"[]",
};

START_TEST(a_peers_error_may_be_anything)
{
	json_t *j = json_loads(foreign[_i], JSON_DECODE_ANY, NULL);
	struct rpc_error e;

	rpc_error_from_json(j, &e);
	ck_assert_int_eq(e.code, RPC_INTERNAL_ERROR);
	ck_assert_int_lt(e.err, 0);
	ck_assert_str_ne(e.message, "");
	json_decref(j);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rpc");
	TCase *t = tcase_create("error");

	tcase_add_loop_test(t, codes_of_errnos, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, unknown_codes);
	tcase_add_test(t, messages_are_one_line_of_whole_characters);
	tcase_add_test(t, travels_as_json);
	tcase_add_loop_test(t, a_peers_error_may_be_anything, 0, ARRAY_SIZE(foreign));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
