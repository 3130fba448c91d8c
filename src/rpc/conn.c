/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/list.h"

#define READ_BYTES 65536u
#define FINISH_SECONDS 10 /* for a peer that does not read the last answer */
#define LINES_A_TURN 16   /* then the other connections have theirs */
#define TURN_NS 1000000   /* or when so long was spent on them */
#define END_LOOK_SECONDS 1

/* Bytes on their way out; their descriptors go with the first of them. */
struct chunk {
	struct list link;
	size_t len, sent;
	size_t nfds, fds_sent;
	int *fds;
	char bytes[];
};

/* owner: the event loop */
struct conn {
	/* fixed after init */
	struct conn_limits limits;
	const struct conn_ops *ops;
	void *ctx;

	int fd;
	struct event *rd, *wr,
		*turn; /* turn: runs conn_turn() from the loop, not from a caller's stack */
	struct event *end; /* looks whether a peer that is not read from has gone */
	struct frame_reader frame;
	struct list out;
	size_t unsent;
	int *fds;
	size_t nfds;
	bool paused, finishing, over, eof;
	bool waited,
		drained; /* some output had to wait; that it is gone is yet to be told */
	bool told;       /* closed() was called */
	int error;
	bool busy, freed; /* in a callback; conn_free() came in it */
};

static void conn_turn(struct conn *c);

static void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* The descriptors that have not gone yet. */
static int *chunk_fds(struct chunk *k)
{
	return k->nfds ? k->fds + k->fds_sent : NULL;
}

static void chunk_free(struct chunk *k)
{
	close_fds(chunk_fds(k), k->nfds - k->fds_sent);
	free(k->fds);
	free(k);
}

static void drop_out(struct conn *c)
{
	struct list *l;

	while ((l = list_pop(&c->out)))
		chunk_free(list_entry(l, struct chunk, link));
	c->unsent = 0;
}

/* No more I/O; the owner hears of it from the loop. */
static void conn_over(struct conn *c, int error)
{
	if (c->over)
		return;
	c->over = true;
	c->error = error;
	event_del(c->rd);
	event_del(c->wr);
	event_del(c->end);
	drop_out(c);
	event_active(c->turn, EV_TIMEOUT, 0);
}

/*
 * The loop tells of a peer's end only where it reads. One that is not read from, because it has as many calls under way as it may
 * or has said that it sends no more, and leaves then, would keep its place for as long as its calls wait.
 */
static void watch_end(struct conn *c)
{
	const struct timeval interval = { .tv_sec = END_LOOK_SECONDS };

	if (event_add(c->end, &interval) < 0)
		conn_over(c, -ENOMEM);
}

static void on_end_look(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct pollfd p = { .fd = c->fd }; /* POLLHUP needs not be asked for */

	if (c->over)
		return;
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)))
		conn_over(c, 0);
	else
		watch_end(c);
}

