/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VP's registers: as KVM makes them (the processor's reset state, what SIPI finds), as a loader enters the guest, and as text.
 *
 * The guest's TSC is the host's, value and rate: KVM's offset is set to 0. So every thread of the worker can compute the reference time that the
 * guest computes from its TSC page. A VP whose TSC nevertheless differs is found out by reading it between two readings of ours.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>
#include "vid/partition_priv.h"

/* Intel SDM 3A, 2.5; 4, MSRs. */
#define CR0_PE (1ull << 0)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define RFLAGS_FIXED 2ull
#define MSR_TSC 0x10u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0x806u

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SEGMENT_CODE 0xb /* execute, read, accessed */
#define SEGMENT_DATA 0x3 /* read, write, accessed */
#define SEGMENT_TSS_BUSY 0xb

/* struct kvm_msrs with one entry. */
struct one_msr {
	uint32_t nmsrs, pad;
	struct kvm_msr_entry entry;
};
static_assert(offsetof(struct one_msr, entry) == sizeof(struct kvm_msrs), "ABI");

static int msr_set(struct vp *vp, uint32_t index, uint64_t value)
{
	struct one_msr m = { .nmsrs = 1, .entry = { .index = index, .data = value } };
	int n = ioctl(vp->fd, KVM_SET_MSRS, &m);

	if (n < 0)
		return -errno;
	return n == 1 ? 0 : -EOPNOTSUPP;
}

/* Each VP's own: however far apart in time a busy host makes them, they agree. A KVM that cannot is found out by reading. */
static void tsc_offset_clear(struct vp *vp)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	(void)ioctl(vp->fd, KVM_SET_DEVICE_ATTR, &attr);
}

bool vp_state_assist(struct vp *vp, uint64_t value)
{
	return msr_set(vp, HV_X64_MSR_VP_ASSIST_PAGE, value) == 0;
}

bool vp_state_tsc_ours(struct vp *vp)
{
	struct one_msr m = { .nmsrs = 1, .entry.index = MSR_TSC };
	uint64_t before = __rdtsc();

	if (ioctl(vp->fd, KVM_GET_MSRS, &m) != 1)
		return false;
	return m.entry.data >= before && m.entry.data <= __rdtsc();
}

/* 10 KiB of the VP's stack, rather than a heap arena of the thread's own. */
static int cpuid_set(struct vp *vp)
{
	const struct cpuid_table *common = vp->p->cpuid;
	struct cpuid_table t;

	t.nent = common->nent;
	t.padding = 0;
	memcpy(t.entry, common->entry, common->nent * sizeof(t.entry[0]));
	cpuid_for_vp(&t, vp->index);
	return ioctl(vp->fd, KVM_SET_CPUID2, &t) < 0 ? -errno : 0;
}

int vp_state_init(struct vp *vp)
{
	int r = cpuid_set(vp);

	/* What firmware would do: without it Linux takes memory for uncached and says so. */
	if (!r)
		r = msr_set(vp, MSR_MTRR_DEF_TYPE, MTRR_ENABLED_WRITE_BACK);
	if (!r)
		tsc_offset_clear(vp);
	return r;
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool code64)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.l = code64,
		.db = !code64,
		.g = 1,
	};
}

static void sregs_enter(struct kvm_sregs *s, const struct vp_start *start)
{
	bool lm = start->mode == VP_MODE_LONG;

	s->cs = segment(SELECTOR_CODE, SEGMENT_CODE, lm);
	s->ds = s->es = s->fs = s->gs = s->ss =
		segment(SELECTOR_DATA, SEGMENT_DATA, false);
	s->tr = (struct kvm_segment){ .limit = 0x67,
				      .type = SEGMENT_TSS_BUSY,
				      .present = 1 };
	s->cr0 = CR0_PE | CR0_ET;
	s->cr4 = 0;
	s->efer = 0;
	if (!lm)
		return;
	s->cr0 |= CR0_NE | CR0_PG;
	s->cr3 = start->cr3;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA;
	s->gdt.base = start->gdt_gpa;
	s->gdt.limit = (uint16_t)(start->gdt_bytes ? start->gdt_bytes - 1 : 0);
}

int vp_state_enter(struct vp *vp, const struct vp_start *start)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = {
		.rip = start->rip,
		.rsp = start->rsp,
		.rbx = start->rbx,
		.rsi = start->rsi,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs sregs;

	if (start->mode != VP_MODE_PROTECTED && start->mode != VP_MODE_LONG)
		return -EINVAL;
	if (ioctl(vp->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs_enter(&sregs, start);
	if (ioctl(vp->fd, KVM_SET_SREGS, &sregs) < 0 ||
	    ioctl(vp->fd, KVM_SET_REGS, &regs) < 0 ||
	    ioctl(vp->fd, KVM_SET_MP_STATE, &runnable) < 0)
		return -errno;
	vp->prepared = true;
	return 0;
}

__printf(3, 4) static void append(char *text, size_t size, const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + used, size - used, fmt, ap);
	va_end(ap);
}

static void segment_dump(const char *name, const struct kvm_segment *s, char *text,
			 size_t size)
{
	append(text, size, "%s=%04x base %llx limit %x type %x dpl %u db %u l %u\n", name,
	       s->selector, s->base, s->limit, s->type, s->dpl, s->db, s->l);
}

void vp_state_dump(struct vp *vp, char *text, size_t size)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	if (ioctl(vp->fd, KVM_GET_REGS, &r) < 0 || ioctl(vp->fd, KVM_GET_SREGS, &s) < 0) {
		append(text, size, "registers: %s\n", strerror(errno));
		return;
	}
	append(text, size, "rip=%llx rflags=%llx rsp=%llx rbp=%llx\n", r.rip, r.rflags,
	       r.rsp, r.rbp);
	append(text, size, "rax=%llx rbx=%llx rcx=%llx rdx=%llx rsi=%llx rdi=%llx\n",
	       r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi);
	append(text, size, "r8=%llx r9=%llx r10=%llx r11=%llx ", r.r8, r.r9, r.r10,
	       r.r11);
	append(text, size, "r12=%llx r13=%llx r14=%llx r15=%llx\n", r.r12, r.r13, r.r14,
	       r.r15);
	append(text, size, "cr0=%llx cr2=%llx cr3=%llx cr4=%llx efer=%llx\n", s.cr0,
	       s.cr2, s.cr3, s.cr4, s.efer);
	append(text, size, "gdt=%llx+%x idt=%llx+%x\n", s.gdt.base, s.gdt.limit,
	       s.idt.base, s.idt.limit);
	segment_dump("cs", &s.cs, text, size);
	segment_dump("ss", &s.ss, text, size);
	segment_dump("tr", &s.tr, text, size);
}
