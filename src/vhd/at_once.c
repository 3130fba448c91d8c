/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/at_once.h"

#include <errno.h>

ssize_t at_once_move(const struct disk_req *req, int fd, const struct iovec *iov,
		     unsigned int iovcnt, uint64_t off)
{
	ssize_t n;

	do {
		n = req->op == DISK_READ ? preadv(fd, iov, (int)iovcnt, (off_t)off)
					 : pwritev(fd, iov, (int)iovcnt, (off_t)off);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
