/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads a kernel into guest memory and says where VP 0 begins: a Linux bzImage by its 64-bit entry, or an ELF with a PVH entry.
 * The files are foreign: every field is bounded before use, contents go by pread straight into guest memory.
 *
 * Thread: the owner's, while no VP runs. Errors: a message for people that names what is wrong with the file and what to do.
 */
#ifndef VMWP_LOADER_H
#define VMWP_LOADER_H

#include "vid/guestmem.h"
#include "vid/partition.h"

#define LOADER_CMDLINE_MAX 4095u

struct loader_input {
	const struct guestmem *mem;
	int kernel;              /* any offset; not moved */
	const char *kernel_name; /* for messages */
	int initrd;              /* -1: none */
	const char *initrd_name;
	const char *cmdline; /* NULL: none */
	uint64_t rsdp_gpa;
};

struct loader_error {
	char text[320]; /* one line, no newline */
};

/*
 * Guest memory is as after power-on (zeros) but for the ACPI tables. 0, or -errno with *error set: -ENOEXEC no kernel that can be
 * loaded, -E2BIG kernel, initrd or command line do not fit, -EIO and others from reading. After an error guest memory holds
 * anything; it must be discarded before the next try.
 */
int loader_load(const struct loader_input *in, struct vp_start *ret,
		struct loader_error *error) __must_check;

#endif
