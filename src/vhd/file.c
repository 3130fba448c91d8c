/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define ZEROS_BYTES (64u << 10)
#define DIRECT_ALIGN_MAX 4096u   /* of buffers; no device wants more */
#define DIRECT_ALIGN_GUESS 512u  /* kernels before 6.1 do not tell */
#define BOUNCE_BYTES (64u << 10) /* at a time */

static _Alignas(DIRECT_ALIGN_MAX) const char zeros[ZEROS_BYTES];

/* Whether what stands at `buf` must go by another place in memory. */
static bool needs_bounce(int fd, const void *buf)
{
	return !is_aligned((uintptr_t)buf, DIRECT_ALIGN_MAX) &&
	       fcntl(fd, F_GETFL) & O_DIRECT;
}

static void *bounce_new(size_t len)
{
	void *p;

	return posix_memalign(&p, DIRECT_ALIGN_MAX, MIN(len, (size_t)BOUNCE_BYTES)) == 0
		       ? p
		       : NULL;
}

static int read_bounced(int fd, void *buf, size_t len, uint64_t off)
{
	cleanup_free void *bounce = bounce_new(len);
	char *p = buf;
	int r = bounce ? 0 : -ENOMEM;

	while (len && r == 0) {
		size_t n = MIN(len, (size_t)BOUNCE_BYTES);

		r = io_pread_all(fd, bounce, n, (off_t)off);
		if (r == 0)
			memcpy(p, bounce, n);
		p += n;
		off += n;
		len -= n;
	}
	return r;
}

int file_read(int fd, void *buf, size_t len, uint64_t off)
{
	return needs_bounce(fd, buf) ? read_bounced(fd, buf, len, off)
				     : io_pread_all(fd, buf, len, (off_t)off);
}

static int write_whole(int fd, const void *buf, size_t len, uint64_t off)
{
	const char *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_bounced(int fd, const void *buf, size_t len, uint64_t off)
{
	cleanup_free void *bounce = bounce_new(len);
	const char *p = buf;
	int r = bounce ? 0 : -ENOMEM;

	while (len && r == 0) {
		size_t n = MIN(len, (size_t)BOUNCE_BYTES);

		memcpy(bounce, p, n);
		r = write_whole(fd, bounce, n, off);
		p += n;
		off += n;
		len -= n;
	}
	return r;
}

int file_write(int fd, const void *buf, size_t len, uint64_t off)
{
	return needs_bounce(fd, buf) ? write_bounced(fd, buf, len, off)
				     : write_whole(fd, buf, len, off);
}

int file_sync(int fd)
{
	return fdatasync(fd) < 0 ? -errno : 0;
}

int file_size(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

int file_resize(int fd, uint64_t bytes)
{
	int r;

	do {
		r = ftruncate(fd, (off_t)bytes);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int allocate(int fd, int mode, uint64_t off, uint64_t len)
{
	int r;

	do {
		r = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int file_reserve(int fd, uint64_t bytes)
{
	int r;

	do {
		r = fallocate(fd, 0, 0, (off_t)bytes) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r == -EOPNOTSUPP || r == -ENOSYS ? file_resize(fd, bytes) : r;
}

int file_reserve_behind(int fd, uint64_t off, uint64_t len)
{
	int r = allocate(fd, 0, off, len);

	return r == -EOPNOTSUPP || r == -ENOSYS ? 0 : r;
}

static int write_zeros(int fd, uint64_t off, uint64_t len)
{
	int r = 0;

	while (len && r == 0) {
		size_t n = (size_t)MIN(len, (uint64_t)ZEROS_BYTES);

		r = file_write(fd, zeros, n, off);
		off += n;
		len -= n;
	}
	return r;
}

int file_zero(int fd, uint64_t off, uint64_t len, bool punch)
{
	int r = -EOPNOTSUPP;

	if (punch)
		r = allocate(fd, FALLOC_FL_PUNCH_HOLE, off, len);
	if (r == -EOPNOTSUPP || r == -ENOSYS)
		r = allocate(fd, FALLOC_FL_ZERO_RANGE, off, len);
	if (r == -EOPNOTSUPP || r == -ENOSYS)
		r = write_zeros(fd, off, len);
	return r;
}

bool file_can_punch(int fd)
{
	uint64_t bytes;

	/* Behind the end there is nothing to lose. */
	return file_size(fd, &bytes) == 0 &&
	       allocate(fd, FALLOC_FL_PUNCH_HOLE, align_up(bytes, 4096), 4096) == 0;
}

/* A device node may lie on a tmpfs too. */
bool file_in_memory(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fstatfs(fd, &fs) == 0 &&
	       fs.f_type == TMPFS_MAGIC;
}

uint32_t file_set_direct(int fd, uint32_t sector_bytes)
{
	uint32_t memory = DIRECT_ALIGN_GUESS, offset = DIRECT_ALIGN_GUESS;
	int flags = fcntl(fd, F_GETFL);
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN)) {
		memory = sx.stx_dio_mem_align;
		offset = sx.stx_dio_offset_align;
	}
#endif
	if (flags < 0 || !offset || offset > sector_bytes || memory > DIRECT_ALIGN_MAX ||
	    fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
		return 0;
	return MAX(memory, offset);
}

uint64_t file_hole(int fd, uint64_t off)
{
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? INT64_MAX - off : 0;
	return (uint64_t)data - off;
}

uint64_t file_data(int fd, uint64_t off)
{
	off_t hole = lseek(fd, (off_t)off, SEEK_HOLE);

	return hole < 0 ? INT64_MAX - off : (uint64_t)hole - off;
}
