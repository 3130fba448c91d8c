/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes, extent by extent. A look into the cached table under the lock, then the file by the caller's iovec; what the table
 * cannot answer at once goes to the image's thread and comes back here.
 *
 * FUA: a write to a block whose entry is durable is written through. One to a fresh block is durable by the commit that makes its entry so.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <string.h>

#define PIECE_BYTES_MAX (1u << 30)

/* Cuts the iovec to its first n bytes, so that it can be handed on. */
static void cut(struct disk_req *req, uint64_t n)
{
	struct vhdx_piece *p = vhdx_piece(req);
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
	struct vhdx_piece *p = vhdx_piece(req);

	req->iov[p->iovs - 1].iov_len = p->cut_len;
}

static void read_zeros(struct disk_req *req, uint64_t n)
{
	vhdx_piece(req)->done += n;
	while (n) {
		size_t part = (size_t)MIN(n, (uint64_t)req->iov->iov_len);

		memset(req->iov->iov_base, 0, part);
		disk_advance(req, part);
		n -= part;
	}
}

static void moved(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);

	uncut(req);
	if (res <= 0) {
		/* Nothing moved inside the file: someone cut it short. */
		disk_done(req, res < 0 ? (int)res : -EIO);
		return;
	}
	disk_advance(req, (size_t)res);
	vhdx_piece(req)->done += (uint64_t)res;
	vhdx_next(req);
}

static void move(struct vhdx *v, struct disk_req *req, const struct vhdx_extent *x)
{
	struct vhdx_piece *p = vhdx_piece(req);
	bool fua = (req->flags & DISK_FUA) && !v->unsafe;

	cut(req, MIN(x->bytes, (uint64_t)PIECE_BYTES_MAX));
	req->aio_req.done = moved;
	if (req->op == DISK_READ) {
		aio_readv(req->aio, &req->aio_req, v->fd, req->iov, p->iovs,
			  x->file_offset);
		return;
	}
	if (fua && x->dirty)
		p->commit = true;
	aio_writev(req->aio, &req->aio_req, v->fd, req->iov, p->iovs, x->file_offset,
		   fua && !x->dirty ? RWF_DSYNC : 0);
}

static void finish(struct vhdx *v, struct disk_req *req)
{
	if (vhdx_piece(req)->commit)
		vhdx_ask(v, req, VHDX_COMMIT);
	else
		disk_done(req, 0);
}

static void go_on_writing(struct vhdx *v, struct disk_req *req,
			  const struct vhdx_extent *x, bool begun)
{
	if (x->kind == VHDX_BAD)
		disk_done(req, -EIO);
	else if (x->kind == VHDX_PRESENT && begun)
		move(v, req, x);
	else
		vhdx_ask(v, req, VHDX_PREPARE);
}

void vhdx_next(struct disk_req *req)
{
	struct vhdx *v = vhdx_of(req);
	struct vhdx_piece *p = vhdx_piece(req);

	while (p->done < req->len) {
		struct vhdx_extent x;
		bool begun;
		int failed;

		pthread_mutex_lock(&v->lock);
		x = vhdx_lookup_locked(v, req->off + p->done, req->len - p->done);
		begun = v->begun;
		failed = v->failed;
		pthread_mutex_unlock(&v->lock);
		if (req->op == DISK_WRITE) {
			if (failed)
				disk_done(req, -EIO);
			else
				go_on_writing(v, req, &x, begun);
			return;
		}
		if (x.kind == VHDX_ABSENT) {
			read_zeros(req, x.bytes);
			continue;
		}
		if (x.kind == VHDX_PRESENT)
			move(v, req, &x);
		else if (x.kind == VHDX_MISS)
			vhdx_ask(v, req, VHDX_LOAD);
		else
			disk_done(req, -EIO);
		return;
	}
	finish(v, req);
}

static void flushed(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct vhdx *v = vhdx_of(req);

	if (res < 0) {
		/* The host tells of a failed sync once only: the image's thread must not find the next one good. */
		pthread_mutex_lock(&v->lock);
		v->failed = (int)res;
		pthread_mutex_unlock(&v->lock);
	}
	disk_done(req, (int)res);
}

static void flush(struct vhdx *v, struct disk_req *req)
{
	bool dirty;
	int failed;

	if (v->unsafe || v->disk.info.read_only) {
		disk_done(req, 0);
		return;
	}
	pthread_mutex_lock(&v->lock);
	dirty = v->dirty_n > 0;
	failed = v->failed;
	pthread_mutex_unlock(&v->lock);
	if (failed) {
		disk_done(req, -EIO);
	} else if (dirty) {
		vhdx_ask(v, req, VHDX_COMMIT);
	} else {
		req->aio_req.done = flushed;
		aio_fsync(req->aio, &req->aio_req, v->fd, true);
	}
}

void vhdx_submit(struct disk *d, struct disk_req *req)
{
	struct vhdx *v = container_of(d, struct vhdx, disk);

	*vhdx_piece(req) = (struct vhdx_piece){ 0 };
	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		vhdx_next(req);
		break;
	case DISK_FLUSH:
		flush(v, req);
		break;
	case DISK_DISCARD:
		if (v->disk.info.can_discard)
			vhdx_ask(v, req, VHDX_ZERO);
		else
			disk_done(req, 0);
		break;
	case DISK_WRITE_ZEROES:
		vhdx_ask(v, req, VHDX_ZERO);
		break;
	}
}
