/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that the bare guest ever runs in ring 0 after boot.S: three instructions an interrupt, a handful a request.
 *
 * An interrupt sets its bit in vp->pending, ends itself at the local APIC and goes back; ring 3 looks at
 * vp->pending when it likes. A request of ring 3 comes by int3 (SYSCALL and `int N` do not enter ring 0 on the software KVM).
 * An exception of ring 3 leaves what happened in vp->fault and goes on in ring 3, in bare_fault(): ring 0 holds no C.
 * Ring 0 itself must not fault; if it does, the double fault and then the reset is the answer.
 */
#include "layout.h"

	.text
	.code64

	.macro	interrupt name, bit
	.globl	\name
	.balign 16
\name:
	orl	$\bit, %gs:VP_PENDING
	.byte	0x67, 0xc7, 0x04, 0x25	/* addr32 movl $0, LAPIC_EOI: 64-bit addressing would sign-extend it */
	.long	LAPIC_EOI, 0
	iretq
	.endm

	interrupt irq_sint, PENDING_SINT
	interrupt irq_timer, PENDING_TIMER
	interrupt irq_ipi, PENDING_IPI
	interrupt irq_user, PENDING_USER

	.globl	irq_spurious
	.balign 16
irq_spurious:
	iretq

	.globl	trap_request
	.balign 16
trap_request:
	testl	%eax, %eax
	jnz	1f
	cmpl	$0, %gs:VP_PENDING
	jne	2f
	sti
	hlt
2:	iretq
1:	decl	%eax
	jnz	1f
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	iretq
1:	decl	%eax
	jnz	1f
	movl	%edi, %eax
	shrq	$32, %rdi
	movl	%edi, %edx
	wrmsr
	iretq
1:	decl	%eax
	jnz	1f
	movl	%edi, %eax
	movl	%esi, %ecx
	cpuid
	iretq
1:	decl	%eax
	jnz	1f
	orl	$0x200, 16(%rsp)
	iretq
1:	decl	%eax
	jnz	1f
	lidt	no_idt
	ud2
1:	cli
	hlt
	jmp	1b

/* Exceptions: one stub a vector, 16 bytes apart; those without an error code push 0. */
	.globl	fault_stubs
	.balign 16
fault_stubs:
	.set	vector, 0
	.rept	32
	.balign 16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	jmp	fault
	.set	vector, vector + 1
	.endr

fault:
	popq	%gs:VP_FAULT
	popq	%gs:VP_FAULT + 8
	movq	%rax, %gs:VP_FAULT + 48
	movq	(%rsp), %rax
	movq	%rax, %gs:VP_FAULT + 16
	movq	24(%rsp), %rax
	movq	%rax, %gs:VP_FAULT + 24
	movq	%cr2, %rax
	movq	%rax, %gs:VP_FAULT + 32
	movq	16(%rsp), %rax
	movq	%rax, %gs:VP_FAULT + 40
	movq	$bare_fault, (%rsp)
	andq	$-16, 24(%rsp)
	subq	$136, 24(%rsp)		/* past the red zone; aligned as after a call */
	iretq

	.data
	.balign 8
no_idt:
	.word	0
	.quad	0

	.section .note.GNU-stack, "", @progbits
