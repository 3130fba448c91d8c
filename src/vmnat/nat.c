/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmnat/nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util/list.h"
#include "util/log.h"

#define FRAME_MAX 65550
#define BATCH 64 /* frames in one turn */
#define SOCKET_BYTES (1 << 20)
#define POLLS_MAX 1024 /* descriptors; a connection beyond is served when others end */

struct timer {
	struct list link;
	SlirpTimerCb fn;
	void *opaque;
	int64_t deadline_ms; /* -1: off */
};

struct nat {
	int fd;
	Slirp *slirp;
	struct list timers;
	struct pollfd polls[POLLS_MAX]; /* the first is ours */
	int poll_count;
	uint64_t dropped;
	uint8_t frame[FRAME_MAX];
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* ---- what libslirp calls ---- */

/* A network may lose frames: the guest that does not take them in time must not stop the host's side. */
static ssize_t on_send(const void *buf, size_t len, void *opaque)
{
	struct nat *n = opaque;

	if (send(n->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		n->dropped++;
	return (ssize_t)len;
}

static void on_guest_error(const char *msg, void *opaque)
{
	static struct ratelimit rl = RATELIMIT_INIT;

	log_ratelimited(&rl, LOG_LVL_WARNING, "the guest: %s", msg);
}

static int64_t on_clock(void *opaque)
{
	return now_ns();
}

static void *on_timer_new(SlirpTimerCb fn, void *cb_opaque, void *opaque)
{
	struct nat *n = opaque;
	struct timer *t = calloc(1, sizeof(*t));

	if (!t)
		abort(); /* libslirp has no way to hear of it */
	t->fn = fn;
	t->opaque = cb_opaque;
	t->deadline_ms = -1;
	list_add_tail(&n->timers, &t->link);
	return t;
}

static void on_timer_free(void *timer, void *opaque)
{
	struct timer *t = timer;

	list_del(&t->link);
	free(t);
}

static void on_timer_mod(void *timer, int64_t deadline_ms, void *opaque)
{
	struct timer *t = timer;

	t->deadline_ms = deadline_ms;
}

static void on_poll_fd(int fd, void *opaque)
{
}

static void on_notify(void *opaque)
{
}

static const SlirpCb callbacks = {
	.send_packet = on_send,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_poll_fd,
	.unregister_poll_fd = on_poll_fd,
	.notify = on_notify,
};

/* ---- a turn ---- */

static int poll_events(int slirp)
{
	return (slirp & SLIRP_POLL_IN ? POLLIN : 0) |
	       (slirp & SLIRP_POLL_OUT ? POLLOUT : 0) |
	       (slirp & SLIRP_POLL_PRI ? POLLPRI : 0);
}

static int slirp_events(int events)
{
	return (events & POLLIN ? SLIRP_POLL_IN : 0) |
	       (events & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (events & POLLPRI ? SLIRP_POLL_PRI : 0) |
	       (events & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (events & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static int add_poll(int fd, int events, void *opaque)
{
	struct nat *n = opaque;

	if (n->poll_count == POLLS_MAX)
		return -1;
	n->polls[n->poll_count] =
		(struct pollfd){ .fd = fd, .events = (short)poll_events(events) };
	return n->poll_count++;
}

static int get_events(int index, void *opaque)
{
	const struct nat *n = opaque;

	return index < 0 ? 0 : slirp_events(n->polls[index].revents);
}

static void run_timers(struct nat *n)
{
	int64_t now = now_ns() / 1000000;
	struct timer *t, *tmp;

	list_for_each_safe (t, tmp, &n->timers, link) {
		if (t->deadline_ms < 0 || t->deadline_ms > now)
			continue;
		t->deadline_ms = -1;
		t->fn(t->opaque);
	}
}

static uint32_t timer_ms(const struct nat *n, uint32_t most)
{
	int64_t now = now_ns() / 1000000;
	const struct timer *t;

	list_for_each (t, &n->timers, link) {
		if (t->deadline_ms >= 0 && t->deadline_ms - now < most)
			most = (uint32_t)MAX(t->deadline_ms - now, INT64_C(0));
	}
	return most;
}

/* 0; -EPIPE when the other end is closed. */
static int take_frames(struct nat *n)
{
	for (int i = 0; i < BATCH; i++) {
		ssize_t len = recv(n->fd, n->frame, sizeof(n->frame), MSG_DONTWAIT);

		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (len == 0)
			return -EPIPE;
		slirp_input(n->slirp, n->frame, (int)len);
	}
	return 0;
}

int nat_run(struct nat *n)
{
	int r = 0;

	while (r == 0) {
		uint32_t ms = 60000;
		int ready;

		n->polls[0] = (struct pollfd){ .fd = n->fd, .events = POLLIN };
		n->poll_count = 1;
		slirp_pollfds_fill(n->slirp, &ms, add_poll, n);
		ready = poll(n->polls, (nfds_t)n->poll_count, (int)timer_ms(n, ms));
		if (ready < 0 && errno != EINTR)
			return -errno;
		/* First, for it tells libslirp the time: what a frame began at the time of the last turn would be too old at once. */
		slirp_pollfds_poll(n->slirp, ready < 0, get_events, n);
		if (ready > 0 && n->polls[0].revents) {
			r = take_frames(n);
			/* No sockets; what the frames had it queue goes out. */
			slirp_pollfds_poll(n->slirp, true, get_events, n);
		}
		run_timers(n);
	}
	return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

/* ---- start and end ---- */

static Slirp *start_slirp(struct nat *n, bool host_loopback)
{
	SlirpConfig c = { .version = 1,
			  .in_enabled = true,
			  .in6_enabled = true,
			  .vprefix_len = 64,
			  .vhostname = "host",
			  .disable_host_loopback = !host_loopback };

	inet_pton(AF_INET, "10.0.2.0", &c.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &c.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &c.vhost);
	inet_pton(AF_INET, "10.0.2.3", &c.vnameserver);
	inet_pton(AF_INET, "10.0.2.15", &c.vdhcp_start);
	inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &c.vhost6);
	inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
	return slirp_new(&c, &callbacks, n);
}

int nat_new(int fd, bool host_loopback, struct nat **ret)
{
	struct nat *n;
	int type = 0, bytes = SOCKET_BYTES;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET)
		return -EINVAL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	list_init(&n->timers);
	n->fd = fd;
	n->slirp = start_slirp(n, host_loopback);
	if (!n->slirp) {
		free(n);
		return -ENOMEM;
	}
	*ret = n;
	return 0;
}

void nat_free(struct nat *n)
{
	struct list *l;

	slirp_cleanup(n->slirp);
	while ((l = list_pop(&n->timers)))
		free(list_entry(l, struct timer, link));
	close(n->fd);
	free(n);
}

int nat_forward(struct nat *n, const struct nat_forward *f)
{
	struct in_addr guest;

	inet_pton(AF_INET, "10.0.2.15", &guest);
	errno = 0;
	if (slirp_add_hostfwd(n->slirp, f->udp, f->address, f->port, guest,
			      f->guest_port) < 0)
		return errno ? -errno : -EADDRINUSE;
	return 0;
}
