/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the assembly and the C of the bare guest share: offsets in struct vp, selectors, vectors, trap numbers.
 * Plain numbers only: this file is read by the assembler too. vp.h asserts the offsets.
 */
#ifndef BARE_LAYOUT_H
#define BARE_LAYOUT_H

#define BARE_VPS_MAX 8

/* Where a starting VP begins in real mode; a page below 640 KiB that ring 3 fills before it sends the SIPI. */
#define AP_TRAMPOLINE 0x8000

/* Selectors of the GDT. Ring 0: code32, code64, data; ring 3: data, code; then one TSS a VP (16 bytes each). */
#define SEL_KCODE32 0x08
#define SEL_KCODE64 0x10
#define SEL_KDATA 0x18
#define SEL_UDATA 0x23
#define SEL_UCODE 0x2b
#define SEL_TSS 0x30
#define TSS_BYTES 112

/* struct vp, that GS points to in both rings. */
#define VP_BYTES 0x9000
#define VP_SELF 0
#define VP_PENDING 8
#define VP_ENTRY 16
#define VP_INDEX 24
#define VP_FAULT 32 /* vector, error, rip, rsp, cr2, flags */
#define VP_STACK0_TOP 0x1000
#define VP_STACK3_TOP 0x9000

/* Interrupt vectors, each with its bit in vp->pending. */
#define VECTOR_SINT 0x40  /* VMBus: messages and event flags */
#define VECTOR_TIMER 0x41 /* the local APIC's timer */
#define VECTOR_IPI 0x42   /* another VP has work for this one */
#define VECTOR_USER 0x43  /* whatever a bench harness injects */
#define VECTOR_SPURIOUS 0xff
#define PENDING_SINT 1
#define PENDING_TIMER 2
#define PENDING_IPI 4
#define PENDING_USER 8

/* What ring 3 asks of ring 0, in EAX, by int3. */
#define TRAP_WAIT 0     /* halt until vp->pending is not zero */
#define TRAP_RDMSR 1    /* ECX -> RAX */
#define TRAP_WRMSR 2    /* ECX, RDI */
#define TRAP_CPUID 3    /* leaf in RDI, subleaf in RSI -> EAX, EBX, ECX, EDX */
#define TRAP_ENABLE 4   /* interrupts on from here */
#define TRAP_SHUTDOWN 5 /* triple fault */
#define TRAP_STOP 6     /* this VP halts with interrupts off, for ever */

#define LAPIC_BASE 0xfee00000
#define LAPIC_EOI (LAPIC_BASE + 0xb0)

#endif
