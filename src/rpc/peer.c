/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/peer.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "util/cleanup.h"
#include "util/list.h"

struct pending {
	struct list link;
	struct rpc_peer *peer;
	json_int_t id;
	struct event *timeout;
	const char *method;
	rpc_peer_fn fn;
	void *arg;
};

/* Lines a second beyond which the other side must wait. */
#define LINES_A_SECOND 200u

/* owner: the event loop */
struct rpc_peer {
	/* fixed after init */
	struct event_base *base;
	const struct rpc_peer_ops *ops;
	void *ctx;

	struct conn *conn;
	struct event *second; /* since its first line; then the count begins anew */
	unsigned int lines;
	struct list calls;
	size_t call_count;
	json_int_t next_id;
	bool busy, freed; /* in a callback; rpc_peer_free() came in it */
	bool over;
};

/* Ends one call. The callback may free the peer; `busy` keeps it until the caller is done with it. */
static void finish(struct pending *c, const json_t *result, const struct rpc_error *e)
{
	rpc_peer_fn fn = c->fn;
	void *arg = c->arg;

	list_del(&c->link);
	c->peer->call_count--;
	if (c->timeout)
		event_free(c->timeout);
	free(c);
	fn(arg, result, e);
}

static void finish_all(struct rpc_peer *p, int err, const char *why)
{
	struct rpc_error e;

	rpc_error_set(&e, err, "%s", why);
	while (!list_empty(&p->calls))
		finish(list_entry(p->calls.next, struct pending, link), NULL, &e);
}

static void really_free(struct rpc_peer *p)
{
	if (p->second)
		event_free(p->second);
	conn_free(p->conn);
	free(p);
}

void rpc_peer_free(struct rpc_peer *p)
{
	if (!p || p->freed)
		return;
	p->freed = true;
	p->over = true;
	if (p->busy)
		return; /* its end is at hand, in leave() */
	p->busy = true;
	finish_all(p, -ECONNABORTED, "the connection to the worker was given up");
	really_free(p);
}

static void enter(struct rpc_peer *p)
{
	p->busy = true;
}

static void leave(struct rpc_peer *p)
{
	if (p->freed) {
		finish_all(p, -ECONNABORTED, "the connection to the worker was given up");
		really_free(p);
		return;
	}
	p->busy = false;
}

static void over(struct rpc_peer *p, int error, const char *why)
{
	if (p->over)
		return;
	p->over = true;
	finish_all(p, -ECONNRESET, why);
	if (!p->freed)
		p->ops->closed(p->ctx, error);
}

static struct pending *find(struct rpc_peer *p, const json_t *id)
{
	struct pending *c;

	if (!json_is_integer(id))
		return NULL;
	list_for_each (c, &p->calls, link) {
		if (c->id == json_integer_value(id))
			return c;
	}
	return NULL;
}

static void answered(struct rpc_peer *p, const json_t *m)
{
	struct pending *c = find(p, json_object_get(m, "id"));
	json_t *result = json_object_get(m, "result"),
	       *error = json_object_get(m, "error");
	struct rpc_error e;

	if (!c)
		return; /* too late: its deadline was over */
	if (error || !json_is_object(result)) {
		rpc_error_from_json(error, &e);
		finish(c, NULL, &e);
	} else {
		finish(c, result, NULL);
	}
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct rpc_peer *p = arg;

	p->lines = 0;
	conn_resume(p->conn);
}

/* A side that talks without end is held back by its socket's buffer, and takes no time from the others. */
static void count_line(struct rpc_peer *p)
{
	const struct timeval second = { .tv_sec = 1 };

	if (p->lines++ == 0)
		event_add(p->second, &second);
	if (p->lines >= LINES_A_SECOND)
		conn_pause(p->conn);
}

