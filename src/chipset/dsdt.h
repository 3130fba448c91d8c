/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The body of the DSDT, as AML. dsdt.c shows it in ASL.
 */
#ifndef CHIPSET_DSDT_H
#define CHIPSET_DSDT_H

#include <sys/types.h>
#include "util/macros.h"

/* The guest's two windows for memory-mapped I/O; a length of 0 leaves one out. */
struct dsdt_windows {
	uint64_t low_base, low_bytes, high_base, high_bytes;
};

/* Returns the count of bytes written, or -ENOSPC. */
ssize_t dsdt_write(void *buf, size_t size, const struct dsdt_windows *w) __must_check;

#endif
