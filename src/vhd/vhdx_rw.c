/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes, extent by extent. A look into the cached tables under the lock, then the file by the caller's iovec; what the tables
 * cannot answer at once goes to the image's thread and comes back here. A read goes straight to the file of the chain that has the extent.
 *
 * A write to sectors that were the parent's goes to their place first; then the image's thread marks them as the file's own (vhdx_bitmap.c).
 *
 * FUA: a write to a block whose entry is durable is written through. One to a fresh block is durable by the commit that makes its entry so.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <string.h>

#include "vhd/chain.h"

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

/* The piece is where it belongs. */
static void piece_done(struct disk_req *req)
{
	struct vhdx_piece *p = vhdx_piece(req);

	if (p->mark) {
		p->mark = false;
		vhdx_ask(vhdx_of(req), req, VHDX_MARK);
	} else {
		vhdx_next(req);
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
	vhdx_piece(req)->bytes = (uint32_t)res;
	piece_done(req);
}

static void read_piece(struct disk_req *req, const struct disk_extent *x)
{
	cut(req, MIN(x->bytes, (uint64_t)PIECE_BYTES_MAX));
	req->aio_req.done = moved;
	aio_readv(req->aio, &req->aio_req, x->fd, req->iov, vhdx_piece(req)->iovs,
		  x->offset);
}

static void write_piece(struct vhdx *v, struct disk_req *req, const struct vhdx_extent *x)
{
	struct vhdx_piece *p = vhdx_piece(req);
	bool fua = (req->flags & DISK_FUA) && !v->unsafe;
	bool settled = !x->dirty && x->kind == VHDX_PRESENT;

	cut(req, MIN(x->bytes, (uint64_t)PIECE_BYTES_MAX));
	p->mark = x->kind == VHDX_PARTIAL;
	if (fua && !settled)
		p->commit = true;
	req->aio_req.done = moved;
	aio_writev(req->aio, &req->aio_req, v->fd, req->iov, p->iovs, x->file_offset,
		   fua && settled ? RWF_DSYNC : 0);
}

static void finish(struct vhdx *v, struct disk_req *req)
{
	if (vhdx_piece(req)->commit)
		vhdx_ask(v, req, VHDX_COMMIT);
	else
		disk_done(req, 0);
}

static void go_on_writing(struct vhdx *v, struct disk_req *req)
{
	struct vhdx_piece *p = vhdx_piece(req);
	struct vhdx_extent x;
	bool begun;
	int failed;

	pthread_mutex_lock(&v->lock);
	x = vhdx_lookup_locked(v, req->off + p->done, req->len - p->done, true);
	begun = v->may_write;
	failed = v->failed;
	pthread_mutex_unlock(&v->lock);
	if (failed || x.kind == VHDX_BAD)
		disk_done(req, -EIO);
	else if (begun && (x.kind == VHDX_PRESENT || x.kind == VHDX_PARTIAL))
		write_piece(v, req, &x);
	else
		vhdx_ask(v, req, VHDX_PREPARE);
}

static void loaded(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);

	if (res < 0)
		disk_done(req, (int)res);
	else
		vhdx_next(req);
}

/* Brings what the chain's disk `d` lacks. */
static void load(struct disk *d, struct disk_req *req)
{
	struct vhdx_piece *p = vhdx_piece(req);

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
	struct vhdx_piece *p = vhdx_piece(req);
	struct disk *at;
	struct disk_extent x =
		chain_map(req->disk, req->off + p->done, req->len - p->done, &at);

	switch (x.place) {
	case DISK_PLACE_ZEROS:
		read_zeros(req, x.bytes);
		return true;
	case DISK_PLACE_DATA:
		read_piece(req, &x);
		break;
	case DISK_PLACE_UNKNOWN:
		load(at, req);
		break;
	case DISK_PLACE_PARENT:
	case DISK_PLACE_BAD:
		disk_done(req, -EIO);
		break;
	}
	return false;
}

void vhdx_next(struct disk_req *req)
{
	struct vhdx *v = vhdx_of(req);
	struct vhdx_piece *p = vhdx_piece(req);

	while (p->done < req->len) {
		if (req->op == DISK_WRITE) {
			go_on_writing(v, req);
			return;
		}
		if (!go_on_reading(req))
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
