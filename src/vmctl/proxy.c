/* SPDX-License-Identifier: BSD-2-Clause */
/* vmctl proxy: bytes between standard input and output and the socket, for the vmctl of another host (remote.c). */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* 1 to go on, 0 at the end, -errno. */
static int copy(int from, int to)
{
	char buf[16384];
	ssize_t n = read(from, buf, sizeof(buf));
	int r;

	if (n < 0)
		return errno == EINTR ? 1 : errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	r = io_write_all(to, buf, (size_t)n);
	return r < 0 ? r : 1;
}

static int relay(int fd)
{
	bool input_open = true;

	for (;;) {
		struct pollfd p[2] = { { fd, POLLIN, 0 },
				       { input_open ? STDIN_FILENO : -1, POLLIN, 0 } };
		int r = poll(p, 2, -1);

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			continue;
		if (p[0].revents) {
			r = copy(fd, STDOUT_FILENO);
			if (r <= 0)
				return r;
		}
		if (p[1].revents) {
			r = copy(STDIN_FILENO, fd);
			if (r < 0)
				return r == -EPIPE ? 0 : r;
			input_open = r > 0;
			if (!input_open)
				shutdown(fd, SHUT_WR);
		}
	}
}

int verb_proxy(struct vmctl *v, const struct args *a)
{
	cleanup_fd int fd = -1;
	int r;

	if (v->host)
		return fail_usage(v, "it is what --host runs on the other host");
	r = socket_open(v->socket, &fd);
	if (r < 0)
		return fail_to_connect(v, r);
	r = relay(fd);
	return r < 0 ? fail(v, "the connection broke off: %s", strerror(-r)) : VMCTL_DONE;
}
