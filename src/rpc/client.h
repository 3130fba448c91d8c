/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A blocking JSON-RPC 2.0 client on a Unix socket, for programs without an event loop: one call at a time, each
 * with a deadline. Notifications that arrive meanwhile are kept (up to RPC_CLIENT_KEEP) for rpc_client_next().
 * Thread: one at a time. Errors: 0 or -errno, and a line for people in the rpc_error.
 */
#ifndef RPC_CLIENT_H
#define RPC_CLIENT_H

#include <jansson.h>
#include "rpc/error.h"

struct rpc_client;

#define RPC_CLIENT_LINE_MAX (16u << 20)
#define RPC_CLIENT_KEEP 4096u

/*
 * Connects. -ENOENT or -ECONNREFUSED: nobody serves there; -EACCES: may not. ("vmms does not answer at …" with what
 * to do is in the error.)
 */
int rpc_client_connect(const char *path, struct rpc_client **ret,
		       struct rpc_error *e) __must_check;
/* A socket that is connected already; becomes the client's on success. */
int rpc_client_new(int fd, struct rpc_client **ret) __must_check;
void rpc_client_free(struct rpc_client *c);

/*
 * Calls and waits for the answer, timeout_ms at most (-1: for ever). Takes the reference to params (NULL: none).
 * 0: *ret_result is a new reference (ret_result may be NULL). -errno of the server's error object, with its code
 * and message in e; -ETIMEDOUT, -ECONNRESET or the socket's error with the connection unusable after.
 */
int rpc_client_call(struct rpc_client *c, const char *method, json_t *params,
		    int timeout_ms, json_t **ret_result,
		    struct rpc_error *e) __must_check;
/* The next notification {jsonrpc, method, params}; -ETIMEDOUT when none came in time (the connection goes on). */
int rpc_client_next(struct rpc_client *c, int timeout_ms, json_t **ret,
		    struct rpc_error *e) __must_check;
/* To poll(2) on; readable when something came. rpc_client_next(…, 0, …) then takes it. */
int rpc_client_fd(const struct rpc_client *c);

#endif
