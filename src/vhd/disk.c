/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/disk.h"

#include <errno.h>
#include <limits.h>

void disk_init(struct disk *d, const struct disk_ops *ops, const struct disk_info *info,
	       uint64_t bytes)
{
	d->ops = ops;
	d->parent = NULL;
	d->info = *info;
	atomic_init(&d->bytes, bytes);
	atomic_init(&d->refs, 1);
	d->closed = NULL;
}

struct disk *disk_ref(struct disk *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

void disk_unref(struct disk *d)
{
	void (*closed)(void *) = NULL;
	void *opaque = NULL;

	/* Release: what this thread did to the disk is seen by the one that closes it. */
	while (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1) {
		struct disk *parent = d->parent;

		if (d->closed) {
			closed = d->closed;
			opaque = d->closed_opaque;
		}
		d->ops->close(d);
		d = parent;
	}
	if (closed)
		closed(opaque);
}

int disk_resize(struct disk *d, uint64_t bytes)
{
	if (!d->ops->resize)
		return bytes ? -EOPNOTSUPP : 0;
	if (bytes && d->info.read_only)
		return -EROFS;
	if (bytes && (bytes < disk_bytes(d) || bytes > INT64_MAX ||
		      !is_aligned(bytes, d->info.logical_bytes)))
		return -EINVAL;
	return d->ops->resize(d, bytes);
}

static bool iov_covers(const struct disk_req *req)
{
	uint64_t sum = 0;

	if (req->iovcnt > IOV_MAX)
		return false;
	for (unsigned int i = 0; i < req->iovcnt; i++) {
		if (!req->iov[i].iov_len || add_overflow(sum, req->iov[i].iov_len, &sum))
			return false;
	}
	return sum == req->len;
}

static int check(const struct disk *d, const struct disk_req *req)
{
	if (req->op == DISK_FLUSH)
		return 0;
	if (req->op != DISK_READ && d->info.read_only)
		return -EROFS;
	if (!range_ok(req->off, req->len, disk_bytes(d)))
		return -EINVAL;
	if (!is_aligned(req->off | req->len, d->info.logical_bytes))
		return -EINVAL;
	if (req->op == DISK_READ || req->op == DISK_WRITE)
		return iov_covers(req) ? 0 : -EINVAL;
	return 0;
}

void disk_submit(struct disk *d, struct aio *aio, struct disk_req *req)
{
	int r = check(d, req);

	req->disk = d;
	req->aio = aio;
	if (r < 0 || (req->op != DISK_FLUSH && !req->len))
		disk_done(req, r);
	else
		d->ops->submit(d, req);
}

void disk_advance(struct disk_req *req, size_t n)
{
	while (n && n >= req->iov->iov_len) {
		n -= req->iov->iov_len;
		req->iov++;
		req->iovcnt--;
	}
	if (n) {
		req->iov->iov_base = (char *)req->iov->iov_base + n;
		req->iov->iov_len -= n;
	}
}
