/* SPDX-License-Identifier: BSD-2-Clause */
#include "chipset/aml.h"

#include <errno.h>
#include <string.h>
#include "chipset/dsdt.h"
#include "unit/test.h"

static const struct dsdt_windows windows = { 0xc0000000, 0x3ec00000, 0xfe0000000,
					     0x20000000 };

START_TEST(a_buffer_of_any_size_is_respected)
{
	uint8_t whole[1024], part[1024];
	ssize_t len = dsdt_write(whole, sizeof(whole), &windows);

	ck_assert_int_gt(len, 300);
	for (size_t size = 0; size < (size_t)len + 8; size++) {
		memset(part, 0xee, sizeof(part));
		if (size < (size_t)len) {
			ck_assert_int_eq(dsdt_write(part, size, &windows), -ENOSPC);
		} else if (dsdt_write(part, size, &windows) >= 0) {
			/* Closing an object needs up to 4 bytes more for a moment. */
			ck_assert_mem_eq(part, whole, (size_t)len);
		}
		for (size_t i = size; i < sizeof(part); i++)
			ck_assert_uint_eq(part[i], 0xee);
	}
	ck_assert_int_eq(dsdt_write(part, (size_t)len, &windows), len);
}
END_TEST

static void bad_name(struct aml *a)
{
	aml_name(a, "TOOLONG");
}

static void empty_name(struct aml *a)
{
	aml_name(a, "");
}

static void close_too_often(struct aml *a)
{
	aml_scope(a, "\\_SB");
	aml_close(a);
	aml_close(a);
}

static void left_open(struct aml *a)
{
	aml_scope(a, "\\_SB");
}

static void too_deep(struct aml *a)
{
	for (unsigned int i = 0; i <= AML_DEPTH_MAX; i++)
		aml_device(a, "DEV0");
	for (unsigned int i = 0; i <= AML_DEPTH_MAX; i++)
		aml_close(a);
}

static void bad_eisaid(struct aml *a)
{
	aml_eisaid(a, "PNP05");
}

static void end_without_resources(struct aml *a)
{
	aml_resources_end(a);
}

static void too_many_resources(struct aml *a)
{
	aml_resources(a);
	for (int i = 0; i < 6; i++)
		aml_memory_window(a, 0, 4096, true);
	aml_resources_end(a);
}

START_TEST(wrong_use_is_an_error_at_the_end)
{
	static void (*const rows[])(struct aml *) = {
		bad_name, empty_name, close_too_often,       left_open,
		too_deep, bad_eisaid, end_without_resources, too_many_resources,
	};
	uint8_t buf[4096];
	struct aml a;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		aml_init(&a, buf, sizeof(buf));
		rows[i](&a);
		ck_assert_msg(aml_done(&a) == -ENOSPC, "row %zu", i);
	}
}
END_TEST

/* ACPI 6.4, 20.2.4: the length counts itself, and each form is as short as it can be. */
START_TEST(package_lengths)
{
	static const struct {
		size_t contents;
		uint8_t head[4];
		size_t head_len;
	} rows[] = {
		{ 4, { 0x05 }, 1 },
		{ 62, { 0x3f }, 1 },
		{ 63, { 0x41, 0x04 }, 2 },
		{ 4093, { 0x4f, 0xff }, 2 },
		{ 4094, { 0x81, 0x00, 0x01 }, 3 },
		{ 5000, { 0x8b, 0x38, 0x01 }, 3 },
	};
	static uint8_t buf[8192];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = rows[i].head_len;
		struct aml a;

		aml_init(&a, buf, sizeof(buf));
		aml_scope(&a, "ABCD"); /* 4 bytes of contents */
		while (a.len < 1 + rows[i].contents)
			aml_integer(&a, 0);
		aml_close(&a);
		ck_assert_int_eq(aml_done(&a), (ssize_t)(1 + n + rows[i].contents));
		ck_assert_uint_eq(buf[0], 0x10);
		ck_assert_mem_eq(buf + 1, rows[i].head, n);
		ck_assert_mem_eq(buf + 1 + n, "ABCD", 4);
	}
}
END_TEST

START_TEST(integers_are_as_short_as_they_can_be)
{
	static const struct {
		uint64_t v;
		uint8_t bytes[9];
		size_t n;
	} rows[] = {
		{ 0, { 0 }, 1 },
		{ 1, { 1 }, 1 },
		{ 2, { 0x0a, 2 }, 2 },
		{ 0x100, { 0x0b, 0, 1 }, 3 },
		{ 0x10000, { 0x0c, 0, 0, 1, 0 }, 5 },
		{ 0x100000000, { 0x0e, 0, 0, 0, 0, 1, 0, 0, 0 }, 9 },
	};
	uint8_t buf[16];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct aml a;

		aml_init(&a, buf, sizeof(buf));
		aml_integer(&a, rows[i].v);
		ck_assert_int_eq(aml_done(&a), (ssize_t)rows[i].n);
		ck_assert_mem_eq(buf, rows[i].bytes, rows[i].n);
	}
}
END_TEST

START_TEST(eisaids_and_names)
{
	static const uint8_t id[] = { 0x0c, 0x41, 0xd0, 0x05, 0x01 };
	uint8_t buf[32];
	struct aml a;

	aml_init(&a, buf, sizeof(buf));
	aml_eisaid(&a, "PNP0501");
	aml_name(&a, "\\_S5");
	ck_assert_int_eq(aml_done(&a), sizeof(id) + 6);
	ck_assert_mem_eq(buf, id, sizeof(id));
	ck_assert_mem_eq(buf + sizeof(id), "\x08\\_S5_", 6);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("aml");
	TCase *t = tcase_create("aml");

	tcase_add_test(t, a_buffer_of_any_size_is_respected);
	tcase_add_test(t, wrong_use_is_an_error_at_the_end);
	tcase_add_test(t, package_lengths);
	tcase_add_test(t, integers_are_as_short_as_they_can_be);
	tcase_add_test(t, eisaids_and_names);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
