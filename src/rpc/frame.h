/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of a stream to lines, lines to JSON. One JSON text a line, compact, so that a newline only ever ends
 * a text. Memory: at most `max` bytes and one read more. Thread: the owner's. Errors: 0 or -errno.
 */
#ifndef RPC_FRAME_H
#define RPC_FRAME_H

#include <jansson.h>
#include "util/macros.h"

struct frame_reader {
	size_t max; /* fixed after init: the longest line, without its newline */
	char *buf;
	size_t begin, len, cap; /* bytes [begin, len) are unread */
	size_t scanned;         /* no newline in [begin, scanned) */
};

void frame_init(struct frame_reader *r, size_t max);
void frame_done(struct frame_reader *r);
/* Adds what arrived. -ENOMEM. Take the lines out before the next call, or the buffer grows by them. */
int frame_append(struct frame_reader *r, const void *data, size_t len) __must_check;
/*
 * The next whole line: 1, with ret_line (no newline, NUL in its place; valid until the next call on the reader);
 * 0 when none is whole; -EMSGSIZE when a line is longer than the bound (the stream is then of no more use).
 */
int frame_next(struct frame_reader *r, char **ret_line, size_t *ret_len) __must_check;
/* Bytes of a line that has begun but not ended. */
size_t frame_partial(const struct frame_reader *r);

/*
 * One JSON text: 0 and a new reference, or -EBADMSG with the reason, line and column, in msg. Refuses a name that
 * occurs twice in an object, and anything behind the text.
 */
int frame_parse(const char *text, size_t len, json_t **ret, char *msg,
		size_t msg_size) __must_check;
/* The line for a text, newline included, from malloc; NULL without memory. */
char *frame_format(const json_t *text, size_t *ret_len);

#endif
