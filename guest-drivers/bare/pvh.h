/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader tells the bare guest: command line, memory, ACPI tables. Fixed after pvh_init(). */
#ifndef BARE_PVH_H
#define BARE_PVH_H

#include <stdint.h>

#define CMDLINE_MAX 1024

/* Reads the start info; what is missing or does not look like one counts as empty. */
void pvh_init(void);
/* The command line, cut at CMDLINE_MAX - 1. */
const char *pvh_cmdline(void);
uint64_t pvh_rsdp(void);
/* Bytes of RAM in all. */
uint64_t pvh_ram_bytes(void);
/* The end of the RAM that holds the bare guest, at most the 3 GiB that its page tables leave to RAM. */
uint64_t pvh_ram_end(void);

#endif
