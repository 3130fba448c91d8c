/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PVH start of a guest: the ELF note that names the entry, and the tables that EBX points at there
 * (32-bit protected mode, flat segments, paging off, interrupts off).
 * Source: Xen's docs/misc/pvh.pandoc and its public start_info layout (version 1). Little-endian. ELF itself is in <elf.h>.
 */
#ifndef PROTO_PVH_H
#define PROTO_PVH_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define PVH_START_MAGIC 0x336ec578u
#define PVH_START_VERSION 1u
#define PVH_NOTE_NAME "Xen"
#define PVH_NOTE_PHYS32_ENTRY 18u

#define PVH_MEMMAP_RAM 1u
#define PVH_MEMMAP_RESERVED 2u
#define PVH_MEMMAP_ACPI 3u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};
static_assert(sizeof(struct pvh_start_info) == 56, "size");

struct pvh_module {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};
static_assert(sizeof(struct pvh_module) == 32, "size");

struct pvh_memmap_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};
static_assert(sizeof(struct pvh_memmap_entry) == 24, "size");

#endif
