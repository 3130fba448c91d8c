/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in memory that does what a test says: fails, holds requests until they are released, counts. Several threads may use it while
 * none of that is asked for.
 */
#ifndef TESTS_UNIT_BACK_FAKE_DISK_H
#define TESTS_UNIT_BACK_FAKE_DISK_H

#include "vhd/disk.h"

#define FAKE_DISK_HELD 64

struct fake_disk {
	struct disk disk;
	uint8_t *bytes;
	int fail;  /* -errno for every request */
	bool hold; /* requests wait for fake_disk_release() */
	struct disk_req *held[FAKE_DISK_HELD];
	unsigned int held_n;
	atomic_uint count[DISK_WRITE_ZEROES + 1];
	unsigned int last_flags;
	uint64_t last_off, last_len;
	uint64_t hole, hole_bytes; /* what map() says stands nowhere */
	uint64_t map_most;         /* bytes of an answer of map(); 0: no bound */
	unsigned int *closed;      /* counts; may be NULL */
};

/* Blocks of 512 bytes unless info says otherwise; filled with a pattern of each block's number. */
struct fake_disk *fake_disk_new(uint64_t bytes, const struct disk_info *info);
/* Ends all that is held, the last first: completions out of order. */
void fake_disk_release(struct fake_disk *f);

#endif
