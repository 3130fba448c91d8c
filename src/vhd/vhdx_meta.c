/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image's thread: made when first needed, it alone changes the block table and the file's size, and it alone waits for the disk while it
 * does. Requests come by a queue and end on their own aio's thread (aio_post()). Flushes that wait at the same time share one commit.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <signal.h>

#include "sandbox/sandbox.h"
#include "vhd/file.h"

#define ZERO_BLOCKS_A_TURN 512u

/* DISK_DISCARD and DISK_WRITE_ZEROES, in turns, so that a whole disk's does not hold up the others. 1: not at the end yet. */
static int zero(struct vhdx *v, const struct disk_req *req, struct vhdx_piece *p)
{
	uint64_t bytes = v->layout.block_bytes;
	int r = vhdx_begin(v, true);

	for (unsigned int n = 0; r == 0 && p->done < req->len; n++) {
		uint64_t off = req->off + p->done;
		uint64_t len = MIN(bytes - off % bytes, req->len - p->done);

		if (n == ZERO_BLOCKS_A_TURN)
			return 1;
		r = vhdx_zero(v, req, off, len);
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
	case VHDX_PREPARE:
		r = vhdx_prepare(v, req->off + p->done, req->len - p->done);
		break;
	case VHDX_MARK:
		r = vhdx_bits_mark(v, req->off + p->done - p->bytes, p->bytes);
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

static void serve_loads(struct vhdx *v, struct disk_load *load)
{
	while (load) {
		struct disk_load *next = load->next;

		aio_post(load->aio, load->aio_req, vhdx_load_at(v, load->off));
		load = next;
	}
}

/* Between the requests: none sees a table that is half of the one size and half of the other. */
static void serve_resize(struct vhdx *v, uint64_t bytes)
{
	struct image_error error;
	int r = vhdx_resize(v, bytes, false, &error);

	if (r == 0)
		atomic_store_explicit(&v->disk.bytes, bytes, memory_order_relaxed);
	pthread_mutex_lock(&v->lock);
	v->resize_bytes = 0;
	v->resize_result = r;
	pthread_cond_broadcast(&v->resized);
	pthread_mutex_unlock(&v->lock);
}

static void *run(void *arg)
{
	struct vhdx *v = arg;
	struct disk_load *loads;
	struct disk_req *req;
	uint64_t resize_bytes;

	pthread_setname_np(pthread_self(), "vhdx");
	sandbox_thread(SANDBOX_IO);
	pthread_mutex_lock(&v->lock);
	for (;;) {
		while (!v->queue && !v->loads && !v->resize_bytes && !v->stop)
			pthread_cond_wait(&v->work, &v->lock);
		req = v->queue;
		loads = v->loads;
		resize_bytes = v->resize_bytes;
		if (!req && !loads && !resize_bytes)
			break;
		v->queue = NULL;
		v->queue_end = &v->queue;
		v->loads = NULL;
		pthread_mutex_unlock(&v->lock);
		serve_loads(v, loads);
		serve(v, req);
		if (resize_bytes)
			serve_resize(v, resize_bytes);
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

void vhdx_load(struct disk *d, struct disk_load *load)
{
	struct vhdx *v = container_of(d, struct vhdx, disk);
	int r;

	pthread_mutex_lock(&v->lock);
	r = start_locked(v);
	if (r == 0) {
		load->next = v->loads;
		v->loads = load;
		pthread_cond_signal(&v->work);
	}
	pthread_mutex_unlock(&v->lock);
	if (r < 0)
		aio_post(load->aio, load->aio_req, r);
}

int vhdx_resize_online(struct disk *d, uint64_t bytes)
{
	struct vhdx *v = container_of(d, struct vhdx, disk);
	int r;

	/* Nobody else gives this file another size. */
	if (!bytes)
		return 0;
	pthread_mutex_lock(&v->lock);
	r = start_locked(v);
	if (r == 0) {
		v->resize_bytes = bytes;
		pthread_cond_signal(&v->work);
		while (v->resize_bytes)
			pthread_cond_wait(&v->resized, &v->lock);
		r = v->resize_result;
	}
	pthread_mutex_unlock(&v->lock);
	return r;
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
