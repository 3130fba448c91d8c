/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/guid.h"

#include <errno.h>
#include "unit/test.h"

static const struct guid shutdown_ic =
	GUID_INIT(0x0e0b6031, 0x5213, 0x4934, 0x818b, 0x38d90ced39db);

START_TEST(wire_order_is_mixed_endian)
{
	static const uint8_t wire[16] = {
		0x31, 0x60, 0x0b, 0x0e, 0x13, 0x52, 0x34, 0x49,
		0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb
	};

	ck_assert_mem_eq(shutdown_ic.b, wire, 16);
}
END_TEST

START_TEST(format_and_parse_agree)
{
	char str[GUID_STR_LEN];
	struct guid g;

	guid_format(&shutdown_ic, str);
	ck_assert_str_eq(str, "0e0b6031-5213-4934-818b-38d90ced39db");
	ck_assert_int_eq(guid_parse("0E0B6031-5213-4934-818B-38D90CED39DB", &g), 0);
	ck_assert(guid_equal(&g, &shutdown_ic));
}
END_TEST

static const char *const bad[] = { "",
				   "0e0b6031",
				   "0e0b6031-5213-4934-818b-38d90ced39dg",
				   "{0e0b6031-5213-4934-818b-38d90ced39db}",
				   "0e0b6031-5213-4934-818b-38d90ced39db ",
				   "0e0b603105213-4934-818b-38d90ced39db0" };

START_TEST(parse_refuses)
{
	struct guid g = shutdown_ic;

	ck_assert_int_eq(guid_parse(bad[_i], &g), -EINVAL);
	ck_assert(guid_equal(&g, &shutdown_ic));
}
END_TEST

START_TEST(new_is_random_version_4)
{
	struct guid a, b;

	guid_new(&a);
	guid_new(&b);
	ck_assert(!guid_equal(&a, &b));
	ck_assert(!guid_is_null(&a));
	ck_assert_int_eq(a.b[7] >> 4, 4);
}
END_TEST

START_TEST(derive_is_version_5)
{
	/* RFC 4122's DNS name space, and what every implementation makes of this name in it. */
	static const struct guid dns =
		GUID_INIT(0x6ba7b810, 0x9dad, 0x11d1, 0x80b4, 0x00c04fd430c8);
	char str[GUID_STR_LEN];
	struct guid g;

	guid_derive(&dns, "www.example.com", &g);
	guid_format(&g, str);
	ck_assert_str_eq(str, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("guid");
	TCase *t = tcase_create("guid");

	tcase_add_test(t, wire_order_is_mixed_endian);
	tcase_add_test(t, format_and_parse_agree);
	tcase_add_loop_test(t, parse_refuses, 0, ARRAY_SIZE(bad));
	tcase_add_test(t, new_is_random_version_4);
	tcase_add_test(t, derive_is_version_5);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
