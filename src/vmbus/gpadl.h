/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GPADLs: lists of guest pages that the guest lends to a channel: its rings, a network device's buffers. The control plane makes and ends
 * them (vmbus/gpadl_table.h); a VSP takes a reference by channel_gpadl() and copies or gets iovecs.
 *
 * The guest learns that a GPADL is torn down only when the last reference is gone, so a VSP drops its reference as soon as the device's
 * protocol says that the buffer is revoked, and at close at the latest.
 *
 * Every page of a complete GPADL is RAM (it is refused otherwise), so what lies inside its bytes can be reached.
 */
#ifndef VMBUS_GPADL_H
#define VMBUS_GPADL_H

#include <sys/uio.h>
#include "util/macros.h"

struct gpadl;

/* Thread: any. */
struct gpadl *gpadl_ref(struct gpadl *g);
void gpadl_unref(struct gpadl *g);

/* The bytes that its first range describes; what else a GPADL of several ranges holds is used by no device. Thread: any, fixed. */
uint64_t gpadl_bytes(const struct gpadl *g);

/* Host memory of [off, off + len), neighbours merged. -ERANGE beyond its bytes, -E2BIG beyond `max` entries. Thread: any. */
int gpadl_iov(const struct gpadl *g, uint64_t off, uint64_t len, struct iovec *iov,
	      unsigned int max, unsigned int *ret_n) __must_check;
/* -ERANGE, and then nothing was copied. Thread: any. */
int gpadl_read(const struct gpadl *g, uint64_t off, void *buf, size_t len) __must_check;
int gpadl_write(const struct gpadl *g, uint64_t off, const void *buf,
		size_t len) __must_check;

#endif
