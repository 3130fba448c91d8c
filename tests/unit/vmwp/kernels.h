/* SPDX-License-Identifier: BSD-2-Clause */
/* Small kernels made to order, for the loaders' tests: one good image of each kind, which a row then damages. */
#ifndef TESTS_UNIT_VMWP_KERNELS_H
#define TESTS_UNIT_VMWP_KERNELS_H

#include <elf.h>
#include <string.h>
#include "proto/linux_boot.h"
#include "proto/pvh.h"

#define BZ_SETUP_BYTES 1024u /* a boot sector and one of setup */
#define BZ_PAYLOAD_BYTES 2048u
#define BZ_BYTES (BZ_SETUP_BYTES + BZ_PAYLOAD_BYTES)

struct bz {
	union {
		uint8_t bytes[BZ_BYTES];
		struct {
			uint8_t before[LINUX_BOOT_HEADER_OFFSET];
			struct linux_setup_header hdr;
		} LINUX_BOOT_PACKED;
	};
};

static inline void bz_good(struct bz *b)
{
	memset(b, 0, sizeof(*b));
	b->hdr = (struct linux_setup_header){
		.setup_sects = 1,
		.syssize = BZ_PAYLOAD_BYTES / 16,
		.boot_flag = LINUX_BOOT_FLAG,
		.jump = 0xeb,
		.jump_bytes = 0x6a,
		.header = LINUX_BOOT_MAGIC,
		.version = 0x020f,
		.loadflags = LINUX_BOOT_LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = LINUX_BOOT_XLF_KERNEL_64,
		.cmdline_size = 2047,
		.setup_data = 0x1234,
		.pref_address = 0x1000000,
		.init_size = 0x400000,
	};
	for (unsigned int i = 0; i < BZ_PAYLOAD_BYTES; i++)
		b->bytes[BZ_SETUP_BYTES + i] = (uint8_t)(i * 7 + 1);
}

/* Two segments at 1 MiB (with code) and 2 MiB (half of it bss), one note. */
#define PVH_ENTRY 0x100010u
struct pvh64 {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];
	Elf64_Nhdr nh;
	char name[4];
	uint32_t entry;
	uint8_t text[64], data[32];
};

static inline void pvh64_good(struct pvh64 *p)
{
	*p = (struct pvh64){
		.eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_phoff = offsetof(struct pvh64, ph),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 3 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = offsetof(struct pvh64, text),
			  .p_paddr = 0x100000,
			  .p_filesz = 64,
			  .p_memsz = 64 },
			{ .p_type = PT_LOAD,
			  .p_offset = offsetof(struct pvh64, data),
			  .p_paddr = 0x200000,
			  .p_filesz = 32,
			  .p_memsz = 64 },
			{ .p_type = PT_NOTE,
			  .p_offset = offsetof(struct pvh64, nh),
			  .p_filesz = 20,
			  .p_align = 4 } },
		.nh = { .n_namesz = 4, .n_descsz = 4, .n_type = PVH_NOTE_PHYS32_ENTRY },
		.name = PVH_NOTE_NAME,
		.entry = PVH_ENTRY,
	};
	memset(p->text, 0x90, sizeof(p->text));
	memset(p->data, 0xda, sizeof(p->data));
}

struct pvh32 {
	Elf32_Ehdr eh;
	Elf32_Phdr ph[2];
	Elf32_Nhdr nh;
	char name[4];
	uint32_t entry;
	uint8_t text[64];
};

static inline void pvh32_good(struct pvh32 *p)
{
	*p = (struct pvh32){
		.eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1 },
			.e_type = ET_EXEC,
			.e_machine = EM_386,
			.e_phoff = offsetof(struct pvh32, ph),
			.e_phentsize = sizeof(Elf32_Phdr),
			.e_phnum = 2 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = offsetof(struct pvh32, text),
			  .p_paddr = 0x100000,
			  .p_filesz = 64,
			  .p_memsz = 64 },
			{ .p_type = PT_NOTE,
			  .p_offset = offsetof(struct pvh32, nh),
			  .p_filesz = 20,
			  .p_align = 4 } },
		.nh = { .n_namesz = 4, .n_descsz = 4, .n_type = PVH_NOTE_PHYS32_ENTRY },
		.name = PVH_NOTE_NAME,
		.entry = PVH_ENTRY,
	};
	memset(p->text, 0x90, sizeof(p->text));
}

#endif