static void on_line(void *ctx, const char *text, size_t len)
{
	struct rpc_peer *p = ctx;
	const char *method;
	char why[160];
	json_t *m;

	if (p->over)
		return;
	count_line(p);
	enter(p);
	if (frame_parse(text, len, &m, why, sizeof(why)) < 0) {
		over(p, -EBADMSG, "the worker sent what is not JSON");
		leave(p);
		return;
	}
	method = json_string_value(json_object_get(m, "method"));
	if (method && !json_object_get(m, "id"))
		p->ops->notified(p->ctx, method, json_object_get(m, "params"));
	else if (!method && json_object_get(m, "id"))
		answered(p, m);
	else
		over(p, -EPROTO, "the worker sent what is not JSON-RPC");
	json_decref(m);
	leave(p);
}

static void on_closed(void *ctx, int error)
{
	struct rpc_peer *p = ctx;

	enter(p);
	over(p, error,
	     error == -EMSGSIZE ? "the worker sent more than is allowed"
				: "the worker closed the connection");
	leave(p);
}

static const struct conn_ops peer_ops = { .line = on_line, .closed = on_closed };

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct pending *c = arg;
	struct rpc_peer *p = c->peer;
	struct rpc_error e;

	rpc_error_set(&e, -ETIMEDOUT, "the worker did not answer %s in time", c->method);
	enter(p);
	finish(c, NULL, &e);
	leave(p);
}

int rpc_peer_new(struct event_base *base, int fd, const struct rpc_peer_ops *ops,
		 void *ctx, struct rpc_peer **ret)
{
	const struct conn_limits limits = { .line_max = CONN_LINE_MAX,
					    .out_max = CONN_OUT_MAX };
	struct rpc_peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->base = base;
	p->ops = ops;
	p->ctx = ctx;
	list_init(&p->calls);
	p->second = event_new(base, -1, 0, on_second, p);
	r = p->second ? conn_new(base, fd, &limits, &peer_ops, p, &p->conn) : -ENOMEM;
	if (r < 0) {
		really_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static char *request_line(struct rpc_peer *p, const char *method, json_t *params,
			  size_t *ret_len)
{
	json_t *m = json_pack("{s:s, s:I, s:s}", "jsonrpc", "2.0", "id", ++p->next_id,
			      "method", method);
	char *line = NULL;

	if (!params || json_object_set_new(m, "params", params) == 0)
		line = m ? frame_format(m, ret_len) : NULL;
	json_decref(m);
	return line;
}

static struct pending *pending_new(struct rpc_peer *p, const char *method,
				   unsigned int timeout_ms, rpc_peer_fn fn, void *arg)
{
	const struct timeval t = { .tv_sec = timeout_ms / 1000,
				   .tv_usec = timeout_ms % 1000 * 1000 };
	struct pending *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct pending){ .peer = p, .method = method, .fn = fn, .arg = arg };
	if (!timeout_ms)
		return c;
	c->timeout = event_new(p->base, -1, 0, on_timeout, c);
	if (!c->timeout || event_add(c->timeout, &t) < 0) {
		if (c->timeout)
			event_free(c->timeout);
		free(c);
		return NULL;
	}
	return c;
}

int rpc_peer_call(struct rpc_peer *p, const char *method, json_t *params, int *fds,
		  size_t nfds, unsigned int timeout_ms, rpc_peer_fn fn, void *arg)
{
	cleanup_free char *line = NULL;
	struct pending *c = NULL;
	size_t len;
	int r;

	if (p->over || p->call_count >= RPC_PEER_CALLS_MAX) {
		json_decref(params);
		close_fds(fds, nfds);
		return p->over ? -EPIPE : -ENOBUFS;
	}
	line = request_line(p, method, params, &len);
	if (line)
		c = pending_new(p, method, timeout_ms, fn, arg);
	if (!c) {
		close_fds(fds, nfds);
		return -ENOMEM;
	}
	r = conn_send(p->conn, line, len, fds, nfds);
	if (r < 0) {
		if (c->timeout)
			event_free(c->timeout);
		free(c);
		return r;
	}
	c->id = p->next_id;
	list_add_tail(&p->calls, &c->link);
	p->call_count++;
	return 0;
}
