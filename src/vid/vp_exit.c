/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VP leaves guest code for. Port and memory accesses go to the iobus, synthetic MSRs to hvmsr, the hypercall port to the
 * decoder. What the guest cannot go on from becomes an event and halts the partition; it never ends the worker.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <x86intrin.h>
#include "vid/hypercall.h"
#include "vid/partition_priv.h"

#define RAW_BYTES 15 /* the longest instruction */

static void count(struct vp *vp, enum vp_exit_kind kind)
{
	atomic_fetch_add_explicit(&vp->exits[kind], 1, memory_order_relaxed);
}

/* Queues what halts the partition: the first such event only. The reason is in e->text; registers follow it. */
static void halt(struct vp *vp, enum partition_event_type type, const char *reason)
{
	struct partition_event e = { .type = type, .vp = vp->index };

	if (!vps_halt(vp->p))
		return;
	snprintf(e.text, sizeof(e.text), "VP %u: %s\n", vp->index, reason);
	vp_state_dump(vp, e.text, sizeof(e.text));
	events_put(&vp->p->events, &e);
}

static void exit_hypercall(struct vp *vp)
{
	struct kvm_regs *regs = &vp->run->s.regs.regs;

	count(vp, VP_EXIT_HYPERCALL);
	regs->rax =
		hypercall_run(vp->p->synic, vp->p->mem, vp->index, regs->rcx, regs->rdx);
	vp->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
}

static void pio_write(struct vp *vp, uint16_t port, unsigned int len, uint32_t value)
{
	/* A doorbell that no ioeventfd took: an unknown connection, or one that the kernel had no room for. */
	if (port == HV_PORT_DOORBELL && len == 4)
		(void)synic_doorbell(vp->p->synic, value);
	else
		iobus_write(vp->p->bus, IOBUS_PIO, port, len, value);
}

/* One exit may hold many elements of a string instruction; data_offset and count are the kernel's, the bound is the run page's. */
static void exit_pio(struct vp *vp)
{
	struct kvm_run *run = vp->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned int len = run->io.size;

	if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == HV_PORT_HYPERCALL &&
	    len == 4 && run->io.count == 1) {
		exit_hypercall(vp);
		return;
	}
	count(vp, VP_EXIT_PIO);
	for (uint32_t i = 0; i < run->io.count; i++, data += len) {
		uint32_t value = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&value, data, len);
			pio_write(vp, run->io.port, len, value);
		} else {
			value = (uint32_t)iobus_read(vp->p->bus, IOBUS_PIO, run->io.port,
						     len);
			memcpy(data, &value, len);
		}
	}
}

static void exit_mmio(struct vp *vp)
{
	struct kvm_run *run = vp->run;
	unsigned int len = MIN(run->mmio.len, 8u);
	uint64_t value = 0;

	count(vp, VP_EXIT_MMIO);
	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, len);
		iobus_write(vp->p->bus, IOBUS_MMIO, run->mmio.phys_addr, len, value);
	} else {
		value = iobus_read(vp->p->bus, IOBUS_MMIO, run->mmio.phys_addr, len);
		memcpy(run->mmio.data, &value, len);
	}
}

static void exit_msr(struct vp *vp, bool write)
{
	struct kvm_run *run = vp->run;
	uint64_t value = 0;
	bool ok;

	count(vp, VP_EXIT_MSR);
	if (write) {
		ok = hvmsr_write(vp->p->hvmsr, vp->index, run->msr.index, run->msr.data);
	} else {
		ok = hvmsr_read(vp->p->hvmsr, vp->index, run->msr.index, &value);
		run->msr.data = value;
	}
	run->msr.error = !ok; /* #GP */
}

static void exit_internal_error(struct vp *vp)
{
	const struct kvm_run *run = vp->run;
	char reason[160], *at = reason;
	uint32_t n = 0;

	at += snprintf(at, sizeof(reason), "KVM internal error %u",
		       run->internal.suberror);
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    run->emulation_failure.ndata >= 3 &&
	    run->emulation_failure.flags &
		    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) {
		at += sprintf(at, ": cannot emulate the instruction");
		n = MIN(run->emulation_failure.insn_size, (uint8_t)RAW_BYTES);
	}
	for (uint32_t i = 0; i < n; i++)
		at += sprintf(at, " %02x", run->emulation_failure.insn_bytes[i]);
	halt(vp, PARTITION_VP_ERROR, reason);
}

static void exit_system_event(struct vp *vp)
{
	char reason[64];

	switch (vp->run->system_event.type) {
	case KVM_SYSTEM_EVENT_RESET:
		halt(vp, PARTITION_RESET_ASKED, "reset");
		break;
	default:
		snprintf(reason, sizeof(reason), "KVM system event %u",
			 vp->run->system_event.type);
		halt(vp, PARTITION_VP_ERROR, reason);
	}
}

static void exit_other(struct vp *vp)
{
	const struct kvm_run *run = vp->run;
	char reason[128];

	count(vp, VP_EXIT_OTHER);
	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		halt(vp, PARTITION_TRIPLE_FAULT, "triple fault");
		return;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_system_event(vp);
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		exit_internal_error(vp);
		return;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(reason, sizeof(reason),
			 "the processor refused to enter: %llx on CPU %u",
			 run->fail_entry.hardware_entry_failure_reason,
			 run->fail_entry.cpu);
		break;
	case KVM_EXIT_UNKNOWN:
		snprintf(reason, sizeof(reason), "unknown exit of the processor: %llx",
			 run->hw.hardware_exit_reason);
		break;
	default:
		snprintf(reason, sizeof(reason), "exit %u that nothing here asked for",
			 run->exit_reason);
	}
	halt(vp, PARTITION_VP_ERROR, reason);
}

/* KVM_RUN itself failed. EINTR: a kick. EAGAIN: a VP that waited for SIPI and got INIT; it is entered again. */
static void exit_error(struct vp *vp, int err)
{
	char reason[128];

	if (err == EINTR || err == EAGAIN) {
		count(vp, VP_EXIT_INTERRUPTED);
		return;
	}
	count(vp, VP_EXIT_OTHER);
	snprintf(reason, sizeof(reason), "KVM_RUN: %s", strerror(err));
	halt(vp, PARTITION_VP_ERROR, reason);
}

/*
 * A host that finds its TSC unstable while the VM runs has KVM move each VP's offset at each switch of threads from then on: the VPs'
 * clocks come apart, and a guest that computes time from the page sees it go back. It never ends, so a look a second is
 * enough, and one VP that comes by here finds it for all.
 */
static void tsc_look(struct vp *vp)
{
	struct partition *p = vp->p;
	uint64_t now = __rdtsc();

	if (now < vp->tsc_look || !atomic_load(&p->tsc_ours))
		return;
	vp->tsc_look = now + p->tsc_khz * 1000;
	if (!vp_state_tsc_ours(vp))
		partition_tsc_lost(p);
}

void vp_exit(struct vp *vp, int err)
{
	tsc_look(vp);
	vp->unfinished = false;
	if (err) {
		exit_error(vp, err);
		return;
	}
	switch (vp->run->exit_reason) {
	case KVM_EXIT_IO:
		vp->unfinished = true;
		exit_pio(vp);
		break;
	case KVM_EXIT_MMIO:
		vp->unfinished = true;
		exit_mmio(vp);
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		vp->unfinished = true;
		exit_msr(vp, vp->run->exit_reason == KVM_EXIT_X86_WRMSR);
		break;
	case KVM_EXIT_INTR:
		count(vp, VP_EXIT_INTERRUPTED);
		break;
	default:
		exit_other(vp);
	}
}
