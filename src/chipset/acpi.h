/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables of a partition: RSDP, XSDT, FADT, FACS, MADT and a DSDT that names COM1, the clock and the VMBus.
 * Source: ACPI 6.4, chapter 5. What a guest's VMBus driver looks for: Linux drivers/hv/vmbus_drv.c binds to _HID "VMBus" and takes the
 * windows for memory-mapped I/O from the _CRS of the devices around it.
 */
#ifndef CHIPSET_ACPI_H
#define CHIPSET_ACPI_H

#include "vid/guestmem.h"

#define ACPI_RSDP_GPA 0xe0000ull
#define ACPI_END_GPA 0x100000ull

/*
 * Writes them for `vps` processors with APIC ids 0..vps - 1 (at most 254) into [ACPI_RSDP_GPA, ACPI_END_GPA). *ret_rsdp is the
 * RSDP's address. -EINVAL, -ENOSPC, -EFAULT.
 */
int acpi_write(struct guestmem *mem, unsigned int vps, uint64_t *ret_rsdp) __must_check;

#endif
