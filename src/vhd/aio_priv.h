/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an engine behind aio.h provides. The front (aio.c) keeps the queue of what is not yet at the host and the
 * count of what is pending; an engine takes from the one and gives results.
 * Thread: the owner's, but for what an engine says.
 */
#ifndef VHD_AIO_PRIV_H
#define VHD_AIO_PRIV_H

#include "vhd/aio.h"

struct aio_fifo {
	struct aio_req *head, **tail;
};

struct aio_engine_ops {
	enum aio_engine engine;
	/* Takes from aio->queue what it has room for and starts it. */
	void (*submit)(struct aio *aio);
	/* Moves at most max finished requests, with `res` set, to `out`; never waits. */
	void (*collect)(struct aio *aio, struct aio_fifo *out, unsigned int max);
	/* Waits until collect() would give at least one; something is at the host or expected. */
	void (*wait)(struct aio *aio);
	/* One more request will be posted. */
	void (*expect)(struct aio *aio);
	/* Any thread: req, with `res` set, comes out of collect(). */
	void (*post)(struct aio *aio, struct aio_req *req);
	/* Nothing is at the host, nothing expected. Frees aio. */
	void (*free)(struct aio *aio);
};

struct aio {
	const struct aio_engine_ops *ops;
	int fd;
	unsigned int depth;
	unsigned int pending;
	struct aio_fifo queue;
};

static inline void fifo_init(struct aio_fifo *f)
{
	f->head = NULL;
	f->tail = &f->head;
}

static inline void fifo_push(struct aio_fifo *f, struct aio_req *req)
{
	req->next = NULL;
	*f->tail = req;
	f->tail = &req->next;
}

static inline struct aio_req *fifo_pop(struct aio_fifo *f)
{
	struct aio_req *req = f->head;

	if (req) {
		f->head = req->next;
		if (!f->head)
			f->tail = &f->head;
	}
	return req;
}

int aio_uring_new(unsigned int depth, struct aio **ret) __must_check;
int aio_threads_new(unsigned int depth, unsigned int threads,
		    struct aio **ret) __must_check;

#endif
