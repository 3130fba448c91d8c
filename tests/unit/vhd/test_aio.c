/* SPDX-License-Identifier: BSD-2-Clause */
/* Every test runs over each engine: io_uring (skipped where the host forbids it) and threads. */
#include "vhd/aio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "unit/test.h"

static const enum aio_engine engines[] = { AIO_URING, AIO_THREADS };

struct op {
	struct aio_req req;
	struct iovec iov[3];
	ssize_t res;
	unsigned int done;
	struct aio *again; /* queue the same read once more from done */
};

static int fd;
static struct aio *aio;

static void done(struct aio_req *req, ssize_t res)
{
	struct op *op = container_of(req, struct op, req);

	op->res = res;
	op->done++;
	if (op->again) {
		struct aio *a = op->again;

		op->again = NULL;
		aio_readv(a, req, fd, op->iov, 1, 0);
	}
}

static bool open_engine(int i, unsigned int depth)
{
	struct aio_params p = { .engine = engines[i], .depth = depth };
	int r = aio_new(&p, &aio);

	if (engines[i] == AIO_URING && (r == -ENOSYS || r == -EPERM)) {
		fprintf(stderr, "SKIP: io_uring is forbidden here\n");
		return false;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(aio_engine(aio), engines[i]);
	return true;
}

static void setup(void)
{
	fd = memfd_create("aio", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
}

static void teardown(void)
{
	close(fd);
}

static void queue_read(struct op *op, void *buf, size_t len, uint64_t off)
{
	op->req.done = done;
	op->iov[0] = (struct iovec){ buf, len };
	aio_readv(aio, &op->req, fd, op->iov, 1, off);
}

START_TEST(errors_come_back)
{
	static char buf[4096];
	struct op op[5] = { 0 };

	if (!open_engine(_i, 0))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(op); i++) {
		op[i].req.done = done;
		op[i].iov[0] = (struct iovec){ buf, sizeof(buf) };
	}
	aio_readv(aio, &op[0].req, -1, op[0].iov, 1, 0);
	op[1].iov[0].iov_base = (void *)16;
	aio_writev(aio, &op[1].req, fd, op[1].iov, 1, 0, 0);
	aio_fallocate(aio, &op[2].req, fd, 0, 0, 0);
	aio_fsync(aio, &op[3].req, -1, false);
	queue_read(&op[4], buf, sizeof(buf), (1 << 20) - 100);
	aio_drain(aio);
	ck_assert_int_eq(op[0].res, -EBADF);
	ck_assert_int_eq(op[1].res, -EFAULT);
	ck_assert_int_eq(op[2].res, -EINVAL);
	ck_assert_int_eq(op[3].res, -EBADF);
	ck_assert_int_eq(op[4].res, 100);
	for (size_t i = 0; i < ARRAY_SIZE(op); i++)
		ck_assert_uint_eq(op[i].done, 1);
	aio_free(aio);
}
END_TEST

START_TEST(free_waits_and_calls_nothing)
{
	static char buf[64][4096];
	static struct op op[64];

	memset(op, 0, sizeof(op));
	if (!open_engine(_i, 4))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(op); i++)
		queue_read(&op[i], buf[i], sizeof(buf[i]), i * 4096);
	aio_submit(aio);
	aio_free(aio);
	for (size_t i = 0; i < ARRAY_SIZE(op); i++)
		ck_assert_uint_eq(op[i].done, 0);
}
END_TEST

START_TEST(free_of_nothing)
{
	aio_free(NULL);
	if (!open_engine(_i, 0))
		return;
	ck_assert_uint_eq(aio_reap(aio, 0), 0);
	aio_drain(aio);
	aio_free(aio);
}
END_TEST

START_TEST(gathers_and_scatters)
{
	char a[512], b[1024], back[1536];
	struct op w = { .req.done = done }, r = { 0 };

	if (!open_engine(_i, 0))
		return;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	w.iov[0] = (struct iovec){ a, sizeof(a) };
	w.iov[1] = (struct iovec){ b, sizeof(b) };
	aio_writev(aio, &w.req, fd, w.iov, 2, 8192, RWF_DSYNC);
	aio_drain(aio);
	ck_assert_int_eq(w.res, 1536);
	queue_read(&r, back, sizeof(back), 8192);
	aio_drain(aio);
	ck_assert_int_eq(r.res, 1536);
	ck_assert_int_eq(memcmp(back, a, 512), 0);
	ck_assert_int_eq(memcmp(back + 512, b, 1024), 0);
	aio_free(aio);
}
END_TEST

/* More requests than depth, reaped a few at a time, with the descriptor as the only wake-up. */
START_TEST(more_than_depth_by_poll)
{
	static uint32_t bufs[200];
	static struct op op[200];
	struct pollfd p = { .events = POLLIN };
	unsigned int n = 0;

	memset(op, 0, sizeof(op));
	if (!open_engine(_i, 8))
		return;
	for (uint32_t i = 0; i < ARRAY_SIZE(op); i++)
		ck_assert_int_eq(pwrite(fd, &i, 4, i * 512), 4);
	for (size_t i = 0; i < ARRAY_SIZE(op); i++)
		queue_read(&op[i], &bufs[i], 4, i * 512);
	ck_assert_uint_eq(aio_pending(aio), ARRAY_SIZE(op));
	aio_submit(aio);
	p.fd = aio_fd(aio);
	while (aio_pending(aio)) {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		n += aio_reap(aio, 3);
	}
	ck_assert_uint_eq(n, ARRAY_SIZE(op));
	for (uint32_t i = 0; i < ARRAY_SIZE(op); i++) {
		ck_assert_uint_eq(op[i].done, 1);
		ck_assert_uint_eq(bufs[i], i);
	}
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	aio_free(aio);
}
END_TEST

