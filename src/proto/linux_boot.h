/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux/x86 boot protocol: the setup header of a bzImage and the zero page that the 64-bit entry is given.
 * Source: Linux Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header", "64-bit Boot Protocol") and zero-page.rst.
 * Little-endian, packed.
 */
#ifndef PROTO_LINUX_BOOT_H
#define PROTO_LINUX_BOOT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define LINUX_BOOT_PACKED __attribute__((packed))

#define LINUX_BOOT_FLAG 0xaa55u
#define LINUX_BOOT_MAGIC 0x53726448u     /* "HdrS" */
#define LINUX_BOOT_VERSION_MIN 0x020cu   /* 2.12: xloadflags */
#define LINUX_BOOT_LOADED_HIGH (1u << 0) /* loadflags */
#define LINUX_BOOT_XLF_KERNEL_64 (1u << 0)
#define LINUX_BOOT_ENTRY_64 0x200u /* from where the protected-mode part was loaded */
#define LINUX_BOOT_SECTOR_BYTES 512u
#define LINUX_BOOT_LOADER_UNDEFINED 0xffu
#define LINUX_BOOT_VID_MODE_NORMAL 0xffffu

#define LINUX_BOOT_HEADER_OFFSET 0x1f1u /* in the file and in the zero page */
struct linux_setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize; /* of the protected-mode part, in 16 bytes */
	uint16_t ram_size;
	uint16_t vid_mode;
	uint16_t root_dev;
	uint16_t boot_flag;
	uint8_t jump;
	uint8_t jump_bytes; /* the header ends at offset 0x202 + this */
	uint32_t header;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg;
	uint16_t kernel_version;
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	uint32_t cmd_line_ptr;
	uint32_t initrd_addr_max;
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size;
	uint32_t hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset;
	uint32_t payload_length;
	uint64_t setup_data;
	uint64_t pref_address;
	uint32_t init_size;
	uint32_t handover_offset;
	uint32_t kernel_info_offset;
} LINUX_BOOT_PACKED;
static_assert(sizeof(struct linux_setup_header) == 0x26c - 0x1f1, "boot.rst");
static_assert(offsetof(struct linux_setup_header, header) == 0x202 - 0x1f1, "boot.rst");
static_assert(offsetof(struct linux_setup_header, xloadflags) == 0x236 - 0x1f1,
	      "boot.rst");
static_assert(offsetof(struct linux_setup_header, init_size) == 0x260 - 0x1f1,
	      "boot.rst");
#define LINUX_BOOT_HEADER_END_BASE 0x202u

#define LINUX_E820_RAM 1u
#define LINUX_E820_RESERVED 2u
#define LINUX_E820_ACPI 3u
struct linux_e820_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
} LINUX_BOOT_PACKED;
static_assert(sizeof(struct linux_e820_entry) == 20, "zero-page.rst");

#define LINUX_E820_MAX 128u
struct linux_boot_params {
	uint8_t reserved0[0x70];
	uint64_t acpi_rsdp_addr;
	uint8_t reserved1[0x1e8 - 0x78];
	uint8_t e820_entries;
	uint8_t reserved2[0x1f1 - 0x1e9];
	struct linux_setup_header hdr;
	uint8_t reserved3[0x2d0 - 0x26c];
	struct linux_e820_entry e820_table[LINUX_E820_MAX];
	uint8_t reserved4[0x1000 - 0xcd0];
} LINUX_BOOT_PACKED;
static_assert(sizeof(struct linux_boot_params) == 4096, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, acpi_rsdp_addr) == 0x70,
	      "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, e820_entries) == 0x1e8, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, hdr) == 0x1f1, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, e820_table) == 0x2d0, "zero-page.rst");

#endif
