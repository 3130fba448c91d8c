/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/cpuid.h"

#include <errno.h>
#include <string.h>
#include "proto/hv.h"

/* Intel SDM 2A, CPUID; AMD APM 3, appendix E. */
#define LEAF1_ECX_X2APIC (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR (1u << 31)
#define LEAF1_EDX_HTT (1u << 28)
#define LEVEL_SMT 1u
#define LEVEL_CORE 2u

/* Windows Server 2022: what leaf 0x40000002 says. */
#define HV_BUILD 20348u
#define HV_VERSION (10u << 16)

static const struct kvm_cpuid_entry2 hv_leaves[] = {
	/* "Microsoft Hv" */
	{ .function = HV_CPUID_VENDOR_AND_MAX,
	  .eax = HV_CPUID_HARDWARE,
	  .ebx = 0x7263694d,
	  .ecx = 0x666f736f,
	  .edx = 0x76482074 },
	/* "Hv#1" */
	{ .function = HV_CPUID_INTERFACE, .eax = 0x31237648 },
	{ .function = HV_CPUID_VERSION, .eax = HV_BUILD, .ebx = HV_VERSION },
	{ .function = HV_CPUID_FEATURES,
	  .eax = HV_PRIV_VP_RUNTIME_MSR | HV_PRIV_TIME_REF_COUNT | HV_PRIV_SYNIC_MSRS |
		 HV_PRIV_HYPERCALL_MSRS | HV_PRIV_VP_INDEX_MSR | HV_PRIV_RESET_MSR |
		 HV_PRIV_REFERENCE_TSC | HV_PRIV_FREQUENCY_MSRS,
	  .ebx = HV_PRIV_EBX_POST_MESSAGES | HV_PRIV_EBX_SIGNAL_EVENTS,
	  .edx = HV_FEAT_EDX_FREQUENCY_MSRS | HV_FEAT_EDX_CRASH_MSRS },
	/* EBX: spin for ever rather than notify a long wait. */
	{ .function = HV_CPUID_ENLIGHTENMENTS,
	  .eax = HV_HINT_RELAXED_TIMING | HV_HINT_DEPRECATE_AUTO_EOI,
	  .ebx = UINT32_MAX },
	{ .function = HV_CPUID_LIMITS },
	{ .function = HV_CPUID_HARDWARE },
};

static struct kvm_cpuid_entry2 *find(struct cpuid_table *t, uint32_t function,
				     uint32_t index)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entry[i];

		if (e->function == function &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	}
	return NULL;
}

/* Drops all leaves and sub-leaves from..to. */
static void drop(struct cpuid_table *t, uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->nent; i++) {
		uint32_t function = t->entry[i].function;

		if (function < from || function > to)
			t->entry[n++] = t->entry[i];
	}
	t->nent = n;
}

static int append(struct cpuid_table *t, const struct kvm_cpuid_entry2 *e)
{
	if (t->nent >= CPUID_ENTRIES_MAX)
		return -E2BIG;
	t->entry[t->nent++] = *e;
	return 0;
}

/* How many bits of the APIC id number the VPs. */
static uint32_t id_bits(unsigned int vps)
{
	uint32_t bits = 0;

	while ((1u << bits) < vps)
		bits++;
	return bits;
}

/* Extended topology, leaves 0xB and 0x1F: threads (one a core), cores, end. */
static int topology_leaf(struct cpuid_table *t, uint32_t function, unsigned int vps)
{
	const struct kvm_cpuid_entry2 level[] = {
		{ .index = 0, .eax = 0, .ebx = 1, .ecx = 0 | LEVEL_SMT << 8 },
		{ .index = 1,
		  .eax = id_bits(vps),
		  .ebx = vps,
		  .ecx = 1 | LEVEL_CORE << 8 },
		{ .index = 2, .ecx = 2 },
	};
	int r = 0;

	if (!find(t, function, 0))
		return 0;
	drop(t, function, function);
	for (size_t i = 0; i < ARRAY_SIZE(level) && !r; i++) {
		struct kvm_cpuid_entry2 e = level[i];

		e.function = function;
		e.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		r = append(t, &e);
	}
	return r;
}

/* Caches, Intel's leaf 4 and AMD's 0x8000001D: levels 1 and 2 are a core's own, 3 is shared by all. */
static void cache_leaf(struct cpuid_table *t, uint32_t function, unsigned int vps)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entry[i];
		uint32_t sharing;

		if (e->function != function || !(e->eax & 0x1f))
			continue;
		sharing = (e->eax >> 5 & 7) >= 3 ? vps - 1 : 0;
		e->eax = (e->eax & 0x3fff) | sharing << 14;
		if (function == 4)
			e->eax |= MIN(vps - 1, 63u) << 26;
	}
}

static void topology_common(struct cpuid_table *t, unsigned int vps)
{
	struct kvm_cpuid_entry2 *e = find(t, 1, 0);

	if (e) {
		e->ecx |=
			LEAF1_ECX_HYPERVISOR | LEAF1_ECX_TSC_DEADLINE | LEAF1_ECX_X2APIC;
		e->ebx = (e->ebx & 0xff00ffff) | vps << 16;
		e->edx = (e->edx & ~LEAF1_EDX_HTT) | (vps > 1 ? LEAF1_EDX_HTT : 0);
	}
	cache_leaf(t, 4, vps);
	cache_leaf(t, 0x8000001d, vps);
	/* Cores less one, and the bits that number them. */
	e = find(t, 0x80000008, 0);
	if (e && e->ecx & 0xffff)
		e->ecx = (e->ecx & 0xffff0000) | id_bits(vps) << 12 | (vps - 1);
}

static struct kvm_cpuid_entry2 hv_leaf(size_t i, unsigned int vps_max, bool lazy_eoi)
{
	struct kvm_cpuid_entry2 e = hv_leaves[i];

	if (e.function == HV_CPUID_LIMITS)
		e.eax = e.ebx = vps_max;
	if (e.function == HV_CPUID_FEATURES && lazy_eoi)
		e.eax |= HV_PRIV_APIC_MSRS;
	if (e.function == HV_CPUID_ENLIGHTENMENTS && lazy_eoi)
		e.eax |= HV_HINT_APIC_MSRS;
	return e;
}

int cpuid_build(struct cpuid_table *t, unsigned int vps, unsigned int vps_max,
		bool lazy_eoi)
{
	int r;

	drop(t, 0x40000000, 0x4fffffff);
	topology_common(t, vps);
	r = topology_leaf(t, 0xb, vps);
	if (!r)
		r = topology_leaf(t, 0x1f, vps);
	for (size_t i = 0; i < ARRAY_SIZE(hv_leaves) && !r; i++) {
		struct kvm_cpuid_entry2 e = hv_leaf(i, vps_max, lazy_eoi);

		r = append(t, &e);
	}
	return r;
}

void cpuid_for_vp(struct cpuid_table *t, unsigned int vp)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entry[i];

		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & 0x00ffffff) | vp << 24;
			break;
		case 0xb:
		case 0x1f:
			e->edx = vp;
			break;
		case 0x8000001e: /* APIC id; core, one thread each; one node */
			e->eax = vp;
			e->ebx = (e->ebx & ~0xffffu) | (vp & 0xff);
			e->ecx = 0;
			break;
		}
	}
}
