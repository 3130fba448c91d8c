/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/synic.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "unit/test.h"
#include "vid/guestmem.h"

#define VPS 3u
#define SIMP 0x10000ull
#define SIEFP 0x11000ull
#define RAM (2ull << 20)

static struct guestmem *mem;
static struct synic *s;

/* What the SynIC does to its surroundings. */
static struct {
	unsigned int injected, vp, vector;
	unsigned int freed, freed_vp, freed_sint;
	int kernel_result, kernel_adds, kernel_dels;
} seen;

static void inject(void *opaque, unsigned int vp, uint8_t vector)
{
	seen.injected++;
	seen.vp = vp;
	seen.vector = vector;
}

static int doorbell(void *opaque, uint32_t id, int eventfd, bool add)
{
	if (add)
		seen.kernel_adds++;
	else
		seen.kernel_dels++;
	return seen.kernel_result;
}

static void slot_free(void *opaque, unsigned int vp, unsigned int sint)
{
	seen.freed++;
	seen.freed_vp = vp;
	seen.freed_sint = sint;
}

static void wr(unsigned int vp, uint32_t msr, uint64_t value)
{
	ck_assert(synic_msr_write(s, vp, msr, value));
}

static uint64_t rd(unsigned int vp, uint32_t msr)
{
	uint64_t value = 0x5555;

	ck_assert(synic_msr_read(s, vp, msr, &value));
	return value;
}

/* VP 1 as Linux sets it up: SINT2 at vector 0xf3. */
static void synic_up(void)
{
	wr(1, HV_X64_MSR_SIMP, SIMP | 1);
	wr(1, HV_X64_MSR_SIEFP, SIEFP | 1);
	wr(1, HV_X64_MSR_SINT0 + 2, 0xf3);
	wr(1, HV_X64_MSR_SCONTROL, 1);
}

static void setup(void)
{
	struct synic_env env = { .inject = inject, .doorbell = doorbell };

	memset(&seen, 0, sizeof(seen));
	ck_assert_int_eq(guestmem_new(RAM, &mem), 0);
	env.mem = mem;
	ck_assert_int_eq(synic_new(&env, VPS, &s), 0);
	synic_ops.on_slot_free(s, slot_free, NULL);
	synic_up();
}

static void teardown(void)
{
	synic_free(s);
	guestmem_free(mem);
}

static const struct hv_message msg = { .message_type = 1,
				       .payload_size = 3,
				       .payload = "abc" };

static struct hv_message *slot(unsigned int sint)
{
	return (struct hv_message *)guestmem_ptr(mem, SIMP, HV_PAGE_SIZE) + sint;
}

START_TEST(count_is_checked)
{
	struct synic_env env = { .mem = mem, .inject = inject };
	struct synic *other = NULL;

	ck_assert_int_eq(synic_new(&env, 0, &other), -EINVAL);
	ck_assert_int_eq(synic_new(&env, 65, &other), -EINVAL);
	ck_assert_ptr_null(other);
	ck_assert_uint_eq(synic_ops.vps(s), VPS);
}
END_TEST

static const struct {
	uint32_t msr;
	uint64_t value;
} refused[] = {
	{ HV_X64_MSR_SIMP, RAM | 1 },
	{ HV_X64_MSR_SIMP, UINT64_MAX },
	{ HV_X64_MSR_SIMP, 0xfee00001 },
	{ HV_X64_MSR_SIEFP, GUESTMEM_HOLE_BASE | 1 },
	{ HV_X64_MSR_SIEFP, 0x8000000000000001ull },
	{ HV_X64_MSR_SINT0, 0 },
	{ HV_X64_MSR_SINT0 + 15, 15 },
	{ HV_X64_MSR_SINT0 + 2, 0xf3 | HV_SINT_AUTO_EOI },
	{ HV_X64_MSR_SINT0 + 2, UINT64_MAX },
	{ HV_X64_MSR_SVERSION, 1 },
	{ HV_X64_MSR_SINT0 + 16, 0xf3 },
	{ HV_X64_MSR_SCONTROL - 1, 0 },
	{ 0, 0 },
	{ UINT32_MAX, 0 },
};

START_TEST(bad_writes_are_refused_and_change_nothing)
{
	uint64_t before = 0, after = 0;
	bool there = synic_msr_read(s, 1, refused[_i].msr, &before);

	ck_assert(!synic_msr_write(s, 1, refused[_i].msr, refused[_i].value));
	ck_assert_int_eq(synic_msr_read(s, 1, refused[_i].msr, &after), there);
	ck_assert_uint_eq(before, after);
}
END_TEST

