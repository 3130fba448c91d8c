/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate of disk.h and the raw format over real files, with each engine and cache mode. */
#include "vhd/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit/test.h"

#define BYTES (4u << 20)

static const struct {
	enum aio_engine engine;
	enum disk_cache cache;
	bool in_memory;
} modes[] = {
	{ AIO_AUTO, DISK_CACHE_WRITEBACK, false },
	{ AIO_AUTO, DISK_CACHE_NONE, false },
	{ AIO_AUTO, DISK_CACHE_UNSAFE, false },
	{ AIO_AUTO, DISK_CACHE_WRITEBACK, true },
	{ AIO_THREADS, DISK_CACHE_WRITEBACK, false },
	{ AIO_THREADS, DISK_CACHE_NONE, false },
};

struct op {
	struct disk_req req;
	struct iovec iov[IOV_MAX + 1];
	int r;
	unsigned int done;
};

static char path[64];
static struct aio *aio;
static struct disk *disk;
static unsigned char *a, *b;

static void done(struct disk_req *req, int r)
{
	struct op *op = container_of(req, struct op, req);

	op->r = r;
	op->done++;
}

static int make_file(off_t bytes)
{
	int fd;

	strcpy(path, "/tmp/test_raw.XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, bytes), 0);
	unlink(path);
	return fd;
}

static void open_mode(int i)
{
	struct aio_params p = { .engine = modes[i].engine };
	struct raw_params raw = { .cache = modes[i].cache };

	raw.fd = modes[i].in_memory ? memfd_create("raw", MFD_CLOEXEC) : make_file(BYTES);
	ck_assert_int_eq(ftruncate(raw.fd, BYTES), 0);
	ck_assert_int_eq(aio_new(&p, &aio), 0);
	ck_assert_int_eq(raw_open(&raw, &disk), 0);
}

static void setup(void)
{
	a = aligned_alloc(4096, BYTES);
	b = aligned_alloc(4096, BYTES);
	for (size_t i = 0; i < BYTES; i++)
		a[i] = (unsigned char)(i * 31 + (i >> 9));
}

static void teardown(void)
{
	if (aio)
		aio_free(aio);
	disk_unref(disk);
	aio = NULL;
	disk = NULL;
	free(a);
	free(b);
}

static int run(struct op *op)
{
	op->done = 0;
	op->req.done = done;
	op->req.iov = op->iov;
	disk_submit(disk, aio, &op->req);
	aio_drain(aio);
	ck_assert_uint_eq(op->done, 1);
	return op->r;
}

static int run_op(enum disk_op what, unsigned int flags, uint64_t off, void *buf,
		  uint64_t len)
{
	static struct op op;

	op.req = (struct disk_req){
		.op = what, .flags = flags, .off = off, .len = len, .iovcnt = 1
	};
	op.iov[0] = (struct iovec){ buf, len };
	return run(&op);
}

static const struct {
	enum disk_op op;
	uint64_t off, len;
	int r;
} hostile[] = {
	{ DISK_READ, BYTES, 512, -EINVAL },
	{ DISK_READ, BYTES - 512, 1024, -EINVAL },
	{ DISK_READ, UINT64_MAX & ~511ull, 512, -EINVAL },
	{ DISK_READ, UINT64_MAX & ~511ull, 1024, -EINVAL },
	{ DISK_READ, 1, 512, -EINVAL },
	{ DISK_WRITE, 0, 511, -EINVAL },
	{ DISK_WRITE, BYTES, 512, -EINVAL },
	{ DISK_DISCARD, 512, BYTES, -EINVAL },
	{ DISK_DISCARD, 0, UINT64_MAX & ~511ull, -EINVAL },
	{ DISK_WRITE_ZEROES, 100, 512, -EINVAL },
	{ DISK_WRITE_ZEROES, BYTES - 512, 1024, -EINVAL },
};

START_TEST(gate_refuses)
{
	open_mode(0);
	ck_assert_int_eq(run_op(hostile[_i].op, 0, hostile[_i].off, a, hostile[_i].len),
			 hostile[_i].r);
}
END_TEST

START_TEST(gate_counts_the_iovec)
{
	static struct op op;

	open_mode(0);
	op.req = (struct disk_req){ .op = DISK_WRITE, .len = 1024, .iovcnt = 2 };
	op.iov[0] = (struct iovec){ a, 512 };
	op.iov[1] = (struct iovec){ a, 511 };
	ck_assert_int_eq(run(&op), -EINVAL);
	op.iov[1].iov_len = SIZE_MAX - 100;
	ck_assert_int_eq(run(&op), -EINVAL);
	op.iov[0].iov_len = 0;
	op.iov[1].iov_len = 1024;
	ck_assert_int_eq(run(&op), -EINVAL);
	for (int i = 0; i <= IOV_MAX; i++)
		op.iov[i] = (struct iovec){ a, 512 };
	op.req.len = (IOV_MAX + 1) * 512;
	op.req.iovcnt = IOV_MAX + 1;
	ck_assert_int_eq(run(&op), -EINVAL);
	op.req.len -= 512;
	op.req.iovcnt--;
	ck_assert_int_eq(run(&op), 0);
}
END_TEST

START_TEST(read_only_is_kept)
{
	struct raw_params raw = { .fd = make_file(BYTES), .read_only = true };
	struct aio_params p = { 0 };

	ck_assert_int_eq(aio_new(&p, &aio), 0);
	ck_assert_int_eq(raw_open(&raw, &disk), 0);
	ck_assert(disk->info.read_only && !disk->info.can_discard);
	ck_assert_int_eq(run_op(DISK_WRITE, 0, 0, a, 512), -EROFS);
	ck_assert_int_eq(run_op(DISK_DISCARD, 0, 0, a, 512), -EROFS);
	ck_assert_int_eq(run_op(DISK_WRITE_ZEROES, 0, 0, a, 512), -EROFS);
	ck_assert_int_eq(run_op(DISK_READ, 0, 0, b, 512), 0);
	ck_assert_int_eq(run_op(DISK_FLUSH, 0, 0, NULL, 0), 0);
}
END_TEST

START_TEST(a_descriptor_opened_read_only_is)
{
	int rw = make_file(BYTES);
	char proc[64];
	struct raw_params raw = { 0 };

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", rw);
	raw.fd = open(proc, O_RDONLY | O_CLOEXEC);
	close(rw);
	ck_assert_int_eq(raw_open(&raw, &disk), 0);
	ck_assert(disk->info.read_only);
}
END_TEST

START_TEST(bad_files_are_refused)
{
	int p[2], fd;
	struct raw_params raw = { .fd = -1 };

	ck_assert_int_eq(raw_open(&raw, &disk), -EBADF);
	ck_assert_int_eq(pipe(p), 0);
	raw.fd = p[0];
	ck_assert_int_eq(raw_open(&raw, &disk), -ENOTBLK);
	fd = make_file(0);
	raw.fd = fd;
	ck_assert_int_eq(raw_open(&raw, &disk), -EINVAL);
	ck_assert_int_eq(ftruncate(fd, 1000), 0);
	ck_assert_int_eq(raw_open(&raw, &disk), -EINVAL);
	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	raw.logical_bytes = 256;
	ck_assert_int_eq(raw_open(&raw, &disk), -EINVAL);
	raw.logical_bytes = 8192;
	ck_assert_int_eq(raw_open(&raw, &disk), -EINVAL);
	raw.logical_bytes = 1536;
	ck_assert_int_eq(raw_open(&raw, &disk), -EINVAL);
	ck_assert_ptr_null(disk);
	/* Still the caller's. */
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	raw.logical_bytes = 4096;
	ck_assert_int_eq(raw_open(&raw, &disk), 0);
	ck_assert_uint_eq(disk->info.logical_bytes, 4096);
	ck_assert_uint_eq(disk->info.physical_bytes, 4096);
}
END_TEST

START_TEST(a_file_cut_short_is_an_error)
{
	struct raw_params raw = { 0 };
	struct aio_params p = { 0 };

	raw.fd = _i ? memfd_create("raw", MFD_CLOEXEC) : make_file(0);
	ck_assert_int_eq(ftruncate(raw.fd, BYTES), 0);
	ck_assert_int_eq(aio_new(&p, &aio), 0);
	ck_assert_int_eq(raw_open(&raw, &disk), 0);
	ck_assert_int_eq(ftruncate(raw.fd, 1024), 0);
	ck_assert_int_eq(run_op(DISK_READ, 0, 0, b, 4096), -EIO);
	ck_assert_int_eq(run_op(DISK_READ, 0, 0, b, 1024), 0);
}
END_TEST

/* A pattern over the whole disk in pieces of odd sizes and odd buffers, read back in others. */
START_TEST(keeps_the_data)
{
	static struct op op;
	uint64_t off = 0;

	open_mode(_i);
	for (unsigned int n = 1; off < BYTES; n = n % 97 + 1) {
		uint64_t len = MIN((uint64_t)n * 512, BYTES - off);

		ck_assert_int_eq(
			run_op(DISK_WRITE, n & 1 ? DISK_FUA : 0, off, a + off, len), 0);
		off += len;
	}
	ck_assert_int_eq(run_op(DISK_FLUSH, 0, 0, NULL, 0), 0);
	memset(b, 0, BYTES);
	for (off = 0; off < BYTES; off += 128 << 10) {
		op.req = (struct disk_req){
			.op = DISK_READ, .off = off, .len = 128 << 10, .iovcnt = 3
		};
		op.iov[0] = (struct iovec){ b + off, 100 };
		op.iov[1] = (struct iovec){ b + off + 100, (128 << 10) - 101 };
		op.iov[2] = (struct iovec){ b + off + (128 << 10) - 1, 1 };
		ck_assert_int_eq(run(&op), 0);
	}
	ck_assert_int_eq(memcmp(a, b, BYTES), 0);
}
END_TEST

START_TEST(unaligned_buffers_write_right)
{
	static struct op op;

	open_mode(_i);
	op.req = (struct disk_req){
		.op = DISK_WRITE, .off = 512, .len = 200 << 10, .iovcnt = 2
	};
	op.iov[0] = (struct iovec){ a + 3, 77777 };
	op.iov[1] = (struct iovec){ a + 3 + 77777, (200 << 10) - 77777 };
	ck_assert_int_eq(run(&op), 0);
	ck_assert_int_eq(run_op(DISK_READ, 0, 512, b, 200 << 10), 0);
	ck_assert_int_eq(memcmp(b, a + 3, 200 << 10), 0);
}
END_TEST

static bool is_zero(const unsigned char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

START_TEST(discards_and_zeroes)
{
	open_mode(_i);
	ck_assert_int_eq(run_op(DISK_WRITE, 0, 0, a, BYTES), 0);
	ck_assert_int_eq(run_op(DISK_DISCARD, 0, 1 << 20, NULL, 1 << 20), 0);
	ck_assert_int_eq(run_op(DISK_WRITE_ZEROES, DISK_FUA, 2 << 20, NULL, 512), 0);
	ck_assert_int_eq(
		run_op(DISK_WRITE_ZEROES, DISK_MAY_UNMAP, 3 << 20, NULL, 1 << 20), 0);
	ck_assert_int_eq(run_op(DISK_READ, 0, 0, b, BYTES), 0);
	ck_assert_int_eq(memcmp(a, b, 1 << 20), 0);
	if (disk->info.discard_zeroes)
		ck_assert(is_zero(b + (1 << 20), 1 << 20));
	ck_assert(is_zero(b + (2 << 20), 512));
	ck_assert_int_eq(
		memcmp(a + (2 << 20) + 512, b + (2 << 20) + 512, (1 << 20) - 512), 0);
	ck_assert(is_zero(b + (3 << 20), 1 << 20));
}
END_TEST

START_TEST(references_close_once)
{
	struct raw_params raw = { .fd = make_file(BYTES) };
	struct disk *d;

	ck_assert_int_eq(raw_open(&raw, &d), 0);
	ck_assert_ptr_eq(disk_ref(d), d);
	disk_unref(d);
	ck_assert_int_ge(fcntl(raw.fd, F_GETFD), 0);
	disk_unref(d);
	ck_assert_int_eq(fcntl(raw.fd, F_GETFD), -1);
	disk_unref(NULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("raw");
	TCase *t = tcase_create("raw");
	int n = ARRAY_SIZE(modes);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, gate_refuses, 0, ARRAY_SIZE(hostile));
	tcase_add_test(t, gate_counts_the_iovec);
	tcase_add_test(t, read_only_is_kept);
	tcase_add_test(t, a_descriptor_opened_read_only_is);
	tcase_add_test(t, bad_files_are_refused);
	tcase_add_loop_test(t, a_file_cut_short_is_an_error, 0, 2);
	tcase_add_loop_test(t, keeps_the_data, 0, n);
	tcase_add_loop_test(t, unaligned_buffers_write_right, 0, n);
	tcase_add_loop_test(t, discards_and_zeroes, 0, n);
	tcase_add_test(t, references_close_once);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
