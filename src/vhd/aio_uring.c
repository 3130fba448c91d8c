/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The io_uring engine. A batch of requests becomes a batch of submission entries and one io_uring_enter();
 * what the page cache holds is complete when that returns, so a read that hits it costs a single system call and no wake-up.
 *
 * The ring is created disabled and enabled by the first submit, because the kernel binds a single-issuer ring to the thread that
 * enables it, and the thread that opens a channel is not the one that runs it. COOP_TASKRUN: a completion does not interrupt
 * the thread in the middle of its ring, only while it sleeps. (DEFER_TASKRUN would do more of that, but a poll of the ring's descriptor,
 * which is what the owner waits on, then misses completions: seen on 6.18.) Kernels before 6.0 lack both: plain flags serve there.
 * Source: io_uring_setup(2), io_uring_enter(2).
 */
#include "vhd/aio_priv.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"

struct aio_uring {
	struct aio aio;
	struct io_uring ring;
	unsigned int at_host;
	bool enabled;
	/*
	 * Posts: a read of the eventfd stands in the ring while any is expected, so that a post makes the ring's descriptor readable. The read is
	 * none of the requests; its data is the engine itself.
	 */
	int event;
	bool armed;
	uint64_t event_count;
	unsigned int expected;
	/* Under lock. */
	pthread_mutex_t lock;
	struct aio_fifo posted;
};

static struct aio_uring *to_uring(struct aio *aio)
{
	return container_of(aio, struct aio_uring, aio);
}

static void prepare(struct io_uring_sqe *sqe, const struct aio_req *req)
{
	switch (req->op) {
	case AIO_READV:
		io_uring_prep_readv2(sqe, req->fd, req->iov, req->iovcnt, req->off,
				     req->flags);
		break;
	case AIO_WRITEV:
		io_uring_prep_writev2(sqe, req->fd, req->iov, req->iovcnt, req->off,
				      req->flags);
		break;
	case AIO_FSYNC:
		io_uring_prep_fsync(sqe, req->fd, 0);
		break;
	case AIO_FDATASYNC:
		io_uring_prep_fsync(sqe, req->fd, IORING_FSYNC_DATASYNC);
		break;
	case AIO_FALLOCATE:
		io_uring_prep_fallocate(sqe, req->fd, req->flags, (off_t)req->off,
					(off_t)req->len);
		break;
	}
}

/* The host is short of memory, and with nothing in flight no completion will tell us to try again. */
static void pause_for_memory(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };

	nanosleep(&ts, NULL);
}

static void enter(struct aio_uring *u)
{
	while (io_uring_sq_ready(&u->ring)) {
		int r = io_uring_submit(&u->ring);

		if (r > 0 || r == -EINTR)
			continue;
		/* EAGAIN, EBUSY: what completes next brings us here again. */
		if (u->at_host > io_uring_sq_ready(&u->ring))
			break;
		pause_for_memory();
	}
}

/* liburing 2.3 declares io_uring_enable_rings() without exporting it. */
static void enable(struct aio_uring *u)
{
	syscall(__NR_io_uring_register, u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
		NULL, 0);
	u->enabled = true;
}

static void arm(struct aio_uring *u)
{
	struct io_uring_sqe *sqe;

	if (u->armed || !u->expected)
		return;
	if (!u->enabled)
		enable(u);
	sqe = io_uring_get_sqe(&u->ring);
	if (!sqe) {
		enter(u);
		sqe = io_uring_get_sqe(&u->ring);
		if (!sqe)
			return; /* collect() tries again */
	}
	io_uring_prep_read(sqe, u->event, &u->event_count, sizeof(u->event_count), 0);
	io_uring_sqe_set_data(sqe, u);
	u->armed = true;
	enter(u);
}

static void uring_expect(struct aio *aio)
{
	struct aio_uring *u = to_uring(aio);

	u->expected++;
	arm(u);
}

static void ring_bell_locked(struct aio_uring *u)
{
	uint64_t one = 1;

	if (write(u->event, &one, sizeof(one)) < 0)
		log_debug("aio: eventfd: %m");
}

