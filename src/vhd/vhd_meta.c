/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image's thread: made when first needed, it alone changes the block table and the file's size, and it alone waits for the disk while it
 * does. Requests come by a queue and end on their own aio's thread (aio_post()). Flushes that wait at the same time share one commit.
 */
#include "vhd/vhd_priv.h"

#include <signal.h>

#include "sandbox/sandbox.h"

static void push_locked(struct vhd *v, struct disk_req *req)
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

/* ---- on the image's thread ---- */

static void perform(struct vhd *v, struct disk_req *req)
{
	struct vhd_piece *p = vhd_piece(req);
	int r = p->op == VHD_PREPARE
			? vhd_prepare(v, req->off + p->done, req->len - p->done)
			: vhd_zero(v, req, p);

	if (r <= 0) {
		answer(req, r);
		return;
	}
	pthread_mutex_lock(&v->lock);
	push_locked(v, req);
	pthread_mutex_unlock(&v->lock);
}

static void serve(struct vhd *v, struct disk_req *req)
{
	struct disk_req *commits = NULL, *next;
	int r;

	for (; req; req = next) {
		next = req->bounce;
		if (vhd_piece(req)->op != VHD_COMMIT) {
			perform(v, req);
			continue;
		}
		req->bounce = commits;
		commits = req;
	}
	if (!commits)
		return;
	r = vhd_commit(v);
	for (; commits; commits = next) {
		next = commits->bounce;
		answer(commits, r);
	}
}

static void serve_loads(struct vhd *v, struct disk_load *load)
{
	struct disk_load *next;

	for (; load; load = next) {
		next = load->next;
		aio_post(load->aio, load->aio_req, vhd_load_at(v, load->off));
	}
}

static void *run(void *arg)
{
	struct vhd *v = arg;

	pthread_setname_np(pthread_self(), "vhd");
	sandbox_thread(SANDBOX_IO);
	pthread_mutex_lock(&v->lock);
	for (;;) {
		struct disk_load *loads;
		struct disk_req *req;

		while (!v->queue && !v->loads && !v->stop)
			pthread_cond_wait(&v->work, &v->lock);
		loads = v->loads;
		req = v->queue;
		if (!req && !loads)
			break;
		v->loads = NULL;
		v->queue = NULL;
		v->queue_end = &v->queue;
		pthread_mutex_unlock(&v->lock);
		serve_loads(v, loads);
		serve(v, req);
		pthread_mutex_lock(&v->lock);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

/* With every signal blocked: they are the process's main thread's. */
static int start_locked(struct vhd *v)
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

/* ---- on others ---- */

static void answered(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct vhd *v = vhd_of(req);
	enum vhd_op op = vhd_piece(req)->op;

	if (res < 0 || op == VHD_COMMIT)
		disk_done(req, (int)res);
	else if (op == VHD_PREPARE)
		vhd_next(req);
	else if ((req->flags & DISK_FUA) && !v->unsafe)
		vhd_ask(v, req, VHD_COMMIT);
	else
		disk_done(req, 0);
}

void vhd_ask(struct vhd *v, struct disk_req *req, enum vhd_op op)
{
	int r;

	vhd_piece(req)->op = (uint8_t)op;
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

void vhd_load(struct disk *d, struct disk_load *load)
{
	struct vhd *v = container_of(d, struct vhd, disk);
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

void vhd_meta_stop(struct vhd *v)
{
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_signal(&v->work);
	pthread_mutex_unlock(&v->lock);
	if (v->started)
		pthread_join(v->thread, NULL);
	v->started = false;
}
