/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Linux bzImage by its 64-bit entry. The file is (setup_sects + 1) sectors of real-mode code, which holds the header at 0x1f1,
 * then the protected-mode part, which is loaded whole at an address that the header asks for and entered 0x200 bytes in, in long mode,
 * on identity-mapping page tables, with RSI at the zero page.
 * Source: Linux Documentation/arch/x86/boot.rst.
 */
#include "vmwp/loader_priv.h"

#include <errno.h>
#include <string.h>
#include "proto/linux_boot.h"

#define GIB (1ull << 30)
#define LARGE_PAGE (2ull << 20)
#define TABLE_BYTES 4096u
#define TABLE_ENTRIES 512u
#define PTE_PRESENT_WRITABLE 0x3ull
#define PTE_LARGE 0x80ull
#define SETUP_SECTS_DEFAULT 4u

struct bzimage {
	struct linux_setup_header hdr;
	uint64_t offset, bytes; /* the protected-mode part in the file */
	uint64_t gpa, span;     /* where it goes, and what it needs there */
};

bool loader_bzimage_probe(const uint8_t head[LOADER_HEAD_BYTES], size_t len)
{
	struct linux_setup_header h;

	memcpy(&h, head + LINUX_BOOT_HEADER_OFFSET, sizeof(h));
	return len >= LINUX_BOOT_HEADER_OFFSET + sizeof(h) &&
	       h.boot_flag == LINUX_BOOT_FLAG && h.header == LINUX_BOOT_MAGIC;
}

/* Takes no more of the header than the file says it has; the rest is zeros, as of an older protocol. */
static void read_header(struct bzimage *b, const uint8_t *head)
{
	size_t end, len;

	memcpy(&b->hdr, head + LINUX_BOOT_HEADER_OFFSET, sizeof(b->hdr));
	end = LINUX_BOOT_HEADER_END_BASE + b->hdr.jump_bytes;
	len = end - LINUX_BOOT_HEADER_OFFSET;
	if (len < sizeof(b->hdr))
		memset((uint8_t *)&b->hdr + len, 0, sizeof(b->hdr) - len);
}

static int check_header(const struct loader_input *in, const struct bzimage *b,
			struct loader_error *error)
{
	const struct linux_setup_header *h = &b->hdr;

	if (h->version < LINUX_BOOT_VERSION_MIN)
		return loader_fail(error, -ENOEXEC,
				   "%s: boot protocol %u.%02u is too old; a kernel of "
				   "3.8 or newer (2.12) is needed",
				   in->kernel_name, h->version >> 8, h->version & 0xffu);
	if (!(h->xloadflags & LINUX_BOOT_XLF_KERNEL_64))
		return loader_fail(error, -ENOEXEC,
				   "%s: has no 64-bit entry; give the VM an x86-64 "
				   "kernel",
				   in->kernel_name);
	if (!(h->loadflags & LINUX_BOOT_LOADED_HIGH) || h->init_size == 0 ||
	    h->kernel_alignment == 0 || (h->kernel_alignment & (h->kernel_alignment - 1)))
		return loader_fail(error, -ENOEXEC,
				   "%s: its setup header is damaged (loadflags 0x%x, "
				   "init_size 0x%x, alignment 0x%x)",
				   in->kernel_name, h->loadflags, h->init_size,
				   h->kernel_alignment);
	return 0;
}

static int find_payload(const struct loader_input *in, uint64_t size, struct bzimage *b,
			struct loader_error *error)
{
	unsigned int sects =
		b->hdr.setup_sects ? b->hdr.setup_sects : SETUP_SECTS_DEFAULT;
	uint64_t want = (uint64_t)b->hdr.syssize * 16;

	b->offset = (sects + 1ull) * LINUX_BOOT_SECTOR_BYTES;
	/* A signature may follow; the last paragraph may be short. */
	if (size <= b->offset || want <= LINUX_BOOT_ENTRY_64 ||
	    want > align_up(size - b->offset, 16))
		return loader_fail(error, -ENOEXEC,
				   "%s: the file is cut short: %llu bytes, and its "
				   "header says %llu",
				   in->kernel_name, (unsigned long long)size,
				   (unsigned long long)(b->offset + want));
	b->bytes = MIN(want, size - b->offset);
	b->span = MAX(b->bytes, (uint64_t)b->hdr.init_size);
	return 0;
}

static bool fits(const struct loader_input *in, const struct bzimage *b, uint64_t gpa)
{
	return gpa >= LOADER_KERNEL_MIN && is_aligned(gpa, TABLE_BYTES) &&
	       range_ok(gpa, b->span, loader_low_end(in->mem));
}

/* Where the kernel would like to be, or where it can be. */
static int place(const struct loader_input *in, struct bzimage *b,
		 struct loader_error *error)
{
	uint64_t lowest = align_up(LOADER_KERNEL_MIN, b->hdr.kernel_alignment);

