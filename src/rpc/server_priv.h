/* SPDX-License-Identifier: BSD-2-Clause */
/* What server.c (connections) and call.c (requests) share. */
#ifndef RPC_SERVER_PRIV_H
#define RPC_SERVER_PRIV_H

#include <sys/socket.h>
#include "rpc/server.h"
#include "util/list.h"

/* owner: the event loop */
struct rpc_server {
	/* fixed after init */
	struct rpc_server_config config;
	struct event_base *base;

	int listen_fd;
	struct event *accept_ev,
		*again_ev; /* again: after the process ran out of descriptors */
	struct list sessions;
	size_t session_count;
	unsigned int refs; /* its owner's until rpc_server_free(), each session */
};

/* owner: the event loop */
struct rpc_session {
	struct rpc_server *server; /* held */
	struct conn *conn;         /* NULL once the connection is gone */
	struct list link;
	struct list calls;
	size_t pending;
	struct ucred peer;
	enum rpc_right right;
	bool subscribed;
	bool ended;        /* the peer sends no more */
	unsigned int refs; /* the server's list, each call, each batch */
};

/* What the peer of a connected socket may do. ret_peer is set where the kernel knows it. NULL: nobody's group. */
enum rpc_right auth_right(int fd, const char *group, const char *view_group,
			  struct ucred *ret_peer);

/* A line from the peer. */
void call_receive(struct rpc_session *s, const char *text, size_t len);
/* Tells every unanswered call that its client is gone. */
void call_session_gone(struct rpc_session *s);

void session_unref(struct rpc_session *s);
/* Sends a message, if the connection is still there; takes the reference. */
int session_send(struct rpc_session *s, json_t *message);
/* After an answer: reads again where pending calls or unsent answers had stopped it, ends what has ended. */
void session_settle(struct rpc_session *s);

#endif
