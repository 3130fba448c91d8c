/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holes and zeros in a raw disk: fallocate(2) where the file system or device takes it, zeros written in pieces where it
 * does not. On a block device PUNCH_HOLE zeroes by unmapping and fails where the device cannot; that is what a
 * discard may then ignore and a write of zeros may not.
 *
 * state[0]: bytes done. state[1..2]: the iovec of the last, short piece.
 */
#include "vhd/raw_priv.h"

#include <errno.h>
#include <fcntl.h>

#define ZEROS_BYTES (64u << 10)
#define PIECE_IOVS 16u

static _Alignas(4096) const char zeros[ZEROS_BYTES];

#define Z                                             \
	{                                             \
		(void *)(uintptr_t)zeros, ZEROS_BYTES \
	}
static const struct iovec piece[PIECE_IOVS] = { Z, Z, Z, Z, Z, Z, Z, Z,
						Z, Z, Z, Z, Z, Z, Z, Z };

static bool is_unsupported(ssize_t res)
{
	return res == -EOPNOTSUPP || res == -ENOSYS || res == -ENODEV;
}

static void synced(struct aio_req *areq, ssize_t res)
{
	disk_done(container_of(areq, struct disk_req, aio_req), (int)res);
}

void raw_done_durable(struct raw *raw, struct disk_req *req, int r)
{
	if (r < 0 || !(req->flags & DISK_FUA) || raw->cache == DISK_CACHE_UNSAFE) {
		disk_done(req, r);
		return;
	}
	req->aio_req.done = synced;
	aio_fsync(req->aio, &req->aio_req, raw->fd, true);
}

static void write_piece(struct raw *raw, struct disk_req *req)
{
	uint64_t left = req->len - req->state[0], off = req->off + req->state[0];
	const struct iovec *iov = piece;
	unsigned int n = (unsigned int)MIN(left / ZEROS_BYTES, (uint64_t)PIECE_IOVS);

	if (!n) {
		struct iovec *last = (struct iovec *)&req->state[1];

		*last = (struct iovec){ (void *)(uintptr_t)zeros, left };
		iov = last;
		n = 1;
	}
	aio_writev(req->aio, &req->aio_req, raw->fd, iov, n, off, 0);
}

static void piece_written(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct raw *raw = raw_of(req);

	if (res <= 0) {
		disk_done(req, res < 0 ? (int)res : -EIO);
		return;
	}
	req->state[0] += (uint64_t)res;
	if (req->state[0] < req->len)
		write_piece(raw, req);
	else
		raw_done_durable(raw, req, 0);
}

static void write_all(struct raw *raw, struct disk_req *req)
{
	req->state[0] = 0;
	req->aio_req.done = piece_written;
	write_piece(raw, req);
}

static void zeroed(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);

	if (is_unsupported(res))
		write_all(raw_of(req), req);
	else
		raw_done_durable(raw_of(req), req, (int)res);
}

static void zero_range(struct raw *raw, struct disk_req *req)
{
	req->aio_req.done = zeroed;
	aio_fallocate(req->aio, &req->aio_req, raw->fd,
		      FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, req->off, req->len);
}

static void punched(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct raw *raw = raw_of(req);

	if (!is_unsupported(res))
		raw_done_durable(raw, req, (int)res);
	else if (req->op == DISK_DISCARD)
		disk_done(req, 0);
	else
		zero_range(raw, req);
}

static void punch(struct raw *raw, struct disk_req *req)
{
	req->aio_req.done = punched;
	aio_fallocate(req->aio, &req->aio_req, raw->fd,
		      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, req->off, req->len);
}

void raw_discard(struct raw *raw, struct disk_req *req)
{
	if (raw->disk.info.can_discard)
		punch(raw, req);
	else
		disk_done(req, 0);
}

void raw_write_zeroes(struct raw *raw, struct disk_req *req)
{
	if ((req->flags & DISK_MAY_UNMAP) && raw->disk.info.can_discard)
		punch(raw, req);
	else
		zero_range(raw, req);
}
