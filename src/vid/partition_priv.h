/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a partition, shared by partition.c (life), vm.c (KVM's VM), vp.c (threads and the barrier), vp_exit.c (what a VP exits
 * for), vp_state.c (registers) and event.c (what the owner is told).
 *
 * Lock order: hvmsr's lock, partition.lock, events.lock.
 */
#ifndef VID_PARTITION_PRIV_H
#define VID_PARTITION_PRIV_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include "vid/cpuid.h"
#include "vid/hvmsr.h"
#include "vid/partition.h"
#include "vid/reftime.h"

#define EVENTS_MAX 8u

enum vp_want { VP_STAND, VP_RUN, VP_QUIT };

enum vp_exit_kind {
	VP_EXIT_PIO,
	VP_EXIT_MMIO,
	VP_EXIT_MSR,
	VP_EXIT_HYPERCALL,
	VP_EXIT_INTERRUPTED,
	VP_EXIT_OTHER,
	VP_EXIT_KINDS
};

/* What the kernel counts of a VP. */
enum vp_kstat {
	VP_KSTAT_EXITS,
	VP_KSTAT_HLT,
	VP_KSTAT_INTERRUPTS,
	VP_KSTAT_PAGE_FAULTS,
	VP_KSTATS
};

struct vp_kstats {
	int fd; /* -1: this KVM does not tell */
	uint32_t at[VP_KSTATS];
	uint64_t past[VP_KSTATS]; /* of VPs before a reset */
};

struct vp {
	/* fixed after init */
	struct partition *p;
	unsigned int index;
	/* owner: the VP's thread while it runs, the partition's owner while it stands */
	int fd;
	struct kvm_run *run;
	bool prepared;
	bool unfinished; /* the last exit's access is completed by the next KVM_RUN */
	int open_result;
	uint64_t tsc_look; /* the TSC at which its own is looked at again */
	/* opened by the VP's thread, else the partition's owner's */
	struct vp_kstats kstats;
	/* under partition.lock */
	pthread_t thread;
	bool started;
	clockid_t cpu_clock;
	uint64_t past_run_us; /* of threads before a reset */
	uint64_t
		told_run_us; /* a thread's clock that is read from another may go back a little */
	/* written by the VP's thread, read by any */
	_Atomic uint64_t exits[VP_EXIT_KINDS];
};

struct events {
	pthread_mutex_t lock;
	int fd;
	unsigned int first, n;
	struct partition_event ring[EVENTS_MAX];
};

struct partition {
	/* fixed after init */
	struct partition_config config;
	struct guestmem *mem;
	struct iobus *bus;
	struct irq_env irq;
	struct synic *synic;
	struct hvmsr *hvmsr;
	struct reftime reftime;
	uint64_t tsc_khz;
	_Atomic bool tsc_ours; /* all VPs' TSCs are the host's, as far as is known */
	struct cpuid_table *cpuid;
	bool lazy_eoi; /* KVM keeps "no EOI required" in VPs' assist pages */
	size_t run_bytes;
	struct events events;
	/* Its number stays over a reset: the new VM takes it, so no thread can use a stale one. */
	int vm_fd;
	/* the barrier: vp.c */
	_Atomic int want;
	pthread_mutex_t lock;
	pthread_cond_t go, stood; /* VPs wait for go; the owner for stood */
	unsigned int standing;    /* under lock */
	bool halted;              /* under lock: an event that ends in reset or stop */
	bool started;             /* owner: */

	struct vp vp[];
};

/* vm.c: KVM's VM with memory and interrupt controllers, no VPs. Replaces the VM that was there, under the same number. */
int vm_open(struct partition *p) __must_check;
/*
 * An ioctl that makes something: what it gives, or -errno. Repeated when a signal cut it off: KVM_CREATE_VM takes all locks of the address
 * space (mm_take_all_locks), which gives up with EINTR when anything waits for the thread. Not for KVM_RUN.
 */
int vm_call(int fd, unsigned long request, unsigned long arg) __must_check;
/* An ioctl on p->vm_fd, as the interrupt and doorbell functions. */
void vm_irq_set(void *opaque, unsigned int gsi, bool level);
int vm_irq_msi(void *opaque, uint64_t address, uint32_t data);
void vm_inject(void *opaque, unsigned int vp, uint8_t vector);
int vm_doorbell(void *opaque, uint32_t connection_id, int eventfd, bool add);

/* vp.c: threads start standing; each opens its VP in KVM. Errors of any come back here, and then none is left. */
int vps_open(struct partition *p) __must_check;
void vps_close(struct partition *p);
/* False when the partition is halted. */
bool vps_run(struct partition *p);
/* Waits until all stand. */
void vps_stand(struct partition *p);
/* From a VP's thread: all shall stand, this one included; does not wait. True for the first since the VPs were opened. */
bool vps_halt(struct partition *p);

/* vp_stats.c: a VP just made, on its thread; and before it is closed. */
void vp_kstats_open(struct vp *vp);
void vp_kstats_close(struct vp *vp);
/* The VP's thread is about to end: what its clock says is kept. */
void vp_run_time_keep_locked(struct vp *vp);

/* vp_state.c */
/* CPUID, TSC, memory types of a VP just made, on its thread. */
int vp_state_init(struct vp *vp) __must_check;
/* KVM takes this value of the VP's HV_X64_MSR_VP_ASSIST_PAGE as its own. Thread: the VP's. */
bool vp_state_assist(struct vp *vp, uint64_t value);
/* The VP's TSC is the host's. Thread: its own, or the owner's while it stands. */
bool vp_state_tsc_ours(struct vp *vp);
int vp_state_enter(struct vp *vp, const struct vp_start *start) __must_check;
/* Registers for people, NUL-terminated, appended to `text`. */
void vp_state_dump(struct vp *vp, char *text, size_t size);

/* vp_exit.c: acts on what KVM_RUN came back with (`err` 0 or its errno). */
void vp_exit(struct vp *vp, int err);

/* partition.c: a VP's thread found that its TSC is the host's no more. */
void partition_tsc_lost(struct partition *p);

/* event.c */
int events_init(struct events *ev) __must_check;
void events_done(struct events *ev);
void events_clear(struct events *ev);
/* Kept by copy; a CRASHED beyond the bound is dropped, one place is kept for what halts. Thread: any. */
void events_put(struct events *ev, const struct partition_event *e);
bool events_next(struct events *ev, struct partition_event *ret);

#endif
