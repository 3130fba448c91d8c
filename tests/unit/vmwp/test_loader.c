/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernels with every field bad, then good ones: what lies in guest memory afterwards, and where VP 0 begins. */
#include "vmwp/loader.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vmwp/kernels.h"

#define MEMORY (64ull << 20)
#define RSDP 0xe0000ull

static struct guestmem *mem;
static struct loader_error error;
static struct vp_start start;

static void setup(void)
{
	ck_assert_int_eq(guestmem_new(MEMORY, &mem), 0);
	memset(&error, 0, sizeof(error));
	memset(&start, 0, sizeof(start));
}

static void teardown(void)
{
	guestmem_free(mem);
}

static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
	return fd;
}

static int load_with(const void *bytes, size_t len, int initrd, const char *cmdline)
{
	struct loader_input in = { .mem = mem,
				   .kernel = file_of(bytes, len),
				   .kernel_name = "KERNEL",
				   .initrd = initrd,
				   .initrd_name = "INITRD",
				   .cmdline = cmdline,
				   .rsdp_gpa = RSDP };
	int r = loader_load(&in, &start, &error);

	close(in.kernel);
	return r;
}

static int load(const void *bytes, size_t len)
{
	return load_with(bytes, len, -1, "console=ttyS0");
}

/* One line that names the file, and nothing begun. */
static void ck_refused(int r, int want, size_t row)
{
	ck_assert_msg(r == want, "row %zu: %d (%s)", row, r, error.text);
	ck_assert_msg(strncmp(error.text, "KERNEL: ", 8) == 0, "row %zu: '%s'", row,
		      error.text);
	ck_assert_ptr_null(strchr(error.text, '\n'));
	ck_assert_uint_eq(start.rip, 0);
	memset(&error, 0, sizeof(error));
	ck_assert_int_eq(guestmem_discard(mem), 0);
}

START_TEST(what_is_no_kernel)
{
	static const char elf[] = "\x7f"
				  "ELF";
	static const char script[600] = "#!/bin/sh\n";

	ck_refused(load("", 0), -ENOEXEC, 0);
	ck_refused(load("x", 1), -ENOEXEC, 1);
	ck_refused(load(script, sizeof(script)), -ENOEXEC, 2);
	ck_refused(load(elf, 4), -ENOEXEC, 3);
}
END_TEST

