/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/pvh.h"

#include "core/mem.h"
#include "proto/pvh.h"

#define RAM_LIMIT 0xc0000000ull

extern uint64_t boot_start_info;
extern const char bare_end[];

static char cmdline[CMDLINE_MAX];
static uint64_t rsdp, ram_bytes, ram_end;

static void *at(uint64_t gpa)
{
	return (void *)(uintptr_t)gpa;
}

static void read_memmap(const struct pvh_start_info *si)
{
	const struct pvh_memmap_entry *e = at(si->memmap_paddr);
	uint64_t here = (uintptr_t)bare_end;
	uint32_t i;

	for (i = 0; i < si->memmap_entries; i++, e++) {
		if (e->type != PVH_MEMMAP_RAM)
			continue;
		ram_bytes += e->size;
		if (e->addr <= here && here < e->addr + e->size)
			ram_end = e->addr + e->size;
	}
}

void pvh_init(void)
{
	const struct pvh_start_info *si = at(boot_start_info);
	const char *from;
	unsigned int i;

	ram_end = ((uintptr_t)bare_end + 0x1fffff) & ~0x1fffffull;
	if (!boot_start_info || si->magic != PVH_START_MAGIC)
		return;
	rsdp = si->rsdp_paddr;
	from = at(si->cmdline_paddr);
	for (i = 0; from && i < CMDLINE_MAX - 1 && from[i]; i++)
		cmdline[i] = from[i];
	if (si->version >= PVH_START_VERSION && si->memmap_paddr)
		read_memmap(si);
	if (ram_end > RAM_LIMIT)
		ram_end = RAM_LIMIT;
}

const char *pvh_cmdline(void)
{
	return cmdline;
}

uint64_t pvh_rsdp(void)
{
	return rsdp;
}

uint64_t pvh_ram_bytes(void)
{
	return ram_bytes;
}

uint64_t pvh_ram_end(void)
{
	return ram_end;
}
