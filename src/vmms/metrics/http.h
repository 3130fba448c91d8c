/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One document over HTTP/1.1 (RFC 9112), for programs that collect numbers: GET or HEAD of one path, one request a connection, then it ends.
 * A head of at most HTTP_HEAD_MAX bytes must come within 10 s, and the answer be taken within 60 s. Of HTTP_CONNS_MAX
 * connections the one that has waited longest with its request makes room for a new one, so that idle ones shut nobody out. No body is
 * read, and nothing of a request but its first line is looked at. Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef VMMS_METRICS_HTTP_H
#define VMMS_METRICS_HTTP_H

#include "util/macros.h"

struct evbuffer;
struct event_base;
struct http;
struct http_request;

#define HTTP_HEAD_MAX 8192u
#define HTTP_CONNS_MAX 32u

/* A GET of the path: to be answered by http_reply(), then or later. */
typedef void (*http_get_fn)(void *ctx, struct http_request *r);

/* Takes the listening descriptor, nonblocking; on an error it is still the caller's. `path` is kept by reference. */
int http_new(struct event_base *base, int listen_fd, const char *path, http_get_fn get,
	     void *ctx, struct http **ret) __must_check;
/* Ends all connections; requests not answered stay valid, their answers go nowhere. NULL is ok. */
void http_free(struct http *h);
/*
 * 200 with this document, by reference and so shared by all who are sent it at the time; NULL: 503. Ends the request.
 */
void http_reply(struct http_request *r, const char *type, struct evbuffer *body);

#endif
