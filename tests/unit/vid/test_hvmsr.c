/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSR table with VPs that are only numbers. */
#include "vid/hvmsr.h"

#include <string.h>
#include "unit/test.h"

#define VPS 2u
#define RAM (2ull << 20)
#define TSC_KHZ 2500000u

static struct guestmem *mem;
static struct synic *synic;
static struct reftime reftime;
static struct hvmsr *h;
static uint64_t tsc;

static struct {
	unsigned int crashes, resets, vp;
	uint64_t params[5];
	char text[HV_CRASH_MESSAGE_MAX];
	size_t len;
} seen;

static uint64_t fake_tsc(void)
{
	return tsc;
}

static void inject(void *opaque, unsigned int vp, uint8_t vector)
{
}

static void crash(void *opaque, unsigned int vp, const uint64_t params[5],
		  const char *text, size_t len)
{
	seen.crashes++;
	seen.vp = vp;
	memcpy(seen.params, params, sizeof(seen.params));
	seen.len = len;
	ck_assert_uint_le(len, sizeof(seen.text));
	if (text)
		memcpy(seen.text, text, len);
}

static void reset(void *opaque, unsigned int vp)
{
	seen.resets++;
}

static bool assist_ok;
static uint64_t assist_value[VPS];

static bool assist(void *opaque, unsigned int vp, uint64_t value)
{
	if (assist_ok)
		assist_value[vp] = value;
	return assist_ok;
}

static uint64_t runtime(void *opaque, unsigned int vp)
{
	return 1000 + vp;
}

static void setup(void)
{
	struct synic_env env = { .inject = inject };
	struct hvmsr_config config = {
		.reftime = &reftime,
		.vps = VPS,
		.tsc_hz = TSC_KHZ * 1000ull,
		.apic_hz = 1000000000,
		.crash = crash,
		.reset = reset,
		.runtime = runtime,
		.assist = assist,
	};

	memset(&seen, 0, sizeof(seen));
	assist_ok = true;
	ck_assert_int_eq(guestmem_new(RAM, &mem), 0);
	env.mem = config.mem = mem;
	ck_assert_int_eq(synic_new(&env, VPS, &synic), 0);
	config.synic = synic;
	tsc = 0;
	ck_assert_int_eq(reftime_init(&reftime, TSC_KHZ, fake_tsc), 0);
	ck_assert_int_eq(hvmsr_new(&config, &h), 0);
	reftime_start(&reftime);
	hvmsr_time_started(h, true);
}

static void teardown(void)
{
	hvmsr_free(h);
	synic_free(synic);
	reftime_done(&reftime);
	guestmem_free(mem);
}

static uint64_t rd(unsigned int vp, uint32_t msr)
{
	uint64_t value = 0x5555;

	ck_assert(hvmsr_read(h, vp, msr, &value));
	return value;
}

static void wr(uint32_t msr, uint64_t value)
{
	ck_assert(hvmsr_write(h, 0, msr, value));
}

/* A write that is refused leaves the value, and guest memory, as they were. */
static const struct {
	uint32_t msr;
	uint64_t value;
} refused[] = {
	{ HV_X64_MSR_HYPERCALL, RAM | 1 },
	{ HV_X64_MSR_HYPERCALL, UINT64_MAX },
	{ HV_X64_MSR_HYPERCALL, 0xfee00001 },
	{ HV_X64_MSR_HYPERCALL, 0x1005 },
	{ HV_X64_MSR_HYPERCALL, 0x1800 },
	{ HV_X64_MSR_REFERENCE_TSC, RAM | 1 },
	{ HV_X64_MSR_REFERENCE_TSC, 0xfffffffffffff001ull },
	{ HV_X64_MSR_REFERENCE_TSC, 0x1003 },
	{ HV_X64_MSR_VP_ASSIST_PAGE, RAM | 1 },
	{ HV_X64_MSR_VP_ASSIST_PAGE, 0x1ffe },
	{ HV_X64_MSR_VP_INDEX, 0 },
	{ HV_X64_MSR_VP_RUNTIME, 0 },
	{ HV_X64_MSR_TIME_REF_COUNT, 0 },
	{ HV_X64_MSR_TSC_FREQUENCY, 1 },
	{ HV_X64_MSR_APIC_FREQUENCY, 1 },
	{ HV_X64_MSR_SVERSION, 1 },
};

START_TEST(refused_writes_change_nothing)
{
	uint64_t before, after;

	wr(HV_X64_MSR_GUEST_OS_ID, 1);
	tsc += 2500;
	ck_assert(hvmsr_read(h, 0, refused[_i].msr, &before));
	ck_assert(!hvmsr_write(h, 0, refused[_i].msr, refused[_i].value));
	ck_assert(hvmsr_read(h, 0, refused[_i].msr, &after));
	ck_assert_uint_eq(before, after);
	for (uint64_t gpa = 0; gpa < RAM; gpa += HV_PAGE_SIZE)
		ck_assert_uint_eq(*(uint64_t *)guestmem_ptr(mem, gpa, 8), 0);
}
END_TEST

