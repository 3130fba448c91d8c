/* SPDX-License-Identifier: BSD-2-Clause */
/* See guestcode.h. ESI: the step; EBP: 1 after a #GP. */
#define TELL 0x500

	.section .rodata
	.global guestcode, guestcode_end, guestcode_gp, guestcode_irq40, guestcode_irqf3
	.code32
guestcode:
	lgdt	0x17f00
	lidt	0x17f08
	mov	%ebx, %esi
next:
	mov	(%esi), %eax
	mov	4(%esi), %ecx
	mov	8(%esi), %ebx
	mov	12(%esi), %edi
	add	$16, %esi
	xor	%ebp, %ebp
	cmp	$1, %eax
	je	op_wrmsr
	cmp	$2, %eax
	je	op_rdmsr
	cmp	$3, %eax
	je	op_hypercall
	cmp	$4, %eax
	je	op_out
	cmp	$5, %eax
	je	op_wait
	cmp	$6, %eax
	je	op_triple
	cmp	$7, %eax
	je	op_store
	cmp	$8, %eax
	je	op_count
	cmp	$9, %eax
	je	op_tell
	cmp	$10, %eax
	je	op_load
	cmp	$11, %eax
	je	op_bits
1:	cli
	hlt
	jmp	1b

tell_ebp:
	mov	%ebp, %ecx
op_tell:
	mov	%ecx, %eax
	mov	$TELL, %dx
	out	%eax, %dx
	jmp	next

op_wrmsr:
	mov	%ebx, %eax
	mov	%edi, %edx
	wrmsr
	jmp	tell_ebp

op_rdmsr:
	rdmsr
	mov	%eax, %ebx
	mov	%edx, %edi
	mov	$TELL, %dx
	mov	%ebp, %eax
	out	%eax, %dx
	test	%eax, %eax
	jnz	next
	mov	%ebx, %eax
	out	%eax, %dx
	mov	%edi, %eax
	out	%eax, %dx
	jmp	next

op_hypercall:
	mov	%ebx, %edx
	mov	$0x1d000, %eax
	call	*%eax
	mov	%eax, %ecx
	jmp	op_tell

op_out:
	mov	%ebx, %eax
	mov	%ecx, %edx
	out	%eax, %dx
	jmp	next

op_wait:
	sti
	hlt
	cli
	jmp	next

op_triple:
	lidt	0x17f10
	ud2

op_store:
	mov	%ebx, (%ecx)
	jmp	next

op_count:
	incl	(%ecx)
	jmp	op_count

op_load:
	mov	(%ecx), %ecx
	jmp	op_tell

/* Values: 1 << n and (1 << n) | 1 for n of 0..63, and all ones. EBX: the msr; ECX: the last. EDI: #GPs; EBP gathers them. */
op_bits:
	mov	%ecx, %edi
	mov	$0x40000000, %ecx
bits_msr:
	cmp	$0x40000003, %ecx
	je	bits_next
	xor	%ebx, %ebx
bits_value:
	push	%ecx
	mov	%ebx, %ecx
	and	$31, %ecx
	mov	$1, %eax
	shl	%cl, %eax
	xor	%edx, %edx
	test	$32, %ebx
	jz	1f
	mov	%eax, %edx
	xor	%eax, %eax
1:	pop	%ecx
	push	%eax
	push	%edx
	wrmsr
	pop	%edx
	pop	%eax
	or	$1, %eax
	wrmsr
	inc	%ebx
	cmp	$64, %ebx
	jb	bits_value
	mov	$-1, %eax
	mov	$-1, %edx
	wrmsr
	rdmsr
bits_next:
	inc	%ecx
	cmp	%edi, %ecx
	jbe	bits_msr
	jmp	tell_ebp

/* #GP at WRMSR or RDMSR: counted, and the two bytes skipped. */
guestcode_gp:
	add	$4, %esp
	inc	%ebp
	addl	$2, (%esp)
	push	%eax
	jmp	return

guestcode_irq40:
	push	%eax
	mov	$0x140, %eax
	jmp	irq
guestcode_irqf3:
	push	%eax
	mov	$0x1f3, %eax
irq:
	push	%edx
	mov	$TELL, %dx
	out	%eax, %dx
	movl	$0, 0xfee000b0
	pop	%edx

/* IRET by hand, with EAX on top of the frame: KVM's interpreter has none for 32 bits. */
return:
	pushl	12(%esp)
	popf
	pop	%eax
	ret	$8
guestcode_end:
	.section .note.GNU-stack, "", @progbits
