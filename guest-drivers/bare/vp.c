/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request to ring 0 is an int3 with its number in EAX (trap.S). The local APIC is driven in xAPIC mode: then the end of an interrupt
 * is one store in ring 0, where x2APIC's MSR would take ten instructions. INIT and SIPI: Intel SDM vol. 3, 8.4.4.1.
 */
#include "bare/vp.h"

#include <stdbool.h>
#include "bare/console.h"
#include "core/mem.h"
#include "bare/time.h"

#define LAPIC_SVR 0xf0
#define LAPIC_ICR_LOW 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_DIVIDE 0x3e0
#define LAPIC_SVR_ENABLE 0x100
#define LAPIC_DIVIDE_BY_1 0xb
#define ICR_INIT 0x4500
#define ICR_SIPI 0x4600
#define ICR_FIXED 0x4000

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

struct vp vps[BARE_VPS_MAX] __attribute__((aligned(4096)));
struct gate idt[256] __attribute__((aligned(16)));
static unsigned int vp_n = 1;

extern uint64_t gdt[];
extern uint64_t ap_vp;
extern const char tss[], ap_trampoline[], ap_trampoline_end[], fault_stubs[];
extern void irq_sint(void), irq_timer(void), irq_ipi(void), irq_user(void);
extern void irq_spurious(void), trap_request(void);

static volatile uint32_t *lapic(unsigned int reg)
{
	return (volatile uint32_t *)(uintptr_t)(LAPIC_BASE + reg);
}

uint64_t vp_rdmsr(uint32_t msr)
{
	uint64_t a = TRAP_RDMSR;

	__asm__ volatile("int3" : "+a"(a) : "c"(msr) : "rdx", "memory");
	return a;
}

void vp_wrmsr(uint32_t msr, uint64_t value)
{
	uint64_t a = TRAP_WRMSR;

	__asm__ volatile("int3" : "+a"(a), "+D"(value) : "c"(msr) : "rdx", "memory");
}

void vp_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t ret[4])
{
	__asm__ volatile("int3"
			 : "=a"(ret[0]), "=b"(ret[1]), "=c"(ret[2]), "=d"(ret[3])
			 : "a"(TRAP_CPUID), "D"(leaf), "S"(subleaf));
}

static void request(uint64_t what)
{
	__asm__ volatile("int3" : "+a"(what) : : "rcx", "rdx", "memory");
}

void vp_triple_fault(void)
{
	request(TRAP_SHUTDOWN);
	__builtin_unreachable();
}

void vp_stop(void)
{
	request(TRAP_STOP);
	__builtin_unreachable();
}

static void set_gate(unsigned int vector, const void *to)
{
	uint64_t at = (uintptr_t)to;

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)at,
		.selector = SEL_KCODE64,
		.type = 0xee, /* interrupt gate, DPL 3 */
		.offset_mid = (uint16_t)(at >> 16),
		.offset_high = (uint32_t)(at >> 32),
	};
}

static void fill_idt(void)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		set_gate(i, fault_stubs + i * 16);
	for (; i < 256; i++)
		set_gate(i, irq_spurious);
	set_gate(3, trap_request);
	set_gate(VECTOR_SINT, irq_sint);
	set_gate(VECTOR_TIMER, irq_timer);
	set_gate(VECTOR_IPI, irq_ipi);
	set_gate(VECTOR_USER, irq_user);
}

static void init_vp(struct vp *vp, unsigned int index)
{
	uint64_t at = (uintptr_t)tss + index * TSS_BYTES;

	vp->self = vp;
	vp->index = index;
	if (index) /* boot.S did it for the first, whose limit is the longest */
		gdt[SEL_TSS / 8 + index * 2] += (at & 0xffffff) << 16 | (at & 0xff000000)
										<< 32;
	gdt[SEL_TSS / 8 + index * 2] -= index * TSS_BYTES;
}

