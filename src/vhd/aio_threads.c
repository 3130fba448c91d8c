/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread engine, for hosts that forbid io_uring. The owner appends a batch to `todo` and wakes threads; each takes one
 * request, does it with a plain system call and appends it to `finished`; the eventfd is written when that was empty, so a
 * burst of completions costs the owner one wake-up. Threads are made only when work waits and none is idle: an instance that
 * sees one request at a time has one thread, one that sees none has none.
 */
#include "vhd/aio_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "util/cleanup.h"
#include "util/log.h"

#define STACK_BYTES (64u << 10)

struct aio_threads {
	struct aio aio;
	/* Fixed after init. */
	unsigned int max_threads;
	/* Owner: thread. */
	unsigned int threads;
	/* Under lock. */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct aio_fifo todo, finished;
	unsigned int todo_n, idle;
	bool stop;
	pthread_t ids[];
};

static struct aio_threads *to_threads(struct aio *aio)
{
	return container_of(aio, struct aio_threads, aio);
}

static ssize_t perform_once(const struct aio_req *req)
{
	switch (req->op) {
	case AIO_READV:
		return preadv2(req->fd, req->iov, (int)req->iovcnt, (off_t)req->off,
			       req->flags);
	case AIO_WRITEV:
		return pwritev2(req->fd, req->iov, (int)req->iovcnt, (off_t)req->off,
				req->flags);
	case AIO_FSYNC:
		return fsync(req->fd);
	case AIO_FDATASYNC:
		return fdatasync(req->fd);
	case AIO_FALLOCATE:
		return fallocate(req->fd, req->flags, (off_t)req->off, (off_t)req->len);
	}
	errno = EINVAL;
	return -1;
}

static void perform(struct aio_req *req)
{
	do {
		req->res = perform_once(req);
	} while (req->res < 0 && errno == EINTR);
	if (req->res < 0)
		req->res = -errno;
}

static void notify(const struct aio_threads *t)
{
	uint64_t one = 1;

	/* The counter cannot overflow: at most one write between two reads of the owner's. */
	if (write(t->aio.fd, &one, sizeof(one)) < 0)
		log_debug("aio: eventfd: %m");
}

static void finish_locked(struct aio_threads *t, struct aio_req *req)
{
	bool was_empty = !t->finished.head;

	fifo_push(&t->finished, req);
	if (was_empty)
		notify(t);
}

static void *run(void *arg)
{
	struct aio_threads *t = arg;
	struct aio_req *req;

	pthread_setname_np(pthread_self(), "aio");
	sandbox_thread(SANDBOX_IO);
	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (!t->todo.head && !t->stop) {
			t->idle++;
			pthread_cond_wait(&t->work, &t->lock);
			t->idle--;
		}
		if (t->stop)
			break;
		req = fifo_pop(&t->todo);
		t->todo_n--;
		pthread_mutex_unlock(&t->lock);
		perform(req);
		pthread_mutex_lock(&t->lock);
		finish_locked(t, req);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* With every signal blocked: they are the process's main thread's. */
static int spawn(struct aio_threads *t)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int r;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&t->ids[t->threads], &attr, run, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r == 0)
		t->threads++;
	return r;
}

/* No thread could be made: the owner does what waits itself. */
static void perform_here(struct aio_threads *t)
{
	struct aio_req *req;

	pthread_mutex_lock(&t->lock);
	while ((req = fifo_pop(&t->todo))) {
		t->todo_n--;
		perform(req);
		finish_locked(t, req);
	}
	pthread_mutex_unlock(&t->lock);
}

static void threads_submit(struct aio *aio)
{
	struct aio_threads *t = to_threads(aio);
	struct aio_req *req;
	unsigned int lacking;

	pthread_mutex_lock(&t->lock);
	while ((req = fifo_pop(&aio->queue))) {
		fifo_push(&t->todo, req);
		t->todo_n++;
	}
	lacking = t->todo_n > t->idle ? t->todo_n - t->idle : 0;
	if (t->idle && t->todo_n == 1)
		pthread_cond_signal(&t->work);
	else if (t->idle)
		pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	while (lacking-- && t->threads < t->max_threads) {
		if (spawn(t) < 0)
			break;
	}
	if (!t->threads)
		perform_here(t);
}

static void threads_collect(struct aio *aio, struct aio_fifo *out, unsigned int max)
{
	struct aio_threads *t = to_threads(aio);
	uint64_t count;
	unsigned int n = 0;

	pthread_mutex_lock(&t->lock);
	for (; n < max && t->finished.head; n++)
		fifo_push(out, fifo_pop(&t->finished));
	/* Emptied: quiet until the next one finishes. */
	if (n && !t->finished.head && read(aio->fd, &count, sizeof(count)) < 0)
		log_debug("aio: eventfd: %m");
	pthread_mutex_unlock(&t->lock);
}

static void threads_wait(struct aio *aio)
{
	struct pollfd p = { .fd = aio->fd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

/* What is posted comes by the list of what the threads finished. */
static void threads_expect(struct aio *aio)
{
}

static void threads_post(struct aio *aio, struct aio_req *req)
{
	struct aio_threads *t = to_threads(aio);

	pthread_mutex_lock(&t->lock);
	finish_locked(t, req);
	pthread_mutex_unlock(&t->lock);
}

static void threads_free(struct aio *aio)
{
	struct aio_threads *t = to_threads(aio);

	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	for (unsigned int i = 0; i < t->threads; i++)
		pthread_join(t->ids[i], NULL);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	close(aio->fd);
	free(t);
}

static const struct aio_engine_ops threads_ops = {
	.engine = AIO_THREADS,
	.submit = threads_submit,
	.collect = threads_collect,
	.wait = threads_wait,
	.expect = threads_expect,
	.post = threads_post,
	.free = threads_free,
};

int aio_threads_new(unsigned int depth, unsigned int threads, struct aio **ret)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct aio_threads *t;

	if (fd < 0)
		return -errno;
	t = calloc(1, sizeof(*t) + threads * sizeof(t->ids[0]));
	if (!t)
		return -ENOMEM;
	t->aio.fd = take_fd(&fd);
	t->aio.ops = &threads_ops;
	t->aio.depth = depth;
	t->max_threads = threads;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	fifo_init(&t->aio.queue);
	fifo_init(&t->todo);
	fifo_init(&t->finished);
	*ret = &t->aio;
	return 0;
}
