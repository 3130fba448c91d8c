/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define FRAME_FIRST 4096u
#define FRAME_KEEP 65536u /* a buffer larger than this is given back once it is empty */

void frame_init(struct frame_reader *r, size_t max)
{
	*r = (struct frame_reader){ .max = max };
}

void frame_done(struct frame_reader *r)
{
	free(r->buf);
	*r = (struct frame_reader){ .max = r->max };
}

static void compact(struct frame_reader *r)
{
	if (!r->begin)
		return;
	memmove(r->buf, r->buf + r->begin, r->len - r->begin);
	r->len -= r->begin;
	r->scanned -= r->begin;
	r->begin = 0;
	if (!r->len && r->cap > FRAME_KEEP)
		frame_done(r);
}

int frame_append(struct frame_reader *r, const void *data, size_t len)
{
	size_t need, cap;
	char *bigger;

	compact(r);
	if (add_overflow(r->len, len, &need))
		return -ENOMEM;
	if (need > r->cap) {
		cap = MAX(r->cap * 2, need);
		cap = MAX(cap, (size_t)FRAME_FIRST);
		bigger = realloc(r->buf, cap);
		if (!bigger)
			return -ENOMEM;
		r->buf = bigger;
		r->cap = cap;
	}
	memcpy(r->buf + r->len, data, len);
	r->len = need;
	return 0;
}

int frame_next(struct frame_reader *r, char **ret_line, size_t *ret_len)
{
	char *end = NULL;
	size_t len;

	if (r->scanned < r->len)
		end = memchr(r->buf + r->scanned, '\n', r->len - r->scanned);
	if (!end) {
		r->scanned = r->len;
		return r->len - r->begin > r->max ? -EMSGSIZE : 0;
	}
	len = (size_t)(end - (r->buf + r->begin));
	if (len > r->max)
		return -EMSGSIZE;
	*end = 0;
	*ret_line = r->buf + r->begin;
	*ret_len = len;
	r->begin += len + 1;
	r->scanned = r->begin;
	return 1;
}

size_t frame_partial(const struct frame_reader *r)
{
	return r->len - r->begin;
}

int frame_parse(const char *text, size_t len, json_t **ret, char *msg, size_t msg_size)
{
	json_error_t e;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);

	if (!j) {
		snprintf(msg, msg_size, "line %d, column %d: %s", e.line, e.column,
			 e.text);
		return -EBADMSG;
	}
	*ret = j;
	return 0;
}

char *frame_format(const json_t *text, size_t *ret_len)
{
	size_t len = json_dumpb(text, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
	char *line;

	if (!len)
		return NULL;
	line = malloc(len + 1);
	if (!line)
		return NULL;
	if (json_dumpb(text, line, len, JSON_COMPACT | JSON_ENCODE_ANY) != len) {
		free(line);
		return NULL;
	}
	line[len] = '\n';
	*ret_len = len + 1;
	return line;
}
