/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image's thread: made when first needed, it alone changes the block table and the file's size, and it alone waits for the disk while it
 * does. Requests come by a queue and end on their own aio's thread (aio_post()). Flushes that wait at the same time share one commit.
 *
 * Space is only ever taken at the end of the file. A block that is discarded keeps its place in the file, as a hole, and gets it
 * again when it is written ([MS-VHDX] 2.5.1.1 lets an UNMAPPED block keep its offset): so a write in flight to a block that is being discarded
 * can never land in another block's data.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <signal.h>

#include "vhd/file.h"

#define ZERO_BLOCKS_A_TURN 512u

/* ---- changes, on the image's thread ---- */

/* The page of `block` can become dirty. */
static int room_to_change(struct vhdx *v, uint64_t block)
{
	if (vhdx_bat_is_dirty(v, block) || v->dirty_n < VHDX_DIRTY_MAX)
		return 0;
	return vhdx_commit(v);
}

static int change(struct vhdx *v, uint64_t block, uint64_t entry)
{
	int r = room_to_change(v, block);

	if (r == 0)
		vhdx_bat_set(v, block, entry);
	return r;
}

/* A block that has no data but keeps a place for them. */
static bool has_place(const struct vhdx *v, uint64_t block, uint64_t entry)
{
	unsigned int state = VHDX_BAT_STATE(entry);

	return (state == VHDX_BLOCK_UNMAPPED || state == VHDX_BLOCK_UNDEFINED) &&
	       VHDX_BAT_OFFSET(entry) && vhdx_bat_is_sound(v, block, entry);
}

/* What the file has of the block at this place. */
static uint64_t room_at(const struct vhdx *v, uint64_t off)
{
	return MIN((uint64_t)v->layout.block_bytes, v->file_bytes - off);
}

static int grow(struct vhdx *v, uint64_t *ret)
{
	uint64_t off = align_up(v->file_bytes, VHDX_MIB);
	uint64_t bytes = off + v->layout.block_bytes;
	int r = file_resize(v->fd, bytes);

	if (r < 0)
		return r;
	pthread_mutex_lock(&v->lock);
	v->file_bytes = bytes;
	pthread_mutex_unlock(&v->lock);
	*ret = off;
	return 0;
}

/* Gives an absent block a place that reads as zeros. */
static int allocate(struct vhdx *v, uint64_t block, uint64_t entry)
{
	uint64_t off = VHDX_BAT_OFFSET(entry);
	int r = room_to_change(v, block);

	if (r < 0)
		return r;
	if (has_place(v, block, entry))
		r = file_zero(v->fd, off, room_at(v, off), v->can_punch);
	else
		r = grow(v, &off);
	if (r == 0)
		vhdx_bat_set(v, block, off | VHDX_BLOCK_FULLY_PRESENT);
	return r;
}

static int load(struct vhdx *v, uint64_t block, uint64_t *entry)
{
	int r = vhdx_bat_load(v, block);

	*entry = r == 0 ? vhdx_bat_get(v, block) : 0;
	return r;
}

/* 1: the block has data; 0: it has not; -EIO: its entry is damaged. */
static int is_present(const struct vhdx *v, uint64_t block, uint64_t entry)
{
	switch (VHDX_BAT_STATE(entry)) {
	case VHDX_BLOCK_NOT_PRESENT:
	case VHDX_BLOCK_UNDEFINED:
	case VHDX_BLOCK_ZERO:
	case VHDX_BLOCK_UNMAPPED:
		return 0;
	case VHDX_BLOCK_FULLY_PRESENT:
		return vhdx_bat_is_sound(v, block, entry) ? 1 : -EIO;
	default:
		return -EIO;
	}
}

/* Every block that the rest of a write touches. */
static int prepare(struct vhdx *v, const struct disk_req *req, uint64_t done)
{
	uint64_t block = (req->off + done) / v->layout.block_bytes;
	uint64_t last = (req->off + req->len - 1) / v->layout.block_bytes;
	uint64_t entry;
	int r = vhdx_begin(v);

	for (; block <= last && r == 0; block++) {
		r = load(v, block, &entry);
		if (r == 0)
			r = is_present(v, block, entry);
		if (r == 0)
			r = allocate(v, block, entry);
		else if (r > 0)
			r = 0;
	}
	return r;
}

static int discard(struct vhdx *v, uint64_t block, uint64_t entry, uint64_t within,
		   uint64_t len, bool whole)
{
	int r = is_present(v, block, entry);

	if (r <= 0)
		return r;
	r = 0;
	if (whole)
		r = change(v, block, VHDX_BAT_OFFSET(entry) | VHDX_BLOCK_UNMAPPED);
	return r < 0 ? r : file_zero(v->fd, VHDX_BAT_OFFSET(entry) + within, len, true);
}

static int write_zeroes(struct vhdx *v, uint64_t block, uint64_t entry, uint64_t within,
			uint64_t len, bool may_unmap)
{
	int r = is_present(v, block, entry);

	if (r > 0)
		return file_zero(v->fd, VHDX_BAT_OFFSET(entry) + within, len,
				 may_unmap && v->disk.info.can_discard);
	if (r < 0 || VHDX_BAT_STATE(entry) == VHDX_BLOCK_ZERO)
		return r;
	/* The ZERO state keeps no place; where there is one, it is used, rather than lost to the file. */
	if (has_place(v, block, entry))
		return allocate(v, block, entry);
	return change(v, block, VHDX_BLOCK_ZERO);
}

