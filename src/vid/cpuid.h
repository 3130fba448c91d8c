/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID says in the guest: what KVM supports, less KVM's own hypervisor leaves, plus Hyper-V's (TLFS 2.4) and a topology of one
 * package with as many cores of one thread as there are VPs; a VP's local APIC id is its index.
 */
#ifndef VID_CPUID_H
#define VID_CPUID_H

#include <assert.h>
#include <linux/kvm.h>
#include "util/macros.h"

#define CPUID_ENTRIES_MAX 256u

/* struct kvm_cpuid2 with room behind it. */
struct cpuid_table {
	uint32_t nent, padding;
	struct kvm_cpuid_entry2 entry[CPUID_ENTRIES_MAX];
};
static_assert(offsetof(struct cpuid_table, entry) == sizeof(struct kvm_cpuid2), "ABI");

/*
 * Turns KVM_GET_SUPPORTED_CPUID's answer into what all VPs have in common. -E2BIG when there is no room for our leaves. Hyper-V's leaf
 * 0x40000005 says `vps_max`, what the product allows, not `vps`. `lazy_eoi`: the APIC's synthetic MSRs and the assist page's "no EOI required" are
 * offered (TLFS 10.3, 10.4).
 */
int cpuid_build(struct cpuid_table *t, unsigned int vps, unsigned int vps_max,
		bool lazy_eoi) __must_check;
/* Makes a copy of it this VP's: the APIC ids. */
void cpuid_for_vp(struct cpuid_table *t, unsigned int vp);

#endif
