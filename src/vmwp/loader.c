/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Low memory as both kinds of kernel find it; all else is the kernel's, the initrd lies as high as it may below 4 GiB:
 *
 *	0x06000  GDT			0x20000  command line
 *	0x07000  boot_params or start info, modules, memory map
 *	0x08000  stack, 4 KiB down	0x9fc00  end of what is usable
 *	0x09000  page tables		0xe0000  ACPI tables, up to 1 MiB
 */
#include "vmwp/loader.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/io.h"
#include "vmwp/loader_priv.h"

#define PAGE_BYTES 4096u

int loader_fail(struct loader_error *error, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, ap);
	va_end(ap);
	return r;
}

uint64_t loader_low_end(const struct guestmem *mem)
{
	const struct guestmem_bank *banks;

	guestmem_banks(mem, &banks);
	return banks[0].gpa + banks[0].bytes;
}

int loader_read(const struct loader_input *in, uint64_t off, void *buf, size_t len,
		struct loader_error *error)
{
	int r = off > INT64_MAX ? -ENODATA
				: io_pread_all(in->kernel, buf, len, (off_t)off);

	if (r == -ENODATA)
		return loader_fail(error, -ENOEXEC, "%s: the file ends too early",
				   in->kernel_name);
	if (r < 0)
		return loader_fail(error, r, "%s: cannot be read: %s", in->kernel_name,
				   strerror(-r));
	return 0;
}

int loader_copy(const struct loader_input *in, uint64_t off, uint64_t gpa, uint64_t len,
		struct loader_error *error)
{
	void *p = guestmem_ptr(in->mem, gpa, len);

	if (len == 0)
		return 0;
	if (!p)
		return loader_fail(error, -E2BIG,
				   "%s: does not fit into the VM's memory; give it more",
				   in->kernel_name);
	return loader_read(in, off, p, len, error);
}

int loader_cmdline(const struct loader_input *in, size_t max, struct loader_error *error)
{
	size_t len = in->cmdline ? strlen(in->cmdline) : 0;

	max = MIN(max, LOADER_CMDLINE_MAX);
	if (len > max)
		return loader_fail(error, -E2BIG,
				   "the kernel's command line has %zu bytes; %s takes at "
				   "most %zu: shorten it",
				   len, in->kernel_name, max);
	if (guestmem_write(in->mem, LOADER_CMDLINE_GPA, in->cmdline ? in->cmdline : "",
			   len + 1) < 0)
		return loader_fail(error, -E2BIG, "the VM has too little memory");
	return 0;
}

/* The size of a regular file or a block device; 0 in *ret without an initrd. */
static int initrd_size(const struct loader_input *in, uint64_t *ret,
		       struct loader_error *error)
{
	struct stat st;

	*ret = 0;
	if (in->initrd < 0)
		return 0;
	if (fstat(in->initrd, &st) < 0)
		return loader_fail(error, -errno, "%s: %s", in->initrd_name,
				   strerror(errno));
	if (!S_ISREG(st.st_mode))
		return loader_fail(error, -EINVAL, "%s: an initrd must be a regular file",
				   in->initrd_name);
	*ret = (uint64_t)st.st_size;
	return 0;
}

int loader_initrd(const struct loader_input *in, uint64_t min, uint64_t max,
		  struct loader_range *ret, struct loader_error *error)
{
	struct loader_range range;
	int r = initrd_size(in, &range.bytes, error);

	if (r < 0)
		return r;
	range.gpa = 0;
	if (range.bytes == 0) {
		*ret = range;
		return 0;
	}
	max = MIN(max, loader_low_end(in->mem));
	if (range.bytes > max || align_down(max - range.bytes, PAGE_BYTES) < min)
		return loader_fail(error, -E2BIG,
				   "%s: has %llu MiB, which do not fit beside the kernel "
				   "into the VM's memory; give it more",
				   in->initrd_name,
				   (unsigned long long)(range.bytes >> 20) + 1);
	range.gpa = align_down(max - range.bytes, PAGE_BYTES);
	r = io_pread_all(in->initrd, guestmem_ptr(in->mem, range.gpa, range.bytes),
			 range.bytes, 0);
	if (r < 0)
		return loader_fail(error, r, "%s: cannot be read: %s", in->initrd_name,
				   strerror(-r));
	*ret = range;
	return 0;
}

size_t loader_memory_map(const struct guestmem *mem,
			 struct loader_map_entry map[LOADER_MAP_MAX])
{
	const struct guestmem_bank *banks;
	size_t n = guestmem_banks(mem, &banks), count = 0;

	map[count++] = (struct loader_map_entry){ 0, LOADER_LOW_END, true };
	/* What a PC has there: EBDA, frame buffer, ROMs; here the ACPI tables. */
	map[count++] =
		(struct loader_map_entry){ LOADER_LOW_END,
					   LOADER_KERNEL_MIN - LOADER_LOW_END, false };
	map[count++] = (struct loader_map_entry){
		LOADER_KERNEL_MIN, banks[0].gpa + banks[0].bytes - LOADER_KERNEL_MIN, true
	};
	for (size_t i = 1; i < n; i++)
		map[count++] =
			(struct loader_map_entry){ banks[i].gpa, banks[i].bytes, true };
	return count;
}

int loader_load(const struct loader_input *in, struct vp_start *ret,
		struct loader_error *error)
{
	uint8_t head[LOADER_HEAD_BYTES] = { 0 };
	struct stat st;
	ssize_t n;

	if (fstat(in->kernel, &st) < 0)
		return loader_fail(error, -errno, "%s: %s", in->kernel_name,
				   strerror(errno));
	if (!S_ISREG(st.st_mode))
		return loader_fail(error, -EINVAL, "%s: a kernel must be a regular file",
				   in->kernel_name);
	n = pread(in->kernel, head, sizeof(head), 0);
	if (n < 0)
		return loader_fail(error, -errno, "%s: cannot be read: %s",
				   in->kernel_name, strerror(errno));
	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		return loader_pvh_load(in, (uint64_t)st.st_size, ret, error);
	if (loader_bzimage_probe(head, (size_t)n))
		return loader_bzimage_load(in, (uint64_t)st.st_size, head, ret, error);
	return loader_fail(error, -ENOEXEC,
			   "%s: neither a Linux bzImage nor an ELF kernel with a PVH "
			   "entry; give the VM one of these",
			   in->kernel_name);
}
