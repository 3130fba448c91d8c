/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/inbox.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

static struct inbox b;

static void setup(void)
{
	inbox_init(&b);
}

static void teardown(void)
{
	inbox_done(&b);
}

static int put(uint32_t type, uint32_t padding)
{
	struct vmbus_header h = { type, padding };

	return inbox_put(&b, &h, sizeof(h));
}

/* The padding of the next message, UINT32_MAX for none. */
static uint32_t take(bool urgent_only)
{
	struct inbox_message m;
	struct vmbus_header h;

	if (!inbox_take(&b, urgent_only, &m))
		return UINT32_MAX;
	ck_assert_uint_eq(m.len, sizeof(h));
	memcpy(&h, m.bytes, sizeof(h));
	return h.padding;
}

START_TEST(sizes)
{
	uint8_t big[VMBUS_MESSAGE_MAX + 1] = { 0 };
	struct inbox_message m;

	ck_assert_int_eq(inbox_put(&b, big, sizeof(big)), -EMSGSIZE);
	ck_assert_int_eq(inbox_put(&b, big, SIZE_MAX), -EMSGSIZE);
	ck_assert_int_eq(inbox_put(&b, big, 0), 0);
	ck_assert_int_eq(inbox_put(&b, big, 3), 0);
	ck_assert_int_eq(inbox_put(&b, big, VMBUS_MESSAGE_MAX), 0);
	ck_assert(inbox_take(&b, false, &m) && m.len == 0);
	ck_assert(inbox_take(&b, false, &m) && m.len == 3);
	ck_assert(inbox_take(&b, false, &m) && m.len == VMBUS_MESSAGE_MAX);
	ck_assert(!inbox_take(&b, false, &m));
}
END_TEST

START_TEST(bounded_and_in_order)
{
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < INBOX_MAX; i++)
			ck_assert_int_eq(put(CHANNELMSG_CLOSECHANNEL, i), 0);
		ck_assert_int_eq(put(CHANNELMSG_CLOSECHANNEL, 99), -ENOBUFS);
		for (uint32_t i = 0; i < INBOX_MAX - round; i++)
			ck_assert_uint_eq(take(false), i);
		inbox_clear(&b);
		ck_assert_uint_eq(take(false), UINT32_MAX);
	}
}
END_TEST

static const uint32_t urgent[] = { CHANNELMSG_INITIATE_CONTACT, CHANNELMSG_UNLOAD };

START_TEST(urgent_makes_all_before_void)
{
	for (uint32_t i = 0; i < INBOX_MAX; i++)
		ck_assert_int_eq(put(CHANNELMSG_CLOSECHANNEL, i), 0);
	ck_assert_uint_eq(take(true), UINT32_MAX);
	ck_assert_int_eq(put(urgent[_i], 100), 0);
	ck_assert_int_eq(put(CHANNELMSG_REQUESTOFFERS, 101), 0);
	ck_assert_uint_eq(take(true), 100);
	ck_assert_uint_eq(take(true), UINT32_MAX); /* the one behind is not */
	ck_assert_uint_eq(take(false), 101);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("inbox");
	TCase *t = tcase_create("inbox");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sizes);
	tcase_add_test(t, bounded_and_in_order);
	tcase_add_loop_test(t, urgent_makes_all_before_void, 0, ARRAY_SIZE(urgent));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
