/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual processors of the bare guest: per-VP data, requests to ring 0, starting the others, the local APIC.
 * Everything here runs in ring 3; layout.h and trap.S hold the other side.
 */
#ifndef BARE_VP_H
#define BARE_VP_H

#include <stddef.h>
#include <stdint.h>
#include "bare/layout.h"

struct vp_fault {
	uint64_t vector, error, rip, rsp, cr2, flags, rax;
};

struct vp {
	struct vp *self;
	uint64_t pending; /* PENDING_*: set by ring 0, taken by ring 3 with vp_take() */
	uint64_t entry;   /* where ring 3 begins */
	uint64_t index;
	struct vp_fault fault;
	/* What this VP runs when it is woken by VECTOR_IPI; NULL: nothing to do. */
	void (*work)(void *arg);
	void *work_arg;
	uint32_t apic_id;
	uint32_t online;
	uint8_t stack0[VP_STACK0_TOP - 112];
	uint8_t stack3[VP_STACK3_TOP - VP_STACK0_TOP];
};
_Static_assert(offsetof(struct vp, pending) == VP_PENDING, "layout.h");
_Static_assert(offsetof(struct vp, entry) == VP_ENTRY, "layout.h");
_Static_assert(offsetof(struct vp, index) == VP_INDEX, "layout.h");
_Static_assert(offsetof(struct vp, fault) == VP_FAULT, "layout.h");
_Static_assert(offsetof(struct vp, stack3) == VP_STACK0_TOP, "layout.h");
_Static_assert(sizeof(struct vp) == VP_BYTES, "layout.h");

extern struct vp vps[BARE_VPS_MAX];

static inline struct vp *vp_self(void)
{
	struct vp *vp;

	__asm__("movq %%gs:0, %0" : "=r"(vp));
	return vp;
}

/* Requests to ring 0. A software KVM takes about 5 us for one. */
uint64_t vp_rdmsr(uint32_t msr);
void vp_wrmsr(uint32_t msr, uint64_t value);
void vp_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t ret[4]);
void vp_triple_fault(void) __attribute__((noreturn));
void vp_stop(void) __attribute__((noreturn));

/* Fills the IDT and the TSS descriptors, sets up this VP's local APIC, lets interrupts in. Once, on VP 0. */
void vp_init_first(void);
/* Starts the processors with these APIC ids, one after the other; gives how many VPs run then, VP 0 included. */
unsigned int vp_start_others(const uint32_t *apic_ids, unsigned int n);
unsigned int vp_count(void);

/* Takes the bits that are pending, which may be none. */
static inline uint64_t vp_take(void)
{
	return __atomic_exchange_n(&vp_self()->pending, 0, __ATOMIC_ACQUIRE);
}

/*
 * Until something is pending, or that many microseconds are over: spins for a little, for the answer may be near, then halts. With 0 without end, and it
 * halts at once: an idle guest costs its host what its wake-ups cost.
 */
void vp_wait(uint64_t us);
/* Runs work on another VP and returns at once; it must be idle. vp_join() waits for it to end. */
void vp_run(unsigned int vp, void (*work)(void *arg), void *arg);
void vp_join(unsigned int vp);

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return ((uint64_t)hi << 32) | lo;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

#endif
