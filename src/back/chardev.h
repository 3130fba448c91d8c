/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A character device's host side: a byte stream between one emulated serial port and whoever looks at it: a pty, the clients of
 * a Unix socket, a bounded log. Each gets all output; any of them may type.
 *
 * Nobody waits. Output goes into one history ring; each reader has its place in it, and one that lags by more than the ring
 * skips ahead and is told how much it missed. The port's side never blocks: it is told how much was taken and when there is room.
 *
 *   VP thread: chardev_output() ─► ring ─► eventfd ─► loop: history ─► pty, clients, log
 *   loop: pty, clients ─► input buffer ─► handler.input() (what is not taken stays, and with it the sender's bytes in the kernel)
 *
 * Thread: chardev_output() and chardev_input_ready() any; all else, and the handler's calls, the loop's. The handler is called
 * with no lock held here.
 */
#ifndef BACK_CHARDEV_H
#define BACK_CHARDEV_H

#include "util/macros.h"

struct chardev;
struct event_base;

#define CHARDEV_SCROLLBACK_BYTES 16384u /* what a new client is shown first */
#define CHARDEV_CLIENTS_MAX 16u         /* more are turned away */
#define CHARDEV_LOG_BYTES (4u << 20)

struct chardev_config {
	/* Each -1 when there is none. Owned by the chardev once chardev_new() has returned 0. */
	int pty; /* the master side; its line is made raw, and held open so that it outlives its users */
	int pty_peer; /* its other side, to hold it open; -1: opened here, which a sandbox forbids */
	int socket;           /* listening, SOCK_STREAM */
	int log;              /* a regular file, open for reading and writing */
	size_t log_max_bytes; /* past it the older half of the log goes; 0: CHARDEV_LOG_BYTES */
};

struct chardev_handler {
	/* Bytes that were typed; returns how many were taken. The rest is offered again after chardev_input_ready(). */
	size_t (*input)(void *opaque, const uint8_t *buf, size_t len);
	/* There is room for output again after chardev_output() took less than it was given. */
	void (*writable)(void *opaque);
	void *opaque;
};

/* -ENOMEM, -EINVAL (a log that can not be read and written), or what making a descriptor ready gives. */
int chardev_new(struct event_base *base, const struct chardev_config *config,
		struct chardev **ret) __must_check;
/* Sends on what it can without waiting, then closes all. NULL is fine. */
void chardev_free(struct chardev *cd);

/* One handler; NULL takes it away (input then waits in the kernel's buffers). Kept by copy. */
void chardev_set_handler(struct chardev *cd, const struct chardev_handler *handler);

/* Returns the count taken, 0..len; less than len means full, and handler.writable() follows. */
size_t chardev_output(struct chardev *cd, const uint8_t *buf, size_t len);
/* The handler can take input again. */
void chardev_input_ready(struct chardev *cd);

#endif
