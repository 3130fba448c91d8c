/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ELF kernel with a PVH entry. Its PT_LOAD segments go to their physical addresses; an ELF note of the owner "Xen" holds the
 * 32-bit physical entry. EBX points at the start info, with the modules (the initrd), the memory map, the command line and
 * the RSDP.
 * Source: Xen docs/misc/pvh.pandoc; System V ABI, ELF header, program header and note sections. ELF32 headers are widened
 * at once, so that all checks are made on one form.
 */
#include "vmwp/loader_priv.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include "proto/pvh.h"
#include "util/cleanup.h"

#define SEGMENTS_MAX 64u
#define NOTES_BYTES_MAX 65536u
/* In LOADER_PARAMS_GPA's page. */
#define MODLIST_OFFSET 0x100u
#define MEMMAP_OFFSET 0x200u

struct elf {
	uint64_t size; /* of the file */
	bool wide;     /* ELF64 */
	unsigned int n;
	Elf64_Phdr phdr[SEGMENTS_MAX];
};

static int damaged(const struct loader_input *in, const char *what,
		   struct loader_error *error)
{
	return loader_fail(error, -ENOEXEC, "%s: damaged ELF file: %s", in->kernel_name,
			   what);
}

static Elf64_Phdr widen(const Elf32_Phdr *p)
{
	return (Elf64_Phdr){ .p_type = p->p_type,
			     .p_offset = p->p_offset,
			     .p_paddr = p->p_paddr,
			     .p_filesz = p->p_filesz,
			     .p_memsz = p->p_memsz,
			     .p_align = p->p_align };
}

static int read_phdrs(const struct loader_input *in, struct elf *elf, uint64_t off,
		      unsigned int entsize, unsigned int n, struct loader_error *error)
{
	const size_t want = elf->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	Elf32_Phdr narrow[SEGMENTS_MAX];
	int r;

	if (entsize != want || n == 0 || n > SEGMENTS_MAX)
		return damaged(in, "the program headers' count or size", error);
	if (!range_ok(off, n * want, elf->size))
		return damaged(in, "the program headers lie outside the file", error);
	r = loader_read(in, off, elf->wide ? (void *)elf->phdr : narrow, n * want, error);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < n && !elf->wide; i++)
		elf->phdr[i] = widen(&narrow[i]);
	elf->n = n;
	return 0;
}

static int read_headers(const struct loader_input *in, struct elf *elf,
			struct loader_error *error)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} h;
	int r = loader_read(in, 0, h.ident, sizeof(h.ident), error);

	if (r < 0)
		return r;
	elf->wide = h.ident[EI_CLASS] == ELFCLASS64;
	if (h.ident[EI_DATA] != ELFDATA2LSB ||
	    (!elf->wide && h.ident[EI_CLASS] != ELFCLASS32))
		return damaged(in, "its class or byte order", error);
	r = loader_read(in, 0, &h, elf->wide ? sizeof(h.e64) : sizeof(h.e32), error);
	if (r < 0)
		return r;
	/* e_type and e_machine lie at the same place in both. */
	if (h.e64.e_machine != EM_X86_64 && h.e64.e_machine != EM_386)
		return loader_fail(error, -ENOEXEC,
				   "%s: is for another processor (ELF machine %u)",
				   in->kernel_name, h.e64.e_machine);
	if (h.e64.e_type != ET_EXEC && h.e64.e_type != ET_DYN)
		return damaged(in, "it is no executable", error);
	if (elf->wide)
		return read_phdrs(in, elf, h.e64.e_phoff, h.e64.e_phentsize,
				  h.e64.e_phnum, error);
	return read_phdrs(in, elf, h.e32.e_phoff, h.e32.e_phentsize, h.e32.e_phnum,
			  error);
}

static bool overlap(const Elf64_Phdr *a, const Elf64_Phdr *b)
{
	return a->p_paddr < b->p_paddr + b->p_memsz &&
	       b->p_paddr < a->p_paddr + a->p_memsz;
}

/* Every PT_LOAD: inside the file, inside RAM from 1 MiB on, apart from the others. *ret_end is behind the last. */
static int check_segments(const struct loader_input *in, const struct elf *elf,
			  uint64_t *ret_end, struct loader_error *error)
{
	uint64_t ram = loader_low_end(in->mem), end = 0;

	for (unsigned int i = 0; i < elf->n; i++) {
		const Elf64_Phdr *p = &elf->phdr[i];

		if (p->p_type != PT_LOAD || p->p_memsz == 0)
			continue;
		if (p->p_filesz > p->p_memsz ||
		    !range_ok(p->p_offset, p->p_filesz, elf->size))
			return damaged(in, "a segment lies outside the file", error);
		if (p->p_paddr < LOADER_KERNEL_MIN)
			return damaged(in, "a segment is to be loaded below 1 MiB",
				       error);
		if (!range_ok(p->p_paddr, p->p_memsz, ram))
			return loader_fail(error, -E2BIG,
					   "%s: a segment at 0x%llx does not fit into "
					   "the VM's memory; give it more",
					   in->kernel_name,
					   (unsigned long long)p->p_paddr);
		for (unsigned int j = 0; j < i; j++) {
			if (elf->phdr[j].p_type == PT_LOAD && elf->phdr[j].p_memsz &&
			    overlap(p, &elf->phdr[j]))
				return damaged(in, "two segments overlap", error);
		}
		end = MAX(end, p->p_paddr + p->p_memsz);
	}
	if (end == 0)
		return damaged(in, "it has nothing to load", error);
	*ret_end = end;
	return 0;
}

