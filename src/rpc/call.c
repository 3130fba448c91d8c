/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line to requests, requests to handlers, answers to lines (JSON-RPC 2.0, 4 to 6):
 *   {…}          a request: answered when its handler does;
 *   no "id"      a notification: never answered, not even with an error;
 *   [{…}, …]     a batch: one array with the answers of its requests once all are there, nothing if there are none;
 *   anything else is answered with an error and id null.
 * Answers come in the order in which handlers give them, not that of the requests.
 */
#include "rpc/server_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/frame.h"

struct batch {
	struct rpc_session *session;
	json_t *answers;
	size_t pending; /* requests without an answer, and one while the line is being read */
};

struct rpc_call {
	struct list link; /* in the session's calls */
	struct rpc_session *session;
	struct batch *batch;
	const struct rpc_method *method;
	json_t *id; /* NULL: a notification */
	json_t *params;
	int *fds;
	size_t nfds;
	void (*gone)(struct rpc_call *c, void *arg);
	void *gone_arg;
};

static void batch_settle(struct batch *b)
{
	if (--b->pending)
		return;
	if (json_array_size(b->answers)) {
		if (session_send(b->session, b->answers) == -ENOMEM && b->session->conn)
			conn_finish(b->session->conn);
	} else {
		json_decref(b->answers);
	}
	session_unref(b->session);
	free(b);
}

/* Sends an answer, or puts it into its batch. Takes the reference to the body. */
static void answer(struct rpc_session *s, struct batch *b, const json_t *id,
		   const char *kind, json_t *body)
{
	json_t *m = body ? json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id, kind,
				     body)
			 : NULL;

	if (m && !id)
		json_object_set_new(m, "id", json_null());
	if (b) {
		if (json_array_append_new(b->answers, m) == 0)
			return;
	} else if (session_send(s, m) != -ENOMEM) {
		return;
	}
	/* A request whose answer is lost must not look as if it were still under way. */
	if (s->conn)
		conn_finish(s->conn);
}

static void answer_error(struct rpc_session *s, struct batch *b, const json_t *id,
			 const struct rpc_error *e)
{
	answer(s, b, id, "error", rpc_error_to_json(e));
}

static void call_free(struct rpc_call *c)
{
	struct rpc_session *s = c->session;

	list_del(&c->link);
	for (size_t i = 0; i < c->nfds; i++) {
		if (c->fds[i] >= 0)
			close(c->fds[i]);
	}
	free(c->fds);
	json_decref(c->params);
	json_decref(c->id);
	free(c);
	s->pending--;
	session_settle(s);
	session_unref(s);
}

static void call_end(struct rpc_call *c)
{
	struct batch *b = c->batch;

	if (b)
		batch_settle(b);
	call_free(c);
}

static void audit(const struct rpc_call *c, const struct rpc_error *e)
{
	const struct rpc_server *srv = c->session->server;
	const struct rpc_audit a = {
		.method = c->method ? c->method->name : NULL,
		.params = c->params,
		.uid = c->session->peer.uid,
		.pid = c->session->peer.pid,
		.error = e,
	};

	if (srv->config.audit && c->method && c->method->right == RPC_RIGHT_ADMIN)
		srv->config.audit(srv->config.ctx, &a);
}

void rpc_call_reply(struct rpc_call *c, json_t *result)
{
	struct rpc_error e;

	if (!result) {
		rpc_error_set(&e, -ENOMEM, "%s: no memory for the answer",
			      c->method->name);
		rpc_call_error(c, &e);
		return;
	}
	audit(c, NULL);
	if (c->id)
		answer(c->session, c->batch, c->id, "result", result);
	else
		json_decref(result);
	call_end(c);
}

void rpc_call_error(struct rpc_call *c, const struct rpc_error *e)
{
	audit(c, e);
	if (c->id)
		answer_error(c->session, c->batch, c->id, e);
	call_end(c);
}

void rpc_call_fail(struct rpc_call *c, int err, const char *fmt, ...)
{
	char text[sizeof(((struct rpc_error *)0)->message)];
	struct rpc_error e;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rpc_error_set(&e, err, "%s", text);
	rpc_call_error(c, &e);
}

/* ---- a request ---- */

static bool id_ok(const json_t *id)
{
	return !id || json_is_string(id) || json_is_number(id) || json_is_null(id);
}

/* Takes the descriptors that "fds" names. */
static int claim_fds(struct rpc_call *c, struct rpc_error *e)
{
	const json_t *names = json_object_get(c->params, "fds"), *name;
	size_t n = json_array_size(names), i;

	if (!n)
		return 0;
	json_array_foreach (names, i, name) {
		if (!json_is_string(name))
			return rpc_error_set(e, -EINVAL, "%s: 'fds' must hold strings",
					     c->method->name);
	}
	if (n > CONN_FDS_MAX)
		return rpc_error_set(e, -EINVAL, "%s: 'fds' names more than %u",
				     c->method->name, CONN_FDS_MAX);
	c->fds = calloc(n, sizeof(int));
	if (!c->fds)
		return rpc_error_set(e, -ENOMEM, "%s: no memory", c->method->name);
	if (conn_take_fds(c->session->conn, c->fds, n) < 0)
		return rpc_error_set(e, -EINVAL,
				     "%s: 'fds' names %zu descriptors, but fewer came",
				     c->method->name, n);
	c->nfds = n;
	return 0;
}

static const struct rpc_handler *find_handler(const struct rpc_server_config *cfg,
					      const char *method)
{
	for (size_t i = 0; i < cfg->handler_count; i++) {
		if (strcmp(cfg->handlers[i].method, method) == 0)
			return &cfg->handlers[i];
	}
	return NULL;
}

