/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/at_once.h"
#include "vhd/chain.h"

bool walk_is_fua(const struct disk_req *req)
{
	return (req->flags & DISK_FUA) && !keeper_of(req)->unsafe;
}

/* ---- the iovec ---- */

/* To its first n bytes, so that it can be handed on: piece->iovs elements. */
static void cut(struct disk_req *req, uint64_t n)
{
	struct keeper_piece *p = keeper_piece(req);
	unsigned int i = 0;
	uint64_t left = n;

	while (left > req->iov[i].iov_len)
		left -= req->iov[i++].iov_len;
	p->iovs = i + 1;
	p->bytes = (uint32_t)n;
	p->cut_len = req->iov[i].iov_len;
	req->iov[i].iov_len = left;
}

static void uncut(struct disk_req *req)
{
	struct keeper_piece *p = keeper_piece(req);

	req->iov[p->iovs - 1].iov_len = p->cut_len;
}

void walk_uncut(struct disk_req *req)
{
	struct keeper_piece *p = keeper_piece(req);

	uncut(req);
	free(p->bounced.iov_base);
	p->bounced.iov_base = NULL;
}

static bool is_cut_aligned(struct disk_req *req, uint32_t align)
{
	const struct keeper_piece *p = keeper_piece(req);
	uint64_t all = 0;

	for (unsigned int i = 0; i < p->iovs; i++)
		all |= (uintptr_t)req->iov[i].iov_base | req->iov[i].iov_len;
	return is_aligned(all, align);
}

/* Cuts the next piece; one that is not aligned gets a buffer. -ENOMEM: without it. */
static int cut_piece(struct disk_req *req, uint64_t n, uint32_t align)
{
	struct keeper_piece *p = keeper_piece(req);

	p->bounced.iov_base = NULL;
	cut(req, MIN(n, (uint64_t)WALK_BYTES_MAX));
	if (!align || is_cut_aligned(req, align))
		return 0;
	uncut(req);
	cut(req, MIN(n, (uint64_t)WALK_BOUNCE_BYTES));
	p->bounced.iov_len = p->bytes;
	return posix_memalign(&p->bounced.iov_base, 4096, p->bytes) == 0 ? 0 : -ENOMEM;
}

/* Between the buffer and the first n bytes of the iovec, as it was cut. */
static void copy_bounced(struct disk_req *req, size_t n)
{
	char *bounced = keeper_piece(req)->bounced.iov_base;

	for (const struct iovec *iov = req->iov; n; iov++) {
		size_t part = MIN(n, iov->iov_len);

		if (req->op == DISK_READ)
			memcpy(iov->iov_base, bounced, part);
		else
			memcpy(bounced, iov->iov_base, part);
		bounced += part;
		n -= part;
	}
}

void walk_advance(struct disk_req *req, uint64_t n)
{
	disk_advance(req, (size_t)n);
	keeper_piece(req)->done += n;
}

/* ---- reads ---- */

static void read_zeros(struct disk_req *req, uint64_t n)
{
	while (n) {
		size_t part = (size_t)MIN(n, (uint64_t)req->iov->iov_len);

		memset(req->iov->iov_base, 0, part);
		walk_advance(req, part);
		n -= part;
	}
}

/* False: the request has ended. */
static bool take_piece(struct disk_req *req, ssize_t res)
{
	if (res > 0 && keeper_piece(req)->bounced.iov_base)
		copy_bounced(req, (size_t)res);
	walk_uncut(req);
	if (res <= 0) {
		/* Nothing moved inside the file: someone cut it short. */
		disk_done(req, res < 0 ? (int)res : -EIO);
		return false;
	}
	walk_advance(req, (uint64_t)res);
	return true;
}

static void has_read(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);

	if (take_piece(req, res))
		walk_next(req);
}

/* False: the request waits, or has ended. */
static bool read_piece(struct disk_req *req, const struct disk_extent *x)
{
	struct keeper_piece *p = keeper_piece(req);
	int r = cut_piece(req, x->bytes, x->direct_align);
	bool bounced = p->bounced.iov_base;
	const struct iovec *iov = bounced ? &p->bounced : req->iov;
	unsigned int iovs = bounced ? 1 : p->iovs;

	if (r < 0)
		return take_piece(req, r);
	if (at_once_fits(x->in_memory, req))
		return take_piece(req, at_once_move(req, x->fd, iov, iovs, x->offset));
	req->aio_req.done = has_read;
	aio_readv(req->aio, &req->aio_req, x->fd, iov, iovs, x->offset);
	return false;
}

static void loaded(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);

	if (res < 0)
		disk_done(req, (int)res);
	else
		walk_next(req);
}

