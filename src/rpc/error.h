/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What went wrong, in the three forms in which it is needed: a JSON-RPC code for programs, a negative errno for
 * C callers, one line for people (what failed, why, what to do). The one place that maps errno to codes and back.
 * Source: JSON-RPC 2.0, 5.1 "Error object" (-32768..-32000 reserved, -32000..-32099 for the server). Thread: any.
 */
#ifndef RPC_ERROR_H
#define RPC_ERROR_H

#include <jansson.h>
#include "util/macros.h"

enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,

	RPC_FAILED = -32000,      /* the operation failed; the message says why */
	RPC_NOT_FOUND = -32001,   /* no such VM, file, drive … */
	RPC_EXISTS = -32002,      /* the name or place is taken */
	RPC_DENIED = -32003,      /* the caller, or vmms itself, may not */
	RPC_WRONG_STATE = -32004, /* not possible in the VM's present state */
	RPC_LOCKED = -32005,      /* an image is in use elsewhere */
	RPC_TIMEOUT = -32006,     /* the time given was not enough */
	RPC_LIMIT = -32007,       /* a bound on size, count or memory was reached */
	RPC_WORKER_GONE = -32008, /* the VM's worker ended before it answered */
	RPC_NO_SERVICE = -32010,  /* the guest has no such integration service */
	RPC_CANCELLED = -32011,   /* a job was cancelled */
};

struct rpc_error {
	int code;          /* enum rpc_code; 0 while there is none */
	int err;           /* the negative errno */
	char message[512]; /* one line */
};

/*
 * Sets both forms from a negative errno; the text is cut to fit. `e` may be NULL. Returns `err`, so that a
 * failing function ends with `return rpc_error_set(e, -ENOENT, "…")`.
 */
int rpc_error_set(struct rpc_error *e, int err, const char *fmt, ...) __printf(3, 4);
/* The same where a code says more than any errno (RPC_INVALID_REQUEST …). */
int rpc_error_set_code(struct rpc_error *e, int code, const char *fmt, ...)
	__printf(3, 4);

int rpc_code_of_errno(int err);
/* -EPROTO for a code that nobody defined. */
int rpc_errno_of_code(int code);
/* "not found" …: for rpc.discover and the man page. NULL for a code that nobody defined. */
const char *rpc_code_name(int code);

/* The error object {code, message, data: {errno}}; a new reference, NULL without memory. */
json_t *rpc_error_to_json(const struct rpc_error *e);
/* From a peer's error object; whatever is missing or of the wrong type gets a value that says so. */
void rpc_error_from_json(const json_t *obj, struct rpc_error *ret);

#endif