/* Everything else of the range is not there. */
START_TEST(what_has_no_row_is_gp)
{
	static const uint32_t there[] = { 0x00, 0x01, 0x02, 0x03, 0x10, 0x20, 0x21, 0x22,
					  0x23, 0x73, 0x80, 0x81, 0x82, 0x83, 0x84 };
	unsigned int n = 0;

	for (uint32_t msr = HV_MSR_FIRST; msr <= HV_MSR_LAST; msr++) {
		uint32_t low = msr - HV_MSR_FIRST;
		bool expect =
			(low >= 0x90 && low <= 0x9f) || (low >= 0x100 && low <= 0x105);
		uint64_t value;

		for (unsigned int i = 0; i < ARRAY_SIZE(there); i++)
			expect = expect || there[i] == low;
		ck_assert_msg(hvmsr_read(h, 0, msr, &value) == expect, "read %x", msr);
		if (!expect)
			ck_assert_msg(!hvmsr_write(h, 0, msr, 0), "write %x", msr);
		n += expect;
	}
	ck_assert_uint_eq(n, 15 + 16 + 6);
	ck_assert(!hvmsr_read(h, 0, 0, &(uint64_t){ 0 }));
	ck_assert(!hvmsr_write(h, 0, UINT32_MAX, 0));
}
END_TEST

START_TEST(hypercall_needs_identity)
{
	const uint8_t *page = guestmem_ptr(mem, 0x1000, HV_PAGE_SIZE);

	wr(HV_X64_MSR_HYPERCALL, 0x1001);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_HYPERCALL), 0x1000);
	ck_assert_uint_eq(page[0], 0);
	wr(HV_X64_MSR_GUEST_OS_ID, 0x8100ull << 48);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_GUEST_OS_ID), 0x8100ull << 48);
	wr(HV_X64_MSR_HYPERCALL, 0x1001);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_HYPERCALL), 0x1001);
	ck_assert_uint_eq(page[0], 0xf3);
	wr(HV_X64_MSR_GUEST_OS_ID, 0);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_HYPERCALL), 0x1000);
}
END_TEST

START_TEST(hypercall_locks)
{
	wr(HV_X64_MSR_GUEST_OS_ID, 1);
	wr(HV_X64_MSR_HYPERCALL, 0x1003);
	ck_assert(!hvmsr_write(h, 0, HV_X64_MSR_HYPERCALL, 0x2001));
	ck_assert(!hvmsr_write(h, 1, HV_X64_MSR_HYPERCALL, 0));
	ck_assert_uint_eq(rd(0, HV_X64_MSR_HYPERCALL), 0x1003);
	hvmsr_reset(h);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_HYPERCALL), 0);
	wr(HV_X64_MSR_HYPERCALL, 0x2000);
}
END_TEST

START_TEST(fixed_values)
{
	ck_assert_uint_eq(rd(0, HV_X64_MSR_VP_INDEX), 0);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_VP_INDEX), 1);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_VP_RUNTIME), 1001);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_TSC_FREQUENCY), 2500000000);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_APIC_FREQUENCY), 1000000000);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_CRASH_CTL), 3ull << 62);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_RESET), 0);
}
END_TEST

START_TEST(reset_asks_once_told)
{
	wr(HV_X64_MSR_RESET, 0);
	wr(HV_X64_MSR_RESET, ~1ull);
	ck_assert_uint_eq(seen.resets, 0);
	wr(HV_X64_MSR_RESET, 1);
	ck_assert_uint_eq(seen.resets, 1);
}
END_TEST

START_TEST(tsc_page_follows_time)
{
	const struct hv_reference_tsc_page *page =
		guestmem_ptr(mem, 0x5000, HV_PAGE_SIZE);
	uint32_t sequence;

	wr(HV_X64_MSR_REFERENCE_TSC, 0x5001);
	sequence = page->tsc_sequence;
	ck_assert_uint_ne(sequence, 0);
	ck_assert_uint_eq(page->tsc_scale, reftime.scale);
	tsc += 25000;
	ck_assert_uint_eq(rd(0, HV_X64_MSR_TIME_REF_COUNT), reftime_now(&reftime));
	ck_assert_uint_ge(rd(0, HV_X64_MSR_TIME_REF_COUNT), 99);

	reftime_stop(&reftime);
	tsc += 1000000;
	reftime_start(&reftime);
	hvmsr_time_started(h, true);
	ck_assert_uint_eq(page->tsc_sequence, sequence + 1);
	ck_assert_int_lt(page->tsc_offset, 0);
	/* A guest whose TSC is another is told to ask the MSR. */
	hvmsr_time_started(h, false);
	ck_assert_uint_eq(page->tsc_sequence, 0);
	/* Off: the page is the guest's again. */
	wr(HV_X64_MSR_REFERENCE_TSC, 0x5000);
	ck_assert_int_eq(guestmem_zero(mem, 0x5000, HV_PAGE_SIZE), 0);
	hvmsr_time_started(h, true);
	ck_assert_uint_eq(page->tsc_scale, 0);
}
END_TEST

