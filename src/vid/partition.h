/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition: guest memory, virtual processors on threads of their own, interrupt controllers, and the Hyper-V interface to
 * the guest (CPUID, synthetic MSRs, SynIC, hypercalls), over KVM. What the names mean: TLFS chapters 1 to 4.
 *
 * Life: new, devices add themselves to partition_bus(), prepare, start, { pause, resume }, reset, prepare, start, …, stop, free.
 * Thread: one owner makes all calls here but where a line says otherwise; none of them from a VP's thread or an iobus handler.
 * VPs are kicked with SIGRTMIN, whose handler partition_new() installs for the process.
 */
#ifndef VID_PARTITION_H
#define VID_PARTITION_H

#include "util/macros.h"
#include "vid/guestmem.h"
#include "vid/iobus.h"
#include "vid/irq.h"
#include "vid/synic.h"

struct partition;

#define PARTITION_VPS_MAX 64u

/* The guest's TSC is the host's, in value and rate. */
struct partition_config {
	/* An open /dev/kvm; stays the caller's and open until partition_free(), a reset needs it. */
	int kvm_fd;
	unsigned int vps;      /* 1..PARTITION_VPS_MAX */
	uint64_t memory_bytes; /* a multiple of 2 MiB */
};

/*
 * The VM exists, its VPs are reset, nothing runs. -EINVAL; -ENOMEM; -EOPNOTSUPP when this KVM lacks something
 * (host_check() says what); what KVM's ioctls give.
 */
int partition_new(const struct partition_config *config,
		  struct partition **ret) __must_check;
/* Stops first, if need be. */
void partition_free(struct partition *p);

/* The partition's parts; they live as long as it does and survive a reset. */
struct guestmem *partition_mem(struct partition *p);
struct iobus *partition_bus(struct partition *p);
const struct irq_env *partition_irq(struct partition *p);
struct synic *partition_synic(struct partition *p);

/* The state in which a loader enters the guest; segments are flat, interrupts off, all else as at reset. */
enum vp_mode {
	VP_MODE_PROTECTED, /* 32 bits, no paging: the PVH entry (Xen's pvh.rst); rbx = start info */
	VP_MODE_LONG, /* 64 bits: Linux' 64-bit entry (x86/boot.rst); rsi = boot_params */
};

struct vp_start {
	enum vp_mode mode;
	uint64_t rip, rsp, rbx, rsi;
	/*
	 * VP_MODE_LONG only: tables that the loader wrote into guest memory. The descriptors at 0x10 and 0x18 are flat
	 * 64-bit code and flat data.
	 */
	uint64_t cr3, gdt_gpa;
	uint16_t gdt_bytes;
};

/*
 * Where a VP begins. After new or reset, before start. A VP that is never prepared waits for INIT and SIPI, as at power-on; at
 * least VP 0 must be prepared. -EINVAL, -EBUSY when started.
 */
int partition_prepare(struct partition *p, unsigned int vp,
		      const struct vp_start *start) __must_check;
/* VPs run. -EBUSY when started already; -EINVAL when VP 0 is not prepared. */
int partition_start(struct partition *p) __must_check;
/*
 * A barrier: when it returns, no VP runs guest code or a handler, and none will before resume; the reference time stands too. 0 when they stood
 * already (it does not nest); -EINVAL before start.
 */
int partition_pause(struct partition *p) __must_check;
/* -ESHUTDOWN when an event has halted the partition. */
int partition_resume(struct partition *p) __must_check;
/*
 * Power-on state: VPs, interrupt controllers, timers, SynIC, clocks; memory is given back and reads as zeros. Doorbells, message
 * ports and iobus regions stay. VPs stand; prepare and start follow. From any state.
 */
int partition_reset(struct partition *p) __must_check;
/* Ends the VPs' threads; memory stays readable until free. */
void partition_stop(struct partition *p);
bool partition_running(const struct partition *p);

/*
 * What happened in the guest. VPs queue it (bounded); the owner polls partition_event_fd() for reading and takes all with
 * partition_event_next(). Types from PARTITION_RESET_ASKED on halt the partition: every VP stands until reset or stop.
 */
enum partition_event_type {
	PARTITION_CRASHED,     /* the guest's crash MSRs; it goes on running */
	PARTITION_RESET_ASKED, /* HV_X64_MSR_RESET */
	PARTITION_TRIPLE_FAULT,
	PARTITION_VP_ERROR, /* KVM can not go on: the VM is Critical */
};

#define PARTITION_EVENT_TEXT 4097

struct partition_event {
	enum partition_event_type type;
	unsigned int vp;
	uint64_t crash_params[5];
	/*
	 * NUL-terminated: the guest's own message for CRASHED (foreign bytes: what is not printable ASCII, tab or newline is
	 * already '?'), the reason and the VP's registers for VP_ERROR and TRIPLE_FAULT.
	 */
	char text[PARTITION_EVENT_TEXT];
};

/* An eventfd, the partition's. */
int partition_event_fd(const struct partition *p);
/* False when there is none; clears the descriptor's readiness. */
bool partition_event_next(struct partition *p, struct partition_event *ret);

struct vp_stats {
	uint64_t exits; /* the sum of those below */
	uint64_t pio, mmio, msr, hypercall, interrupted, other;
	uint64_t run_time_us; /* the processor time of the VP's thread */
};

/* What only the kernel counts. */
struct vp_kernel_stats {
	uint64_t exits; /* all, those that never came to user space too */
	uint64_t hlt, interrupts, page_faults;
};

/* False when this host's KVM does not tell (before Linux 5.14), or the VP is not open. Thread: the owner's. */
bool partition_vp_kernel_stats(const struct partition *p, unsigned int vp,
			       struct vp_kernel_stats *ret);
/* Thread: any. */
void partition_vp_stats(const struct partition *p, unsigned int vp, struct vp_stats *ret);
/* Hyper-V's partition reference time, in 100 ns: counts while the VPs run. Thread: any. */
uint64_t partition_reference_time(const struct partition *p);

#endif
