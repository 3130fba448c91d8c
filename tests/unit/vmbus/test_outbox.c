/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/outbox.h"

#include <string.h>
#include "proto/vmbus.h"
#include "unit/test.h"
#include "unit/vmbus/fake_synic.h"

static struct synic synic;
static struct outbox o;

static void setup(void)
{
	fake_synic_init(&synic, 2);
	outbox_init(&o, &fake_synic_ops, &synic);
}

static void teardown(void)
{
	outbox_clear(&o);
	fake_synic_done(&synic);
}

static void add(unsigned int vp, uint32_t type)
{
	struct vmbus_header h = { .message_type = type };

	outbox_add(&o, vp, VMBUS_MESSAGE_SINT, &h, sizeof(h));
}

/* The type of the next message of a VP, 0 for none. */
static uint32_t take(unsigned int vp)
{
	struct hv_message m;
	uint32_t type;

	if (!fake_synic_take(&synic, vp, VMBUS_MESSAGE_SINT, &m))
		return 0;
	ck_assert_uint_eq(m.message_type, HVMSG_CHANNEL);
	memcpy(&type, m.payload, sizeof(type));
	return type;
}

START_TEST(in_order_one_at_a_time)
{
	add(0, 6);
	add(0, 10);
	add(0, 12);
	ck_assert_uint_gt(outbox_pump(&o, 1000), 1000);
	ck_assert_uint_eq(take(0), 6);
	ck_assert_uint_eq(take(0), 0);
	ck_assert_uint_gt(outbox_pump(&o, 1000), 1000);
	ck_assert_uint_eq(take(0), 10);
	ck_assert_uint_eq(outbox_pump(&o, 1000), 0);
	ck_assert_uint_eq(take(0), 12);
	ck_assert_uint_eq(o.count, 0);
}
END_TEST

START_TEST(a_busy_slot_is_tried_less_and_less_often)
{
	uint64_t now = 1, next, pause = 0;

	add(0, 6);
	add(0, 10);
	for (int i = 0; i < 12; i++) {
		next = outbox_pump(&o, now);
		ck_assert_uint_ge(next - now, pause);
		pause = next - now;
		now = next;
	}
	ck_assert_uint_eq(pause, OUTBOX_RETRY_MAX_NS);
	ck_assert_uint_eq(take(0), 6);
	ck_assert_uint_eq(outbox_pump(&o, now), 0);
	add(0, 12);
	ck_assert_uint_eq(outbox_pump(&o, now) - now, OUTBOX_RETRY_MIN_NS);
}
END_TEST

START_TEST(who_cannot_be_reached_gets_nothing)
{
	add(7, 6);
	add(0, 10);
	add(1, 12);
	synic.vp[0].off = true;
	ck_assert_uint_eq(outbox_pump(&o, 1), 0);
	ck_assert_uint_eq(o.dropped, 2);
	ck_assert_uint_eq(take(1), 12);
}
END_TEST

START_TEST(offers_and_rescinds_keep_their_distance)
{
	uint64_t now = 5;

	add(0, CHANNELMSG_OFFERCHANNEL);
	ck_assert_uint_eq(outbox_pump(&o, now), 0);
	ck_assert_uint_eq(take(0), CHANNELMSG_OFFERCHANNEL);
	add(0, CHANNELMSG_OFFERCHANNEL);
	add(0, CHANNELMSG_RESCIND_CHANNELOFFER);
	add(0, CHANNELMSG_GPADL_TORNDOWN);
	ck_assert_uint_eq(outbox_pump(&o, now), now + OUTBOX_PACE_NS);
	ck_assert_uint_eq(take(0), CHANNELMSG_OFFERCHANNEL);
	ck_assert_uint_eq(outbox_pump(&o, now), now + OUTBOX_PACE_NS);
	ck_assert_uint_eq(take(0), 0);
	now += OUTBOX_PACE_NS;
	(void)outbox_pump(&o, now);
	ck_assert_uint_eq(take(0), CHANNELMSG_RESCIND_CHANNELOFFER);
	(void)outbox_pump(&o, now);
	ck_assert_uint_eq(take(0), CHANNELMSG_GPADL_TORNDOWN);
	add(0, CHANNELMSG_OFFERCHANNEL);
	ck_assert_uint_eq(outbox_pump(&o, now), now + OUTBOX_PACE_NS);
	add(0, CHANNELMSG_RESCIND_CHANNELOFFER); /* never overtaken */
	now += OUTBOX_PACE_NS;
	ck_assert_uint_eq(outbox_pump(&o, now), now + OUTBOX_PACE_NS);
	ck_assert_uint_eq(take(0), CHANNELMSG_OFFERCHANNEL);
}
END_TEST

START_TEST(too_long_or_too_short)
{
	char big[HV_MESSAGE_PAYLOAD_MAX + 1] = { 0 };

	outbox_add(&o, 0, 2, big, sizeof(big));
	outbox_add(&o, 0, 2, big, 3);
	ck_assert_uint_eq(o.dropped, 2);
	outbox_add(&o, 0, 2, big, HV_MESSAGE_PAYLOAD_MAX);
	ck_assert_uint_eq(o.count, 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("outbox");
	TCase *t = tcase_create("outbox");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, in_order_one_at_a_time);
	tcase_add_test(t, a_busy_slot_is_tried_less_and_less_often);
	tcase_add_test(t, who_cannot_be_reached_gets_nothing);
	tcase_add_test(t, offers_and_rescinds_keep_their_distance);
	tcase_add_test(t, too_long_or_too_short);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
