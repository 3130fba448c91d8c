/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/chardev_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/io.h"

int chardev_log_init(struct chardev_log *log, int fd, size_t max_bytes)
{
	struct stat st;
	int flags;

	if (fd < 0) {
		*log = (struct chardev_log){ .fd = -1 };
		return 0;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) != O_RDWR ||
	    max_bytes < CHARDEV_LOG_MIN_BYTES)
		return -EINVAL;
	/* With O_APPEND pwrite(2) would ignore its offset, and the file could not be trimmed. */
	if ((flags & O_APPEND) && fcntl(fd, F_SETFL, flags & ~O_APPEND) < 0)
		return -errno;
	*log = (struct chardev_log){ .fd = fd,
				     .bytes = (uint64_t)st.st_size,
				     .max_bytes = max_bytes };
	return 0;
}

static int write_at(int fd, const char *p, size_t len, off_t off)
{
	while (len) {
		ssize_t n = pwrite(fd, p, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Moves the last `keep` bytes to the file's front and cuts it behind them. What cannot be kept is dropped. */
static void trim(struct chardev_log *log, uint64_t keep)
{
	char buf[16384];
	uint64_t from = log->bytes - keep, to = 0;

	while (to < keep) {
		size_t n = MIN(sizeof(buf), keep - to);

		if (io_pread_all(log->fd, buf, n, (off_t)(from + to)) < 0 ||
		    write_at(log->fd, buf, n, (off_t)to) < 0)
			break;
		to += n;
	}
	if (ftruncate(log->fd, (off_t)to) == 0)
		log->bytes = to;
}

void chardev_log_append(struct chardev_log *log, const void *buf, size_t len)
{
	const char *p = buf;

	if (log->fd < 0)
		return;
	if (len > log->max_bytes / 2) {
		p += len - log->max_bytes / 2;
		len = log->max_bytes / 2;
	}
	if (log->bytes + len > log->max_bytes)
		trim(log, MIN(log->bytes, log->max_bytes / 2));
	if (log->bytes + len > log->max_bytes ||
	    write_at(log->fd, p, len, (off_t)log->bytes) < 0) {
		log->lost_bytes += len;
		return;
	}
	log->bytes += len;
}