/* Brings what the chain's disk `d` lacks. */
static void load(struct disk *d, struct disk_req *req)
{
	struct keeper_piece *p = keeper_piece(req);

	req->aio_req.done = loaded;
	p->load = (struct disk_load){ .aio = req->aio,
				      .aio_req = &req->aio_req,
				      .off = req->off + p->done };
	aio_expect(req->aio, &req->aio_req);
	d->ops->load(d, &p->load);
}

/* False: the request waits, or has ended. */
static bool go_on_reading(struct disk_req *req)
{
	struct keeper_piece *p = keeper_piece(req);
	struct disk *at;
	struct disk_extent x =
		chain_map(req->disk, req->off + p->done, req->len - p->done, &at);

	switch (x.place) {
	case DISK_PLACE_ZEROS:
		read_zeros(req, x.bytes);
		return true;
	case DISK_PLACE_DATA:
		return read_piece(req, &x);
	case DISK_PLACE_UNKNOWN:
		load(at, req);
		break;
	case DISK_PLACE_PARENT: /* chain_map() followed it */
	case DISK_PLACE_BAD:
		disk_done(req, -EIO);
		break;
	}
	return false;
}

/* ---- writes ---- */

void walk_write(struct disk_req *req, uint64_t n, uint64_t off, int flags,
		void (*done)(struct aio_req *req, ssize_t res))
{
	const struct keeper *k = keeper_of(req);
	struct keeper_piece *p = keeper_piece(req);
	int r = cut_piece(req, n, k->direct_align);
	bool bounced = p->bounced.iov_base;
	const struct iovec *iov = bounced ? &p->bounced : req->iov;
	unsigned int iovs = bounced ? 1 : p->iovs;

	if (r < 0) {
		done(&req->aio_req, r);
		return;
	}
	if (bounced)
		copy_bounced(req, p->bytes);
	if (at_once_fits(k->in_memory, req)) {
		done(&req->aio_req, at_once_move(req, k->fd, iov, iovs, off));
		return;
	}
	req->aio_req.done = done;
	aio_writev(req->aio, &req->aio_req, k->fd, iov, iovs, off, flags);
}

/* ---- both ---- */

static void answered(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	enum keeper_op op = keeper_piece(req)->op;

	if (res < 0 || op == KEEPER_COMMIT)
		disk_done(req, (int)res);
	else if (op != KEEPER_ZERO)
		walk_next(req);
	else if (walk_is_fua(req))
		walk_ask(req, KEEPER_COMMIT);
	else
		disk_done(req, 0);
}

void walk_ask(struct disk_req *req, enum keeper_op op)
{
	keeper_ask(req, op, answered);
}

void walk_next(struct disk_req *req)
{
	struct keeper *k = keeper_of(req);
	struct keeper_piece *p = keeper_piece(req);

	while (p->done < req->len) {
		if (req->op == DISK_WRITE) {
			k->ops->write(k, req);
			return;
		}
		if (!go_on_reading(req))
			return;
	}
	if (p->commit)
		walk_ask(req, KEEPER_COMMIT);
	else
		disk_done(req, 0);
}

/* ---- the rest ---- */

static void flushed(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct keeper *k = keeper_of(req);

	if (res < 0) {
		/* The host tells of a failed sync once only: the image's thread must not find the next one good. */
		pthread_mutex_lock(&k->lock);
		k->failed = (int)res;
		pthread_mutex_unlock(&k->lock);
	}
	disk_done(req, (int)res);
}

static void flush(struct keeper *k, struct disk_req *req)
{
	bool dirty;
	int failed;

	if (k->unsafe || k->disk.info.read_only) {
		disk_done(req, 0);
		return;
	}
	pthread_mutex_lock(&k->lock);
	dirty = k->ops->dirty_locked(k);
	failed = k->failed;
	pthread_mutex_unlock(&k->lock);
	if (failed) {
		disk_done(req, -EIO);
	} else if (dirty) {
		walk_ask(req, KEEPER_COMMIT);
	} else {
		req->aio_req.done = flushed;
		aio_fsync(req->aio, &req->aio_req, k->fd, true);
	}
}

void walk_submit(struct disk *d, struct disk_req *req)
{
	struct keeper *k = container_of(d, struct keeper, disk);

	*keeper_piece(req) = (struct keeper_piece){ 0 };
	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		walk_next(req);
		break;
	case DISK_FLUSH:
		flush(k, req);
		break;
	case DISK_DISCARD:
		if (d->info.can_discard)
			walk_ask(req, KEEPER_ZERO);
		else
			disk_done(req, 0);
		break;
	case DISK_WRITE_ZEROES:
		walk_ask(req, KEEPER_ZERO);
		break;
	}
}
