/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the raw format: opening (raw.c), reads and writes (raw_rw.c), holes and zeros (raw_zero.c). */
#ifndef VHD_RAW_PRIV_H
#define VHD_RAW_PRIV_H

#include "vhd/disk.h"

struct raw {
	struct disk disk;
	/* Fixed after init. */
	int fd;
	enum disk_cache cache;
	bool in_memory;        /* tmpfs: nothing to wait for */
	uint32_t direct_align; /* of buffers in memory; 0 when the page cache is used */
};

static inline struct raw *raw_of(const struct disk_req *req)
{
	return container_of(req->disk, struct raw, disk);
}

void raw_read_write(struct raw *raw, struct disk_req *req);
void raw_discard(struct raw *raw, struct disk_req *req);
void raw_write_zeroes(struct raw *raw, struct disk_req *req);
/* Ends req, by way of an fdatasync when `r` is 0 and it asks for FUA. */
void raw_done_durable(struct raw *raw, struct disk_req *req, int r);

#endif
