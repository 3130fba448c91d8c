/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"

#define ZEROS_BYTES (64u << 10)

static const char zeros[ZEROS_BYTES];

int file_read(int fd, void *buf, size_t len, uint64_t off)
{
	return io_pread_all(fd, buf, len, (off_t)off);
}

int file_write(int fd, const void *buf, size_t len, uint64_t off)
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
