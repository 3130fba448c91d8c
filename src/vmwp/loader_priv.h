/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two loaders share: where things lie in low memory, reading the file, placing the initrd, the memory map.
 */
#ifndef VMWP_LOADER_PRIV_H
#define VMWP_LOADER_PRIV_H

#include "vmwp/loader.h"

#define LOADER_GDT_GPA 0x6000u
#define LOADER_PARAMS_GPA 0x7000u
#define LOADER_STACK_GPA 0x9000u /* grows down from here */
#define LOADER_TABLES_GPA 0x9000u
#define LOADER_CMDLINE_GPA 0x20000u
#define LOADER_LOW_END 0x9fc00ull
#define LOADER_KERNEL_MIN 0x100000ull /* nothing of a kernel may lie below */

#define LOADER_HEAD_BYTES 1024u /* of the file's begin: all that tells what it is */
#define LOADER_MAP_MAX (3 + GUESTMEM_BANKS_MAX)

struct loader_range {
	uint64_t gpa, bytes;
};

struct loader_map_entry {
	uint64_t gpa, bytes;
	bool ram; /* else reserved */
};

/* Formats the message and returns r. */
int loader_fail(struct loader_error *error, int r, const char *fmt, ...) __printf(3, 4);
/* The end of the RAM below 4 GiB. */
uint64_t loader_low_end(const struct guestmem *mem);
/* Exactly these bytes of the kernel file; -ENOEXEC when it ends before. */
int loader_read(const struct loader_input *in, uint64_t off, void *buf, size_t len,
		struct loader_error *error) __must_check;
/* The same, into guest memory; -E2BIG where there is none. */
int loader_copy(const struct loader_input *in, uint64_t off, uint64_t gpa, uint64_t len,
		struct loader_error *error) __must_check;
/* Puts the command line at LOADER_CMDLINE_GPA, NUL-terminated; at most `max` bytes without the NUL. */
int loader_cmdline(const struct loader_input *in, size_t max,
		   struct loader_error *error) __must_check;
/* Loads the initrd as high as it goes within [min, max); bytes 0 when there is none. */
int loader_initrd(const struct loader_input *in, uint64_t min, uint64_t max,
		  struct loader_range *ret, struct loader_error *error) __must_check;
/* Returns the count of entries, ascending. */
size_t loader_memory_map(const struct guestmem *mem,
			 struct loader_map_entry map[LOADER_MAP_MAX]);

/* `len` bytes of the file's begin, zeros behind them. */
bool loader_bzimage_probe(const uint8_t head[LOADER_HEAD_BYTES], size_t len);
int loader_bzimage_load(const struct loader_input *in, uint64_t size,
			const uint8_t head[LOADER_HEAD_BYTES], struct vp_start *ret,
			struct loader_error *error) __must_check;
int loader_pvh_load(const struct loader_input *in, uint64_t size, struct vp_start *ret,
		    struct loader_error *error) __must_check;

#endif
