/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The raw format over a host that does what the test says: short transfers, ENOSPC, EIO, no holes, no zero ranges. This program
 * links the format with the aio below in place of the real one.
 */
#include "vhd/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "unit/test.h"

#define BYTES (1u << 20)

struct call {
	enum aio_op op;
	int flags;
	uint64_t off, len; /* bytes of the iovec */
};

/* What the host answers to the n-th call; after the last, all that was asked. */
static const ssize_t *answers;
static size_t answers_n;
static struct call calls[64];
static size_t calls_n;

static void answer(struct aio_req *req, enum aio_op op, uint64_t off, uint64_t len,
		   int flags, ssize_t all)
{
	size_t n = calls_n;

	ck_assert_uint_lt(n, ARRAY_SIZE(calls));
	calls[calls_n++] = (struct call){ op, flags, off, len };
	req->done(req, n < answers_n ? answers[n] : all);
}

static uint64_t sum(const struct iovec *iov, unsigned int n)
{
	uint64_t len = 0;

	for (unsigned int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

void aio_readv(struct aio *aio, struct aio_req *req, int fd, const struct iovec *iov,
	       unsigned int iovcnt, uint64_t off)
{
	answer(req, AIO_READV, off, sum(iov, iovcnt), 0, (ssize_t)sum(iov, iovcnt));
}

void aio_writev(struct aio *aio, struct aio_req *req, int fd, const struct iovec *iov,
		unsigned int iovcnt, uint64_t off, int flags)
{
	answer(req, AIO_WRITEV, off, sum(iov, iovcnt), flags, (ssize_t)sum(iov, iovcnt));
}

void aio_fsync(struct aio *aio, struct aio_req *req, int fd, bool data_only)
{
	answer(req, data_only ? AIO_FDATASYNC : AIO_FSYNC, 0, 0, 0, 0);
}

void aio_fallocate(struct aio *aio, struct aio_req *req, int fd, int mode, uint64_t off,
		   uint64_t len)
{
	answer(req, AIO_FALLOCATE, off, len, mode, 0);
}

/* The file of this test lies on tmpfs, which the format treats in a way of its own: not here. */
int fstatfs(int fd, struct statfs *fs)
{
	memset(fs, 0, sizeof(*fs));
	return 0;
}

static int result;
static unsigned int results;
static struct disk *disk;

static void done(struct disk_req *req, int r)
{
	result = r;
	results++;
}

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

static const struct row {
	const char *name;
	enum disk_op op;
	unsigned int flags;
	enum disk_cache cache;
	uint64_t off, len;
	ssize_t answers[4];
	size_t answers_n;
	int r;
	struct call calls[5];
	size_t calls_n;
} rows[] = {
	{ "no space",
	  DISK_WRITE,
	  0,
	  0,
	  0,
	  4096,
	  { -ENOSPC },
	  1,
	  -ENOSPC,
	  { { AIO_WRITEV, 0, 0, 4096 } },
	  1 },
	{ "bad medium",
	  DISK_READ,
	  0,
	  0,
	  512,
	  512,
	  { -EIO },
	  1,
	  -EIO,
	  { { AIO_READV, 0, 512, 512 } },
	  1 },
	{ "short read goes on",
	  DISK_READ,
	  0,
	  0,
	  512,
	  4096,
	  { 1000 },
	  1,
	  0,
	  { { AIO_READV, 0, 512, 4096 }, { AIO_READV, 0, 1512, 3096 } },
	  2 },
	{ "short write goes on until it fails",
	  DISK_WRITE,
	  0,
	  0,
	  0,
	  4096,
	  { 512, 512, -ENOSPC },
	  3,
	  -ENOSPC,
	  { { AIO_WRITEV, 0, 0, 4096 },
	    { AIO_WRITEV, 0, 512, 3584 },
	    { AIO_WRITEV, 0, 1024, 3072 } },
	  3 },
	{ "nothing moves",
	  DISK_WRITE,
	  0,
	  0,
	  0,
	  4096,
	  { 512, 0 },
	  2,
	  -EIO,
	  { { AIO_WRITEV, 0, 0, 4096 }, { AIO_WRITEV, 0, 512, 3584 } },
	  2 },
	{ "FUA, and after a short write too",
	  DISK_WRITE,
	  DISK_FUA,
	  0,
	  0,
	  1024,
	  { 512 },
	  1,
	  0,
	  { { AIO_WRITEV, RWF_DSYNC, 0, 1024 }, { AIO_WRITEV, RWF_DSYNC, 512, 512 } },
	  2 },
	{ "unsafe drops FUA",
	  DISK_WRITE,
	  DISK_FUA,
	  DISK_CACHE_UNSAFE,
	  0,
	  512,
	  { 0 },
	  0,
	  0,
	  { { AIO_WRITEV, 0, 0, 512 } },
	  1 },
	{ "flush",
	  DISK_FLUSH,
	  0,
	  0,
	  0,
	  0,
	  { 0 },
	  0,
	  0,
	  { { AIO_FDATASYNC, 0, 0, 0 } },
	  1 },
	{ "flush fails",
	  DISK_FLUSH,
	  0,
	  0,
	  0,
	  0,
	  { -EIO },
	  1,
	  -EIO,
	  { { AIO_FDATASYNC, 0, 0, 0 } },
	  1 },
	{ "unsafe flushes nothing",
	  DISK_FLUSH,
	  0,
	  DISK_CACHE_UNSAFE,
	  0,
	  0,
	  { 0 },
	  0,
	  0,
	  { { 0 } },
	  0 },
	{ "discard",
	  DISK_DISCARD,
	  0,
	  0,
	  4096,
	  8192,
	  { 0 },
	  0,
	  0,
	  { { AIO_FALLOCATE, PUNCH, 4096, 8192 } },
	  1 },
	{ "discard without holes is ignored",
	  DISK_DISCARD,
	  0,
	  0,
	  0,
	  512,
	  { -EOPNOTSUPP },
	  1,
	  0,
	  { { AIO_FALLOCATE, PUNCH, 0, 512 } },
	  1 },
	{ "discard that fails",
	  DISK_DISCARD,
	  0,
	  0,
	  0,
	  512,
	  { -EIO },
	  1,
	  -EIO,
	  { { AIO_FALLOCATE, PUNCH, 0, 512 } },
	  1 },
	{ "zeros keep their room",
	  DISK_WRITE_ZEROES,
	  0,
	  0,
	  0,
	  512,
	  { 0 },
	  0,
	  0,
	  { { AIO_FALLOCATE, ZERO, 0, 512 } },
	  1 },
	{ "zeros by punching",
	  DISK_WRITE_ZEROES,
	  DISK_MAY_UNMAP | DISK_FUA,
	  0,
	  0,
	  512,
	  { 0 },
	  0,
	  0,
	  { { AIO_FALLOCATE, PUNCH, 0, 512 }, { AIO_FDATASYNC, 0, 0, 0 } },
	  2 },
	{ "zeros written where nothing else works",
	  DISK_WRITE_ZEROES,
	  DISK_MAY_UNMAP | DISK_FUA,
	  0,
	  512,
	  (64u << 10) + 512,
	  { -EOPNOTSUPP, -EOPNOTSUPP },
	  2,
	  0,
	  { { AIO_FALLOCATE, PUNCH, 512, (64u << 10) + 512 },
	    { AIO_FALLOCATE, ZERO, 512, (64u << 10) + 512 },
	    { AIO_WRITEV, 0, 512, 64u << 10 },
	    { AIO_WRITEV, 0, 512 + (64u << 10), 512 },
	    { AIO_FDATASYNC, 0, 0, 0 } },
	  5 },
	{ "zeros and no space",
	  DISK_WRITE_ZEROES,
	  0,
	  0,
	  0,
	  512,
	  { -EOPNOTSUPP, -ENOSPC },
	  2,
	  -ENOSPC,
	  { { AIO_FALLOCATE, ZERO, 0, 512 }, { AIO_WRITEV, 0, 0, 512 } },
	  2 },
	{ "zeros never synced when they failed",
	  DISK_WRITE_ZEROES,
	  DISK_FUA,
	  0,
	  0,
	  512,
	  { -ENOSPC },
	  1,
	  -ENOSPC,
	  { { AIO_FALLOCATE, ZERO, 0, 512 } },
	  1 },
};

static void check_calls(const struct row *row)
{
	ck_assert_msg(calls_n == row->calls_n, "%s: %zu calls", row->name, calls_n);
	for (size_t i = 0; i < calls_n; i++) {
		const struct call *is = &calls[i], *should = &row->calls[i];

		ck_assert_msg(is->op == should->op && is->flags == should->flags &&
				      is->off == should->off && is->len == should->len,
			      "%s: call %zu: op %d flags %x off %llu len %llu", row->name,
			      i, is->op, is->flags, (unsigned long long)is->off,
			      (unsigned long long)is->len);
	}
}

START_TEST(host_answers)
{
	const struct row *row = &rows[_i];
	static char buf[BYTES];
	struct iovec iov[2] = { { buf, 300 }, { buf + 300, row->len - 300 } };
	struct disk_req req = { .op = row->op,
				.flags = row->flags,
				.off = row->off,
				.len = row->len,
				.iov = iov,
				.iovcnt = 2,
				.done = done };
	struct raw_params p = { .cache = row->cache };

	p.fd = memfd_create("raw", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(p.fd, BYTES), 0);
	ck_assert_int_eq(raw_open(&p, &disk), 0);
	answers = row->answers;
	answers_n = row->answers_n;
	results = 0;
	calls_n = 0;
	disk_submit(disk, NULL, &req);
	ck_assert_uint_eq(results, 1);
	ck_assert_msg(result == row->r, "%s: %d", row->name, result);
	check_calls(row);
	disk_unref(disk);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("raw_faults");
	TCase *t = tcase_create("raw_faults");

	tcase_add_loop_test(t, host_answers, 0, ARRAY_SIZE(rows));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
