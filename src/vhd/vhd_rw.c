/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes, extent by extent. A look into what is in memory, then the file by the caller's iovec; what needs more goes to the image's thread
 * and comes back here. A read of what only a parent has goes straight to that file, however far down it is.
 *
 * FUA: a write whose block and bits are durable is written through. Another is durable by the commit that makes them so.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <string.h>

#include "vhd/chain.h"

#define PIECE_BYTES_MAX (1u << 30)

/* ---- the iovec ---- */

/* Cuts it to its first n bytes, so that it can be handed on. */
static void cut(struct disk_req *req, uint64_t n)
{
	struct vhd_piece *p = vhd_piece(req);
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
	struct vhd_piece *p = vhd_piece(req);

	req->iov[p->iovs - 1].iov_len = p->cut_len;
}

static void read_zeros(struct disk_req *req, uint64_t n)
{
	vhd_piece(req)->done += n;
	while (n) {
		size_t part = (size_t)MIN(n, (uint64_t)req->iov->iov_len);

		memset(req->iov->iov_base, 0, part);
		disk_advance(req, part);
		n -= part;
	}
}

/* ---- reads ---- */

static void has_read(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);

	uncut(req);
	if (res <= 0) {
		/* Nothing moved inside the file: someone cut it short. */
		disk_done(req, res < 0 ? (int)res : -EIO);
		return;
	}
	disk_advance(req, (size_t)res);
	vhd_piece(req)->done += (uint64_t)res;
	vhd_next(req);
}

static void loaded(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);

	if (res < 0)
		disk_done(req, (int)res);
	else
		vhd_next(req);
}

static void wait_for(struct disk_req *req, struct disk *d, uint64_t off)
{
	struct vhd_piece *p = vhd_piece(req);

	p->load = (struct disk_load){ .aio = req->aio,
				      .aio_req = &req->aio_req,
				      .off = off };
	req->aio_req.done = loaded;
	aio_expect(req->aio, &req->aio_req);
	d->ops->load(d, &p->load);
}

static void go_on_reading(struct vhd *v, struct disk_req *req)
{
	struct vhd_piece *p = vhd_piece(req);

	while (p->done < req->len) {
		uint64_t off = req->off + p->done;
		struct disk *d;
		struct disk_extent x = chain_map(&v->disk, off, req->len - p->done, &d);

		switch (x.place) {
		case DISK_PLACE_ZEROS:
		case DISK_PLACE_PARENT:
			read_zeros(req, x.bytes);
			continue;
		case DISK_PLACE_DATA:
			cut(req, MIN(x.bytes, (uint64_t)PIECE_BYTES_MAX));
			req->aio_req.done = has_read;
			aio_readv(req->aio, &req->aio_req, x.fd, req->iov, p->iovs,
				  x.offset);
			return;
		case DISK_PLACE_UNKNOWN:
			wait_for(req, d, off);
			return;
		case DISK_PLACE_BAD:
			disk_done(req, -EIO);
			return;
		}
	}
	disk_done(req, 0);
}

/* ---- writes ---- */

static void has_written(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct vhd *v = vhd_of(req);
	struct vhd_piece *p = vhd_piece(req);
	/* Of a sector that was written in part the rest follows with all of it. */
	uint64_t n = res > 0 ? align_down((uint64_t)res, VHD_SECTOR_BYTES) : 0;

	uncut(req);
	if (p->bits)
		vhd_written(v, p->bits, req->off + p->done, n ? n : p->bytes, n > 0);
	if (!n) {
		disk_done(req, res < 0 ? (int)res : -EIO);
		return;
	}
	disk_advance(req, n);
	p->done += n;
	vhd_next(req);
}

static void go_on_writing(struct vhd *v, struct disk_req *req)
{
	struct vhd_piece *p = vhd_piece(req);
	bool fua = (req->flags & DISK_FUA) && !v->unsafe;
	struct vhd_target t;

	if (p->done >= req->len) {
		if (p->commit)
			vhd_ask(v, req, VHD_COMMIT);
		else
			disk_done(req, 0);
		return;
	}
	t = vhd_target(v, req->off + p->done, req->len - p->done);
	if (t.way == VHD_WAY_BAD) {
		disk_done(req, -EIO);
	} else if (t.way == VHD_WAY_ASK) {
		vhd_ask(v, req, VHD_PREPARE);
	} else {
		cut(req, t.bytes);
		p->bits = t.bits;
		p->commit |= fua && t.dirty;
		req->aio_req.done = has_written;
		aio_writev(req->aio, &req->aio_req, v->fd, req->iov, p->iovs,
			   t.file_offset, fua && !t.dirty ? RWF_DSYNC : 0);
	}
}

void vhd_next(struct disk_req *req)
{
	struct vhd *v = vhd_of(req);

	if (req->op == DISK_WRITE)
		go_on_writing(v, req);
	else
		go_on_reading(v, req);
}

/* ---- the rest ---- */

static void flushed(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct vhd *v = vhd_of(req);

	if (res < 0) {
		/* The host tells of a failed sync once only: the image's thread must not find the next one good. */
		pthread_mutex_lock(&v->lock);
		v->failed = (int)res;
		pthread_mutex_unlock(&v->lock);
	}
	disk_done(req, (int)res);
}

static void flush(struct vhd *v, struct disk_req *req)
{
	bool dirty;
	int failed;

	if (v->unsafe || v->disk.info.read_only) {
		disk_done(req, 0);
		return;
	}
	pthread_mutex_lock(&v->lock);
	dirty = v->dirty_pages_n || v->dirty_bits_n;
	failed = v->failed;
	pthread_mutex_unlock(&v->lock);
	if (failed) {
		disk_done(req, -EIO);
	} else if (dirty) {
		vhd_ask(v, req, VHD_COMMIT);
	} else {
		req->aio_req.done = flushed;
		aio_fsync(req->aio, &req->aio_req, v->fd, true);
	}
}

void vhd_submit(struct disk *d, struct disk_req *req)
{
	struct vhd *v = container_of(d, struct vhd, disk);

	*vhd_piece(req) = (struct vhd_piece){ 0 };
	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		vhd_next(req);
		break;
	case DISK_FLUSH:
		flush(v, req);
		break;
	case DISK_DISCARD:
		if (v->disk.info.can_discard)
			vhd_ask(v, req, VHD_ZERO);
		else
			disk_done(req, 0);
		break;
	case DISK_WRITE_ZEROES:
		vhd_ask(v, req, VHD_ZERO);
		break;
	}
}