/* DISK_DISCARD and DISK_WRITE_ZEROES, in turns, so that a whole disk's does not hold up the others. 1: not at the end yet. */
static int zero(struct vhdx *v, const struct disk_req *req, struct vhdx_piece *p)
{
	uint64_t bytes = v->layout.block_bytes, entry;
	int r = vhdx_begin(v);

	for (unsigned int n = 0; r == 0 && p->done < req->len; n++) {
		uint64_t off = req->off + p->done, block = off / bytes,
			 within = off % bytes;
		uint64_t len = MIN(bytes - within, req->len - p->done);
		bool whole =
			!within && (len == bytes || off + len == v->layout.disk_bytes);

		if (n == ZERO_BLOCKS_A_TURN)
			return 1;
		r = load(v, block, &entry);
		if (r < 0)
			break;
		if (req->op == DISK_DISCARD)
			r = discard(v, block, entry, within, len, whole);
		else
			r = write_zeroes(v, block, entry, within, len,
					 req->flags & DISK_MAY_UNMAP);
		p->done += len;
	}
	return r;
}

/* ---- the queue ---- */

static void push_locked(struct vhdx *v, struct disk_req *req)
{
	req->bounce = NULL;
	*v->queue_end = req;
	v->queue_end = (struct disk_req **)&req->bounce;
}

/* req is not ours from here on. */
static void answer(struct disk_req *req, int r)
{
	aio_post(req->aio, &req->aio_req, r);
}

static void perform(struct vhdx *v, struct disk_req *req)
{
	struct vhdx_piece *p = vhdx_piece(req);
	int r = 0;

	switch ((enum vhdx_op)p->op) {
	case VHDX_LOAD:
		r = vhdx_bat_load(v, (req->off + p->done) / v->layout.block_bytes);
		break;
	case VHDX_PREPARE:
		r = prepare(v, req, p->done);
		break;
	case VHDX_ZERO:
		r = zero(v, req, p);
		break;
	case VHDX_COMMIT:
		break; /* serve() */
	}
	if (r <= 0) {
		answer(req, r);
		return;
	}
	pthread_mutex_lock(&v->lock);
	push_locked(v, req);
	pthread_mutex_unlock(&v->lock);
}

static void serve(struct vhdx *v, struct disk_req *req)
{
	struct disk_req *commits = NULL, *next;
	int r;

	for (; req; req = next) {
		next = req->bounce;
		if (vhdx_piece(req)->op != VHDX_COMMIT) {
			perform(v, req);
			continue;
		}
		req->bounce = commits;
		commits = req;
	}
	if (!commits)
		return;
	r = vhdx_commit(v);
	for (; commits; commits = next) {
		next = commits->bounce;
		answer(commits, r);
	}
}

static void *run(void *arg)
{
	struct vhdx *v = arg;
	struct disk_req *req;

	pthread_setname_np(pthread_self(), "vhdx");
	pthread_mutex_lock(&v->lock);
	for (;;) {
		while (!v->queue && !v->stop)
			pthread_cond_wait(&v->work, &v->lock);
		req = v->queue;
		if (!req)
			break;
		v->queue = NULL;
		v->queue_end = &v->queue;
		pthread_mutex_unlock(&v->lock);
		serve(v, req);
		pthread_mutex_lock(&v->lock);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

/* With every signal blocked: they are the process's main thread's. */
static int start_locked(struct vhdx *v)
{
	sigset_t all, old;
	int r;

	if (v->started)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&v->thread, NULL, run, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	v->started = r == 0;
	return r;
}

static void answered(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct vhdx *v = vhdx_of(req);
	enum vhdx_op op = vhdx_piece(req)->op;

	if (res < 0 || op == VHDX_COMMIT)
		disk_done(req, (int)res);
	else if (op != VHDX_ZERO)
		vhdx_next(req);
	else if ((req->flags & DISK_FUA) && !v->unsafe)
		vhdx_ask(v, req, VHDX_COMMIT);
	else
		disk_done(req, 0);
}

void vhdx_ask(struct vhdx *v, struct disk_req *req, enum vhdx_op op)
{
	int r;

	vhdx_piece(req)->op = (uint8_t)op;
	req->aio_req.done = answered;
	pthread_mutex_lock(&v->lock);
	r = start_locked(v);
	pthread_mutex_unlock(&v->lock);
	if (r < 0) {
		disk_done(req, r);
		return;
	}
	aio_expect(req->aio, &req->aio_req);
	pthread_mutex_lock(&v->lock);
	push_locked(v, req);
	pthread_cond_signal(&v->work);
	pthread_mutex_unlock(&v->lock);
}

void vhdx_meta_stop(struct vhdx *v)
{
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_signal(&v->work);
	pthread_mutex_unlock(&v->lock);
	if (v->started)
		pthread_join(v->thread, NULL);
	v->started = false;
}
