/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream Unix socket in an event loop that carries lines and descriptors both ways. Everything is bounded: a
 * line, what is unsent, descriptors that wait for the line that names them, lines handled in one turn of the loop.
 *
 * Descriptors form a queue: a text that names n of them takes the n oldest (conn_take_fds). The sender puts them on
 * the first bytes of that line (SCM_RIGHTS, unix(7)), 253 at most with one sendmsg, so they are there before the
 * line is whole. Those that no line took are closed once every byte received with them is handled.
 *
 * Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef RPC_CONN_H
#define RPC_CONN_H

#include "util/macros.h"

struct conn;
struct event_base;

struct conn_limits {
	size_t line_max; /* bytes of one line */
	size_t out_max;  /* bytes unsent, beyond which the connection is ended */
	size_t fds_max;  /* descriptors that may wait; 0: none are accepted */
};

#define CONN_LINE_MAX (1u << 20)
#define CONN_OUT_MAX (1u << 20)
#define CONN_FDS_MAX 512u

/* Each may call any conn_* function on this connection, conn_free() too. */
struct conn_ops {
	/* One line without its newline, NUL-terminated; valid during the call. */
	void (*line)(void *ctx, const char *text, size_t len);
	/*
	 * The connection is over: 0 the peer closed it, or conn_finish() has sent all; -EMSGSIZE a line or its
	 * descriptors exceeded a limit; -ENOBUFS the peer does not read; else the socket's error. Called once, never
	 * from within conn_send(). The owner calls conn_free(), now or later.
	 */
	void (*closed)(void *ctx, int error);
	/*
	 * The peer sends no more but still reads (shutdown(2) SHUT_WR). Answer what is pending, then conn_finish().
	 * NULL: as closed.
	 */
	void (*ended)(void *ctx);
	/* All that was queued is sent, after some of it had to wait. May be NULL. */
	void (*drained)(void *ctx);
};

/* Takes the descriptor, makes it non-blocking; on an error it is still the caller's. */
int conn_new(struct event_base *base, int fd, const struct conn_limits *limits,
	     const struct conn_ops *ops, void *ctx, struct conn **ret) __must_check;
/* Closes the socket and all descriptors that wait in either direction. No callback comes after it. NULL is ok. */
void conn_free(struct conn *c);

/*
 * Queues bytes (whole lines, newline included) and sends what the socket takes at once. The nfds descriptors become the
 * connection's, on an error too (they are closed). -EPIPE when it is over, -ENOBUFS when more than out_max
 * is unsent (closed() follows), -ENOMEM, -EINVAL. A single line into an empty queue may exceed out_max.
 */
int conn_send(struct conn *c, const char *line, size_t len, int *fds,
	      size_t nfds) __must_check;
/* The n oldest descriptors received become the caller's; -EPROTO (none taken) when there are fewer. */
int conn_take_fds(struct conn *c, int *fds, size_t n) __must_check;
/* No line() until resumed; the kernel's buffer then holds the peer back. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* Reads no more; closed(0) once all is sent. */
void conn_finish(struct conn *c);
size_t conn_unsent(const struct conn *c);
/* The socket, for SO_PEERCRED and the like; stays the connection's. */
int conn_fd(const struct conn *c);

#endif
