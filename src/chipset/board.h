/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board: every emulated device of a partition, in one visible list (board.c), and its ACPI tables.
 *
 * What stands where: COM1 0x3f8 IRQ 4; CMOS and RTC 0x70; ACPI PM block 0x600, SCI 9; reset by 0xcf9, 0x64 (the pulse alone: there is
 * no i8042) and 0x92; POST code 0x80. There is no PCI: nothing claims 0xcf8 and 0xcfc, which read as all ones. PIT, PIC, IOAPIC and
 * LAPIC are the partition's own.
 *
 * Thread: all calls here from the owner, while no VP runs (before start, or in a pause); devices serve VPs' threads behind their
 * own locks, each a leaf but for the chardev's.
 */
#ifndef CHIPSET_BOARD_H
#define CHIPSET_BOARD_H

#include "util/macros.h"
#include "vid/guestmem.h"
#include "vid/iobus.h"
#include "vid/irq.h"

struct board;
struct chardev;

/* Where devices read the time; a test's own. */
struct board_clock {
	int64_t (*realtime_ns)(void *opaque);
	uint64_t (*monotonic_ns)(void *opaque);
	void *opaque;
};

struct board_env {
	struct iobus *bus;
	const struct irq_env *irq;
	struct guestmem *mem;
	unsigned int vps;
	struct chardev *console; /* COM1's other end; NULL: output is dropped */
	const struct board_clock
		*clock; /* NULL: the host's CLOCK_REALTIME and CLOCK_MONOTONIC */
	/*
	 * The guest asked for it. On the VP's thread, which waits: only note it, and wake the owner. Each may come more than once.
	 */
	void (*power_off)(void *opaque);
	void (*reset)(void *opaque);
	void *opaque;
};

/* env is copied; what it points to outlives the board. Registers at power-on. -ENOMEM, -EEXIST when a port is taken. */
int board_new(const struct board_env *env, struct board **ret) __must_check;
void board_free(struct board *b);
/* All registers to power-on. The CMOS' memory stays, as a battery has it. */
void board_reset(struct board *b);
/*
 * Writes the ACPI tables into guest memory, in [ACPI_RSDP_GPA, 1 MiB); again after each reset of the memory. *ret_rsdp for the
 * loader. -EFAULT when there is no RAM, -ENOSPC when the tables do not fit there.
 */
int board_write_tables(struct board *b, uint64_t *ret_rsdp) __must_check;
/* The last byte the guest wrote to the POST port: how far a boot came. Thread: any. */
uint8_t board_post_code(const struct board *b);

#endif