START_TEST(a_kernel_must_be_a_file)
{
	struct loader_input in = { .mem = mem, .kernel_name = "KERNEL", .initrd = -1 };
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	in.kernel = p[0];
	ck_refused(loader_load(&in, &start, &error), -EINVAL, 0);
	in.kernel = -1;
	ck_refused(loader_load(&in, &start, &error), -EBADF, 1);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(bzimage_of_any_length_but_the_right_one)
{
	struct bz b;

	bz_good(&b);
	for (size_t len = 0; len < BZ_BYTES; len += len < 1100 ? 1 : 97)
		ck_refused(load(b.bytes, len), -ENOEXEC, len);
}
END_TEST

#define BZ_ROW(field, value, want)                                                   \
	{                                                                            \
		offsetof(struct linux_setup_header, field),                          \
			sizeof(((struct linux_setup_header *)0)->field), value, want \
	}

START_TEST(bzimage_fields)
{
	static const struct {
		size_t off, len;
		uint64_t value;
		int want;
	} rows[] = {
		BZ_ROW(boot_flag, 0, -ENOEXEC),
		BZ_ROW(header, 0x12345678, -ENOEXEC),
		BZ_ROW(version, 0x020b, -ENOEXEC),
		BZ_ROW(version, 0, -ENOEXEC),
		BZ_ROW(loadflags, 0, -ENOEXEC),
		BZ_ROW(xloadflags, 0, -ENOEXEC),
		BZ_ROW(setup_sects, 0, -ENOEXEC), /* means 4: more than the file has */
		BZ_ROW(setup_sects, 255, -ENOEXEC),
		BZ_ROW(syssize, 0, -ENOEXEC),
		BZ_ROW(syssize, 0x20, -ENOEXEC), /* ends before the entry */
		BZ_ROW(syssize, BZ_PAYLOAD_BYTES / 16 + 1, -ENOEXEC),
		BZ_ROW(syssize, 0xffffffff, -ENOEXEC),
		BZ_ROW(init_size, 0, -ENOEXEC),
		BZ_ROW(init_size, 0xffffffff, -E2BIG),
		BZ_ROW(init_size, 0x4000000, -E2BIG),
		BZ_ROW(kernel_alignment, 0, -ENOEXEC),
		BZ_ROW(kernel_alignment, 3, -ENOEXEC),
		BZ_ROW(cmdline_size, 12, -E2BIG),
		BZ_ROW(jump_bytes, 0, -ENOEXEC), /* the header ends before xloadflags */
	};
	struct bz b;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r;

		bz_good(&b);
		memcpy(b.bytes + LINUX_BOOT_HEADER_OFFSET + rows[i].off, &rows[i].value,
		       rows[i].len);
		r = load(b.bytes, sizeof(b));
		if (rows[i].off == offsetof(struct linux_setup_header, cmdline_size)) {
			ck_assert_int_eq(r, -E2BIG);
			ck_assert_ptr_nonnull(strstr(error.text, "command line"));
			memcpy(error.text, "KERNEL: ", 8);
		}
		ck_refused(r, rows[i].want, i);
	}
}
END_TEST

START_TEST(bzimage_that_cannot_move)
{
	static const uint64_t places[] = { 0,         0x1000,     0xfffff,     0x1000001,
					   0x3c00001, 0xc0000000, 0xfffffffff, ~0ull };
	struct bz b;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		bz_good(&b);
		b.hdr.relocatable_kernel = 0;
		b.hdr.pref_address = places[i];
		ck_refused(load(b.bytes, sizeof(b)), -E2BIG, i);
		b.hdr.relocatable_kernel = 1;
		ck_assert_int_eq(load(b.bytes, sizeof(b)), 0);
		ck_assert_uint_eq(start.rip, 0x200200); /* the lowest aligned place */
		memset(&start, 0, sizeof(start));
	}
	b.hdr.kernel_alignment = 0x80000000;
	ck_refused(load(b.bytes, sizeof(b)), -E2BIG, 99);
}
END_TEST

/* Follows the page tables as the processor does: four levels, pages of 2 MiB. ~0 where nothing is mapped. */
static uint64_t translate(uint64_t va)
{
	uint64_t table = start.cr3, e = 0;

	for (int shift = 39; shift >= 21; shift -= 9) {
		ck_assert_int_eq(guestmem_read(mem, table + (va >> shift & 511) * 8, &e,
					       sizeof(e)),
				 0);
		if (!(e & 1))
			return ~0ull;
		table = e & 0xffffffffff000;
	}
	ck_assert_uint_eq(e & 0x80, 0x80);
	return (e & 0xfffffffe00000) | (va & 0x1fffff);
}

