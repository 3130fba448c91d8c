/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk and the parents below it, looked through as one. Thread: any, as disk_ops.map() and load(). */
#ifndef VHD_CHAIN_H
#define VHD_CHAIN_H

#include "vhd/disk.h"

/*
 * Where the range, which is inside the disk and not empty, begins to stand: never DISK_PLACE_PARENT, since that was followed. *ret_at is the disk of the chain
 * that answered, whose load() helps when it is DISK_PLACE_UNKNOWN. A parent that is shorter than its child ends in zeros.
 */
struct disk_extent chain_map(struct disk *d, uint64_t off, uint64_t len,
			     struct disk **ret_at);

/* The same, but it waits for what is not in memory, and for all else that is pending on `aio`, whose owner calls. -EIO for a damaged image; else 0. */
int chain_map_wait(struct disk *d, struct aio *aio, uint64_t off, uint64_t len,
		   struct disk_extent *ret) __must_check;

/* The same of the disk alone: DISK_PLACE_PARENT is an answer. */
int chain_own_wait(struct disk *d, struct aio *aio, uint64_t off, uint64_t len,
		   struct disk_extent *ret) __must_check;

#endif
