/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A JSON-RPC 2.0 server on a listening Unix socket: accepts, checks who calls, checks params by the table of methods,
 * hands each request to its handler, sends the answers. Requests, notifications and batches by the specification.
 * vmms and vmwp both serve with it.
 *
 * A handler answers its call exactly once, at once or later; meanwhile the loop and the other calls go on. A client
 * that does not read, or has `pending_max` calls unanswered, is no longer read from, and so slows only itself.
 *
 * Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef RPC_SERVER_H
#define RPC_SERVER_H

#include <jansson.h>
#include <sys/types.h>
#include "rpc/conn.h"
#include "rpc/error.h"
#include "rpc/methods.h"

struct event_base;
struct rpc_call;
struct rpc_server;
struct rpc_session; /* one accepted connection */

struct rpc_handler {
	const char *method;
	void (*fn)(struct rpc_call *call, void *ctx);
};

/* A call of a method that needs RPC_RIGHT_ADMIN, as it ended. Borrowed for the time of the call of audit(). */
struct rpc_audit {
	const char *method;
	const json_t *params; /* NULL: refused before they were looked at */
	uid_t uid;
	pid_t pid;
	const struct rpc_error *error; /* NULL: done */
};

struct rpc_server_config {
	const struct rpc_methods *methods;
	/* A row of the table that has no handler is answered "method not found"; rpc.discover has its own. */
	const struct rpc_handler *handlers;
	size_t handler_count;
	void *ctx;                 /* for the handlers */
	struct conn_limits limits; /* zero: CONN_LINE_MAX, CONN_OUT_MAX, no descriptors */
	size_t conns_max;          /* zero: RPC_CONNS_MAX */
	size_t pending_max; /* unanswered calls of a connection; zero: RPC_PENDING_MAX */
	/* Whose members may do all, beside root and the process's own uid; NULL: nobody. Looked up at each connect. */
	const char *group;
	/* Whose members may call what needs no more than RPC_RIGHT_VIEW. */
	const char *view_group;
	/* Hears of each change, done or not, just before it is answered; refused ones too. NULL: nobody does. */
	void (*audit)(void *ctx, const struct rpc_audit *a);
	bool notify_all; /* every connection is subscribed from the start */
};

#define RPC_CONNS_MAX 256u
#define RPC_PENDING_MAX 64u
#define RPC_BATCH_MAX 256u

/* Takes the listening descriptor; on an error it is still the caller's. */
int rpc_server_new(struct event_base *base, int listen_fd,
		   const struct rpc_server_config *config,
		   struct rpc_server **ret) __must_check;
/* Ends all connections. Calls that are still unanswered stay valid; their answers go nowhere. NULL is ok. */
void rpc_server_free(struct rpc_server *s);
/* Sends a notification to every subscribed connection. `params` stays the caller's. */
void rpc_server_notify(struct rpc_server *s, const char *method, json_t *params);
size_t rpc_server_connections(const struct rpc_server *s);

/* ---- a call, from the handler's start to its answer ---- */

/* The params by name, checked against the table; borrowed. */
json_t *rpc_call_params(const struct rpc_call *c);
/* NULL, or the given value, when it was not given (or is null). */
const char *rpc_call_string(const struct rpc_call *c, const char *name);
int64_t rpc_call_integer(const struct rpc_call *c, const char *name, int64_t otherwise);
bool rpc_call_bool(const struct rpc_call *c, const char *name);
/*
 * The descriptor that "fds" names so; it becomes the caller's. -1 when there is none. Those not taken are closed
 * with the call.
 */
int rpc_call_take_fd(struct rpc_call *c, const char *role);
/* The connection, for rpc_session_*; NULL once it is gone. */
struct rpc_session *rpc_call_session(const struct rpc_call *c);

/*
 * Called when the client leaves before the answer, so that a handler stops waiting for what nobody reads. The call
 * must still be answered, in fn or later.
 */
void rpc_call_on_gone(struct rpc_call *c, void (*fn)(struct rpc_call *c, void *arg),
		      void *arg);

/* The answer; ends the call. Takes the reference to the result (NULL: answered as "no memory"). */
void rpc_call_reply(struct rpc_call *c, json_t *result);
void rpc_call_error(struct rpc_call *c, const struct rpc_error *e);
/* For what is wrong with the request itself. */
void rpc_call_fail(struct rpc_call *c, int err, const char *fmt, ...) __printf(3, 4);

/* ---- a connection ---- */

/* From now on rpc_server_notify() reaches this connection. */
void rpc_session_subscribe(struct rpc_session *s);
bool rpc_session_subscribed(const struct rpc_session *s);
/* A notification to this one. -EPIPE, -ENOBUFS as conn_send(). `params` stays the caller's. */
int rpc_session_notify(struct rpc_session *s, const char *method, json_t *params);
uid_t rpc_session_uid(const struct rpc_session *s);
pid_t rpc_session_pid(const struct rpc_session *s);

#endif
