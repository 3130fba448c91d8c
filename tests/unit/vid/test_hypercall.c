/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/hypercall.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "unit/test.h"

#define RAM (2ull << 20)
#define POST HVCALL_POST_MESSAGE
#define SIGNAL HVCALL_SIGNAL_EVENT
#define FAST HV_HYPERCALL_FAST
#define INPUT 0x3000ull
#define CONNECTION 4u

static struct guestmem *mem;
static struct synic *s;
static unsigned int posted;
static size_t posted_bytes;
static int bell;

static void inject(void *opaque, unsigned int vp, uint8_t vector)
{
}

static uint16_t take(void *opaque, unsigned int vp, uint32_t type, const void *payload,
		     size_t len)
{
	posted++;
	posted_bytes = len;
	return HV_STATUS_SUCCESS;
}

static void setup(void)
{
	struct synic_env env = { .inject = inject };

	posted = 0;
	posted_bytes = 0;
	ck_assert_int_eq(guestmem_new(RAM, &mem), 0);
	env.mem = mem;
	ck_assert_int_eq(synic_new(&env, 1, &s), 0);
	ck_assert_int_eq(synic_ops.message_port(s, CONNECTION, take, NULL), 0);
	bell = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_eq(synic_ops.doorbell_add(s, CONNECTION, bell), 0);
}

static void teardown(void)
{
	synic_free(s);
	guestmem_free(mem);
	close(bell);
}

/* The input value: any bit that a simple call does not have. */
static const struct {
	uint64_t rcx;
	uint16_t status;
} inputs[] = {
	{ 0, HV_STATUS_INVALID_HYPERCALL_CODE },
	{ 0xffff, HV_STATUS_INVALID_HYPERCALL_CODE },
	{ UINT64_MAX, HV_STATUS_INVALID_HYPERCALL_CODE },
	{ HVCALL_NOTIFY_LONG_SPIN_WAIT, HV_STATUS_INVALID_HYPERCALL_CODE },
	{ POST + 0x100, HV_STATUS_INVALID_HYPERCALL_CODE },
	{ POST | FAST, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ POST | 1ull << 17, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ POST | 1ull << 26, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ POST | 1ull << 31, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ POST | 1ull << 32, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ POST | 1ull << 48, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ POST | 1ull << 63, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ SIGNAL | 1ull << 32, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ SIGNAL | FAST | 1ull << 63, HV_STATUS_INVALID_HYPERCALL_INPUT },
	{ POST, HV_STATUS_SUCCESS },
};

START_TEST(input_value)
{
	const struct hv_input_post_message in = { .connection_id = CONNECTION,
						  .message_type = 1 };

	ck_assert_int_eq(guestmem_write(mem, INPUT, &in, sizeof(in)), 0);
	ck_assert_uint_eq(hypercall_run(s, mem, 0, inputs[_i].rcx, INPUT),
			  inputs[_i].status);
	ck_assert_uint_eq(posted, inputs[_i].status == HV_STATUS_SUCCESS);
}
END_TEST

static const struct {
	uint64_t gpa;
	struct hv_input_post_message in;
	uint16_t status;
} posts[] = {
	/* where it lies */
	{ INPUT + 1, { CONNECTION, 0, 1, 0 }, HV_STATUS_INVALID_ALIGNMENT },
	{ INPUT + 4, { CONNECTION, 0, 1, 0 }, HV_STATUS_INVALID_ALIGNMENT },
	{ RAM, { 0 }, HV_STATUS_INVALID_ALIGNMENT },
	{ UINT64_MAX - 7, { 0 }, HV_STATUS_INVALID_ALIGNMENT },
	{ UINT64_MAX, { 0 }, HV_STATUS_INVALID_ALIGNMENT },
	{ 0xfee00000, { 0 }, HV_STATUS_INVALID_ALIGNMENT },
	{ 0x3ff8, { CONNECTION, 0, 1, 0 }, HV_STATUS_INVALID_ALIGNMENT },
	{ 0x3ff0, { CONNECTION, 0, 1, 1 }, HV_STATUS_INVALID_ALIGNMENT },
	{ 0x3f08, { CONNECTION, 0, 1, 240 }, HV_STATUS_INVALID_ALIGNMENT },
	{ 0x3f00, { CONNECTION, 0, 1, 240 }, HV_STATUS_SUCCESS },
	{ 0x3ff0, { CONNECTION, 0, 1, 0 }, HV_STATUS_SUCCESS },
	{ RAM - 256, { CONNECTION, 0, 1, 240 }, HV_STATUS_SUCCESS },
	/* what it says */
	{ INPUT, { CONNECTION, 0, 1, 241 }, HV_STATUS_INVALID_PARAMETER },
	{ INPUT, { CONNECTION, 0, 1, UINT32_MAX }, HV_STATUS_INVALID_PARAMETER },
	{ INPUT, { CONNECTION, 0, 1, 0x80000000 }, HV_STATUS_INVALID_PARAMETER },
	{ INPUT, { CONNECTION, 0, 0, 1 }, HV_STATUS_INVALID_PARAMETER },
	{ INPUT, { CONNECTION, 0, 0x80000001, 1 }, HV_STATUS_INVALID_PARAMETER },
	{ INPUT, { CONNECTION + 1, 0, 1, 1 }, HV_STATUS_INVALID_CONNECTION_ID },
	{ INPUT, { 0, 0, 1, 1 }, HV_STATUS_INVALID_CONNECTION_ID },
	{ INPUT, { CONNECTION | 0x1000000, 0, 1, 1 }, HV_STATUS_INVALID_CONNECTION_ID },
	{ INPUT, { UINT32_MAX, 0, 1, 1 }, HV_STATUS_INVALID_CONNECTION_ID },
	{ INPUT, { CONNECTION, 0, 0x7fffffff, 17 }, HV_STATUS_SUCCESS },
};