/* True when one of the segments was loaded from the file at this address. */
static bool is_loaded(const struct elf *elf, uint64_t gpa)
{
	for (unsigned int i = 0; i < elf->n; i++) {
		const Elf64_Phdr *p = &elf->phdr[i];

		if (p->p_type == PT_LOAD && gpa >= p->p_paddr &&
		    gpa - p->p_paddr < p->p_filesz)
			return true;
	}
	return false;
}

/* Looks through one PT_NOTE's bytes. The entry is 4 or 8 bytes wide and 32 bits of it count. */
static bool find_entry(const uint8_t *notes, size_t len, size_t align, uint64_t *ret)
{
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n; /* the same as ELF32's */
		uint64_t name, desc, next;

		memcpy(&n, notes + at, sizeof(n));
		name = at + sizeof(n);
		desc = at + align_up(sizeof(n) + (uint64_t)n.n_namesz, align);
		next = desc + align_up(n.n_descsz, align);
		if (desc > len || n.n_descsz > len - desc)
			return false;
		if (n.n_type == PVH_NOTE_PHYS32_ENTRY &&
		    n.n_namesz == sizeof(PVH_NOTE_NAME) &&
		    memcmp(notes + name, PVH_NOTE_NAME, sizeof(PVH_NOTE_NAME)) == 0 &&
		    (n.n_descsz == 4 || n.n_descsz == 8)) {
			*ret = 0;
			memcpy(ret, notes + desc, n.n_descsz);
			return true;
		}
		if (next >= len)
			return false;
		at = (size_t)next;
	}
	return false;
}

static int read_entry(const struct loader_input *in, const struct elf *elf,
		      uint64_t *ret_entry, struct loader_error *error)
{
	for (unsigned int i = 0; i < elf->n; i++) {
		const Elf64_Phdr *p = &elf->phdr[i];
		cleanup_free uint8_t *notes = NULL;
		int r;

		if (p->p_type != PT_NOTE || p->p_filesz == 0)
			continue;
		if (p->p_filesz > NOTES_BYTES_MAX ||
		    !range_ok(p->p_offset, p->p_filesz, elf->size))
			return damaged(in, "its notes lie outside the file", error);
		notes = malloc(p->p_filesz);
		if (!notes)
			return loader_fail(error, -ENOMEM, "out of memory");
		r = loader_read(in, p->p_offset, notes, p->p_filesz, error);
		if (r < 0)
			return r;
		if (!find_entry(notes, p->p_filesz, p->p_align == 8 ? 8 : 4, ret_entry))
			continue;
		if (*ret_entry > UINT32_MAX || !is_loaded(elf, *ret_entry))
			return damaged(in, "its PVH entry lies outside what is loaded",
				       error);
		return 0;
	}
	return loader_fail(error, -ENOEXEC,
			   "%s: an ELF file without a PVH entry (Linux: CONFIG_PVH); "
			   "give the VM a bzImage or a PVH kernel",
			   in->kernel_name);
}

static int write_start_info(const struct loader_input *in,
			    const struct loader_range *initrd, struct loader_error *error)
{
	uint8_t page[MEMMAP_OFFSET + LOADER_MAP_MAX * sizeof(struct pvh_memmap_entry)] = {
		0
	};
	struct loader_map_entry map[LOADER_MAP_MAX];
	const struct pvh_start_info info = {
		.magic = PVH_START_MAGIC,
		.version = PVH_START_VERSION,
		.nr_modules = initrd->bytes != 0,
		.modlist_paddr = initrd->bytes ? LOADER_PARAMS_GPA + MODLIST_OFFSET : 0,
		.cmdline_paddr = LOADER_CMDLINE_GPA,
		.rsdp_paddr = in->rsdp_gpa,
		.memmap_paddr = LOADER_PARAMS_GPA + MEMMAP_OFFSET,
		.memmap_entries = (uint32_t)loader_memory_map(in->mem, map),
	};
	const struct pvh_module module = { .paddr = initrd->gpa, .size = initrd->bytes };

	memcpy(page, &info, sizeof(info));
	memcpy(page + MODLIST_OFFSET, &module, sizeof(module));
	for (size_t i = 0; i < info.memmap_entries; i++) {
		const struct pvh_memmap_entry e = {
			.addr = map[i].gpa,
			.size = map[i].bytes,
			.type = map[i].ram ? PVH_MEMMAP_RAM : PVH_MEMMAP_RESERVED,
		};

		memcpy(page + MEMMAP_OFFSET + i * sizeof(e), &e, sizeof(e));
	}
	if (guestmem_write(in->mem, LOADER_PARAMS_GPA, page, sizeof(page)) < 0)
		return loader_fail(error, -E2BIG, "the VM has too little memory");
	return 0;
}

int loader_pvh_load(const struct loader_input *in, uint64_t size, struct vp_start *ret,
		    struct loader_error *error)
{
	struct vp_start start = { .mode = VP_MODE_PROTECTED,
				  .rsp = LOADER_STACK_GPA,
				  .rbx = LOADER_PARAMS_GPA };
	struct elf elf = { .size = size };
	struct loader_range initrd;
	uint64_t end = 0;
	int r = read_headers(in, &elf, error);

	if (r == 0)
		r = check_segments(in, &elf, &end, error);
	if (r == 0)
		r = read_entry(in, &elf, &start.rip, error);
	for (unsigned int i = 0; r == 0 && i < elf.n; i++) {
		const Elf64_Phdr *p = &elf.phdr[i];

		if (p->p_type == PT_LOAD)
			r = loader_copy(in, p->p_offset, p->p_paddr, p->p_filesz, error);
	}
	if (r == 0)
		r = loader_cmdline(in, LOADER_CMDLINE_MAX, error);
	if (r == 0)
		r = loader_initrd(in, end, UINT32_MAX, &initrd, error);
	if (r == 0)
		r = write_start_info(in, &initrd, error);
	if (r < 0)
		return r;
	*ret = start;
	return 0;
}
