/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/cpuid.h"

#include <errno.h>
#include <string.h>
#include "proto/hv.h"
#include "unit/test.h"

static struct cpuid_table t;

static void put(uint32_t function, uint32_t index, uint32_t eax, uint32_t ebx,
		uint32_t ecx, uint32_t edx)
{
	t.entry[t.nent++] = (struct kvm_cpuid_entry2){
		.function = function,
		.index = index,
		.flags = index ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = eax,
		.ebx = ebx,
		.ecx = ecx,
		.edx = edx,
	};
}

static const struct kvm_cpuid_entry2 *get(uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < t.nent; i++) {
		if (t.entry[i].function == function && t.entry[i].index == index)
			return &t.entry[i];
	}
	return NULL;
}

static unsigned int count(uint32_t function)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < t.nent; i++)
		n += t.entry[i].function == function;
	return n;
}

/* As KVM answers on a host with many threads, with its own leaves. */
static void setup(void)
{
	memset(&t, 0, sizeof(t));
	put(0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	put(1, 0, 0x000806f8, 0x17400800, 0x00000201, 0x1fabfbff);
	put(4, 0, 0xfc01c121, 0x02c0003f, 0x3f, 0);
	put(4, 2, 0xfc01c143, 0x03c0003f, 0x7ff, 0);
	put(4, 3, 0xfdffc163, 0x0380003f, 0x1bfff, 4);
	put(0xb, 0, 1, 2, 0x100, 0x17);
	put(0xb, 1, 7, 0x40, 0x201, 0x17);
	put(0x1f, 0, 1, 2, 0x100, 0x17);
	put(0x1f, 1, 7, 0x40, 0x201, 0x17);
	put(0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	put(0x40000001, 0, 0x01007efb, 0, 0, 0);
	put(0x40000010, 0, 1, 2, 3, 4);
	put(0x80000008, 0, 0x3034, 0, 0x703f, 0);
	put(0x8000001d, 3, 0x3fc163, 0x0380003f, 0x1bfff, 4);
	put(0x8000001e, 0, 0x17, 0x10b, 0x301, 0);
}

START_TEST(full_table_is_refused)
{
	while (t.nent < CPUID_ENTRIES_MAX - 5)
		put(0x80000002, 0, 0, 0, 0, 0);
	ck_assert_int_eq(cpuid_build(&t, 2, 64, false), -E2BIG);
	ck_assert_uint_le(t.nent, CPUID_ENTRIES_MAX);
}
END_TEST

START_TEST(empty_answer_is_hyperv_alone)
{
	t.nent = 0;
	ck_assert_int_eq(cpuid_build(&t, 2, 64, false), 0);
	ck_assert_uint_eq(t.nent, 7);
	cpuid_for_vp(&t, 1);
}
END_TEST

START_TEST(hypervisor_leaves_are_ours_alone)
{
	ck_assert_int_eq(cpuid_build(&t, 4, 64, false), 0);
	for (uint32_t f = 0x40000000; f <= 0x40000006; f++)
		ck_assert_uint_eq(count(f), 1);
	ck_assert_uint_eq(count(0x40000010), 0);
	ck_assert_uint_eq(get(0x40000000, 0)->eax, 0x40000006);
	ck_assert_mem_eq(&get(0x40000000, 0)->ebx, "Microsoft Hv", 12);
	ck_assert_mem_eq(&get(0x40000001, 0)->eax, "Hv#1", 4);
	/* What every guest wants, and what we do not have. */
	ck_assert_uint_eq(get(0x40000003, 0)->eax & 0xa66, 0xa66);
	ck_assert_uint_eq(get(0x40000003, 0)->eax &
				  (HV_PRIV_SYNTHETIC_TIMER_MSRS | HV_PRIV_APIC_MSRS),
			  0);
	ck_assert_uint_eq(get(0x40000003, 0)->ebx, 0x30);
	ck_assert_uint_eq(get(0x40000003, 0)->edx, 0x500);
	ck_assert_uint_eq(get(0x40000004, 0)->eax, 0x220);
	ck_assert_uint_eq(get(0x40000004, 0)->ebx, UINT32_MAX);
	ck_assert_uint_eq(get(0x40000005, 0)->eax, 64);
	/* KVM's other answers stay. */
	ck_assert_uint_eq(get(0, 0)->eax, 0x1f);
	ck_assert_uint_eq(get(1, 0)->eax, 0x000806f8);
	ck_assert_uint_eq(get(1, 0)->ecx, 0x81200201);
}
END_TEST

START_TEST(lazy_eoi_is_offered_where_the_host_has_it)
{
	ck_assert_int_eq(cpuid_build(&t, 4, 64, true), 0);
	ck_assert_uint_eq(get(0x40000003, 0)->eax & (1u << 3 | 1u << 4), 1u << 4);
	ck_assert_uint_eq(get(0x40000004, 0)->eax, 0x228);
}
END_TEST

static const struct {
	unsigned int vps, bits;
} sizes[] = { { 1, 0 }, { 2, 1 }, { 3, 2 },  { 4, 2 },
	      { 5, 3 }, { 8, 3 }, { 33, 6 }, { 64, 6 } };

START_TEST(one_package_of_single_threads)
{
	unsigned int vps = sizes[_i].vps, bits = sizes[_i].bits, last = vps - 1;

	ck_assert_int_eq(cpuid_build(&t, vps, 64, false), 0);
	cpuid_for_vp(&t, last);
	ck_assert_uint_eq(get(1, 0)->ebx, last << 24 | vps << 16 | 0x0800);
	ck_assert_uint_eq(get(1, 0)->edx >> 28 & 1, vps > 1);
	for (uint32_t f = 0xb; f <= 0x1f; f += 0x14) {
		ck_assert_uint_eq(count(f), 3);
		ck_assert_uint_eq(get(f, 0)->eax, 0);
		ck_assert_uint_eq(get(f, 0)->ebx, 1);
		ck_assert_uint_eq(get(f, 0)->ecx, 0x100);
		ck_assert_uint_eq(get(f, 1)->eax, bits);
		ck_assert_uint_eq(get(f, 1)->ebx, vps);
		ck_assert_uint_eq(get(f, 1)->ecx, 0x201);
		ck_assert_uint_eq(get(f, 1)->edx, last);
		ck_assert_uint_eq(get(f, 2)->ebx, 0);
	}
	ck_assert_uint_eq(get(4, 2)->eax, (last << 26) | 0x143);
	ck_assert_uint_eq(get(4, 3)->eax, (last << 26) | last << 14 | 0x163);
	ck_assert_uint_eq(get(0x8000001d, 3)->eax, last << 14 | 0x163);
	ck_assert_uint_eq(get(0x80000008, 0)->ecx, bits << 12 | last);
	ck_assert_uint_eq(get(0x8000001e, 0)->eax, last);
	ck_assert_uint_eq(get(0x8000001e, 0)->ebx, last);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("cpuid");
	TCase *tc = tcase_create("cpuid");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, full_table_is_refused);
	tcase_add_test(tc, empty_answer_is_hyperv_alone);
	tcase_add_test(tc, hypervisor_leaves_are_ours_alone);
	tcase_add_test(tc, lazy_eoi_is_offered_where_the_host_has_it);
	tcase_add_loop_test(tc, one_package_of_single_threads, 0, (int)ARRAY_SIZE(sizes));
	suite_add_tcase(s, tc);
	return s;
}

TEST_MAIN(suite)