START_TEST(post_message)
{
	const size_t room = RAM - MIN(posts[_i].gpa, RAM);
	const size_t len = MIN(room, sizeof(posts[_i].in));

	ck_assert_int_eq(guestmem_write(mem, RAM - room, &posts[_i].in, len), 0);
	ck_assert_uint_eq(hypercall_run(s, mem, 0, POST, posts[_i].gpa),
			  posts[_i].status);
	ck_assert_uint_eq(posted, posts[_i].status == HV_STATUS_SUCCESS);
	if (posted)
		ck_assert_uint_eq(posted_bytes, posts[_i].in.payload_size);
}
END_TEST

static const struct {
	uint64_t rcx, rdx;
	struct hv_input_signal_event in;
	uint16_t status;
} signals[] = {
	{ SIGNAL | FAST, CONNECTION + 1, { 0 }, HV_STATUS_INVALID_CONNECTION_ID },
	{ SIGNAL | FAST, UINT64_MAX, { 0 }, HV_STATUS_INVALID_CONNECTION_ID },
	{ SIGNAL | FAST, CONNECTION | 1u << 24, { 0 }, HV_STATUS_INVALID_CONNECTION_ID },
	{ SIGNAL | FAST, CONNECTION | 1ull << 32, { 0 }, HV_STATUS_INVALID_PARAMETER },
	{ SIGNAL | FAST,
	  CONNECTION | 0xffffull << 32,
	  { 0 },
	  HV_STATUS_INVALID_PARAMETER },
	{ SIGNAL | FAST, CONNECTION, { 0 }, HV_STATUS_SUCCESS },
	{ SIGNAL, INPUT + 4, { CONNECTION }, HV_STATUS_INVALID_ALIGNMENT },
	{ SIGNAL, RAM, { CONNECTION }, HV_STATUS_INVALID_ALIGNMENT },
	{ SIGNAL, UINT64_MAX & ~7ull, { CONNECTION }, HV_STATUS_INVALID_ALIGNMENT },
	{ SIGNAL, INPUT, { CONNECTION + 1 }, HV_STATUS_INVALID_CONNECTION_ID },
	{ SIGNAL, INPUT, { CONNECTION, 1 }, HV_STATUS_INVALID_PARAMETER },
	{ SIGNAL, 0x3ff8, { CONNECTION }, HV_STATUS_SUCCESS },
};

START_TEST(signal_event)
{
	eventfd_t n;

	ck_assert_int_eq(guestmem_write(mem, signals[_i].rdx & (RAM - 1) & ~7ull,
					&signals[_i].in, sizeof(signals[_i].in)),
			 0);
	ck_assert_uint_eq(hypercall_run(s, mem, 0, signals[_i].rcx, signals[_i].rdx),
			  signals[_i].status);
	ck_assert_int_eq(eventfd_read(bell, &n) == 0,
			 signals[_i].status == HV_STATUS_SUCCESS);
}
END_TEST

START_TEST(page_is_whole_or_not_at_all)
{
	const uint8_t *page = guestmem_ptr(mem, 0x1000, HV_PAGE_SIZE);

	ck_assert_int_eq(hypercall_page_write(mem, RAM), -EFAULT);
	ck_assert_int_eq(hypercall_page_write(mem, RAM - 4095), -EFAULT);
	ck_assert_int_eq(hypercall_page_write(mem, UINT64_MAX & ~0xfffull), -EFAULT);
	ck_assert_int_eq(hypercall_page_write(mem, 0x1000), 0);
	/* endbr64 first; the rest of the page is int3. */
	ck_assert_mem_eq(page, "\xf3\x0f\x1e\xfa", 4);
	ck_assert_uint_eq(page[64], 0xcc);
	ck_assert_uint_eq(page[4095], 0xcc);
	ck_assert_uint_eq(page[4096], 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("hypercall");
	TCase *t = tcase_create("hypercall");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, input_value, 0, (int)ARRAY_SIZE(inputs));
	tcase_add_loop_test(t, post_message, 0, (int)ARRAY_SIZE(posts));
	tcase_add_loop_test(t, signal_event, 0, (int)ARRAY_SIZE(signals));
	tcase_add_test(t, page_is_whole_or_not_at_all);
	suite_add_tcase(su, t);
	return su;
}

TEST_MAIN(suite)
