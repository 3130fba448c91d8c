/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/metrics/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/list.h"

#define HEAD_SECONDS 10
#define ANSWER_SECONDS 60

enum phase { HEAD, ASKED, ANSWERED };

/* owner: the event loop */
struct http {
	struct event_base *base;
	int fd;
	struct event *ev;
	const char *path;
	http_get_fn get;
	void *ctx;
	struct list conns; /* the oldest first */
	unsigned int count;
};

struct conn {
	struct list link;
	struct http *http;
	struct bufferevent *bev;
	struct event *late;
	enum phase phase;
	bool head_only;
	struct http_request *request; /* while ASKED */
};

struct http_request {
	struct conn *conn; /* NULL: it is gone */
};

static void conn_end(struct conn *c)
{
	struct http *h = c->http;

	if (c->request)
		c->request->conn = NULL;
	list_del(&c->link);
	bufferevent_free(c->bev);
	event_free(c->late);
	free(c);
	if (h->count-- == HTTP_CONNS_MAX)
		event_add(h->ev, NULL);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	conn_end(arg);
}

/* What follows is taken within `seconds`, or the connection ends. */
static void conn_patience(struct conn *c, int seconds)
{
	const struct timeval t = { .tv_sec = seconds };

	event_del(c->late);
	if (event_add(c->late, &t) < 0)
		bufferevent_disable(c->bev, EV_READ | EV_WRITE);
}

/* ---- answers ---- */

static void answer(struct conn *c, const char *status, const char *type,
		   struct evbuffer *body)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	c->phase = ANSWERED;
	conn_patience(c, ANSWER_SECONDS);
	bufferevent_disable(c->bev, EV_READ);
	evbuffer_add_printf(out,
			    "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
			    "Connection: close\r\nCache-Control: no-store\r\n\r\n",
			    status, type, body ? evbuffer_get_length(body) : 0);
	if (body && !c->head_only && evbuffer_get_length(body))
		evbuffer_add_buffer_reference(out, body);
}

static void refuse(struct conn *c, const char *status)
{
	answer(c, status, "text/plain", NULL);
}

void http_reply(struct http_request *r, const char *type, struct evbuffer *body)
{
	struct conn *c = r->conn;

	free(r);
	if (!c)
		return;
	c->request = NULL;
	if (body)
		answer(c, "200 OK", type, body);
	else
		refuse(c, "503 Service Unavailable");
}

/* ---- requests ---- */

/* "METHOD TARGET HTTP/1.x": the status of a refusal, or NULL. RFC 9112, 3. */
static const char *check_line(struct conn *c, char *line)
{
	char *target = strchr(line, ' '),
	     *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version || strlen(version) != 9 || memcmp(version, " HTTP/1.", 8) != 0)
		return "400 Bad Request";
	*target++ = '\0';
	*version = '\0';
	target[strcspn(target, "?")] = '\0';
	c->head_only = strcmp(line, "HEAD") == 0;
	if (!c->head_only && strcmp(line, "GET") != 0)
		return "405 Method Not Allowed\r\nAllow: GET, HEAD";
	return strcmp(target, c->http->path) == 0 ? NULL : "404 Not Found";
}

static void take_request(struct conn *c, char *line)
{
	const char *refusal = check_line(c, line);
	struct http_request *r;

	if (refusal) {
		refuse(c, refusal);
		return;
	}
	r = malloc(sizeof(*r));
	if (!r) {
		refuse(c, "503 Service Unavailable");
		return;
	}
	r->conn = c;
	c->request = r;
	c->phase = ASKED;
	conn_patience(c, ANSWER_SECONDS);
	/* Reading goes on, to see it leave; what else it sends is thrown away. */
	c->http->get(c->http->ctx, r);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct conn *c = arg;
	struct evbuffer_ptr end;
	char *line;

	if (c->phase != HEAD) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	if (end.pos < 0) {
		if (evbuffer_get_length(in) >= HTTP_HEAD_MAX)
			refuse(c, "431 Request Header Fields Too Large");
		return;
	}
	line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF_STRICT);
	evbuffer_drain(in, evbuffer_get_length(in));
	if (line)
		take_request(c, line);
	else
		refuse(c, "400 Bad Request");
	free(line);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	if (c->phase == ANSWERED)
		conn_end(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	conn_end(arg);
}

/* ---- connections ---- */

static void conn_new(struct http *h, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c) {
		c->bev = bufferevent_socket_new(h->base, fd, BEV_OPT_CLOSE_ON_FREE);
		c->late = event_new(h->base, -1, 0, on_late, c);
	}
	if (!c || !c->bev || !c->late) {
		if (c && c->late)
			event_free(c->late);
		if (c && c->bev)
			bufferevent_free(c->bev);
		else
			close(fd);
		free(c);
		return;
	}
	c->http = h;
	list_add_tail(&h->conns, &c->link);
	h->count++;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, HTTP_HEAD_MAX);
	conn_patience(c, HEAD_SECONDS);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* The oldest that has asked nothing yet goes: 1. 0: what they sent is yet to be read; -1: all have asked. */
static int make_room(struct http *h)
{
	struct conn *c;
	int r = -1;

	list_for_each (c, &h->conns, link) {
		int unread = 0;

		if (c->phase != HEAD)
			continue;
		if (ioctl(bufferevent_getfd(c->bev), FIONREAD, &unread) == 0 && unread) {
			r = 0;
			continue;
		}
		conn_end(c);
		return 1;
	}
	return r;
}

static void on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	struct http *h = arg;
	int fd, room = h->count < HTTP_CONNS_MAX ? 1 : make_room(h);

	/* Who comes waits in the backlog: until the next round of the loop, or until one has ended. */
	if (room < 0)
		event_del(h->ev);
	if (room <= 0)
		return;
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		conn_new(h, fd);
}

int http_new(struct event_base *base, int listen_fd, const char *path, http_get_fn get,
	     void *ctx, struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h)
		h->ev = event_new(base, listen_fd, EV_READ | EV_PERSIST, on_accept, h);
	if (!h || !h->ev || event_add(h->ev, NULL) < 0) {
		if (h && h->ev)
			event_free(h->ev);
		free(h);
		return -ENOMEM;
	}
	h->base = base;
	h->fd = listen_fd;
	h->path = path;
	h->get = get;
	h->ctx = ctx;
	list_init(&h->conns);
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	struct conn *c, *next;

	if (!h)
		return;
	list_for_each_safe (c, next, &h->conns, link)
		conn_end(c);
	event_free(h->ev);
	close(h->fd);
	free(h);
}
