/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "rpc/server_priv.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"

/* Unsent answers of a connection beyond which no further request of it is read. */
#define OUT_HIGH (256u << 10)
#define ACCEPTS_A_TURN 16

/* Each session holds one: calls that are answered later still look at the configuration. */
static void server_unref(struct rpc_server *srv)
{
	if (--srv->refs == 0)
		free(srv);
}

void session_unref(struct rpc_session *s)
{
	if (--s->refs)
		return;
	server_unref(s->server);
	free(s);
}

/* Takes the session off the server's list and ends its connection; calls keep it alive until they are answered. */
static void session_close(struct rpc_session *s)
{
	conn_free(s->conn);
	s->conn = NULL;
	s->server->session_count--;
	list_del(&s->link);
	call_session_gone(s);
	session_unref(s);
}

int session_send(struct rpc_session *s, json_t *message)
{
	cleanup_free char *line = NULL;
	size_t len = 0;

	if (!s->conn) {
		json_decref(message);
		return -EPIPE;
	}
	line = message ? frame_format(message, &len) : NULL;
	json_decref(message);
	if (!line)
		return -ENOMEM;
	return conn_send(s->conn, line, len, NULL, 0);
}

void session_settle(struct rpc_session *s)
{
	if (!s->conn)
		return;
	if (s->ended && !s->pending) {
		conn_finish(s->conn);
		return;
	}
	if (s->pending >= s->server->config.pending_max ||
	    conn_unsent(s->conn) > OUT_HIGH)
		conn_pause(s->conn);
	else
		conn_resume(s->conn);
}

static void on_line(void *ctx, const char *text, size_t len)
{
	struct rpc_session *s = ctx;

	s->refs++;
	call_receive(s, text, len);
	session_settle(s);
	session_unref(s);
}

static void on_ended(void *ctx)
{
	struct rpc_session *s = ctx;

	s->ended = true;
	session_settle(s);
}

static void on_drained(void *ctx)
{
	session_settle(ctx);
}

/* A peer that broke a limit hears which, where its socket still takes a line. */
static void say_why(struct rpc_session *s, int error)
{
	char text[192];
	const char *why = error == -EMSGSIZE ? "a message was larger than the limit, or "
					       "carried too many descriptors"
					     : "answers and events were not read";
	int n = snprintf(text, sizeof(text),
			 "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,"
			 "\"message\":\"%s; the connection is closed\"}}\n",
			 error == -EMSGSIZE ? RPC_INVALID_REQUEST : RPC_LIMIT, why);

	if (io_send_fds(conn_fd(s->conn), text, (size_t)n, NULL, 0) < 0)
		log_debug("rpc: pid %d: %s", (int)s->peer.pid, why);
}

static void on_closed(void *ctx, int error)
{
	struct rpc_session *s = ctx;

	if (error == -EMSGSIZE || error == -ENOBUFS)
		say_why(s, error);
	session_close(s);
}

static const struct conn_ops session_ops = {
	.line = on_line,
	.closed = on_closed,
	.ended = on_ended,
	.drained = on_drained,
};

static struct rpc_session *session_new(struct rpc_server *srv, int fd)
{
	struct rpc_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->server = srv;
	s->refs = 1;
	s->subscribed = srv->config.notify_all;
	list_init(&s->calls);
	list_init(&s->link);
	if (conn_new(srv->base, fd, &srv->config.limits, &session_ops, s, &s->conn) < 0) {
		free(s);
		return NULL;
	}
	list_add_tail(&srv->sessions, &s->link);
	srv->session_count++;
	srv->refs++;
	return s;
}

