/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/aio.h"

#include <errno.h>

#include "util/log.h"
#include "vhd/aio_priv.h"

#define AIO_THREADS_DEFAULT 4u

int aio_new(const struct aio_params *params, struct aio **ret)
{
	unsigned int depth = params->depth ? params->depth : AIO_DEPTH;
	unsigned int threads = params->threads ? params->threads : AIO_THREADS_DEFAULT;
	int r;

	if (params->engine != AIO_THREADS) {
		r = aio_uring_new(depth, ret);
		if (r == 0 || params->engine == AIO_URING)
			return r;
		log_debug("io_uring is refused here (%d), threads serve", -r);
	}
	return aio_threads_new(depth, threads, ret);
}

void aio_free(struct aio *aio)
{
	struct aio_fifo out;

	if (!aio)
		return;
	while (aio->queue.head) {
		fifo_pop(&aio->queue);
		aio->pending--;
	}
	fifo_init(&out);
	while (aio->pending) {
		aio->ops->wait(aio);
		aio->ops->collect(aio, &out, aio->pending);
		while (fifo_pop(&out))
			aio->pending--;
	}
	aio->ops->free(aio);
}

int aio_fd(const struct aio *aio)
{
	return aio->fd;
}

enum aio_engine aio_engine(const struct aio *aio)
{
	return aio->ops->engine;
}

unsigned int aio_pending(const struct aio *aio)
{
	return aio->pending;
}

static void queue(struct aio *aio, struct aio_req *req)
{
	aio->pending++;
	fifo_push(&aio->queue, req);
}

void aio_readv(struct aio *aio, struct aio_req *req, int fd, const struct iovec *iov,
	       unsigned int iovcnt, uint64_t off)
{
	req->op = AIO_READV;
	req->fd = fd;
	req->flags = 0;
	req->iov = iov;
	req->iovcnt = iovcnt;
	req->off = off;
	queue(aio, req);
}

void aio_writev(struct aio *aio, struct aio_req *req, int fd, const struct iovec *iov,
		unsigned int iovcnt, uint64_t off, int flags)
{
	req->op = AIO_WRITEV;
	req->fd = fd;
	req->flags = flags;
	req->iov = iov;
	req->iovcnt = iovcnt;
	req->off = off;
	queue(aio, req);
}

void aio_fsync(struct aio *aio, struct aio_req *req, int fd, bool data_only)
{
	req->op = data_only ? AIO_FDATASYNC : AIO_FSYNC;
	req->fd = fd;
	queue(aio, req);
}

void aio_fallocate(struct aio *aio, struct aio_req *req, int fd, int mode, uint64_t off,
		   uint64_t len)
{
	req->op = AIO_FALLOCATE;
	req->fd = fd;
	req->flags = mode;
	req->off = off;
	req->len = len;
	queue(aio, req);
}

void aio_expect(struct aio *aio, struct aio_req *req)
{
	req->next = NULL;
	aio->pending++;
	aio->ops->expect(aio);
}

void aio_post(struct aio *aio, struct aio_req *req, ssize_t res)
{
	/* What a host may say of a request of its own would be queued anew. */
	req->res = res == -EINTR || res == -EAGAIN ? -EIO : res;
	aio->ops->post(aio, req);
}

void aio_submit(struct aio *aio)
{
	if (aio->queue.head)
		aio->ops->submit(aio);
}

unsigned int aio_reap(struct aio *aio, unsigned int max)
{
	struct aio_fifo out;
	struct aio_req *req;
	unsigned int n = 0;

	if (!aio->pending)
		return 0;
	fifo_init(&out);
	aio->ops->collect(aio, &out, max ? max : aio->pending);
	while ((req = fifo_pop(&out))) {
		/* `done` may queue the request anew: it is off our lists before. */
		aio->pending--;
		if (req->res == -EINTR || req->res == -EAGAIN) {
			queue(aio, req);
			continue;
		}
		n++;
		req->done(req, req->res);
	}
	aio_submit(aio);
	return n;
}

void aio_drain(struct aio *aio)
{
	aio_submit(aio);
	while (aio->pending) {
		if (aio_reap(aio, 0) == 0 && aio->pending)
			aio->ops->wait(aio);
	}
}