START_TEST(reset_values)
{
	synic_reset(s);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_SCONTROL), 0);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_SVERSION), 1);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_SIMP), 0);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_SIEFP), 0);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_EOM), 0);
	for (uint32_t n = 0; n < HV_SINT_COUNT; n++)
		ck_assert_uint_eq(rd(1, HV_X64_MSR_SINT0 + n), 0x10000);
}
END_TEST

/* What of a VP's state makes a post or a signal fail. */
static const struct {
	unsigned int vp, sint, flag;
	uint32_t msr;
	uint64_t value;
	bool post, signal;
} closed[] = {
	{ VPS, 2, 0, HV_X64_MSR_EOM, 0, false, false },
	{ UINT32_MAX, 2, 0, HV_X64_MSR_EOM, 0, false, false },
	{ 1, 16, 0, HV_X64_MSR_EOM, 0, false, false },
	{ 1, UINT32_MAX, 0, HV_X64_MSR_EOM, 0, false, false },
	{ 1, 2, 2048, HV_X64_MSR_EOM, 0, true, false },
	{ 1, 2, UINT32_MAX, HV_X64_MSR_EOM, 0, true, false },
	{ 0, 2, 0, HV_X64_MSR_EOM, 0, false, false },
	{ 1, 3, 0, HV_X64_MSR_EOM, 0, false, false },
	{ 1, 2, 0, HV_X64_MSR_SCONTROL, 0, false, false },
	{ 1, 2, 0, HV_X64_MSR_SIMP, SIMP, false, true },
	{ 1, 2, 0, HV_X64_MSR_SIEFP, SIEFP, true, false },
	{ 1, 2, 0, HV_X64_MSR_SINT0 + 2, 0xf3 | HV_SINT_MASKED, false, false },
	{ 1, 2, 2047, HV_X64_MSR_EOM, 0, true, true },
};

START_TEST(closed_takes_nothing)
{
	unsigned int expect = closed[_i].post + closed[_i].signal;

	wr(1, closed[_i].msr, closed[_i].value);
	ck_assert_int_eq(synic_ops.post(s, closed[_i].vp, closed[_i].sint, &msg),
			 closed[_i].post ? 0 : -ENXIO);
	ck_assert_int_eq(
		synic_ops.signal(s, closed[_i].vp, closed[_i].sint, closed[_i].flag),
		closed[_i].signal ? 0 : -ENXIO);
	ck_assert_uint_eq(seen.injected, expect);
}
END_TEST

START_TEST(post_waits_for_eom)
{
	ck_assert_int_eq(synic_ops.post(s, 1, 2, &msg), 0);
	ck_assert_uint_eq(seen.injected, 1);
	ck_assert_uint_eq(seen.vp, 1);
	ck_assert_uint_eq(seen.vector, 0xf3);
	ck_assert_mem_eq(slot(2)->payload, "abc", 3);
	ck_assert_int_eq(synic_ops.post(s, 1, 2, &msg), -EBUSY);
	ck_assert_uint_eq(seen.injected, 1);

	/* EOM before the message is taken, and by another VP, frees nothing. */
	wr(1, HV_X64_MSR_EOM, 0);
	wr(0, HV_X64_MSR_EOM, 0);
	ck_assert_uint_eq(seen.freed, 0);
	slot(2)->message_type = HVMSG_NONE;
	wr(1, HV_X64_MSR_EOM, 0);
	ck_assert_uint_eq(seen.freed, 1);
	ck_assert_uint_eq(seen.freed_vp, 1);
	ck_assert_uint_eq(seen.freed_sint, 2);
	/* Told once. */
	wr(1, HV_X64_MSR_EOM, 0);
	ck_assert_uint_eq(seen.freed, 1);
	ck_assert_int_eq(synic_ops.post(s, 1, 2, &msg), 0);
}
END_TEST

/* A refused poster hears of it when the answer has become another, not only at EOM. */
static const struct {
	uint32_t msr;
	uint64_t value;
} changes[] = {
	{ HV_X64_MSR_SIMP, 0 },
	{ HV_X64_MSR_SIMP, 0x20001 },
	{ HV_X64_MSR_SCONTROL, 0 },
	{ HV_X64_MSR_SINT0 + 2, HV_SINT_MASKED },
};

