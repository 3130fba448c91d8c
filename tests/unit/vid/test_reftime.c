/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/reftime.h"

#include <errno.h>
#include "unit/test.h"

static uint64_t tsc;

static uint64_t fake_tsc(void)
{
	return tsc;
}

static const struct {
	uint64_t khz;
	int r;
} rates[] = {
	{ 0, -EINVAL },          { 1, -EINVAL },          { 10000, -EINVAL },
	{ 1000000001, -EINVAL }, { UINT64_MAX, -EINVAL }, { 10001, 0 },
	{ 2596120, 0 },          { 1000000000, 0 },
};

START_TEST(rate_is_checked)
{
	struct reftime rt;

	ck_assert_int_eq(reftime_init(&rt, rates[_i].khz, fake_tsc), rates[_i].r);
	if (!rates[_i].r)
		reftime_done(&rt);
}
END_TEST

START_TEST(scale_is_exact)
{
	/* 2^64 * 10^7 / 20 MHz is 2^63; 2.5 GHz: 2^64 / 250. */
	ck_assert_uint_eq(reftime_scale(20000), 1ull << 63);
	ck_assert_uint_eq(reftime_scale(2500000), 73786976294838206ull);
}
END_TEST

/* What a guest does with the page (TLFS 12.7). */
static uint64_t guest_time(const struct hv_reference_tsc_page *page)
{
	return (uint64_t)(((unsigned __int128)tsc * page->tsc_scale) >> 64) +
	       (uint64_t)page->tsc_offset;
}

START_TEST(counts_while_running_only)
{
	struct hv_reference_tsc_page page;
	struct reftime rt;
	uint32_t sequence;

	tsc = 1ull << 60; /* a host that is up for long */
	ck_assert_int_eq(reftime_init(&rt, 2500000, fake_tsc), 0);
	ck_assert_uint_eq(reftime_now(&rt), 0);
	tsc += 1000000;
	ck_assert_uint_eq(reftime_now(&rt), 0);

	reftime_start(&rt);
	reftime_page(&rt, &page);
	sequence = page.tsc_sequence;
	ck_assert_uint_ne(sequence, 0);
	tsc += 2500000000; /* a second, within the scale's rounding */
	ck_assert_uint_ge(reftime_now(&rt), 9999999);
	ck_assert_uint_le(reftime_now(&rt), 10000000);
	ck_assert_uint_eq(guest_time(&page), reftime_now(&rt));

	reftime_stop(&rt);
	reftime_stop(&rt);
	tsc += 2500000000 * 100;
	ck_assert_uint_le(reftime_now(&rt), 10000000);

	/* It goes on where it stood, and who read the page before must read it again. */
	reftime_start(&rt);
	reftime_start(&rt);
	reftime_page(&rt, &page);
	ck_assert_uint_eq(page.tsc_sequence, sequence + 1);
	ck_assert_uint_ge(reftime_now(&rt), 9999999);
	ck_assert_uint_eq(guest_time(&page), reftime_now(&rt));

	reftime_reset(&rt);
	ck_assert_uint_eq(reftime_now(&rt), 0);
	reftime_done(&rt);
}
END_TEST

static uint64_t other;

static uint64_t fake_other(void)
{
	return other;
}

/* Another counter at another rate: the time makes no step, running or not, and a rate that cannot be changes nothing. */
START_TEST(source_changes_without_a_step)
{
	struct reftime rt;
	uint64_t before;

	tsc = 5000000000;
	other = 77;
	ck_assert_int_eq(reftime_init(&rt, 2500000, fake_tsc), 0);
	reftime_start(&rt);
	tsc += 2500000000;
	before = reftime_now(&rt);
	ck_assert_int_eq(reftime_source(&rt, 1, fake_other), -EINVAL);
	ck_assert_uint_eq(reftime_now(&rt), before);
	ck_assert_int_eq(reftime_source(&rt, 1000000, fake_other), 0);
	ck_assert_uint_eq(reftime_now(&rt), before);
	tsc += 2500000000;
	other += 1000000000;
	ck_assert_uint_ge(reftime_now(&rt), before + 9999999);
	ck_assert_uint_le(reftime_now(&rt), before + 10000000);

	reftime_stop(&rt);
	before = reftime_now(&rt);
	ck_assert_int_eq(reftime_source(&rt, 2500000, fake_tsc), 0);
	tsc += 2500000000;
	ck_assert_uint_eq(reftime_now(&rt), before);
	reftime_start(&rt);
	ck_assert_uint_eq(reftime_now(&rt), before);
	reftime_done(&rt);
}
END_TEST

START_TEST(sequence_skips_zero)
{
	struct hv_reference_tsc_page page;
	struct reftime rt;

	ck_assert_int_eq(reftime_init(&rt, 2500000, fake_tsc), 0);
	rt.sequence = UINT32_MAX;
	reftime_start(&rt);
	reftime_page(&rt, &page);
	ck_assert_uint_eq(page.tsc_sequence, 1);
	reftime_done(&rt);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("reftime");
	TCase *t = tcase_create("reftime");

	tcase_add_loop_test(t, rate_is_checked, 0,
			    (int)(sizeof(rates) / sizeof(rates[0])));
	tcase_add_test(t, scale_is_exact);
	tcase_add_test(t, counts_while_running_only);
	tcase_add_test(t, source_changes_without_a_step);
	tcase_add_test(t, sequence_skips_zero);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
