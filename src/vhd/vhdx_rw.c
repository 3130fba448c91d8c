/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes. One to sectors that were the parent's goes to their place first; then the image's thread marks them as the file's own (vhdx_bitmap.c).
 *
 * FUA: a write to a block whose entry is durable is written through. One to a fresh block is durable by the commit that makes its entry so.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>

#include "vhd/walk.h"

static void has_written(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct keeper_piece *p = keeper_piece(req);

	walk_uncut(req);
	if (res <= 0) {
		disk_done(req, res < 0 ? (int)res : -EIO);
		return;
	}
	walk_advance(req, (uint64_t)res);
	p->bytes = (uint32_t)res;
	if (p->mark) {
		p->mark = false;
		walk_ask(req, KEEPER_MARK);
	} else {
		walk_next(req);
	}
}

static void write_piece(struct keeper *k, struct disk_req *req,
			const struct vhdx_extent *x)
{
	struct keeper_piece *p = keeper_piece(req);
	bool fua = walk_is_fua(req);
	bool settled = !x->dirty && x->kind == VHDX_PRESENT;

	p->mark = x->kind == VHDX_PARTIAL;
	if (fua && !settled)
		p->commit = true;
	walk_write(req, x->bytes, x->file_offset, fua && settled ? RWF_DSYNC : 0,
		   has_written);
}

void vhdx_write(struct keeper *k, struct disk_req *req)
{
	struct keeper_piece *p = keeper_piece(req);
	struct vhdx *v = vhdx_of(k);
	struct vhdx_extent x;
	bool begun;
	int failed;

	pthread_mutex_lock(&k->lock);
	x = vhdx_lookup_locked(v, req->off + p->done, req->len - p->done, true);
	begun = v->may_write;
	failed = k->failed;
	pthread_mutex_unlock(&k->lock);
	if (failed || x.kind == VHDX_BAD)
		disk_done(req, -EIO);
	else if (begun && (x.kind == VHDX_PRESENT || x.kind == VHDX_PARTIAL))
		write_piece(k, req, &x);
	else
		walk_ask(req, KEEPER_PREPARE);
}