START_TEST(refused_poster_hears_of_changes)
{
	ck_assert_int_eq(synic_ops.post(s, 1, 2, &msg), 0);
	ck_assert_int_eq(synic_ops.post(s, 1, 2, &msg), -EBUSY);
	wr(1, HV_X64_MSR_SINT0 + 2, 0xf4);
	ck_assert_uint_eq(seen.freed, 0);
	wr(1, changes[_i].msr, changes[_i].value);
	ck_assert_uint_eq(seen.freed, 1);
}
END_TEST

START_TEST(signal_interrupts_when_new)
{
	const uint8_t *flags = guestmem_ptr(mem, SIEFP, HV_PAGE_SIZE);

	ck_assert_int_eq(synic_ops.signal(s, 1, 2, 9), 0);
	ck_assert_int_eq(synic_ops.signal(s, 1, 2, 9), 0);
	ck_assert_uint_eq(seen.injected, 1);
	ck_assert_uint_eq(flags[2 * 256 + 1], 2);
	ck_assert_int_eq(synic_ops.signal(s, 1, 2, 10), 0);
	ck_assert_uint_eq(seen.injected, 2);
}
END_TEST

START_TEST(polling_gets_no_interrupt)
{
	wr(1, HV_X64_MSR_SINT0 + 2, 0xf3 | HV_SINT_POLLING);
	ck_assert_int_eq(synic_ops.signal(s, 1, 2, 9), 0);
	ck_assert_int_eq(synic_ops.post(s, 1, 2, &msg), 0);
	ck_assert_uint_eq(slot(2)->message_type, 1);
	ck_assert_uint_eq(seen.injected, 0);
}
END_TEST

/* Stale memory would look like a slot in use; a page that is on already keeps what is in it. */
START_TEST(new_pages_are_cleared)
{
	memset(guestmem_ptr(mem, 0x20000, 2 * HV_PAGE_SIZE), 0xee, 2 * HV_PAGE_SIZE);
	wr(1, HV_X64_MSR_SIMP, 0x20000 | 1);
	ck_assert_int_eq(synic_ops.post(s, 1, 2, &msg), 0);
	wr(1, HV_X64_MSR_SIMP, 0x20000 | 1);
	ck_assert_int_eq(synic_ops.post(s, 1, 2, &msg), -EBUSY);
	ck_assert_uint_eq(*(uint8_t *)guestmem_ptr(mem, 0x21000, 1), 0xee);
	wr(1, HV_X64_MSR_SIEFP, 0x21000 | 1);
	ck_assert_uint_eq(*(uint8_t *)guestmem_ptr(mem, 0x21000, 1), 0);
}
END_TEST

