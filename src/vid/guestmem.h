/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest physical memory: anonymous banks, mapped once, below and above the MMIO hole. Every access
 * by guest physical address goes through here and is bounded here.
 *
 * Thread: any; banks are fixed after guestmem_new(). What lies behind a pointer may be changed by the guest at any time:
 * copy, check, use.
 */
#ifndef VID_GUESTMEM_H
#define VID_GUESTMEM_H

#include <sys/uio.h>
#include "util/macros.h"

struct guestmem;

#define GUESTMEM_HOLE_BASE \
	0xc0000000ull /* 3 GiB: below lies RAM, from here to 4 GiB devices */
#define GUESTMEM_HIGH_BASE 0x100000000ull
#define GUESTMEM_BANKS_MAX 2

struct guestmem_bank {
	uint64_t gpa, bytes;
	void *host;
};

/* `bytes` is a multiple of 2 MiB. -ENOMEM, -EINVAL. */
int guestmem_new(uint64_t bytes, struct guestmem **ret) __must_check;
void guestmem_free(struct guestmem *gm);

size_t guestmem_banks(const struct guestmem *gm, const struct guestmem_bank **ret);
uint64_t guestmem_bytes(const struct guestmem *gm);
/* Host address of [gpa, gpa + len), which must lie in one bank; NULL when any byte of it is not RAM. */
void *guestmem_ptr(const struct guestmem *gm, uint64_t gpa, uint64_t len);
/* Copies; -EFAULT when any byte is not RAM, and then nothing was copied. */
int guestmem_read(const struct guestmem *gm, uint64_t gpa, void *buf,
		  size_t len) __must_check;
int guestmem_write(const struct guestmem *gm, uint64_t gpa, const void *buf,
		   size_t len) __must_check;
/* Fills with zeros; used for pages that the guest hands over (SIMP, SIEFP). */
int guestmem_zero(const struct guestmem *gm, uint64_t gpa, size_t len) __must_check;
/* Back to all zeros and to the host: a reset partition's RAM. */
int guestmem_discard(struct guestmem *gm) __must_check;

#endif
