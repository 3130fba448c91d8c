/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

int io_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_pread_all(int fd, void *buf, size_t len, off_t off)
{
	char *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *buf = NULL;
	size_t size = 4096, len = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;
		char *bigger = realloc(buf, size + 1);

		if (!bigger)
			return -ENOMEM;
		buf = bigger;
		n = read(fd, buf + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
		if (len == size)
			size = MIN(size * 2, max + 1);
	}
	buf[len] = 0;
	if (ret_len)
		*ret_len = len;
	*ret = take_ptr(&buf);
	return 0;
}

/* Makes the file aside whole and synced; on an error removes it. */
static int write_aside(int dirfd, const char *aside, const void *buf, size_t len,
		       mode_t mode)
{
	cleanup_fd int fd =
		openat(dirfd, aside,
		       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	int r;

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, buf, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, aside, 0);
	return r;
}

/* The two change names where both are there, so that it can be undone when the folder cannot be synced. */
static int put_in_place(int dir, const char *aside, const char *name)
{
	struct stat st;
	bool both, is_folder = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			       S_ISDIR(st.st_mode);
	int r;

	if (is_folder)
		return -EISDIR;
	both = renameat2(dir, aside, dir, name, RENAME_EXCHANGE) == 0;
	if (!both && renameat(dir, aside, dir, name) < 0)
		return -errno;
	if (fsync(dir) == 0) {
		if (both)
			unlinkat(dir, aside, 0);
		return 0;
	}
	r = -errno;
	/* What cannot be undone is what the next reader finds, and so it is done. */
	if ((both ? renameat2(dir, aside, dir, name, RENAME_EXCHANGE)
		  : unlinkat(dir, name, 0)) == 0)
		return r;
	if (both)
		unlinkat(dir, aside, 0);
	return 0;
}

int io_replace_file(int dirfd, const char *name, const void *buf, size_t len, mode_t mode)
{
	cleanup_free char *aside = NULL;
	cleanup_fd int dup = -1;
	int r;

	if (asprintf(&aside, "%s.new", name) < 0) {
		aside = NULL;
		return -ENOMEM;
	}
	r = write_aside(dirfd, aside, buf, len, mode);
	if (r < 0)
		return r;
	/* dirfd may be AT_FDCWD or O_PATH, neither of which can be synced. */
	dup = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dup < 0 ? -errno : put_in_place(dup, aside, name);
	if (r < 0)
		unlinkat(dirfd, aside, 0);
	return r;
}

ssize_t io_send_fds(int sock, const void *buf, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * IO_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (nfds > IO_FDS_MAX || (nfds && !len))
		return -EINVAL;
	if (nfds) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		memset(control.bytes, 0, msg.msg_controllen);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Moves what one control message carries into fds; counts those that found no room, closed. */
static size_t take_rights(struct cmsghdr *c, int *fds, size_t max_fds, size_t *nfds)
{
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), refused = 0;

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (*nfds < max_fds) {
			fds[(*nfds)++] = fd;
		} else {
			close(fd);
			refused++;
		}
	}
	return refused;
}

ssize_t io_recv_fds(int sock, void *buf, size_t len, int *fds, size_t max_fds,
		    size_t *ret_nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * IO_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	size_t nfds = 0, refused = 0;
	ssize_t n;

	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			refused += take_rights(c, fds, max_fds, &nfds);
	}
	if (refused || (msg.msg_flags & MSG_CTRUNC)) {
		while (nfds)
			close(fds[--nfds]);
		return -EMSGSIZE;
	}
	*ret_nfds = nfds;
	return n;
}