static void uring_post(struct aio *aio, struct aio_req *req)
{
	struct aio_uring *u = to_uring(aio);

	/* Under the lock to the end: the owner may free us as soon as it has the request. */
	pthread_mutex_lock(&u->lock);
	fifo_push(&u->posted, req);
	ring_bell_locked(u);
	pthread_mutex_unlock(&u->lock);
}

static void collect_posted(struct aio_uring *u, struct aio_fifo *out, unsigned int max)
{
	struct aio_req *req;

	pthread_mutex_lock(&u->lock);
	for (; max && (req = fifo_pop(&u->posted)); max--) {
		fifo_push(out, req);
		u->expected--;
	}
	/* The read may have taken the count for what stays. */
	if (u->posted.head)
		ring_bell_locked(u);
	pthread_mutex_unlock(&u->lock);
}

static void uring_submit(struct aio *aio)
{
	struct aio_uring *u = to_uring(aio);

	if (!u->enabled)
		enable(u);
	while (aio->queue.head && u->at_host < aio->depth) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

		if (!sqe) {
			enter(u);
			sqe = io_uring_get_sqe(&u->ring);
			if (!sqe)
				return;
		}
		prepare(sqe, aio->queue.head);
		io_uring_sqe_set_data(sqe, fifo_pop(&aio->queue));
		u->at_host++;
	}
	enter(u);
}

static void uring_collect(struct aio *aio, struct aio_fifo *out, unsigned int max)
{
	struct aio_uring *u = to_uring(aio);
	struct io_uring_cqe *cqe;
	unsigned int n = 0;

	if (io_uring_sq_ready(&u->ring))
		enter(u);
	while (n < max && (u->at_host || u->armed) &&
	       io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct aio_req *req = io_uring_cqe_get_data(cqe);

		if ((void *)req == u) {
			io_uring_cqe_seen(&u->ring, cqe);
			u->armed = false;
			continue;
		}
		req->res = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		u->at_host--;
		fifo_push(out, req);
		n++;
	}
	if (u->expected) {
		collect_posted(u, out, max - n);
		arm(u);
	}
}

static void uring_wait(struct aio *aio)
{
	struct aio_uring *u = to_uring(aio);
	struct io_uring_cqe *cqe;

	enter(u);
	if (u->at_host || u->armed)
		io_uring_wait_cqe(&u->ring, &cqe);
}

static void uring_free(struct aio *aio)
{
	struct aio_uring *u = to_uring(aio);

	io_uring_queue_exit(&u->ring);
	/* The last one to post may still be on its way out. */
	pthread_mutex_lock(&u->lock);
	pthread_mutex_unlock(&u->lock);
	pthread_mutex_destroy(&u->lock);
	close(u->event);
	free(u);
}

static const struct aio_engine_ops uring_ops = {
	.engine = AIO_URING,
	.submit = uring_submit,
	.collect = uring_collect,
	.wait = uring_wait,
	.expect = uring_expect,
	.post = uring_post,
	.free = uring_free,
};

/* Best flags first. */
static int setup(struct aio_uring *u, unsigned int depth)
{
	static const unsigned int flags[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
			IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_R_DISABLED,
	};
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && r == -EINVAL; i++) {
		struct io_uring_params p = { .flags = flags[i] };

		r = io_uring_queue_init_params(depth, &u->ring, &p);
	}
	return r;
}

int aio_uring_new(unsigned int depth, struct aio **ret)
{
	struct aio_uring *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->event = eventfd(0, EFD_CLOEXEC);
	if (u->event < 0) {
		r = -errno;
		free(u);
		return r;
	}
	r = setup(u, depth);
	if (r < 0) {
		close(u->event);
		free(u);
		return r;
	}
	pthread_mutex_init(&u->lock, NULL);
	fifo_init(&u->posted);
	u->aio.ops = &uring_ops;
	u->aio.fd = u->ring.ring_fd;
	u->aio.depth = depth;
	fifo_init(&u->aio.queue);
	*ret = &u->aio;
	return 0;
}