START_TEST(done_may_queue_again)
{
	char buf[512];
	struct op op = { 0 };

	if (!open_engine(_i, 0))
		return;
	op.again = aio;
	queue_read(&op, buf, sizeof(buf), 0);
	aio_drain(aio);
	ck_assert_uint_eq(op.done, 2);
	ck_assert_int_eq(op.res, 512);
	aio_free(aio);
}
END_TEST

START_TEST(punches_and_syncs)
{
	char buf[4096];
	struct op p = { .req.done = done }, s = { .req.done = done }, r = { 0 };

	if (!open_engine(_i, 0))
		return;
	memset(buf, 'x', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 4096), 4096);
	aio_fallocate(aio, &p.req, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096,
		      4096);
	aio_drain(aio);
	aio_fsync(aio, &s.req, fd, true);
	queue_read(&r, buf, sizeof(buf), 4096);
	aio_drain(aio);
	ck_assert_int_eq(p.res, 0);
	ck_assert_int_eq(s.res, 0);
	ck_assert_int_eq(r.res, 4096);
	for (size_t i = 0; i < sizeof(buf); i++)
		ck_assert_int_eq(buf[i], 0);
	aio_free(aio);
}
END_TEST

/* A batch of writes then their reads, each with bytes of its own, many rounds: nothing is lost or swapped. */
START_TEST(keeps_the_data)
{
	enum { N = 64, BYTES = 2048, ROUNDS = 30 };
	static unsigned char out[N][BYTES], in[N][BYTES];
	static struct op op[N];

	if (!open_engine(_i, 16))
		return;
	for (int round = 0; round < ROUNDS; round++) {
		memset(op, 0, sizeof(op));
		for (int i = 0; i < N; i++) {
			memset(out[i], (i * 7 + round) & 0xff, BYTES);
			op[i].req.done = done;
			op[i].iov[0] = (struct iovec){ out[i], BYTES };
			aio_writev(aio, &op[i].req, fd, op[i].iov, 1, (uint64_t)i * BYTES,
				   0);
		}
		aio_drain(aio);
		for (int i = 0; i < N; i++) {
			ck_assert_int_eq(op[i].res, BYTES);
			queue_read(&op[i], in[i], BYTES, (uint64_t)i * BYTES);
		}
		aio_drain(aio);
		ck_assert_int_eq(memcmp(in, out, sizeof(in)), 0);
	}
	aio_free(aio);
}
END_TEST

struct poster {
	struct op op[50];
	unsigned int n;
};

static void *post(void *arg)
{
	struct poster *p = arg;

	for (unsigned int i = 0; i < p->n; i++)
		aio_post(aio, &p->op[i].req, i == 7 ? -EAGAIN : (ssize_t)i);
	return NULL;
}

/* The owner sleeps in poll(), as it does in a turn of its loop, and finds every one, beside reads of its own. */
START_TEST(another_thread_posts)
{
	static struct poster p;
	static struct op read_op;
	static char buf[4096];
	struct pollfd pfd;
	pthread_t thread;
	unsigned int n = 0;

	if (!open_engine(_i, 4))
		return;
	p = (struct poster){ .n = ARRAY_SIZE(p.op) };
	for (unsigned int i = 0; i < p.n; i++) {
		p.op[i].req.done = done;
		aio_expect(aio, &p.op[i].req);
	}
	queue_read(&read_op, buf, sizeof(buf), 0);
	aio_submit(aio);
	ck_assert_uint_eq(aio_pending(aio), p.n + 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, post, &p), 0);
	pfd = (struct pollfd){ .fd = aio_fd(aio), .events = POLLIN };
	while (n < p.n + 1) {
		ck_assert_int_eq(poll(&pfd, 1, 20000), 1);
		n += aio_reap(aio, 3);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(aio_pending(aio), 0);
	for (unsigned int i = 0; i < p.n; i++) {
		ck_assert_uint_eq(p.op[i].done, 1);
		ck_assert_int_eq(p.op[i].res, i == 7 ? -EIO : (ssize_t)i);
	}
	aio_free(aio);
}
END_TEST

START_TEST(free_waits_for_posts)
{
	static struct poster p;
	pthread_t thread;

	if (!open_engine(_i, 4))
		return;
	p = (struct poster){ .n = 2 };
	for (unsigned int i = 0; i < p.n; i++)
		aio_expect(aio, &p.op[i].req);
	ck_assert_int_eq(pthread_create(&thread, NULL, post, &p), 0);
	aio_free(aio);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(p.op[0].done + p.op[1].done, 0);
}
END_TEST

START_TEST(auto_always_opens)
{
	struct aio_params p = { .engine = AIO_AUTO };

	ck_assert_int_eq(aio_new(&p, &aio), 0);
	ck_assert_int_ge(aio_fd(aio), 0);
	aio_free(aio);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("aio");
	TCase *t = tcase_create("aio");
	int n = ARRAY_SIZE(engines);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, errors_come_back, 0, n);
	tcase_add_loop_test(t, free_waits_and_calls_nothing, 0, n);
	tcase_add_loop_test(t, free_of_nothing, 0, n);
	tcase_add_loop_test(t, gathers_and_scatters, 0, n);
	tcase_add_loop_test(t, more_than_depth_by_poll, 0, n);
	tcase_add_loop_test(t, done_may_queue_again, 0, n);
	tcase_add_loop_test(t, punches_and_syncs, 0, n);
	tcase_add_loop_test(t, keeps_the_data, 0, n);
	tcase_add_loop_test(t, another_thread_posts, 0, n);
	tcase_add_loop_test(t, free_waits_for_posts, 0, n);
	tcase_add_test(t, auto_always_opens);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
