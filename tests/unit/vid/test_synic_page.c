/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/synic_page.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include "unit/test.h"

static _Alignas(HV_PAGE_SIZE) uint8_t page[HV_PAGE_SIZE];

static void setup(void)
{
	memset(page, 0, sizeof(page));
}

static struct hv_message *slot(unsigned int sint)
{
	return (struct hv_message *)(void *)page + sint;
}

/* A page full of what a guest likes is one with no free slot, and nothing beyond the pending flags changes. */
START_TEST(full_page_stays)
{
	const struct hv_message m = { .message_type = 1, .payload_size = 240 };
	uint8_t before[HV_PAGE_SIZE];

	memset(page, 0xfe, sizeof(page));
	memcpy(before, page, sizeof(before));
	for (unsigned int sint = 0; sint < HV_SINT_COUNT; sint++) {
		ck_assert(!synic_page_slot_free(page, sint));
		ck_assert_int_eq(synic_page_post(page, sint, &m), -EBUSY);
		before[sint * 256 + 5] = 0xff;
	}
	ck_assert_mem_eq(page, before, sizeof(before));
}
END_TEST

START_TEST(post_fills_its_slot_only)
{
	struct hv_message m = { .message_type = 1, .payload_size = 5, .sender = 77 };

	memset(m.payload, 'x', sizeof(m.payload));
	memset(slot(3)->payload, 'o', sizeof(slot(3)->payload));
	slot(3)->message_flags = 0xff;
	slot(3)->reserved[0] = 9;
	ck_assert_int_eq(synic_page_post(page, 3, &m), 0);
	ck_assert_uint_eq(slot(3)->message_type, 1);
	ck_assert_uint_eq(slot(3)->payload_size, 5);
	ck_assert_uint_eq(slot(3)->message_flags, 0);
	ck_assert_uint_eq(slot(3)->reserved[0], 0);
	ck_assert_uint_eq(slot(3)->sender, 77);
	ck_assert_mem_eq(slot(3)->payload, "xxxxxoo", 7);
	ck_assert(synic_page_slot_free(page, 2));
	ck_assert(synic_page_slot_free(page, 4));
}
END_TEST

START_TEST(second_post_asks_for_eom)
{
	const struct hv_message m = { .message_type = 1, .payload_size = 1 };

	ck_assert_int_eq(synic_page_post(page, 15, &m), 0);
	ck_assert_uint_eq(slot(15)->message_flags, 0);
	ck_assert_int_eq(synic_page_post(page, 15, &m), -EBUSY);
	ck_assert_uint_eq(slot(15)->message_flags, HV_MESSAGE_FLAG_PENDING);
	slot(15)->message_type = HVMSG_NONE;
	ck_assert(synic_page_slot_free(page, 15));
	ck_assert_int_eq(synic_page_post(page, 15, &m), 0);
	ck_assert_uint_eq(slot(15)->message_flags, 0);
}
END_TEST

static const struct {
	unsigned int sint, flag, byte, bit;
} flags[] = {
	{ 0, 0, 0, 0 },     { 0, 7, 0, 7 },        { 0, 8, 1, 0 },   { 0, 63, 7, 7 },
	{ 0, 64, 8, 0 },    { 0, 2047, 255, 7 },   { 1, 0, 256, 0 }, { 2, 5, 512, 5 },
	{ 15, 0, 3840, 0 }, { 15, 2047, 4095, 7 },
};

START_TEST(flag_is_its_bit)
{
	unsigned int set = 0;

	ck_assert(synic_page_set_flag(page, flags[_i].sint, flags[_i].flag));
	ck_assert(!synic_page_set_flag(page, flags[_i].sint, flags[_i].flag));
	ck_assert_uint_eq(page[flags[_i].byte], 1u << flags[_i].bit);
	for (unsigned int i = 0; i < sizeof(page); i++)
		set += page[i] != 0;
	ck_assert_uint_eq(set, 1);
}
END_TEST

/*
 * A guest's side of the slot on another thread: takes each message, and counts the EOMs that it owes. A poster that was refused waits for
 * one. If either half of the protocol were missing a barrier, both would wait for ever (the case's time-out).
 */
#define ROUNDS 50000u
static _Atomic uint32_t eoms, taken, done;

static void *guest(void *opaque)
{
	struct hv_message *m = slot(2);
	_Atomic uint32_t *type = (_Atomic uint32_t *)&m->message_type;
	_Atomic uint8_t *pending = (_Atomic uint8_t *)&m->message_flags;

	while (!done) {
		if (atomic_load_explicit(type, memory_order_acquire) == HVMSG_NONE) {
			sched_yield();
			continue;
		}
		taken++;
		atomic_store_explicit(type, HVMSG_NONE, memory_order_release);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(pending) & HV_MESSAGE_FLAG_PENDING)
			eoms++;
	}
	return NULL;
}

START_TEST(no_eom_is_lost)
{
	const struct hv_message m = { .message_type = 1, .payload_size = 1 };
	pthread_t thread;

	eoms = taken = done = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, guest, NULL), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		for (;;) {
			uint32_t seen = eoms;

			if (synic_page_post(page, 2, &m) == 0)
				break;
			while (eoms == seen)
				sched_yield();
		}
	}
	while (taken < ROUNDS)
		sched_yield();
	done = 1;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(taken, ROUNDS);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("synic_page");
	TCase *t = tcase_create("synic_page");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, full_page_stays);
	tcase_add_test(t, post_fills_its_slot_only);
	tcase_add_test(t, second_post_asks_for_eom);
	tcase_add_loop_test(t, flag_is_its_bit, 0,
			    (int)(sizeof(flags) / sizeof(flags[0])));
	tcase_add_test(t, no_eom_is_lost);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
