/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the PVH entry to ring 3, in a few dozen instructions: on a software KVM each one of ring 0 is
 * interpreted. Page tables and GDT are made by the assembler; all else (IDT, other VPs' TSS descriptors, zeroing) is
 * left to ring 3, which runs natively, or to the loader. Source: Xen's x86 PVH direct boot ABI; Intel SDM vol. 3, 9.8.5 and 8.4.4.
 *
 * The very first instructions write a byte to the serial port: a harness times the way from exec to there.
 */
#include "layout.h"

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18			/* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad pvh_start

	.section .text.boot, "ax", @progbits
	.code32
	.globl pvh_start
pvh_start:
	movw	$0x3f8, %dx
	movb	$'\n', %al
	outb	%al, %dx
	movl	%ebx, boot_start_info
	movl	$vps, %esi		/* VP 0 */
	movl	$bare_main, VP_ENTRY(%esi)
	/* the TSS descriptor of VP 0 gets its base here; those of the others are made in ring 3 */
	movl	$tss, %eax
	movw	%ax, gdt + SEL_TSS + 2
	shrl	$16, %eax
	movb	%al, gdt + SEL_TSS + 4
	movb	%ah, gdt + SEL_TSS + 7
	lgdt	gdt_pointer
	movl	$SEL_TSS, %ebp

/* ESI: struct vp, EBP: its TSS selector. */
enter_long_mode:
	movl	$0x6a0, %eax		/* PAE, PGE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	movl	$0x100, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$0x80000033, %eax	/* PG, NE, ET, MP, PE */
	movl	%eax, %cr0
	ljmp	$SEL_KCODE64, $start64

	.code64
start64:
	movl	$SEL_UDATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%esi, %eax		/* GS base: the same in both rings */
	movl	$0xc0000101, %ecx
	wrmsr				/* EDX is still 0 */
	ltr	%bp
	lidt	idt_pointer
	leal	VP_STACK0_TOP(%rsi), %esp
	pushq	$SEL_UDATA
	leal	VP_STACK3_TOP - 8(%rsi), %eax	/* as after a call */
	pushq	%rax
	pushq	$2			/* interrupts off until TRAP_ENABLE */
	pushq	$SEL_UCODE
	pushq	VP_ENTRY(%rsi)
	iretq

/*
 * Copied to AP_TRAMPOLINE; an application processor starts here after the SIPI, in real mode, CS = AP_TRAMPOLINE >> 4.
 * ap_vp names the VP that is being started: one at a time.
 */
	.code16
	.globl ap_trampoline, ap_trampoline_end
ap_trampoline:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	1f - ap_trampoline
	movl	$0x11, %eax
	movl	%eax, %cr0
	ljmpl	$SEL_KCODE32, $ap_start32
1:	.word	gdt_end - gdt - 1
	.long	gdt
ap_trampoline_end:

	.code32
ap_start32:
	movl	$SEL_KDATA, %eax
	movl	%eax, %ds
	movl	%eax, %ss
	movl	ap_vp, %esi
	movl	VP_INDEX(%esi), %ebp
	shll	$4, %ebp
	addl	$SEL_TSS, %ebp
	jmp	enter_long_mode

	.data
	.balign 16
	.globl gdt
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* ring 0 code, 32 bits */
	.quad	0x00af9b000000ffff	/* ring 0 code, 64 bits */
	.quad	0x00cf93000000ffff	/* ring 0 data */
	.quad	0x00cff3000000ffff	/* ring 3 data */
	.quad	0x00affb000000ffff	/* ring 3 code, 64 bits */
	.rept	BARE_VPS_MAX
	.quad	0x0000890000000000 + (tss_end - tss - 1), 0	/* 64-bit TSS, base to be filled in */
	.endr
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt
	.balign 8
idt_pointer:
	.word	256 * 16 - 1
	.quad	idt
	.balign 8
	.globl boot_start_info, ap_vp
boot_start_info:
	.quad	0
ap_vp:
	.quad	0

/*
 * One TSS a VP: where its ring-0 stack begins, and how far on the I/O permission bitmap lies that all share and that lets ring 3 at every
 * port (all zeros but the last byte). Not IOPL 3, which the software KVM does not honour.
 */
	.balign 16
	.globl tss
tss:
	.set	i, 0
	.rept	BARE_VPS_MAX
	.long	0
	.quad	vps + i * VP_BYTES + VP_STACK0_TOP
	.fill	90, 1, 0
	.word	TSS_BYTES * BARE_VPS_MAX - i * TSS_BYTES
	.fill	TSS_BYTES - 104, 1, 0
	.set	i, i + 1
	.endr
	.fill	65536 / 8, 1, 0
	.byte	0xff
tss_end:

/* Identity, 4 GiB in 2 MiB pages, for both rings, writable. */
	.balign 4096
pml4:
	.quad	pdpt + 7
	.fill	511, 8, 0
pdpt:
	.quad	pd + 0x0007, pd + 0x1007, pd + 0x2007, pd + 0x3007
	.fill	508, 8, 0
pd:
	.set	page, 0
	.rept	2048
	.quad	(page << 21) + 0x87
	.set	page, page + 1
	.endr

	.section .note.GNU-stack, "", @progbits