START_TEST(doorbells)
{
	int a = eventfd(0, EFD_NONBLOCK);
	eventfd_t n;

	seen.kernel_result = -ENOSPC; /* the kernel has no room: ours to ring */
	ck_assert_int_eq(synic_ops.doorbell_add(s, 7, a), 0);
	ck_assert_int_eq(synic_ops.doorbell_add(s, 7, a), -EEXIST);
	ck_assert_uint_eq(synic_doorbell(s, 8), HV_STATUS_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(synic_doorbell(s, 7), HV_STATUS_SUCCESS);
	ck_assert_int_eq(eventfd_read(a, &n), 0);
	/* A counter that is full is no reason to wait or to fail. */
	ck_assert_int_eq(eventfd_write(a, UINT64_MAX - 1), 0);
	ck_assert_uint_eq(synic_doorbell(s, 7), HV_STATUS_SUCCESS);
	synic_ops.doorbell_del(s, 7);
	ck_assert_int_eq(seen.kernel_dels, 0);
	ck_assert_uint_eq(synic_doorbell(s, 7), HV_STATUS_INVALID_CONNECTION_ID);
	synic_ops.doorbell_del(s, 7);

	seen.kernel_result = 0;
	seen.kernel_adds = 0;
	ck_assert_int_eq(synic_ops.doorbell_add(s, 1, a), 0);
	ck_assert_int_eq(synic_ops.doorbell_add(s, 2, a), 0);
	synic_doorbells_restore(s);
	ck_assert_int_eq(seen.kernel_adds, 4);
	synic_ops.doorbell_del(s, 1);
	ck_assert_int_eq(seen.kernel_dels, 1);
	ck_assert_uint_eq(synic_doorbell(s, 2), HV_STATUS_SUCCESS);
	close(a);
}
END_TEST

START_TEST(doorbells_are_bounded)
{
	uint32_t i;

	for (i = 0; i < SYNIC_DOORBELLS_MAX; i++)
		ck_assert_int_eq(synic_ops.doorbell_add(s, i, 0), 0);
	ck_assert_int_eq(synic_ops.doorbell_add(s, i, 0), -ENOSPC);
	synic_ops.doorbell_del(s, 0);
	ck_assert_int_eq(synic_ops.doorbell_add(s, i, 0), 0);
}
END_TEST

static uint16_t take(void *opaque, unsigned int vp, uint32_t type, const void *payload,
		     size_t len)
{
	*(size_t *)opaque = vp * 1000 + len;
	return HV_STATUS_SUCCESS;
}

START_TEST(message_ports)
{
	size_t got = 0;

	ck_assert_uint_eq(synic_post_message(s, 1, 4, 1, "abc", 3),
			  HV_STATUS_INVALID_CONNECTION_ID);
	ck_assert_int_eq(synic_ops.message_port(s, 4, NULL, NULL), 0);
	ck_assert_int_eq(synic_ops.message_port(s, 4, take, &got), 0);
	ck_assert_int_eq(synic_ops.message_port(s, 4, take, &got), -EEXIST);
	ck_assert_uint_eq(synic_post_message(s, 2, 4, 1, "abc", 3), HV_STATUS_SUCCESS);
	ck_assert_uint_eq(got, 2003);
	for (uint32_t i = 1; i < SYNIC_PORTS_MAX; i++)
		ck_assert_int_eq(synic_ops.message_port(s, 100 + i, take, &got), 0);
	ck_assert_int_eq(synic_ops.message_port(s, 99, take, &got), -ENOSPC);
	ck_assert_int_eq(synic_ops.message_port(s, 4, NULL, NULL), 0);
	ck_assert_uint_eq(synic_post_message(s, 1, 4, 1, "abc", 3),
			  HV_STATUS_INVALID_CONNECTION_ID);
	ck_assert_int_eq(synic_ops.message_port(s, 99, take, &got), 0);
}
END_TEST

/* A port that was taken away has no receiver running: the receiver's state may go. */
static _Atomic bool stop, inside, gone;

static uint16_t slow_take(void *opaque, unsigned int vp, uint32_t type,
			  const void *payload, size_t len)
{
	inside = true;
	for (unsigned int i = 0; i < 20000; i++)
		ck_assert(!gone);
	return HV_STATUS_SUCCESS;
}

static void *poster(void *opaque)
{
	while (!stop)
		(void)synic_post_message(s, 0, 4, 1, "abc", 3);
	return NULL;
}

START_TEST(port_goes_only_when_idle)
{
	pthread_t thread[2];

	ck_assert_int_eq(synic_ops.message_port(s, 4, slow_take, NULL), 0);
	for (unsigned int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, poster, NULL), 0);
	while (!inside)
		;
	ck_assert_int_eq(synic_ops.message_port(s, 4, NULL, NULL), 0);
	gone = true;
	for (unsigned int i = 0; i < 1000; i++)
		ck_assert_uint_eq(synic_post_message(s, 0, 4, 1, "abc", 3),
				  HV_STATUS_INVALID_CONNECTION_ID);
	stop = true;
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("synic");
	TCase *t = tcase_create("synic");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, count_is_checked);
	tcase_add_loop_test(t, bad_writes_are_refused_and_change_nothing, 0,
			    (int)ARRAY_SIZE(refused));
	tcase_add_test(t, reset_values);
	tcase_add_loop_test(t, closed_takes_nothing, 0, (int)ARRAY_SIZE(closed));
	tcase_add_test(t, post_waits_for_eom);
	tcase_add_loop_test(t, refused_poster_hears_of_changes, 0,
			    (int)ARRAY_SIZE(changes));
	tcase_add_test(t, signal_interrupts_when_new);
	tcase_add_test(t, polling_gets_no_interrupt);
	tcase_add_test(t, new_pages_are_cleared);
	tcase_add_test(t, doorbells);
	tcase_add_test(t, doorbells_are_bounded);
	tcase_add_test(t, message_ports);
	tcase_add_test(t, port_goes_only_when_idle);
	suite_add_tcase(su, t);
	return su;
}

TEST_MAIN(suite)