/* One line to a peer that is not served; whether it reads it is its own affair. */
static void refuse(int fd, int err, const char *why)
{
	cleanup_free char *line = NULL;
	struct rpc_error e;
	size_t len;
	json_t *m;

	rpc_error_set(&e, err, "%s", why);
	m = json_pack("{s:s, s:n, s:o}", "jsonrpc", "2.0", "id", "error",
		      rpc_error_to_json(&e));
	line = m ? frame_format(m, &len) : NULL;
	if (line && send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("rpc: %s", why);
	json_decref(m);
}

static void welcome(struct rpc_server *srv, int new_fd)
{
	cleanup_fd int fd = new_fd;
	struct ucred peer = { 0 };
	enum rpc_right right =
		auth_right(fd, srv->config.group, srv->config.view_group, &peer);
	struct rpc_session *s;

	if (right == RPC_RIGHT_NONE) {
		refuse(fd, -EACCES,
		       "permission denied: only root, the user that the daemon runs as, "
		       "and "
		       "members of its groups may call");
		return;
	}
	if (srv->session_count >= srv->config.conns_max) {
		refuse(fd, -ENOBUFS, "too many connections; close some and try again");
		return;
	}
	s = session_new(srv, fd);
	if (!s) {
		refuse(fd, -ENOMEM, "no memory for a further connection");
		return;
	}
	take_fd(&fd);
	s->peer = peer;
	s->right = right;
}

/* Out of descriptors: the listener stays readable, so look away for a moment. */
static void look_away(struct rpc_server *srv)
{
	const struct timeval moment = { .tv_usec = 100000 };

	event_del(srv->accept_ev);
	event_add(srv->again_ev, &moment);
}

static void on_accept(evutil_socket_t lfd, short what, void *arg)
{
	struct rpc_server *srv = arg;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			       errno == ENOMEM))
			look_away(srv);
		if (fd < 0)
			return;
		welcome(srv, fd);
	}
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct rpc_server *srv = arg;

	event_add(srv->accept_ev, NULL);
}

static void server_defaults(struct rpc_server_config *c)
{
	if (!c->limits.line_max)
		c->limits.line_max = CONN_LINE_MAX;
	if (!c->limits.out_max)
		c->limits.out_max = CONN_OUT_MAX;
	if (!c->conns_max)
		c->conns_max = RPC_CONNS_MAX;
	if (!c->pending_max)
		c->pending_max = RPC_PENDING_MAX;
}

int rpc_server_new(struct event_base *base, int listen_fd,
		   const struct rpc_server_config *config, struct rpc_server **ret)
{
	struct rpc_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->refs = 1;
	s->base = base;
	s->config = *config;
	s->listen_fd = -1;
	server_defaults(&s->config);
	list_init(&s->sessions);
	s->accept_ev = event_new(base, listen_fd, EV_READ | EV_PERSIST, on_accept, s);
	s->again_ev = event_new(base, -1, 0, on_again, s);
	if (!s->accept_ev || !s->again_ev ||
	    evutil_make_socket_nonblocking(listen_fd) < 0 ||
	    event_add(s->accept_ev, NULL) < 0) {
		rpc_server_free(s);
		return -ENOMEM;
	}
	s->listen_fd = listen_fd;
	*ret = s;
	return 0;
}

void rpc_server_free(struct rpc_server *s)
{
	if (!s)
		return;
	while (!list_empty(&s->sessions)) {
		struct rpc_session *p =
			list_entry(s->sessions.next, struct rpc_session, link);

		session_close(p);
	}
	if (s->accept_ev)
		event_free(s->accept_ev);
	if (s->again_ev)
		event_free(s->again_ev);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	s->config.audit = NULL;
	server_unref(s);
}

size_t rpc_server_connections(const struct rpc_server *s)
{
	return s->session_count;
}

static json_t *notification(const char *method, json_t *params)
{
	return json_pack("{s:s, s:s, s:O}", "jsonrpc", "2.0", "method", method, "params",
			 params);
}

void rpc_server_notify(struct rpc_server *s, const char *method, json_t *params)
{
	json_t *m = notification(method, params);
	cleanup_free char *line = NULL;
	struct rpc_session *p, *next;
	size_t len;

	line = m ? frame_format(m, &len) : NULL;
	json_decref(m);
	if (!line)
		return;
	list_for_each_safe (p, next, &s->sessions, link) {
		/* One that does not read is closed by its own bound; the others get theirs. */
		if (p->subscribed && conn_send(p->conn, line, len, NULL, 0) < 0)
			log_debug("rpc: pid %d gets no more events", (int)p->peer.pid);
	}
}

void rpc_session_subscribe(struct rpc_session *s)
{
	s->subscribed = true;
}

bool rpc_session_subscribed(const struct rpc_session *s)
{
	return s->subscribed;
}

int rpc_session_notify(struct rpc_session *s, const char *method, json_t *params)
{
	return session_send(s, notification(method, params));
}

uid_t rpc_session_uid(const struct rpc_session *s)
{
	return s->peer.uid;
}

pid_t rpc_session_pid(const struct rpc_session *s)
{
	return s->peer.pid;
}