/* Finds the method and checks right and params; the call then owns its params and descriptors. */
static int prepare(struct rpc_call *c, const char *name, json_t *params,
		   const struct rpc_handler **ret, struct rpc_error *e)
{
	const struct rpc_server_config *cfg = &c->session->server->config;
	int r;

	c->method = rpc_method_find(cfg->methods, name);
	*ret = find_handler(cfg, name);
	if (!c->method || (!*ret && strcmp(name, "rpc.discover") != 0))
		return rpc_error_set_code(e, RPC_METHOD_NOT_FOUND,
					  "there is no method '%.64s'", name);
	if (c->session->right < c->method->right)
		return rpc_error_set(e, -EACCES, "%s: you may look, but not change",
				     name);
	r = rpc_params_check(c->method, params, &c->params, e);
	return r < 0 ? r : claim_fds(c, e);
}

static void dispatch(struct rpc_session *s, struct batch *b, const char *method,
		     json_t *params, json_t *id)
{
	const struct rpc_server_config *cfg = &s->server->config;
	struct rpc_call *c = calloc(1, sizeof(*c));
	const struct rpc_handler *h;
	struct rpc_error e;

	if (!c) {
		conn_finish(s->conn);
		return;
	}
	list_add_tail(&s->calls, &c->link);
	c->session = s;
	c->batch = b;
	c->id = id ? json_incref(id) : NULL;
	s->refs++;
	s->pending++;
	if (b)
		b->pending++;
	if (prepare(c, method, params, &h, &e) < 0)
		rpc_call_error(c, &e);
	else if (h)
		h->fn(c, cfg->ctx);
	else
		rpc_call_reply(c, rpc_discover(cfg->methods));
}

static void request(struct rpc_session *s, struct batch *b, const json_t *m)
{
	const char *version = json_string_value(json_object_get(m, "jsonrpc"));
	const char *method = json_string_value(json_object_get(m, "method"));
	json_t *id = json_object_get(m, "id");
	struct rpc_error e;

	if (!s->conn)
		return;
	if (version && strcmp(version, "2.0") == 0 && method && id_ok(id)) {
		dispatch(s, b, method, json_object_get(m, "params"), id);
		return;
	}
	rpc_error_set_code(&e, RPC_INVALID_REQUEST,
			   "not a JSON-RPC 2.0 request (jsonrpc \"2.0\", method, id)");
	answer_error(s, b, id_ok(id) ? id : NULL, &e);
}

static void receive_batch(struct rpc_session *s, const json_t *list)
{
	struct rpc_error e;
	struct batch *b;
	const json_t *m;
	size_t i;

	if (!json_array_size(list) || json_array_size(list) > RPC_BATCH_MAX) {
		rpc_error_set_code(&e, RPC_INVALID_REQUEST,
				   "a batch holds 1 to %u requests", RPC_BATCH_MAX);
		answer_error(s, NULL, NULL, &e);
		return;
	}
	b = calloc(1, sizeof(*b));
	if (b)
		b->answers = json_array();
	if (!b || !b->answers) {
		free(b);
		conn_finish(s->conn);
		return;
	}
	b->session = s;
	b->pending = 1;
	s->refs++;
	json_array_foreach (list, i, m)
		request(s, b, m);
	batch_settle(b);
}

void call_receive(struct rpc_session *s, const char *text, size_t len)
{
	struct rpc_error e;
	json_t *m;
	char why[200];

	if (frame_parse(text, len, &m, why, sizeof(why)) < 0) {
		rpc_error_set_code(&e, RPC_PARSE_ERROR, "not JSON: %s", why);
		answer_error(s, NULL, NULL, &e);
		return;
	}
	if (json_is_array(m))
		receive_batch(s, m);
	else
		request(s, NULL, m);
	json_decref(m);
}

void call_session_gone(struct rpc_session *s)
{
	struct rpc_call *c;
	bool again = true;

	/* What gone() does may answer any of the calls, so begin anew after each. */
	while (again) {
		again = false;
		list_for_each (c, &s->calls, link) {
			void (*gone)(struct rpc_call *, void *) = c->gone;

			if (!gone)
				continue;
			c->gone = NULL;
			gone(c, c->gone_arg);
			again = true;
			break;
		}
	}
}

/* ---- for handlers ---- */

json_t *rpc_call_params(const struct rpc_call *c)
{
	return c->params;
}

const char *rpc_call_string(const struct rpc_call *c, const char *name)
{
	return json_string_value(json_object_get(c->params, name));
}

int64_t rpc_call_integer(const struct rpc_call *c, const char *name, int64_t otherwise)
{
	const json_t *v = json_object_get(c->params, name);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool rpc_call_bool(const struct rpc_call *c, const char *name)
{
	return json_is_true(json_object_get(c->params, name));
}

int rpc_call_take_fd(struct rpc_call *c, const char *role)
{
	const json_t *names = json_object_get(c->params, "fds"), *name;
	size_t i;

	json_array_foreach (names, i, name) {
		if (i < c->nfds && c->fds[i] >= 0 &&
		    strcmp(json_string_value(name), role) == 0) {
			int fd = c->fds[i];

			c->fds[i] = -1;
			return fd;
		}
	}
	return -1;
}

struct rpc_session *rpc_call_session(const struct rpc_call *c)
{
	return c->session->conn ? c->session : NULL;
}

void rpc_call_on_gone(struct rpc_call *c, void (*fn)(struct rpc_call *c, void *arg),
		      void *arg)
{
	c->gone = fn;
	c->gone_arg = arg;
}
