/* SPDX-License-Identifier: BSD-2-Clause */
/* What the image's thread does for VHDX. */
#include "vhd/vhdx_priv.h"

#define ZERO_BLOCKS_A_TURN 512u

/* DISK_DISCARD and DISK_WRITE_ZEROES, in turns, so that a whole disk's does not hold up the others. */
static int zero(struct vhdx *v, const struct disk_req *req, struct keeper_piece *p)
{
	uint64_t bytes = v->layout.block_bytes;
	int r = vhdx_begin(v, true);

	for (unsigned int n = 0; r == 0 && p->done < req->len; n++) {
		uint64_t off = req->off + p->done;
		uint64_t len = MIN(bytes - off % bytes, req->len - p->done);

		if (n == ZERO_BLOCKS_A_TURN)
			return KEEPER_AGAIN;
		r = vhdx_zero(v, req, off, len);
		p->done += len;
	}
	return r;
}

static int perform(struct keeper *k, struct disk_req *req)
{
	struct keeper_piece *p = keeper_piece(req);
	struct vhdx *v = vhdx_of(k);

	switch ((enum keeper_op)p->op) {
	case KEEPER_PREPARE:
		return vhdx_prepare(v, req->off + p->done, req->len - p->done);
	case KEEPER_MARK:
		return vhdx_bits_mark(v, req->off + p->done - p->bytes, p->bytes);
	case KEEPER_ZERO:
		return zero(v, req, p);
	case KEEPER_COMMIT:
		break; /* commit() */
	}
	return 0;
}

static int commit(struct keeper *k)
{
	return vhdx_commit(vhdx_of(k));
}

static int load_at(struct keeper *k, uint64_t off)
{
	return vhdx_load_at(vhdx_of(k), off);
}

static int resize(struct keeper *k, uint64_t bytes)
{
	struct image_error error;

	return vhdx_resize(vhdx_of(k), bytes, false, &error);
}

static bool dirty_locked(struct keeper *k)
{
	return vhdx_of(k)->dirty_n > 0;
}

const struct keeper_ops vhdx_keeper_ops = {
	.name = "vhdx",
	.perform = perform,
	.commit = commit,
	.load_at = load_at,
	.resize = resize,
	.dirty_locked = dirty_locked,
	.write = vhdx_write,
};
