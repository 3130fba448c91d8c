/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vhd/rig.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "unit/test.h"
#include "vhd/crc32c.h"

struct aio *rig_aio;
struct disk *rig_disk;
struct image_error rig_error;
enum disk_cache rig_cache;
unsigned char *rig_model, *rig_buf;

struct op {
	struct disk_req req;
	struct iovec iov[2];
	int r;
	unsigned int done;
};

void rig_setup(void)
{
	rig_model = aligned_alloc(4096, RIG_BYTES);
	rig_buf = aligned_alloc(4096, RIG_BYTES);
	memset(rig_model, 0, RIG_BYTES);
	rig_cache = DISK_CACHE_WRITEBACK;
}

void rig_teardown(void)
{
	if (rig_aio)
		aio_free(rig_aio);
	rig_aio = NULL;
	rig_close();
	free(rig_model);
	free(rig_buf);
}

void rig_engine(enum aio_engine engine)
{
	struct aio_params p = { .engine = engine };

	ck_assert_int_eq(aio_new(&p, &rig_aio), 0);
}

int rig_file(void)
{
	char path[] = "/tmp/test_rig.XXXXXX";
	int fd = rig_cache == DISK_CACHE_NONE ? mkostemp(path, O_CLOEXEC)
					      : memfd_create("image", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	if (rig_cache == DISK_CACHE_NONE)
		unlink(path);
	return fd;
}

int rig_make(const struct image_create_params *params)
{
	int fd = rig_file();

	ck_assert_msg(image_create(fd, params, &rig_error) == 0, "%s", rig_error.message);
	return fd;
}

/* With O_DIRECT by a description of its own, so that the test's stays without. */
static int duplicate(int fd)
{
	char path[32];

	if (rig_cache != DISK_CACHE_NONE)
		return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

int rig_open(const int *fds, const enum image_format *formats, unsigned int n,
	     bool read_only)
{
	struct image_file files[IMAGE_CHAIN_MAX];
	struct image_params p = {
		.files = files, .nfiles = n, .read_only = read_only, .cache = rig_cache
	};
	int r;

	for (unsigned int i = 0; i < n; i++) {
		files[i].fd = duplicate(fds[i]);
		files[i].format = formats ? formats[i] : IMAGE_VHD;
		ck_assert_int_ge(files[i].fd, 0);
	}
	r = image_open(&p, &rig_disk, &rig_error);
	for (unsigned int i = 0; r < 0 && i < n; i++)
		close(files[i].fd);
	return r;
}

void rig_close(void)
{
	disk_unref(rig_disk);
	rig_disk = NULL;
}

void rig_check(int fd, enum image_format format)
{
	struct image_check found;

	ck_assert_msg(image_check(fd, format, &found, NULL, &rig_error) == 0, "%s",
		      rig_error.message);
	ck_assert_msg(!found.errors, "%s", found.first);
}

uint32_t rig_sum(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	uint32_t crc = 0;

	for (off_t off = 0; off < end; off += RIG_MIB) {
		ssize_t n = pread(fd, rig_buf, RIG_MIB, off);

		ck_assert_int_gt(n, 0);
		crc = crc32c(crc, rig_buf, (size_t)n);
	}
	return crc;
}

static void done(struct disk_req *req, int r)
{
	struct op *op = container_of(req, struct op, req);

	op->r = r;
	op->done++;
}

int rig_run_on(struct aio *aio, enum disk_op what, unsigned int flags, uint64_t off,
	       void *p, uint64_t len)
{
	struct op op = { .req = { .op = what, .flags = flags, .off = off, .len = len } };
	size_t third = len / 3;

	op.req.done = done;
	if (rig_cache == DISK_CACHE_NONE && off & 512)
		third = align_down(third, 4096);
	if (p) {
		op.iov[0] = (struct iovec){ p, third };
		op.iov[1] = (struct iovec){ (char *)p + third, len - third };
		op.req.iov = third ? op.iov : op.iov + 1;
		op.req.iovcnt = third ? 2 : 1;
	}
	disk_submit(rig_disk, aio, &op.req);
	aio_drain(aio);
	ck_assert_uint_eq(op.done, 1);
	return op.r;
}

int rig_run(enum disk_op op, unsigned int flags, uint64_t off, void *p, uint64_t len)
{
	return rig_run_on(rig_aio, op, flags, off, p, len);
}

uint64_t rig_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void step_zeros(enum disk_op op, unsigned int flags, uint64_t off, uint64_t len)
{
	ck_assert_int_eq(rig_run(op, flags, off, NULL, len), 0);
	if (op == DISK_WRITE_ZEROES || rig_disk->info.discard_zeroes) {
		memset(rig_model + off, 0, len);
		return;
	}
	/* A hint: what is there now is as good as another. */
	ck_assert_int_eq(rig_run(DISK_READ, 0, off, rig_model + off, len), 0);
}

void rig_step(uint64_t *seed)
{
	uint64_t sector = rig_disk->info.logical_bytes;
	uint64_t off = rig_random(seed) % RIG_BYTES & ~(sector - 1);
	uint64_t len = (rig_random(seed) % (4 * RIG_MIB) >> rig_random(seed) % 14) &
		       ~(sector - 1);
	unsigned int fua = rig_random(seed) & 1 ? DISK_FUA : 0;

	len = MIN(MAX(len, sector), RIG_BYTES - off);
	switch (rig_random(seed) % 6) {
	case 0:
		ck_assert_int_eq(rig_run(DISK_FLUSH, 0, 0, NULL, 0), 0);
		break;
	case 1:
		step_zeros(DISK_DISCARD, 0, off, len);
		break;
	case 2:
		step_zeros(DISK_WRITE_ZEROES, fua | (fua ? DISK_MAY_UNMAP : 0), off, len);
		break;
	case 3:
		ck_assert_int_eq(rig_run(DISK_READ, 0, off, rig_buf, len), 0);
		ck_assert_int_eq(memcmp(rig_buf, rig_model + off, len), 0);
		break;
	default:
		memset(rig_model + off, (int)rig_random(seed), len);
		ck_assert_int_eq(rig_run(DISK_WRITE, fua, off, rig_model + off, len), 0);
	}
}

void rig_compare(void)
{
	ck_assert_int_eq(rig_run(DISK_READ, 0, 0, rig_buf, RIG_BYTES), 0);
	ck_assert_int_eq(memcmp(rig_model, rig_buf, RIG_BYTES), 0);
}
