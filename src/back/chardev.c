/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output. One ring holds the newest RING_BYTES of the stream; positions count bytes since the start and never wrap. `head` is where the
 * port writes, `drained` how far the loop has taken the stream to the log and offered it to the readers; the port may be
 * PENDING_BYTES ahead of that. A reader behind head - RING_BYTES has lost bytes and skips. The loop wakes OUTPUT_DELAY_US after the
 * first byte, so that a guest that writes byte by byte costs one wake for many.
 *
 * Input. One small buffer; while the port has not taken all of it no reader is read from.
 */
#include "back/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include <event2/event.h>
#include "back/chardev_log.h"
#include "util/list.h"

#define RING_BYTES 65536u
#define PENDING_BYTES 32768u
#define CHUNK_BYTES 4096u
#define INPUT_BYTES 256u
#define OUTPUT_DELAY_US 2000
#define ACCEPT_RETRY_S 1

struct reader {
	struct list link;
	struct chardev *cd;
	int fd;
	bool client; /* a socket's, dropped at its end; else the pty */
	struct event *readable, *writable;
	uint64_t pos;
	char notice[64]; /* what it is told before it goes on at pos */
	size_t notice_len, notice_sent;
};

struct chardev {
	/* fixed after init */
	struct event_base *base;
	int wake, pty_peer, listener;

	/* owner: loop */
	struct chardev_log log;
	struct chardev_handler handler;
	struct event *wake_event, *drain_timer, *accept_event, *accept_timer;
	struct list readers;
	unsigned int clients;
	uint8_t input[INPUT_BYTES];
	size_t input_len, input_taken;

	pthread_mutex_t lock; /* a leaf: nothing is called with it held */
	/* under lock */
	uint8_t ring[RING_BYTES];
	uint64_t head, drained;
	bool output_woken, output_refused, input_wanted;
};

static void wake(struct chardev *cd)
{
	const uint64_t one = 1;

	if (write(cd->wake, &one, sizeof(one)) < 0)
		return; /* EAGAIN: it is readable already */
}

size_t chardev_output(struct chardev *cd, const uint8_t *buf, size_t len)
{
	bool first;
	size_t n, at, run;

	pthread_mutex_lock(&cd->lock);
	n = MIN(len, (size_t)(PENDING_BYTES - (cd->head - cd->drained)));
	at = cd->head % RING_BYTES;
	run = MIN(n, RING_BYTES - at);
	memcpy(cd->ring + at, buf, run);
	memcpy(cd->ring, buf + run, n - run);
	cd->head += n;
	cd->output_refused |= n < len;
	first = !cd->output_woken;
	cd->output_woken = true;
	pthread_mutex_unlock(&cd->lock);
	if (first)
		wake(cd);
	return n;
}

void chardev_input_ready(struct chardev *cd)
{
	pthread_mutex_lock(&cd->lock);
	cd->input_wanted = true;
	pthread_mutex_unlock(&cd->lock);
	wake(cd);
}

/* Copies up to `size` bytes from *pos on; *pos first moves on to what the ring still has. *ret_lost is what it passed over. */
static size_t ring_copy(struct chardev *cd, uint64_t *pos, uint64_t end, uint8_t *buf,
			size_t size, uint64_t *ret_lost)
{
	uint64_t oldest;
	size_t n, at, run;

	pthread_mutex_lock(&cd->lock);
	oldest = cd->head > RING_BYTES ? cd->head - RING_BYTES : 0;
	*ret_lost = *pos < oldest ? oldest - *pos : 0;
	*pos += *ret_lost;
	end = MIN(end, cd->head);
	n = *pos < end ? (size_t)MIN((uint64_t)size, end - *pos) : 0;
	at = *pos % RING_BYTES;
	run = MIN(n, RING_BYTES - at);
	memcpy(buf, cd->ring + at, run);
	memcpy(buf + run, cd->ring, n - run);
	pthread_mutex_unlock(&cd->lock);
	return n;
}

static void reader_free(struct reader *r)
{
	list_del(&r->link);
	if (r->client)
		r->cd->clients--;
	if (r->readable)
		event_free(r->readable);
	if (r->writable)
		event_free(r->writable);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
}

