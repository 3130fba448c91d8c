/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/worker/helper.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmms/worker/spawn.h"

/* owner: the event loop */
struct helper {
	struct process process;
	int out_fd;
	struct event *out_ev, *exit_ev;
	helper_fn fn;
	void *arg;
	size_t len;
	int r;
	char out[HELPER_OUTPUT_MAX + 1];
};

static void helper_free(struct helper *h)
{
	if (h->out_ev)
		event_free(h->out_ev);
	if (h->exit_ev)
		event_free(h->exit_ev);
	if (h->out_fd >= 0)
		close(h->out_fd);
	if (h->process.pidfd >= 0)
		close(h->process.pidfd);
	free(h);
}

/* The output is over, or is enough: wait for the process alone. */
static void output_over(struct helper *h, int r)
{
	h->r = h->r ? h->r : r;
	if (r < 0)
		process_kill(&h->process);
	event_del(h->out_ev);
	event_add(h->exit_ev, NULL);
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;
	ssize_t n;

	if (what & EV_TIMEOUT) {
		output_over(h, -ETIMEDOUT);
		return;
	}
	n = read(h->out_fd, h->out + h->len, HELPER_OUTPUT_MAX - h->len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		output_over(h, n < 0 ? -errno : 0);
		return;
	}
	h->len += (size_t)n;
	if (h->len == HELPER_OUTPUT_MAX)
		output_over(h, -EFBIG);
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;
	int code = 0, status = 0, r = process_reap(&h->process, &code, &status);

	if (h->r == 0 && (r < 0 || code != CLD_EXITED || status == 127))
		h->r = -ECHILD;
	h->out[h->len] = 0;
	h->fn(h->arg, h->r, h->out, h->len);
	helper_free(h);
}

static int start(struct helper *h, struct event_base *base, const char *const *argv,
		 unsigned int timeout_s)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC), gate = -1, in = -1;
	const struct timeval t = { .tv_sec = timeout_s };
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	h->out_fd = p[0];
	in = p[1];
	fcntl(h->out_fd, F_SETFL, O_NONBLOCK);
	if (spawn_gated(&(struct spawn){ .argv = argv, .fds = { null, in, null, -1 } },
			&h->process, &gate) < 0)
		return -EAGAIN;
	h->out_ev = event_new(base, h->out_fd, EV_READ | EV_PERSIST, on_output, h);
	h->exit_ev = event_new(base, h->process.pidfd, EV_READ, on_exit_event, h);
	if (!h->out_ev || !h->exit_ev || event_add(h->out_ev, &t) < 0 ||
	    spawn_open_gate(&gate) < 0) {
		process_kill(&h->process);
		waitpid(h->process.pid, NULL, 0);
		return -ENOMEM;
	}
	return 0;
}

int helper_run(struct event_base *base, const char *const *argv, unsigned int timeout_s,
	       helper_fn fn, void *arg)
{
	struct helper *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->process.pidfd = h->out_fd = -1;
	h->fn = fn;
	h->arg = arg;
	r = start(h, base, argv, timeout_s);
	if (r < 0)
		helper_free(h);
	return r;
}