	if (fits(in, b, b->hdr.pref_address)) {
		b->gpa = b->hdr.pref_address;
		return 0;
	}
	if (b->hdr.relocatable_kernel && fits(in, b, lowest)) {
		b->gpa = lowest;
		return 0;
	}
	return loader_fail(error, -E2BIG,
			   "%s: the kernel needs %llu MiB from address 0x%llx on, which "
			   "the VM does not have; give it more memory",
			   in->kernel_name, (unsigned long long)(b->span >> 20) + 1,
			   (unsigned long long)b->hdr.pref_address);
}

static int write_params(const struct loader_input *in, const struct bzimage *b,
			const struct loader_range *initrd, struct loader_error *error)
{
	struct linux_boot_params p = { .hdr = b->hdr };
	struct loader_map_entry map[LOADER_MAP_MAX];
	size_t n = loader_memory_map(in->mem, map);

	p.acpi_rsdp_addr = in->rsdp_gpa;
	p.hdr.type_of_loader = LINUX_BOOT_LOADER_UNDEFINED;
	p.hdr.vid_mode = LINUX_BOOT_VID_MODE_NORMAL;
	p.hdr.cmd_line_ptr = LOADER_CMDLINE_GPA;
	p.hdr.ramdisk_image = (uint32_t)initrd->gpa;
	p.hdr.ramdisk_size = (uint32_t)initrd->bytes;
	p.hdr.code32_start = (uint32_t)b->gpa;
	p.hdr.setup_data = 0;
	p.e820_entries = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		p.e820_table[i] = (struct linux_e820_entry){
			.addr = map[i].gpa,
			.size = map[i].bytes,
			.type = map[i].ram ? LINUX_E820_RAM : LINUX_E820_RESERVED,
		};
	if (guestmem_write(in->mem, LOADER_PARAMS_GPA, &p, sizeof(p)) < 0)
		return loader_fail(error, -E2BIG, "the VM has too little memory");
	return 0;
}

/* Identity-maps from 0 to behind the kernel in pages of 2 MiB: one table of the top, one of 512 GiB, one for each GiB. */
static int write_tables(const struct loader_input *in, uint64_t end,
			struct loader_error *error)
{
	uint64_t gibs = align_up(end, GIB) / GIB;
	uint64_t *t = guestmem_ptr(in->mem, LOADER_TABLES_GPA, (2 + gibs) * TABLE_BYTES);
	uint64_t *pd = t ? t + 2 * TABLE_ENTRIES : NULL;

	if (!t)
		return loader_fail(error, -E2BIG, "the VM has too little memory");
	t[0] = (LOADER_TABLES_GPA + TABLE_BYTES) | PTE_PRESENT_WRITABLE;
	for (uint64_t i = 0; i < gibs; i++)
		t[TABLE_ENTRIES + i] = (LOADER_TABLES_GPA + (2 + i) * TABLE_BYTES) |
				       PTE_PRESENT_WRITABLE;
	for (uint64_t i = 0; i < gibs * TABLE_ENTRIES; i++)
		pd[i] = i * LARGE_PAGE | PTE_LARGE | PTE_PRESENT_WRITABLE;
	return 0;
}

static int write_gdt(const struct loader_input *in, struct vp_start *start,
		     struct loader_error *error)
{
	/* 0x10: 64-bit code, 0x18: data, both flat, as boot.rst's __BOOT_CS and __BOOT_DS. */
	static const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffffull,
					0x00cf93000000ffffull };

	if (guestmem_write(in->mem, LOADER_GDT_GPA, gdt, sizeof(gdt)) < 0)
		return loader_fail(error, -E2BIG, "the VM has too little memory");
	start->gdt_gpa = LOADER_GDT_GPA;
	start->gdt_bytes = sizeof(gdt);
	return 0;
}

int loader_bzimage_load(const struct loader_input *in, uint64_t size,
			const uint8_t head[LOADER_HEAD_BYTES], struct vp_start *ret,
			struct loader_error *error)
{
	struct vp_start start = { .mode = VP_MODE_LONG, .rsp = LOADER_STACK_GPA };
	struct loader_range initrd;
	struct bzimage b = { 0 };
	int r;

	read_header(&b, head);
	r = check_header(in, &b, error);
	if (r == 0)
		r = find_payload(in, size, &b, error);
	if (r == 0)
		r = place(in, &b, error);
	if (r == 0)
		r = loader_copy(in, b.offset, b.gpa, b.bytes, error);
	if (r == 0)
		r = loader_cmdline(in, b.hdr.cmdline_size, error);
	if (r == 0)
		r = loader_initrd(in, b.gpa + b.span, b.hdr.initrd_addr_max + 1ull,
				  &initrd, error);
	if (r == 0)
		r = write_params(in, &b, &initrd, error);
	if (r == 0)
		r = write_tables(in, b.gpa + b.span, error);
	if (r == 0)
		r = write_gdt(in, &start, error);
	if (r < 0)
		return r;
	start.rip = b.gpa + LINUX_BOOT_ENTRY_64;
	start.rsi = LOADER_PARAMS_GPA;
	start.cr3 = LOADER_TABLES_GPA;
	*ret = start;
	return 0;
}