static ssize_t reader_write(struct reader *r, const void *buf, size_t len)
{
	ssize_t n;

	do {
		n = r->client ? send(r->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT)
			      : write(r->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Sends what is left of the notice, then of the stream. 0 when it has all, else what stopped it. */
static int reader_send(struct reader *r)
{
	uint8_t buf[CHUNK_BYTES];

	for (;;) {
		uint64_t lost, next = r->pos;
		size_t len;
		ssize_t n;

		if (r->notice_sent < r->notice_len) {
			n = reader_write(r, r->notice + r->notice_sent,
					 r->notice_len - r->notice_sent);
			if (n < 0)
				return (int)n;
			r->notice_sent += (size_t)n;
			continue;
		}
		len = ring_copy(r->cd, &next, UINT64_MAX, buf, sizeof(buf), &lost);
		r->pos = next;
		if (lost) {
			r->notice_len =
				(size_t)snprintf(r->notice, sizeof(r->notice),
						 "\r\n[%llu bytes of output skipped]\r\n",
						 (unsigned long long)lost);
			r->notice_sent = 0;
			continue;
		}
		if (len == 0)
			return 0;
		n = reader_write(r, buf, len);
		if (n < 0)
			return (int)n;
		r->pos += (uint64_t)n;
	}
}

/* Sends without waiting. A client that is gone is freed: the reader may not be used afterwards. */
static void reader_pump(struct reader *r)
{
	int e = reader_send(r);

	if (e == 0)
		event_del(r->writable);
	else if (e == -EAGAIN)
		event_add(r->writable, NULL);
	else if (r->client)
		reader_free(r);
	/* The pty's line is held open here: any other error of it passes. */
}

static void on_reader_writable(evutil_socket_t fd, short what, void *arg)
{
	reader_pump(arg);
}

static void readers_listen(struct chardev *cd, bool listen)
{
	struct reader *r;

	list_for_each (r, &cd->readers, link) {
		if (listen)
			event_add(r->readable, NULL);
		else
			event_del(r->readable);
	}
}

/* Gives the port what was typed; listens to the readers again once it took all. */
static void input_deliver(struct chardev *cd)
{
	if (!cd->handler.input)
		return;
	while (cd->input_taken < cd->input_len) {
		size_t n =
			cd->handler.input(cd->handler.opaque, cd->input + cd->input_taken,
					  cd->input_len - cd->input_taken);

		if (n == 0)
			break;
		cd->input_taken += n;
	}
	readers_listen(cd, cd->input_taken == cd->input_len);
}

static void on_reader_readable(evutil_socket_t fd, short what, void *arg)
{
	struct reader *r = arg;
	struct chardev *cd = r->cd;
	ssize_t n;

	if (cd->input_taken < cd->input_len) {
		event_del(r->readable);
		return;
	}
	n = read(fd, cd->input, sizeof(cd->input));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (r->client)
			reader_free(r);
		return;
	}
	cd->input_taken = 0;
	cd->input_len = (size_t)n;
	input_deliver(cd);
}

static int reader_new(struct chardev *cd, int fd, bool client, uint64_t pos)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->cd = cd;
	r->fd = fd;
	r->pos = pos;
	r->readable =
		event_new(cd->base, fd, EV_READ | EV_PERSIST, on_reader_readable, r);
	r->writable =
		event_new(cd->base, fd, EV_WRITE | EV_PERSIST, on_reader_writable, r);
	if (!r->readable || !r->writable) {
		if (r->readable)
			event_free(r->readable);
		if (r->writable)
			event_free(r->writable);
		free(r);
		return -ENOMEM;
	}
	r->client = client;
	cd->clients += client;
	list_add_tail(&cd->readers, &r->link);
	if (cd->handler.input && cd->input_taken == cd->input_len)
		event_add(r->readable, NULL);
	return 0;
}

static bool hung_up(const struct reader *r)
{
	struct pollfd p = { .fd = r->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* While the port takes no input nobody is read from, so that those who left are found here. */
static void drop_one_gone(struct chardev *cd)
{
	struct reader *r;

	list_for_each (r, &cd->readers, link) {
		if (r->client && hung_up(r)) {
			reader_free(r);
			return;
		}
	}
}

static void client_new(struct chardev *cd, int fd)
{
	uint64_t head;

	if (cd->clients >= CHARDEV_CLIENTS_MAX)
		drop_one_gone(cd);

	pthread_mutex_lock(&cd->lock);
	head = cd->head;
	pthread_mutex_unlock(&cd->lock);
	if (cd->clients >= CHARDEV_CLIENTS_MAX ||
	    reader_new(cd, fd, true,
		       head > CHARDEV_SCROLLBACK_BYTES ? head - CHARDEV_SCROLLBACK_BYTES
						       : 0) < 0) {
		close(fd);
		return;
	}
	reader_pump(list_entry(cd->readers.prev, struct reader, link));
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval retry = { .tv_sec = ACCEPT_RETRY_S };
	struct chardev *cd = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client >= 0) {
		client_new(cd, client);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* Out of descriptors or memory: the caller would stay readable for ever. */
		event_del(cd->accept_event);
		event_add(cd->accept_timer, &retry);
	}
}

static void on_accept_timer(evutil_socket_t fd, short what, void *arg)
{
	struct chardev *cd = arg;

	event_add(cd->accept_event, NULL);
}

static void drain(struct chardev *cd)
{
	struct reader *r, *next;
	uint8_t buf[CHUNK_BYTES];
	uint64_t end, pos, lost;
	bool refused;
	size_t n;

	pthread_mutex_lock(&cd->lock);
	cd->output_woken = false; /* what comes from here on wakes the loop again */
	pos = cd->drained;
	end = cd->head;
	pthread_mutex_unlock(&cd->lock);
	while ((n = ring_copy(cd, &pos, end, buf, sizeof(buf), &lost))) {
		chardev_log_append(&cd->log, buf, n);
		pos += n;
	}
	list_for_each_safe (r, next, &cd->readers, link)
		reader_pump(r);
	pthread_mutex_lock(&cd->lock);
	cd->drained = end;
	refused = cd->output_refused;
	cd->output_refused = false;
	pthread_mutex_unlock(&cd->lock);
	if (refused && cd->handler.writable)
		cd->handler.writable(cd->handler.opaque);
}

static void on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
	drain(arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval delay = { .tv_usec = OUTPUT_DELAY_US };
	struct chardev *cd = arg;
	bool output, input;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&cd->lock);
	output = cd->output_woken;
	input = cd->input_wanted;
	cd->input_wanted = false;
	pthread_mutex_unlock(&cd->lock);
	if (output && !event_pending(cd->drain_timer, EV_TIMEOUT, NULL))
		event_add(cd->drain_timer, &delay);
	if (input)
		input_deliver(cd);
}

/* Takes echo and line editing off, and keeps the line open: else its last user's leaving would end the pty for good. */
static int pty_init(struct chardev *cd, int pty, int peer)
{
	struct termios t;
	int r;

	if (peer < 0)
		peer = cd->pty_peer =
			ioctl(pty, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0 || tcgetattr(peer, &t) < 0)
		return -errno;
	cfmakeraw(&t);
	if (tcsetattr(peer, TCSANOW, &t) < 0 || evutil_make_socket_nonblocking(pty))
		return -errno;
	r = reader_new(cd, pty, false, 0);
	if (r == 0)
		cd->pty_peer = peer;
	return r;
}

static int events_init(struct chardev *cd)
{
	cd->wake_event = event_new(cd->base, cd->wake, EV_READ | EV_PERSIST, on_wake, cd);
	cd->drain_timer = evtimer_new(cd->base, on_drain_timer, cd);
	if (!cd->wake_event || !cd->drain_timer)
		return -ENOMEM;
	event_add(cd->wake_event, NULL);
	if (cd->listener < 0)
		return 0;
	cd->accept_event =
		event_new(cd->base, cd->listener, EV_READ | EV_PERSIST, on_accept, cd);
	cd->accept_timer = evtimer_new(cd->base, on_accept_timer, cd);
	if (!cd->accept_event || !cd->accept_timer ||
	    evutil_make_socket_nonblocking(cd->listener))
		return -ENOMEM;
	event_add(cd->accept_event, NULL);
	return 0;
}

/* Frees all but the descriptors of the configuration. */
static void chardev_dispose(struct chardev *cd)
{
	struct event *const events[] = { cd->wake_event, cd->drain_timer,
					 cd->accept_event, cd->accept_timer };

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (cd->wake >= 0)
		close(cd->wake);
	if (cd->pty_peer >= 0)
		close(cd->pty_peer);
	pthread_mutex_destroy(&cd->lock);
	free(cd);
}

int chardev_new(struct event_base *base, const struct chardev_config *config,
		struct chardev **ret)
{
	struct chardev *cd = calloc(1, sizeof(*cd));
	int r = 0;

	if (!cd)
		return -ENOMEM;
	cd->base = base;
	cd->pty_peer = -1;
	cd->listener = config->socket;
	list_init(&cd->readers);
	pthread_mutex_init(&cd->lock, NULL);
	cd->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (cd->wake < 0)
		r = -errno;
	if (r == 0)
		r = chardev_log_init(&cd->log, config->log,
				     config->log_max_bytes ? config->log_max_bytes
							   : CHARDEV_LOG_BYTES);
	if (r == 0)
		r = events_init(cd);
	/* Last, as the pty then belongs to its reader. */
	if (r == 0 && config->pty >= 0)
		r = pty_init(cd, config->pty, config->pty_peer);
	if (r < 0) {
		chardev_dispose(cd);
		return r;
	}
	*ret = cd;
	return 0;
}

void chardev_free(struct chardev *cd)
{
	struct reader *r, *next;

	if (!cd)
		return;
	chardev_set_handler(cd, NULL);
	drain(cd);
	list_for_each_safe (r, next, &cd->readers, link)
		reader_free(r);
	if (cd->listener >= 0)
		close(cd->listener);
	if (cd->log.fd >= 0)
		close(cd->log.fd);
	chardev_dispose(cd);
}

void chardev_set_handler(struct chardev *cd, const struct chardev_handler *handler)
{
	cd->handler = handler ? *handler : (struct chardev_handler){ 0 };
	if (handler)
		input_deliver(cd);
	else
		readers_listen(cd, false);
}
