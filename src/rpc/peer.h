/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An asynchronous JSON-RPC 2.0 client in an event loop: vmms's end of a worker's control socket. Any number of calls may
 * be under way (RPC_PEER_CALLS_MAX); each ends in exactly one callback: an answer, its deadline, or the
 * connection's end. Whatever the other side sends is taken as foreign: bounded in size and in lines a second (200), and
 * ends the connection when it is not JSON-RPC. Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef RPC_PEER_H
#define RPC_PEER_H

#include <jansson.h>
#include "rpc/conn.h"
#include "rpc/error.h"

struct event_base;
struct rpc_peer;

#define RPC_PEER_CALLS_MAX 256u

struct rpc_peer_ops {
	/* params is borrowed, and may be NULL. */
	void (*notified)(void *ctx, const char *method, const json_t *params);
	/* Once, after the callbacks of all calls; the owner frees the peer, now or later. error as conn_ops.closed. */
	void (*closed)(void *ctx, int error);
};

/* result is borrowed and set exactly when e is NULL. May free the peer. */
typedef void (*rpc_peer_fn)(void *arg, const json_t *result, const struct rpc_error *e);

/* Takes the connected socket; on an error it is still the caller's. */
int rpc_peer_new(struct event_base *base, int fd, const struct rpc_peer_ops *ops,
		 void *ctx, struct rpc_peer **ret) __must_check;
/* Calls under way end with -ECONNABORTED, from here. NULL is ok. */
void rpc_peer_free(struct rpc_peer *p);
/*
 * Takes the reference to params (NULL: none) and the descriptors (closed on an error). timeout_ms 0: none.
 * After an error `fn` is not called. -EPIPE, -ENOBUFS, -ENOMEM.
 */
int rpc_peer_call(struct rpc_peer *p, const char *method, json_t *params, int *fds,
		  size_t nfds, unsigned int timeout_ms, rpc_peer_fn fn,
		  void *arg) __must_check;

#endif
