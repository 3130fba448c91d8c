/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest of a few instructions that interprets a script, which the test writes into its memory. So a test says what the guest does in
 * a table, and the guest says what came of it by OUTs to PORT_TELL. Baseline 32-bit instructions only: a software KVM interprets ring 0.
 *
 * The places are no powers of two, so that a test may let the guest name all of those as pages to be overwritten.
 */
#ifndef TESTS_GUEST_GUESTCODE_H
#define TESTS_GUEST_GUESTCODE_H

#include <stdint.h>

#define GUEST_ENTRY 0x13000u
#define GUEST_STACK 0x16000u /* of VP 0, growing down; VP n's lies n * 0x400 below */
#define GUEST_TABLES 0x17000u
#define GUEST_SCRIPT 0x19000u /* of VP 0; VP n's lies n * 0x1000 behind */
#define GUEST_HYPERCALL_PAGE 0x1d000u
#define GUEST_DATA 0x1e000u

#define PORT_TELL 0x500

enum guest_op {
	OP_END,       /* cli, hlt */
	OP_WRMSR,     /* msr, low, high; tells 0, or 1 after #GP */
	OP_RDMSR,     /* msr; tells 0, low, high, or 1 after #GP */
	OP_HYPERCALL, /* ecx, edx: calls GUEST_HYPERCALL_PAGE; tells eax */
	OP_OUT,       /* port, value */
	OP_WAIT,      /* halts until an interrupt, whose handler tells 0x100 + vector */
	OP_TRIPLE,    /* triple fault */
	OP_STORE,     /* address, value: 32 bits */
	OP_COUNT,     /* address: adds 1 to the 32 bits there for ever */
	OP_TELL,      /* value */
	OP_LOAD,      /* address: tells the 32 bits there */
	OP_BITS, /* the last msr: WRMSR of many values to all MSRs from 0x40000000 on, but RESET; tells how many times #GP */
};

struct guest_step {
	uint32_t op, a, b, c;
};

/* The code, and its handlers for #GP and for the vectors 0x40 and 0xf3. */
extern const uint8_t guestcode[], guestcode_end[];
extern const uint8_t guestcode_gp[], guestcode_irq40[], guestcode_irqf3[];

#endif
