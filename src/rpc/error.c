/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int code;
	int err; /* what a client makes of the code, and the first errno that gives it */
	const char *name;
} codes[] = {
	{ RPC_PARSE_ERROR, -EBADMSG, "parse error" },
	{ RPC_INVALID_REQUEST, -EPROTO, "invalid request" },
	{ RPC_METHOD_NOT_FOUND, -ENOSYS, "method not found" },
	{ RPC_INVALID_PARAMS, -EINVAL, "invalid params" },
	{ RPC_INTERNAL_ERROR, -ENOTRECOVERABLE, "internal error" },
	{ RPC_FAILED, -EIO, "failed" },
	{ RPC_NOT_FOUND, -ENOENT, "not found" },
	{ RPC_EXISTS, -EEXIST, "exists already" },
	{ RPC_DENIED, -EACCES, "denied" },
	{ RPC_WRONG_STATE, -EBUSY, "wrong state" },
	{ RPC_LOCKED, -ETXTBSY, "in use" },
	{ RPC_TIMEOUT, -ETIMEDOUT, "timed out" },
	{ RPC_LIMIT, -ENOBUFS, "limit reached" },
	{ RPC_WORKER_GONE, -ECONNRESET, "worker gone" },
	{ RPC_NO_SERVICE, -EOPNOTSUPP, "no such integration service" },
	{ RPC_CANCELLED, -ECANCELED, "cancelled" },
};

/* Further errnos that mean the same to a client. */
static const struct {
	int err, code;
} aliases[] = {
	{ -ENOTDIR, RPC_NOT_FOUND },
	{ -ENODEV, RPC_NOT_FOUND },
	{ -ENXIO, RPC_NOT_FOUND },
	{ -EPERM, RPC_DENIED },
	{ -EROFS, RPC_DENIED },
	{ -ENOTEMPTY, RPC_EXISTS },
	{ -EALREADY, RPC_WRONG_STATE },
	{ -EPIPE, RPC_WORKER_GONE },
	{ -ECONNREFUSED, RPC_WORKER_GONE },
	{ -ENOMEM, RPC_LIMIT },
	{ -EMFILE, RPC_LIMIT },
	{ -ENFILE, RPC_LIMIT },
	{ -ENOSPC, RPC_LIMIT },
	{ -EDQUOT, RPC_LIMIT },
	{ -EMSGSIZE, RPC_LIMIT },
	{ -EFBIG, RPC_LIMIT },
	{ -E2BIG, RPC_LIMIT },
	{ -ERANGE, RPC_INVALID_PARAMS },
};

int rpc_code_of_errno(int err)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i].err == err)
			return codes[i].code;
	}
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (aliases[i].err == err)
			return aliases[i].code;
	}
	return RPC_FAILED;
}

int rpc_errno_of_code(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i].code == code)
			return codes[i].err;
	}
	return -EPROTO;
}

const char *rpc_code_name(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i].code == code)
			return codes[i].name;
	}
	return NULL;
}

/* Ends the text before a character of which the last bytes were cut off. */
static void drop_half_character(char *s)
{
	size_t len = strlen(s), start = len;

	while (start && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
		start--;
	if (start && (unsigned char)s[start - 1] >= 0xc0)
		s[start - 1] = 0;
}

/* A message is one line, whatever a path or a guest's text in it holds. */
static __printf(2, 0) void format(struct rpc_error *e, const char *fmt, va_list ap)
{
	int n = vsnprintf(e->message, sizeof(e->message), fmt, ap);

	if (n < 0)
		strcpy(e->message, "failed");
	if (n >= (int)sizeof(e->message))
		drop_half_character(e->message);
	for (char *s = e->message; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
	}
}

int rpc_error_set(struct rpc_error *e, int err, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return err;
	e->err = err;
	e->code = rpc_code_of_errno(err);
	va_start(ap, fmt);
	format(e, fmt, ap);
	va_end(ap);
	return err;
}

int rpc_error_set_code(struct rpc_error *e, int code, const char *fmt, ...)
{
	va_list ap;
	int err = rpc_errno_of_code(code);

	if (!e)
		return err;
	e->err = err;
	e->code = code;
	va_start(ap, fmt);
	format(e, fmt, ap);
	va_end(ap);
	return err;
}

json_t *rpc_error_to_json(const struct rpc_error *e)
{
	const char *name = strerrorname_np(-e->err);
	/* Bytes of a path need not be UTF-8; such a message is sent without what cannot be said in JSON. */
	json_t *message = json_string(e->message);
	char plain[sizeof(e->message)];

	if (!message) {
		snprintf(plain, sizeof(plain), "%s", e->message);
		for (char *s = plain; *s; s++) {
			if ((unsigned char)*s >= 0x80)
				*s = '?';
		}
		message = json_string(plain);
	}
	return json_pack("{s:i, s:o, s:{s:s}}", "code", e->code, "message", message,
			 "data", "errno", name ? name : "EPROTO");
}

void rpc_error_from_json(const json_t *obj, struct rpc_error *ret)
{
	const json_t *code = json_object_get(obj, "code");
	const char *message = json_string_value(json_object_get(obj, "message"));
	json_int_t n = json_integer_value(code);

	if (!json_is_integer(code) || n < INT32_MIN || n > INT32_MAX || n == 0)
		n = RPC_INTERNAL_ERROR;
	rpc_error_set_code(ret, (int)n, "%s",
			   message ? message : "the peer's error says nothing");
}
