/* SPDX-License-Identifier: BSD-2-Clause */
/* usage: dump_acpi VPS > FILE: the bytes of [ACPI_RSDP_GPA, ACPI_END_GPA), for test_iasl.py. */
#include <stdio.h>
#include <stdlib.h>
#include "chipset/acpi.h"

int main(int argc, char **argv)
{
	struct guestmem *mem;
	uint64_t rsdp;
	size_t n;

	if (argc != 2 || guestmem_new(64 << 20, &mem) < 0 ||
	    acpi_write(mem, (unsigned int)atoi(argv[1]), &rsdp) < 0)
		return EXIT_FAILURE;
	n = fwrite(guestmem_ptr(mem, ACPI_RSDP_GPA, ACPI_END_GPA - ACPI_RSDP_GPA), 1,
		   ACPI_END_GPA - ACPI_RSDP_GPA, stdout);
	guestmem_free(mem);
	return n == ACPI_END_GPA - ACPI_RSDP_GPA ? EXIT_SUCCESS : EXIT_FAILURE;
}