static void ck_params(void)
{
	struct linux_boot_params p;

	ck_assert_int_eq(guestmem_read(mem, start.rsi, &p, sizeof(p)), 0);
	ck_assert_uint_eq(p.acpi_rsdp_addr, RSDP);
	ck_assert_uint_eq(p.hdr.header, LINUX_BOOT_MAGIC);
	ck_assert_uint_eq(p.hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(p.hdr.setup_data, 0);
	ck_assert_uint_eq(p.hdr.ramdisk_size, 0);
	ck_assert_str_eq((char *)guestmem_ptr(mem, p.hdr.cmd_line_ptr, 64),
			 "console=ttyS0");
	ck_assert_uint_eq(p.e820_entries, 3);
	for (int i = 1; i < 3; i++) /* no gap, no overlap */
		ck_assert_uint_eq(p.e820_table[i].addr,
				  p.e820_table[i - 1].addr + p.e820_table[i - 1].size);
	ck_assert_uint_eq(p.e820_table[0].addr, 0);
	ck_assert_uint_eq(p.e820_table[1].type, LINUX_E820_RESERVED);
	ck_assert_uint_le(p.e820_table[1].addr, RSDP);
	ck_assert_uint_eq(p.e820_table[2].addr, 0x100000);
	ck_assert_uint_eq(p.e820_table[2].addr + p.e820_table[2].size, MEMORY);
}

START_TEST(bzimage_is_entered)
{
	static const uint64_t mapped[] = { 0x7000, 0x20000, 0x1000200, 0x13fffff };
	uint64_t gdt[4];
	struct bz b;

	bz_good(&b);
	ck_assert_int_eq(load(b.bytes, sizeof(b)), 0);
	ck_assert_int_eq(start.mode, VP_MODE_LONG);
	ck_assert_uint_eq(start.rip, 0x1000200);
	ck_assert_mem_eq(guestmem_ptr(mem, 0x1000000, BZ_PAYLOAD_BYTES),
			 b.bytes + BZ_SETUP_BYTES, BZ_PAYLOAD_BYTES);
	ck_params();
	for (size_t i = 0; i < ARRAY_SIZE(mapped); i++)
		ck_assert_uint_eq(translate(mapped[i]), mapped[i]);
	ck_assert_uint_ge(start.gdt_bytes, sizeof(gdt));
	ck_assert_int_eq(guestmem_read(mem, start.gdt_gpa, gdt, sizeof(gdt)), 0);
	ck_assert_uint_eq(gdt[2] >> 53 & 3, 1); /* 64-bit code */
	ck_assert_uint_eq(gdt[3] >> 43 & 1, 0); /* data */
}
END_TEST

START_TEST(bzimage_with_a_signature_or_a_short_end)
{
	uint8_t longer[BZ_BYTES + 700];
	struct bz b;

	bz_good(&b);
	memset(longer, 0xee, sizeof(longer));
	memcpy(longer, &b, sizeof(b));
	ck_assert_int_eq(load(longer, sizeof(longer)), 0);
	ck_assert_uint_eq(*(uint8_t *)guestmem_ptr(mem, 0x1000000 + BZ_PAYLOAD_BYTES, 1),
			  0);
	ck_assert_int_eq(load(b.bytes, sizeof(b) - 15), 0);
}
END_TEST

START_TEST(initrd_lies_high)
{
	char big[10000];
	int initrd;
	struct linux_boot_params p;
	struct bz b;

	memset(big, 'i', sizeof(big));
	initrd = file_of(big, sizeof(big));
	bz_good(&b);
	ck_assert_int_eq(load_with(b.bytes, sizeof(b), initrd, NULL), 0);
	ck_assert_int_eq(guestmem_read(mem, start.rsi, &p, sizeof(p)), 0);
	ck_assert_uint_eq(p.hdr.ramdisk_size, sizeof(big));
	ck_assert_uint_eq(p.hdr.ramdisk_image, MEMORY - 0x3000);
	ck_assert_mem_eq(guestmem_ptr(mem, p.hdr.ramdisk_image, sizeof(big)), big,
			 sizeof(big));
	b.hdr.initrd_addr_max = 0x1ffffff; /* the kernel's wish counts */
	ck_assert_int_eq(load_with(b.bytes, sizeof(b), initrd, NULL), 0);
	ck_assert_int_eq(guestmem_read(mem, start.rsi, &p, sizeof(p)), 0);
	ck_assert_uint_eq(p.hdr.ramdisk_image, 0x2000000 - 0x3000);
	close(initrd);
}
END_TEST

START_TEST(initrd_that_does_not_fit)
{
	static const uint32_t highest[] = { 0, 0x1000, 0x13fffff, 0x1401fff };
	int initrd = file_of("x", 1), pipe_fds[2];
	struct bz b;

	bz_good(&b);
	ck_assert_int_eq(ftruncate(initrd, 0x3000), 0);
	for (size_t i = 0; i < ARRAY_SIZE(highest); i++) {
		b.hdr.initrd_addr_max = highest[i];
		ck_assert_int_eq(load_with(b.bytes, sizeof(b), initrd, NULL), -E2BIG);
		ck_assert_int_eq(strncmp(error.text, "INITRD: ", 8), 0);
	}
	b.hdr.initrd_addr_max = 0xffffffff;
	ck_assert_int_eq(ftruncate(initrd, (off_t)1 << 40), 0);
	ck_assert_int_eq(load_with(b.bytes, sizeof(b), initrd, NULL), -E2BIG);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(load_with(b.bytes, sizeof(b), pipe_fds[0], NULL), -EINVAL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(initrd);
}
END_TEST

START_TEST(command_lines)
{
	char line[LOADER_CMDLINE_MAX + 2];
	struct pvh64 p;

	memset(line, 'a', sizeof(line));
	line[LOADER_CMDLINE_MAX + 1] = 0;
	pvh64_good(&p);
	ck_assert_int_eq(load_with(&p, sizeof(p), -1, line), -E2BIG);
	line[LOADER_CMDLINE_MAX] = 0;
	ck_assert_int_eq(load_with(&p, sizeof(p), -1, line), 0);
	ck_assert_str_eq((char *)guestmem_ptr(mem, 0x20000, sizeof(line)), line);
	ck_assert_int_eq(load_with(&p, sizeof(p), -1, NULL), 0);
	ck_assert_str_eq((char *)guestmem_ptr(mem, 0x20000, 1), "");
}
END_TEST

START_TEST(pvh_of_any_length_but_the_right_one)
{
	struct pvh64 p;
	struct pvh32 q;

	pvh64_good(&p);
	pvh32_good(&q);
	for (size_t len = 4; len < offsetof(struct pvh64, data) + sizeof(p.data); len++)
		ck_refused(load(&p, len), -ENOEXEC, len);
	for (size_t len = 4; len < offsetof(struct pvh32, text) + sizeof(q.text); len++)
		ck_refused(load(&q, len), -ENOEXEC, len);
}
END_TEST

#define PVH_ROW(field, value, want)                                                \
	{                                                                          \
		offsetof(struct pvh64, field), sizeof(((struct pvh64 *)0)->field), \
			value, want                                                \
	}

START_TEST(pvh_fields)
{
	static const struct {
		size_t off, len;
		uint64_t value;
		int want;
	} rows[] = {
		PVH_ROW(eh.e_ident[EI_CLASS], 0, -ENOEXEC),
		PVH_ROW(eh.e_ident[EI_CLASS], ELFCLASS32, -ENOEXEC),
		PVH_ROW(eh.e_ident[EI_DATA], ELFDATA2MSB, -ENOEXEC),
		PVH_ROW(eh.e_type, ET_REL, -ENOEXEC),
		PVH_ROW(eh.e_type, ET_CORE, -ENOEXEC),
		PVH_ROW(eh.e_machine, EM_AARCH64, -ENOEXEC),
		PVH_ROW(eh.e_phoff, ~0ull, -ENOEXEC),
		PVH_ROW(eh.e_phoff, sizeof(struct pvh64) - 100, -ENOEXEC),
		PVH_ROW(eh.e_phentsize, 0, -ENOEXEC),
		PVH_ROW(eh.e_phentsize, 57, -ENOEXEC),
		PVH_ROW(eh.e_phnum, 0, -ENOEXEC),
		PVH_ROW(eh.e_phnum, 65, -ENOEXEC),
		PVH_ROW(eh.e_phnum, 0xffff, -ENOEXEC),
		PVH_ROW(eh.e_phnum, 2, -ENOEXEC), /* no note any more */
		PVH_ROW(ph[0].p_offset, ~0ull, -ENOEXEC),
		PVH_ROW(ph[0].p_offset, 1ull << 40, -ENOEXEC),
		PVH_ROW(ph[0].p_filesz, 65, -ENOEXEC), /* more than in memory */
		PVH_ROW(ph[0].p_filesz, ~0ull, -ENOEXEC),
		PVH_ROW(ph[0].p_memsz, 63, -ENOEXEC),
		PVH_ROW(ph[0].p_memsz, ~0ull, -E2BIG),
		PVH_ROW(ph[0].p_memsz, MEMORY, -E2BIG),
		PVH_ROW(ph[0].p_memsz, 0x100001, -ENOEXEC), /* into the other segment */
		PVH_ROW(ph[0].p_paddr, 0, -ENOEXEC),
		PVH_ROW(ph[0].p_paddr, 0xfffff, -ENOEXEC),
		PVH_ROW(ph[0].p_paddr, 0x20001f, -ENOEXEC),
		PVH_ROW(ph[0].p_paddr, MEMORY - 63, -E2BIG),
		PVH_ROW(ph[0].p_paddr, 0xc0000000, -E2BIG),
		PVH_ROW(ph[0].p_paddr, ~0ull, -E2BIG),
		PVH_ROW(ph[0].p_type, PT_NULL, -ENOEXEC), /* the entry is not loaded */
		PVH_ROW(ph[2].p_type, PT_NULL, -ENOEXEC),
		PVH_ROW(ph[2].p_offset, ~0ull, -ENOEXEC),
		PVH_ROW(ph[2].p_filesz, 0, -ENOEXEC),
		PVH_ROW(ph[2].p_filesz, 11, -ENOEXEC),
		PVH_ROW(ph[2].p_filesz, 19, -ENOEXEC),
		PVH_ROW(ph[2].p_filesz, 1 << 20, -ENOEXEC),
		PVH_ROW(nh.n_namesz, 0, -ENOEXEC),
		PVH_ROW(nh.n_namesz, 5, -ENOEXEC),
		PVH_ROW(nh.n_namesz, 0xffffffff, -ENOEXEC),
		PVH_ROW(nh.n_descsz, 0, -ENOEXEC),
		PVH_ROW(nh.n_descsz, 8, -ENOEXEC), /* past the note's end */
		PVH_ROW(nh.n_descsz, 0xffffffff, -ENOEXEC),
		PVH_ROW(nh.n_type, 17, -ENOEXEC),
		PVH_ROW(name[0], 'x', -ENOEXEC),
		PVH_ROW(name[3], 'x', -ENOEXEC),
		PVH_ROW(entry, 0, -ENOEXEC),
		PVH_ROW(entry, 0x100040, -ENOEXEC), /* behind the text */
		PVH_ROW(entry, 0x200020, -ENOEXEC), /* in the bss */
		PVH_ROW(entry, 0xffffffff, -ENOEXEC),
	};
	struct pvh64 p;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		pvh64_good(&p);
		memcpy((uint8_t *)&p + rows[i].off, &rows[i].value, rows[i].len);
		ck_refused(load(&p, sizeof(p)), rows[i].want, i);
	}
}
END_TEST

static void ck_start_info(uint64_t modules)
{
	struct pvh_start_info info;
	struct pvh_memmap_entry e[3];

	ck_assert_int_eq(start.mode, VP_MODE_PROTECTED);
	ck_assert_uint_eq(start.rip, PVH_ENTRY);
	ck_assert_int_eq(guestmem_read(mem, start.rbx, &info, sizeof(info)), 0);
	ck_assert_uint_eq(info.magic, PVH_START_MAGIC);
	ck_assert_uint_eq(info.version, 1);
	ck_assert_uint_eq(info.rsdp_paddr, RSDP);
	ck_assert_uint_eq(info.nr_modules, modules);
	ck_assert_str_eq((char *)guestmem_ptr(mem, info.cmdline_paddr, 64),
			 "console=ttyS0");
	ck_assert_uint_eq(info.memmap_entries, 3);
	ck_assert_int_eq(guestmem_read(mem, info.memmap_paddr, e, sizeof(e)), 0);
	ck_assert_uint_eq(e[0].addr, 0);
	ck_assert_uint_eq(e[1].type, PVH_MEMMAP_RESERVED);
	ck_assert_uint_eq(e[2].addr + e[2].size, MEMORY);
}

START_TEST(pvh64_is_entered)
{
	static const uint8_t zeros[32];
	struct pvh64 p;

	pvh64_good(&p);
	ck_assert_int_eq(load(&p, sizeof(p)), 0);
	ck_start_info(0);
	ck_assert_mem_eq(guestmem_ptr(mem, 0x100000, 64), p.text, 64);
	ck_assert_mem_eq(guestmem_ptr(mem, 0x200000, 32), p.data, 32);
	ck_assert_mem_eq(guestmem_ptr(mem, 0x200020, 32), zeros, 32);
}
END_TEST

START_TEST(pvh32_is_entered_with_a_module)
{
	struct pvh_start_info info;
	struct pvh_module m;
	struct pvh32 p;
	int initrd = file_of("module!", 7);

	pvh32_good(&p);
	ck_assert_int_eq(load_with(&p, sizeof(p), initrd, "console=ttyS0"), 0);
	ck_start_info(1);
	ck_assert_int_eq(guestmem_read(mem, start.rbx, &info, sizeof(info)), 0);
	ck_assert_int_eq(guestmem_read(mem, info.modlist_paddr, &m, sizeof(m)), 0);
	ck_assert_uint_eq(m.size, 7);
	ck_assert_mem_eq(guestmem_ptr(mem, m.paddr, 7), "module!", 7);
	close(initrd);
}
END_TEST

START_TEST(pvh_entry_behind_other_notes)
{
	static const uint8_t other[] = { 4,   0,   0,   0, 5, 0, 0, 0, 1, 0, 0, 0,
					 'G', 'N', 'U', 0, 1, 2, 3, 4, 5, 0, 0, 0 };
	struct {
		struct pvh64 p;
		uint8_t notes[sizeof(other) + 20];
	} k;

	pvh64_good(&k.p);
	memcpy(k.notes, other, sizeof(other));
	memcpy(k.notes + sizeof(other), &k.p.nh, 20);
	k.p.ph[2].p_offset = sizeof(k.p);
	k.p.ph[2].p_filesz = sizeof(k.notes);
	ck_assert_int_eq(load(&k, sizeof(k)), 0);
	ck_assert_uint_eq(start.rip, PVH_ENTRY);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("loader");
	TCase *t = tcase_create("loader");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_no_kernel);
	tcase_add_test(t, a_kernel_must_be_a_file);
	tcase_add_test(t, bzimage_of_any_length_but_the_right_one);
	tcase_add_test(t, bzimage_fields);
	tcase_add_test(t, bzimage_that_cannot_move);
	tcase_add_test(t, bzimage_is_entered);
	tcase_add_test(t, bzimage_with_a_signature_or_a_short_end);
	tcase_add_test(t, initrd_lies_high);
	tcase_add_test(t, initrd_that_does_not_fit);
	tcase_add_test(t, command_lines);
	tcase_add_test(t, pvh_of_any_length_but_the_right_one);
	tcase_add_test(t, pvh_fields);
	tcase_add_test(t, pvh64_is_entered);
	tcase_add_test(t, pvh32_is_entered_with_a_module);
	tcase_add_test(t, pvh_entry_behind_other_notes);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
