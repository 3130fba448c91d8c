/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file on tmpfs is read and written at once, on the caller's thread: there is nothing to wait for, and io_uring, which does not know
 * that, hands each request to a thread of its own (measured at 4 KiB and depth 1: 27 us against 6). Long ones still go there, to copy beside the
 * guest. Thread: any.
 */
#ifndef VHD_AT_ONCE_H
#define VHD_AT_ONCE_H

#include "vhd/disk.h"

#define AT_ONCE_BYTES_MAX (64u << 10)

/* `in_memory`: file_in_memory() of the file. */
static inline bool at_once_fits(bool in_memory, const struct disk_req *req)
{
	return in_memory && req->len <= AT_ONCE_BYTES_MAX;
}

/* By preadv(2) or pwritev(2), as the request reads or writes: bytes moved, or -errno. */
ssize_t at_once_move(const struct disk_req *req, int fd, const struct iovec *iov,
		     unsigned int iovcnt, uint64_t off);

#endif
