/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts as devices raise them. A table of functions, so that a device's test passes a fake.
 * Thread: any.
 */
#ifndef VID_IRQ_H
#define VID_IRQ_H

#include "util/macros.h"

struct irq_env {
	/* The level of an IOAPIC/PIC input (0..23). */
	void (*set)(void *opaque, unsigned int gsi, bool level);
	/* A message-signalled interrupt: address and data as a PCI device writes them. */
	int (*msi)(void *opaque, uint64_t address, uint32_t data);
	void *opaque;
};

#endif