static void init_lapic(void)
{
	*lapic(LAPIC_SVR) = LAPIC_SVR_ENABLE | VECTOR_SPURIOUS;
	*lapic(LAPIC_TIMER_DIVIDE) = LAPIC_DIVIDE_BY_1;
	*lapic(LAPIC_LVT_TIMER) = VECTOR_TIMER; /* one shot */
}

void vp_init_first(void)
{
	fill_idt();
	init_vp(&vps[0], 0);
	vps[0].online = 1;
	init_lapic();
	vps[0].apic_id = *lapic(0x20) >> 24;
	request(TRAP_ENABLE);
}

unsigned int vp_count(void)
{
	return vp_n;
}

/* A wake-up from HLT takes as long as this on a software KVM. */
#define SPIN_US 60

static bool spin(const struct vp *vp, uint64_t us)
{
	uint64_t until = rdtsc() + time_us_to_tsc(us);

	do {
		if (__atomic_load_n(&vp->pending, __ATOMIC_RELAXED))
			return true;
		__builtin_ia32_pause();
	} while (rdtsc() < until);
	return false;
}

void vp_wait(uint64_t us)
{
	uint64_t ticks = us ? time_us_to_timer(us) : 0;

	if (spin(vp_self(), us ? SPIN_US : 0))
		return;
	if (us)
		*lapic(LAPIC_TIMER_INITIAL) =
			ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
	request(TRAP_WAIT);
	if (us)
		*lapic(LAPIC_TIMER_INITIAL) = 0;
}

static void send_ipi(uint32_t apic_id, uint32_t what)
{
	*lapic(LAPIC_ICR_HIGH) = apic_id << 24;
	*lapic(LAPIC_ICR_LOW) = what;
}

/* Every VP but the first: do what is asked, then wait for more. */
static void __attribute__((noreturn)) ap_main(void)
{
	struct vp *vp = vp_self();

	init_lapic();
	request(TRAP_ENABLE);
	__atomic_store_n(&vp->online, 1, __ATOMIC_RELEASE);
	for (;;) {
		void (*work)(void *) = __atomic_load_n(&vp->work, __ATOMIC_ACQUIRE);

		if (work) {
			work(vp->work_arg);
			__atomic_store_n(&vp->work, NULL, __ATOMIC_RELEASE);
			continue;
		}
		vp_take();
		if (!__atomic_load_n(&vp->work, __ATOMIC_ACQUIRE))
			request(TRAP_WAIT);
	}
}

static bool start_one(struct vp *vp)
{
	uint64_t until;
	int tries;

	vp->entry = (uintptr_t)ap_main;
	ap_vp = (uintptr_t)vp;
	memcpy((void *)AP_TRAMPOLINE, ap_trampoline,
	       (size_t)(ap_trampoline_end - ap_trampoline));
	send_ipi(vp->apic_id, ICR_INIT);
	for (tries = 0; tries < 2; tries++) {
		send_ipi(vp->apic_id, ICR_SIPI | AP_TRAMPOLINE >> 12);
		until = rdtsc() + time_us_to_tsc(tries ? 1000000 : 200000);
		while (rdtsc() < until) {
			if (__atomic_load_n(&vp->online, __ATOMIC_ACQUIRE))
				return true;
			__builtin_ia32_pause();
		}
	}
	return false;
}

unsigned int vp_start_others(const uint32_t *apic_ids, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && vp_n < BARE_VPS_MAX; i++) {
		struct vp *vp = &vps[vp_n];

		if (apic_ids[i] == vps[0].apic_id)
			continue;
		vp->apic_id = apic_ids[i];
		init_vp(vp, vp_n);
		if (!start_one(vp)) {
			say("vp apic=%u does not start", vp->apic_id);
			break;
		}
		vp_n++;
	}
	return vp_n;
}

void vp_run(unsigned int i, void (*work)(void *arg), void *arg)
{
	struct vp *vp = &vps[i];

	vp->work_arg = arg;
	__atomic_store_n(&vp->work, work, __ATOMIC_RELEASE);
	send_ipi(vp->apic_id, ICR_FIXED | VECTOR_IPI);
}

void vp_join(unsigned int i)
{
	while (__atomic_load_n(&vps[i].work, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
}
