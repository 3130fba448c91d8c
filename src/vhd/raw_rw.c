/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes of a raw disk: the caller's iovec goes to the host as it is. A short transfer, which a
 * regular file may give, is continued where it ended. With O_DIRECT, buffers that the guest did not align go by a bounce buffer of
 * at most BOUNCE_BYTES, piece by piece, so that no guest can make us allocate more than that for a request.
 *
 * state[0]: bytes done. With a bounce, state[1]: bytes of the piece; state[2..3]: its iovec.
 */
#include "vhd/raw_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/at_once.h"

#define BOUNCE_BYTES (64u << 10)

static int write_flags(const struct raw *raw, const struct disk_req *req)
{
	bool fua = (req->flags & DISK_FUA) && raw->cache != DISK_CACHE_UNSAFE;

	return fua ? RWF_DSYNC : 0;
}

static void moved(struct aio_req *areq, ssize_t res);

static void start(struct raw *raw, struct disk_req *req)
{
	uint64_t off = req->off + req->state[0];

	if (at_once_fits(raw->in_memory, req))
		moved(&req->aio_req,
		      at_once_move(req, raw->fd, req->iov, req->iovcnt, off));
	else if (req->op == DISK_READ)
		aio_readv(req->aio, &req->aio_req, raw->fd, req->iov, req->iovcnt, off);
	else
		aio_writev(req->aio, &req->aio_req, raw->fd, req->iov, req->iovcnt, off,
			   write_flags(raw, req));
}

static void moved(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);

	if (res <= 0) {
		/* Nothing moved inside the disk's size: someone cut the file short. */
		disk_done(req, res < 0 ? (int)res : -EIO);
		return;
	}
	req->state[0] += (uint64_t)res;
	if (req->state[0] >= req->len) {
		disk_done(req, 0);
		return;
	}
	disk_advance(req, (size_t)res);
	start(raw_of(req), req);
}

static bool is_direct_aligned(const struct raw *raw, const struct disk_req *req)
{
	uint64_t all = 0;

	if (!raw->direct_align)
		return true;
	for (unsigned int i = 0; i < req->iovcnt; i++)
		all |= (uintptr_t)req->iov[i].iov_base | req->iov[i].iov_len;
	return is_aligned(all, raw->direct_align);
}

/* Moves n bytes between the bounce buffer and the front of the request's iovec. */
static void copy_piece(struct disk_req *req, size_t n)
{
	char *bounce = req->bounce;

	while (n) {
		size_t part = MIN(n, req->iov->iov_len);

		if (req->op == DISK_READ)
			memcpy(req->iov->iov_base, bounce, part);
		else
			memcpy(bounce, req->iov->iov_base, part);
		disk_advance(req, part);
		bounce += part;
		n -= part;
	}
}

static void bounce_start(struct raw *raw, struct disk_req *req)
{
	struct iovec *iov = (struct iovec *)&req->state[2];
	uint64_t off = req->off + req->state[0];

	iov->iov_base = req->bounce;
	iov->iov_len = MIN(req->len - req->state[0], (uint64_t)BOUNCE_BYTES);
	req->state[1] = iov->iov_len;
	if (req->op == DISK_WRITE) {
		copy_piece(req, iov->iov_len);
		aio_writev(req->aio, &req->aio_req, raw->fd, iov, 1, off,
			   write_flags(raw, req));
	} else {
		aio_readv(req->aio, &req->aio_req, raw->fd, iov, 1, off);
	}
}

static void bounced(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	int r = 0;

	/* With O_DIRECT a short transfer inside the file is an error of the medium beyond. */
	if (res < 0 || (uint64_t)res != req->state[1]) {
		r = res < 0 ? (int)res : -EIO;
	} else {
		if (req->op == DISK_READ)
			copy_piece(req, (size_t)res);
		req->state[0] += (uint64_t)res;
		if (req->state[0] < req->len) {
			bounce_start(raw_of(req), req);
			return;
		}
	}
	free(req->bounce);
	disk_done(req, r);
}

void raw_read_write(struct raw *raw, struct disk_req *req)
{
	req->state[0] = 0;
	if (is_direct_aligned(raw, req)) {
		req->aio_req.done = moved;
		start(raw, req);
		return;
	}
	if (posix_memalign(&req->bounce, 4096, BOUNCE_BYTES) != 0) {
		disk_done(req, -ENOMEM);
		return;
	}
	req->aio_req.done = bounced;
	bounce_start(raw, req);
}
