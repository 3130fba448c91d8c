/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/keeper.h"

#include <signal.h>

#include "sandbox/sandbox.h"
#include "vhd/file.h"

static void push_locked(struct keeper *k, struct disk_req *req)
{
	req->bounce = NULL;
	*k->queue_end = req;
	k->queue_end = (struct disk_req **)&req->bounce;
}

/* req is not ours from here on. */
static void answer(struct disk_req *req, int r)
{
	aio_post(req->aio, &req->aio_req, r);
}

/* ---- on the image's thread ---- */

static void perform(struct keeper *k, struct disk_req *req)
{
	int r = k->ops->perform(k, req);

	if (r <= 0) {
		answer(req, r);
		return;
	}
	pthread_mutex_lock(&k->lock);
	push_locked(k, req);
	pthread_mutex_unlock(&k->lock);
}

static void serve(struct keeper *k, struct disk_req *req)
{
	struct disk_req *commits = NULL, *next;
	int r;

	for (; req; req = next) {
		next = req->bounce;
		if (keeper_piece(req)->op != KEEPER_COMMIT) {
			perform(k, req);
			continue;
		}
		req->bounce = commits;
		commits = req;
	}
	if (!commits)
		return;
	r = k->ops->commit(k);
	for (; commits; commits = next) {
		next = commits->bounce;
		answer(commits, r);
	}
}

static void serve_loads(struct keeper *k, struct disk_load *load)
{
	struct disk_load *next;

	for (; load; load = next) {
		next = load->next;
		aio_post(load->aio, load->aio_req, k->ops->load_at(k, load->off));
	}
}

static void serve_resize(struct keeper *k, uint64_t bytes)
{
	int r = k->ops->resize(k, bytes);

	if (r == 0)
		atomic_store_explicit(&k->disk.bytes, bytes, memory_order_relaxed);
	pthread_mutex_lock(&k->lock);
	k->resize_bytes = 0;
	k->resize_result = r;
	pthread_cond_broadcast(&k->resized);
	pthread_mutex_unlock(&k->lock);
}

static void *run(void *arg)
{
	struct keeper *k = arg;
	struct disk_load *loads;
	struct disk_req *req;
	uint64_t resize_bytes;

	pthread_setname_np(pthread_self(), k->ops->name);
	sandbox_thread(SANDBOX_IO);
	pthread_mutex_lock(&k->lock);
	for (;;) {
		while (!k->queue && !k->loads && !k->resize_bytes && !k->stop)
			pthread_cond_wait(&k->work, &k->lock);
		req = k->queue;
		loads = k->loads;
		resize_bytes = k->resize_bytes;
		if (!req && !loads && !resize_bytes)
			break;
		k->queue = NULL;
		k->queue_end = &k->queue;
		k->loads = NULL;
		pthread_mutex_unlock(&k->lock);
		serve_loads(k, loads);
		serve(k, req);
		if (resize_bytes)
			serve_resize(k, resize_bytes);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

/* With every signal blocked: they are the process's main thread's. */
static int start_locked(struct keeper *k)
{
	sigset_t all, old;
	int r;

	if (k->started)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&k->thread, NULL, run, k);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	k->started = r == 0;
	return r;
}

/* ---- on others ---- */

void keeper_ask(struct disk_req *req, enum keeper_op op,
		void (*answered)(struct aio_req *req, ssize_t res))
{
	struct keeper *k = keeper_of(req);
	int r;

	keeper_piece(req)->op = (uint8_t)op;
	req->aio_req.done = answered;
	pthread_mutex_lock(&k->lock);
	r = start_locked(k);
	pthread_mutex_unlock(&k->lock);
	if (r < 0) {
		answered(&req->aio_req, r);
		return;
	}
	aio_expect(req->aio, &req->aio_req);
	pthread_mutex_lock(&k->lock);
	push_locked(k, req);
	pthread_cond_signal(&k->work);
	pthread_mutex_unlock(&k->lock);
}

void keeper_load(struct disk *d, struct disk_load *load)
{
	struct keeper *k = container_of(d, struct keeper, disk);
	int r;

	pthread_mutex_lock(&k->lock);
	r = start_locked(k);
	if (r == 0) {
		load->next = k->loads;
		k->loads = load;
		pthread_cond_signal(&k->work);
	}
	pthread_mutex_unlock(&k->lock);
	if (r < 0)
		aio_post(load->aio, load->aio_req, r);
}

int keeper_resize(struct disk *d, uint64_t bytes)
{
	struct keeper *k = container_of(d, struct keeper, disk);
	int r;

	/* Nobody else gives this file another size. */
	if (!bytes)
		return 0;
	pthread_mutex_lock(&k->lock);
	r = start_locked(k);
	if (r == 0) {
		k->resize_bytes = bytes;
		pthread_cond_signal(&k->work);
		while (k->resize_bytes)
			pthread_cond_wait(&k->resized, &k->lock);
		r = k->resize_result;
	}
	pthread_mutex_unlock(&k->lock);
	return r;
}

int keeper_failed(struct keeper *k)
{
	int r;

	pthread_mutex_lock(&k->lock);
	r = k->failed;
	pthread_mutex_unlock(&k->lock);
	return r;
}

int keeper_sync(struct keeper *k)
{
	int r = k->unsafe ? 0 : file_sync(k->fd);

	if (r < 0) {
		pthread_mutex_lock(&k->lock);
		k->failed = r;
		pthread_mutex_unlock(&k->lock);
	}
	return r;
}

void keeper_stop(struct keeper *k)
{
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->work);
	pthread_mutex_unlock(&k->lock);
	if (k->started)
		pthread_join(k->thread, NULL);
	k->started = false;
}

void keeper_init(struct keeper *k, const struct keeper_ops *ops)
{
	k->ops = ops;
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->work, NULL);
	pthread_cond_init(&k->resized, NULL);
	k->queue_end = &k->queue;
}

void keeper_set_cache(struct keeper *k, enum disk_cache cache, uint32_t sector_bytes)
{
	k->unsafe = cache == DISK_CACHE_UNSAFE;
	k->in_memory = file_in_memory(k->fd);
	/* In memory too: io_uring writes at once what is direct, and hands the rest to a thread. */
	k->direct_align =
		cache == DISK_CACHE_NONE ? file_set_direct(k->fd, sector_bytes) : 0;
}

void keeper_done(struct keeper *k)
{
	pthread_cond_destroy(&k->resized);
	pthread_cond_destroy(&k->work);
	pthread_mutex_destroy(&k->lock);
}
