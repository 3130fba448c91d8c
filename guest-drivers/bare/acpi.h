/* SPDX-License-Identifier: BSD-2-Clause */
/* What the bare guest wants of the ACPI tables: processors, and how to power off and reset. Fixed after acpi_init(). */
#ifndef BARE_ACPI_H
#define BARE_ACPI_H

#include <stdbool.h>
#include <stdint.h>
#include "bare/layout.h"

struct acpi {
	uint32_t apic_ids[BARE_VPS_MAX];
	unsigned int apics;
	uint16_t pm1a_control; /* 0: none */
	uint8_t slp_typ_s5;
	bool has_s5;
	uint16_t reset_port; /* 0: none */
	uint8_t reset_value;
};

/* From the RSDP at this address, or, when it is 0, the one below 1 MiB. Without tables all stays zero. */
void acpi_init(uint64_t rsdp_gpa);
const struct acpi *acpi_get(void);

#endif
