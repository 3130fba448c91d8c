/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where devices stand in the guest's port and memory-mapped I/O spaces. Regions are added before the VPs run or while
 * they are paused; lookups take no lock.
 * Thread: handlers run on the thread of the VP that made the access, several at once: a device has its own lock.
 */
#ifndef VID_IOBUS_H
#define VID_IOBUS_H

#include "util/macros.h"

struct iobus;

enum iobus_space { IOBUS_PIO, IOBUS_MMIO };

struct iobus_ops {
	/* `off` from the region's base; len is 1, 2, 4 or 8 and the access lies inside the region. A read without a meaning gives all ones. */
	uint64_t (*read)(void *opaque, uint64_t off, unsigned int len);
	void (*write)(void *opaque, uint64_t off, unsigned int len, uint64_t value);
};

int iobus_new(struct iobus **ret) __must_check;
void iobus_free(struct iobus *bus);
/* -EEXIST on overlap, -EINVAL on wrap, -ENOSPC past 256 regions. ops and name are kept by reference; the region ends with iobus_del. */
int iobus_add(struct iobus *bus, enum iobus_space space, uint64_t base, uint64_t len,
	      const char *name, const struct iobus_ops *ops, void *opaque) __must_check;
void iobus_del(struct iobus *bus, enum iobus_space space, uint64_t base);
/* What nobody claims reads as all ones and takes writes silently. */
uint64_t iobus_read(struct iobus *bus, enum iobus_space space, uint64_t addr,
		    unsigned int len);
void iobus_write(struct iobus *bus, enum iobus_space space, uint64_t addr,
		 unsigned int len, uint64_t value);

#endif
