/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All GPADLs of a VM: made from GPADL_HEADER and GPADL_BODY, found by the guest's handle, ended by teardown.
 *
 * A GPADL is *building* while its bodies come, then *ready*. Teardown makes it *ending*: it cannot be found any more, and it is gone when the last
 * user (a ring, a VSP) has dropped its reference. When that happens later, on any thread, `notify` is called and the owner reaps.
 *
 * Thread: the bus, but for gpadl_table_get and the references.
 */
#ifndef VMBUS_GPADL_TABLE_H
#define VMBUS_GPADL_TABLE_H

#include <pthread.h>
#include "util/list.h"
#include "vmbus/gpadl.h"

struct guestmem;

/* The bounds of what a guest can make us keep: GPADLs, and pages of all of them (1 GiB; the table then holds 2 MiB). */
#define GPADL_COUNT_MAX 4096u
#define GPADL_PAGES_TOTAL_MAX (256u << 10)

struct gpadl_table {
	const struct guestmem *gm;
	/* Thread: any; a GPADL in `ending` may have no user any more. */
	void (*notify)(void *opaque);
	void *opaque;
	pthread_mutex_t lock;
	/* under lock */
	struct list list;
	unsigned int count;
	uint64_t words; /* of all buffers, 8 bytes each */
};

void gpadl_table_init(struct gpadl_table *t, const struct guestmem *gm,
		      void (*notify)(void *opaque), void *opaque);
/* No user is left. */
void gpadl_table_done(struct gpadl_table *t);

/*
 * A header: `buf_bytes` of ranges in all, of which `len` at `bytes` come now (what exceeds is ignored: some guests post whole message
 * buffers). 0: ready. -EINPROGRESS: bodies follow. -EEXIST for a handle in use, -ENOSPC beyond the bounds, -EINVAL for ranges that do not fit
 * their bytes, -EFAULT for pages that are not RAM, -ENOMEM; then nothing is kept.
 */
int gpadl_table_begin(struct gpadl_table *t, uint32_t relid, uint32_t id,
		      size_t buf_bytes, unsigned int range_count, const void *bytes,
		      size_t len) __must_check;
/* A body. As above; -ENOENT when no header waits for it. *ret_relid is the header's for every answer but -ENOENT. */
int gpadl_table_append(struct gpadl_table *t, uint32_t id, const void *bytes, size_t len,
		       uint32_t *ret_relid) __must_check;

/* A reference on a ready GPADL of one of `n` channels. -ENOENT. Thread: any. */
int gpadl_table_get(struct gpadl_table *t, uint32_t id, const uint32_t *relids,
		    unsigned int n, struct gpadl **ret) __must_check;

/* 0: gone at once. -EINPROGRESS: ending. -ENOENT: there is none of this channel that is ready. */
int gpadl_table_teardown(struct gpadl_table *t, uint32_t relid, uint32_t id) __must_check;
/* Frees one ended GPADL and gives its handle, false when there is none. */
bool gpadl_table_reap(struct gpadl_table *t, uint32_t *ret_id) __must_check;
/* Drops all of a channel, or with relid 0 all: nobody hears of them again; what a user still holds lives until he drops it. */
void gpadl_table_drop(struct gpadl_table *t, uint32_t relid);

/* For rings: whole pages from offset 0 in one range, as host addresses. *ret from malloc. -EINVAL when it is not so, -ENOMEM. */
int gpadl_ring_pages(const struct gpadl *g, void ***ret,
		     unsigned int *ret_n) __must_check;

#endif
