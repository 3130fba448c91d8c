/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes, and what the image's thread does for VHD. The bits of sectors that a write brings to the file follow its data, in memory.
 *
 * FUA: a write whose block and bits are durable is written through. Another is durable by the commit that makes them so.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>

#include "vhd/walk.h"

static void has_written(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct keeper_piece *p = keeper_piece(req);
	/* Of a sector that was written in part the rest follows with all of it. */
	uint64_t n = res > 0 ? align_down((uint64_t)res, VHD_SECTOR_BYTES) : 0;

	walk_uncut(req);
	if (p->pinned)
		vhd_written(vhd_of(keeper_of(req)), p->pinned, req->off + p->done,
			    n ? n : p->bytes, n > 0);
	if (!n) {
		disk_done(req, res < 0 ? (int)res : -EIO);
		return;
	}
	walk_advance(req, n);
	walk_next(req);
}

static void go_on_writing(struct keeper *k, struct disk_req *req)
{
	struct keeper_piece *p = keeper_piece(req);
	struct vhd_target t =
		vhd_target(vhd_of(k), req->off + p->done, req->len - p->done);
	bool fua = walk_is_fua(req);

	if (t.way == VHD_WAY_BAD) {
		disk_done(req, -EIO);
	} else if (t.way == VHD_WAY_ASK) {
		walk_ask(req, KEEPER_PREPARE);
	} else {
		p->pinned = t.bits;
		p->commit |= fua && t.dirty;
		walk_write(req, t.bytes, t.file_offset, fua && !t.dirty ? RWF_DSYNC : 0,
			   has_written);
	}
}

/* ---- for the image's thread ---- */

static int perform(struct keeper *k, struct disk_req *req)
{
	struct keeper_piece *p = keeper_piece(req);
	struct vhd *v = vhd_of(k);

	return p->op == KEEPER_PREPARE
		       ? vhd_prepare(v, req->off + p->done, req->len - p->done)
		       : vhd_zero(v, req, p);
}

static int commit(struct keeper *k)
{
	return vhd_commit(vhd_of(k));
}

static int load_at(struct keeper *k, uint64_t off)
{
	return vhd_load_at(vhd_of(k), off);
}

static bool dirty_locked(struct keeper *k)
{
	const struct vhd *v = vhd_of(k);

	return v->dirty_pages_n || v->dirty_bits_n;
}

const struct keeper_ops vhd_keeper_ops = {
	.name = "vhd",
	.perform = perform,
	.commit = commit,
	.load_at = load_at,
	.dirty_locked = dirty_locked,
	.write = go_on_writing,
};