static void really_free(struct conn *c)
{
	if (c->rd)
		event_free(c->rd);
	if (c->wr)
		event_free(c->wr);
	if (c->turn)
		event_free(c->turn);
	if (c->end)
		event_free(c->end);
	drop_out(c);
	close_fds(c->fds, c->nfds);
	free(c->fds);
	frame_done(&c->frame);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

void conn_free(struct conn *c)
{
	if (!c)
		return;
	c->freed = true;
	if (!c->busy)
		really_free(c);
}

/* ---- out ---- */

/* Sends of one chunk what the socket takes; 1 when it is gone. */
static int send_chunk(struct conn *c, struct chunk *k)
{
	size_t nfds = MIN(k->nfds - k->fds_sent, (size_t)IO_FDS_MAX);
	/* While descriptors are left over for a further sendmsg, keep a byte for them to ride on. */
	size_t left = k->len - k->sent, len = nfds < k->nfds - k->fds_sent ? 1 : left;
	ssize_t n = io_send_fds(c->fd, k->bytes + k->sent, len, chunk_fds(k), nfds);

	if (n < 0)
		return (int)n;
	close_fds(chunk_fds(k), nfds);
	k->fds_sent += nfds;
	k->sent += (size_t)n;
	c->unsent -= (size_t)n;
	return k->sent == k->len;
}

static void flush(struct conn *c)
{
	const struct timeval patience = { .tv_sec = FINISH_SECONDS };
	int r;

	while (!c->over && !list_empty(&c->out)) {
		struct chunk *k = list_entry(c->out.next, struct chunk, link);

		r = send_chunk(c, k);
		if (r == -EAGAIN) {
			c->waited = true;
			event_add(c->wr, c->finishing ? &patience : NULL);
			return;
		}
		if (r < 0) {
			conn_over(c, r);
			return;
		}
		if (r == 1) {
			list_del(&k->link);
			chunk_free(k);
		}
	}
	if (!c->over && c->finishing)
		conn_over(c, 0);
	if (!c->over && c->waited) {
		c->waited = false;
		c->drained = true;
		event_active(c->turn, EV_TIMEOUT, 0);
	}
}

static struct chunk *chunk_new(const char *line, size_t len, const int *fds, size_t nfds)
{
	struct chunk *k = malloc(sizeof(*k) + len);

	if (!k)
		return NULL;
	*k = (struct chunk){ .len = len };
	if (nfds) {
		k->fds = malloc(nfds * sizeof(*fds));
		if (!k->fds) {
			free(k);
			return NULL;
		}
		memcpy(k->fds, fds, nfds * sizeof(*fds));
		k->nfds = nfds;
	}
	memcpy(k->bytes, line, len);
	return k;
}

int conn_send(struct conn *c, const char *line, size_t len, int *fds, size_t nfds)
{
	struct chunk *k;
	int r = 0;

	if (c->over || c->freed || c->finishing)
		r = -EPIPE;
	else if (!len || nfds > CONN_FDS_MAX)
		r = -EINVAL;
	else if (c->unsent && c->unsent + len > c->limits.out_max)
		conn_over(c, r = -ENOBUFS);
	if (r < 0) {
		close_fds(fds, nfds);
		return r;
	}
	k = chunk_new(line, len, fds, nfds);
	if (!k) {
		close_fds(fds, nfds);
		return -ENOMEM;
	}
	list_add_tail(&c->out, &k->link);
	c->unsent += len;
	if (c->out.next == &k->link)
		flush(c);
	return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	if (what & EV_TIMEOUT)
		conn_over(arg, -ETIMEDOUT);
	else
		flush(arg);
}

/* ---- in ---- */

static int read_some(struct conn *c)
{
	char buf[READ_BYTES];
	size_t got = 0;
	ssize_t n = io_recv_fds(c->fd, buf, sizeof(buf), c->fds + c->nfds,
				c->limits.fds_max - c->nfds, &got);

	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return (int)n;
	c->nfds += got;
	if (n == 0) {
		c->eof = true;
		event_del(c->rd);
		watch_end(c);
		return 0;
	}
	return frame_append(&c->frame, buf, (size_t)n);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	int r = read_some(c);

	if (r < 0)
		conn_over(c, r);
	else
		conn_turn(c);
}

/* The peer's end: closed wholly (POLLHUP), or only its sending direction. */
static void handle_eof(struct conn *c)
{
	struct pollfd p = { .fd = c->fd };

	if (!c->ops->ended || poll(&p, 1, 0) < 0 || (p.revents & (POLLHUP | POLLERR))) {
		conn_over(c, 0);
	} else if (!c->finishing) {
		c->eof = false;
		c->ops->ended(c->ctx);
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Hands out lines; more than a turn's worth waits for the next turn of the loop. */
static void handle_lines(struct conn *c)
{
	static const struct timeval at_once = { 0 };
	const uint64_t until = now_ns() + TURN_NS;

	for (int i = 0; i < LINES_A_TURN && (i == 0 || now_ns() < until); i++) {
		char *line;
		size_t len;
		int r;

		if (c->paused || c->over || c->freed || c->finishing)
			return;
		r = frame_next(&c->frame, &line, &len);
		if (r < 0)
			conn_over(c, r);
		if (r == 0 && !frame_partial(&c->frame)) {
			close_fds(c->fds, c->nfds);
			c->nfds = 0;
		}
		if (r == 0 && c->eof)
			handle_eof(c);
		if (r <= 0)
			return;
		c->ops->line(c->ctx, line, len);
	}
	/* By time: what is made active in a callback runs in the same round of the loop, before any other connection is looked at. */
	if (event_add(c->turn, &at_once) < 0)
		conn_over(c, -ENOMEM);
}

static void conn_turn(struct conn *c)
{
	if (c->busy)
		return;
	c->busy = true;
	if (c->drained && !c->over && c->ops->drained) {
		c->drained = false;
		c->ops->drained(c->ctx);
	}
	handle_lines(c);
	if (c->over && !c->told && !c->freed) {
		c->told = true;
		c->ops->closed(c->ctx, c->error);
	}
	c->busy = false;
	if (c->freed)
		really_free(c);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	conn_turn(arg);
}

int conn_take_fds(struct conn *c, int *fds, size_t n)
{
	if (n > c->nfds)
		return -EPROTO;
	if (!n)
		return 0;
	memcpy(fds, c->fds, n * sizeof(*fds));
	memmove(c->fds, c->fds + n, (c->nfds - n) * sizeof(*fds));
	c->nfds -= n;
	return 0;
}

void conn_pause(struct conn *c)
{
	if (c->paused || c->over)
		return;
	c->paused = true;
	event_del(c->rd);
	watch_end(c);
}

void conn_resume(struct conn *c)
{
	if (!c->paused || c->over)
		return;
	c->paused = false;
	if (!c->eof)
		event_del(c->end);
	if (!c->eof && !c->finishing)
		event_add(c->rd, NULL);
	event_active(c->turn, EV_TIMEOUT, 0);
}

void conn_finish(struct conn *c)
{
	if (c->finishing || c->over)
		return;
	c->finishing = true;
	event_del(c->rd);
	flush(c); /* ends it when nothing is unsent, else waits with a deadline */
}

size_t conn_unsent(const struct conn *c)
{
	return c->unsent;
}

int conn_fd(const struct conn *c)
{
	return c->fd;
}

static int make_events(struct conn *c, struct event_base *base)
{
	c->rd = event_new(base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	c->wr = event_new(base, c->fd, EV_WRITE, on_writable, c);
	c->turn = event_new(base, -1, 0, on_turn, c);
	c->end = event_new(base, -1, 0, on_end_look, c);
	if (!c->rd || !c->wr || !c->turn || !c->end || event_add(c->rd, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int conn_new(struct event_base *base, int fd, const struct conn_limits *limits,
	     const struct conn_ops *ops, void *ctx, struct conn **ret)
{
	struct conn *c;
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->limits = *limits;
	c->ops = ops;
	c->ctx = ctx;
	c->fd = fd;
	list_init(&c->out);
	frame_init(&c->frame, limits->line_max);
	c->fds = malloc(MAX(limits->fds_max, (size_t)1) * sizeof(int));
	r = c->fds ? make_events(c, base) : -ENOMEM;
	if (r < 0) {
		c->fd = -1;
		really_free(c);
		return r;
	}
	*ret = c;
	return 0;
}