static const struct {
	uint64_t ctl, gpa, bytes;
	bool reported;
	size_t len;
} crashes[] = {
	{ 0, 0x1000, 5, false, 0 },
	{ HV_CRASH_CTL_NOTIFY_MSG, 0x1000, 5, false, 0 },
	{ 3ull << 62, RAM, 5, true, 0 },
	{ 3ull << 62, RAM - 4, 5, true, 0 },
	{ 3ull << 62, UINT64_MAX, UINT64_MAX, true, 0 },
	{ 3ull << 62, UINT64_MAX - 3, 4, true, 0 },
	{ 3ull << 62, 0xfee00000, 4, true, 0 },
	{ 3ull << 62, 0x1000, 0, true, 0 },
	{ 3ull << 62, 0x1000, 4097, true, 4096 },
	{ 3ull << 62, 0x1000, UINT64_MAX, true, 4096 },
	{ HV_CRASH_CTL_NOTIFY, 0x1000, 5, true, 0 },
	{ 3ull << 62, 0x1000, 5, true, 5 },
	{ 3ull << 62, RAM - 4, 4, true, 4 },
};

START_TEST(crash_text_is_bounded)
{
	ck_assert_int_eq(guestmem_write(mem, 0x1000, "hello", 5), 0);
	for (uint32_t i = 0; i < 3; i++)
		wr(HV_X64_MSR_CRASH_P0 + i, 100 + i);
	wr(HV_X64_MSR_CRASH_P0 + 3, crashes[_i].gpa);
	wr(HV_X64_MSR_CRASH_P4, crashes[_i].bytes);
	ck_assert(hvmsr_write(h, 1, HV_X64_MSR_CRASH_CTL, crashes[_i].ctl));
	ck_assert_uint_eq(seen.crashes, crashes[_i].reported);
	if (!seen.crashes)
		return;
	ck_assert_uint_eq(seen.vp, 1);
	ck_assert_uint_eq(seen.params[2], 102);
	ck_assert_uint_eq(seen.len, crashes[_i].len);
	if (seen.len == 5)
		ck_assert_mem_eq(seen.text, "hello", 5);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_CRASH_P4), crashes[_i].bytes);
}
END_TEST

/* The host keeps the same page as the MSR says, or the VP gets its #GP and nothing changes. */
START_TEST(assist_page_is_the_hosts_too)
{
	ck_assert(hvmsr_write(h, 1, HV_X64_MSR_VP_ASSIST_PAGE, 0x6001));
	ck_assert_uint_eq(assist_value[1], 0x6001);
	assist_ok = false;
	ck_assert(!hvmsr_write(h, 1, HV_X64_MSR_VP_ASSIST_PAGE, 0x7001));
	ck_assert_uint_eq(rd(1, HV_X64_MSR_VP_ASSIST_PAGE), 0x6001);
	assist_ok = true;
	ck_assert(!hvmsr_write(h, 1, HV_X64_MSR_VP_ASSIST_PAGE, RAM | 1));
	ck_assert_uint_eq(assist_value[1], 0x6001);
	ck_assert(hvmsr_write(h, 1, HV_X64_MSR_VP_ASSIST_PAGE, 0));
	ck_assert_uint_eq(assist_value[1], 0);
}
END_TEST

START_TEST(reset_clears_all)
{
	wr(HV_X64_MSR_GUEST_OS_ID, 1);
	wr(HV_X64_MSR_REFERENCE_TSC, 0x5001);
	wr(HV_X64_MSR_CRASH_P0, 7);
	ck_assert(hvmsr_write(h, 1, HV_X64_MSR_VP_ASSIST_PAGE, 0x6001));
	hvmsr_reset(h);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_GUEST_OS_ID), 0);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_REFERENCE_TSC), 0);
	ck_assert_uint_eq(rd(0, HV_X64_MSR_CRASH_P0), 0);
	ck_assert_uint_eq(rd(1, HV_X64_MSR_VP_ASSIST_PAGE), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("hvmsr");
	TCase *t = tcase_create("hvmsr");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, refused_writes_change_nothing, 0,
			    (int)ARRAY_SIZE(refused));
	tcase_add_test(t, what_has_no_row_is_gp);
	tcase_add_test(t, hypercall_needs_identity);
	tcase_add_test(t, hypercall_locks);
	tcase_add_test(t, fixed_values);
	tcase_add_test(t, reset_asks_once_told);
	tcase_add_test(t, tsc_page_follows_time);
	tcase_add_loop_test(t, crash_text_is_bounded, 0, (int)ARRAY_SIZE(crashes));
	tcase_add_test(t, assist_page_is_the_hosts_too);
	tcase_add_test(t, reset_clears_all);
	suite_add_tcase(su, t);
	return su;
}

TEST_MAIN(suite)
