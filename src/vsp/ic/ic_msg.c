/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/ic/ic_msg.h"

#include <errno.h>
#include <string.h>

static const struct ic_version frameworks[] = { IC_FRAMEWORK_1, IC_FRAMEWORK_3 };
const struct ic_versions ic_msg_frameworks = { frameworks, ARRAY_SIZE(frameworks) };

static size_t put_head(uint8_t *buf, const struct ic_request *rq)
{
	const struct ic_pipe pipe = {
		.type = IC_PIPE_TYPE_DATA,
		.msgsize = (uint32_t)(sizeof(struct ic_header) + rq->body_bytes),
	};
	const struct ic_header h = {
		.framework_version = rq->framework,
		.message_type = rq->type,
		.message_version = rq->message,
		.message_size = (uint16_t)rq->body_bytes,
		.transaction_id = rq->transaction_id,
		.flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST,
	};

	memcpy(buf, &pipe, sizeof(pipe));
	memcpy(buf + sizeof(pipe), &h, sizeof(h));
	return IC_MSG_HEAD_BYTES;
}

size_t ic_msg_request(uint8_t buf[IC_MSG_BYTES_MAX], const struct ic_request *rq)
{
	size_t n = put_head(buf, rq);

	memcpy(buf + n, rq->body, rq->body_bytes);
	return n + rq->body_bytes;
}

size_t ic_msg_negotiate(uint8_t buf[IC_MSG_BYTES_MAX], const struct ic_versions *messages)
{
	const struct ic_negotiate n = { .framework_count = (uint16_t)ic_msg_frameworks.n,
					.message_count = (uint16_t)messages->n };
	struct ic_version all[2 * IC_VERSIONS_MAX];
	uint8_t body[sizeof(n) + sizeof(all)];
	size_t bytes = (ic_msg_frameworks.n + messages->n) * sizeof(all[0]);
	const struct ic_request rq = { .type = ICMSGTYPE_NEGOTIATE,
				       .body = body,
				       .body_bytes = sizeof(n) + bytes };

	memcpy(all, ic_msg_frameworks.v, ic_msg_frameworks.n * sizeof(all[0]));
	memcpy(all + ic_msg_frameworks.n, messages->v, messages->n * sizeof(all[0]));
	memcpy(body, &n, sizeof(n));
	memcpy(body + sizeof(n), all, bytes);
	return ic_msg_request(buf, &rq);
}

int ic_msg_answer(const void *payload, size_t len, struct ic_answer *ret)
{
	const uint8_t *p = payload;
	struct ic_pipe pipe;
	struct ic_header h;

	if (len < IC_MSG_HEAD_BYTES)
		return -EPROTO;
	memcpy(&pipe, p, sizeof(pipe));
	memcpy(&h, p + sizeof(pipe), sizeof(h));
	/* A packet is padded to 8 bytes, so the payload may be longer than what the headers say. */
	if (pipe.msgsize < sizeof(h) || pipe.msgsize > len - sizeof(pipe) ||
	    h.message_size > pipe.msgsize - sizeof(h))
		return -EPROTO;
	if (!(h.flags & IC_FLAG_RESPONSE))
		return -EPROTO;
	*ret = (struct ic_answer){ .type = h.message_type,
				   .status = h.status,
				   .transaction_id = h.transaction_id,
				   .body = p + IC_MSG_HEAD_BYTES,
				   .body_bytes = h.message_size };
	return 0;
}

static bool listed(const struct ic_versions *list, struct ic_version v)
{
	for (unsigned int i = 0; i < list->n; i++) {
		if (list->v[i].major == v.major && list->v[i].minor == v.minor)
			return true;
	}
	return false;
}

int ic_msg_versions(const struct ic_answer *a, const struct ic_versions *messages,
		    struct ic_version *ret_framework, struct ic_version *ret_message)
{
	struct ic_version chosen[2];
	struct ic_negotiate n;

	if (a->type != ICMSGTYPE_NEGOTIATE || a->body_bytes < sizeof(n))
		return -EPROTO;
	memcpy(&n, a->body, sizeof(n));
	if (n.framework_count == 0 || n.message_count == 0)
		return -EOPNOTSUPP;
	if (n.framework_count != 1 || n.message_count != 1 ||
	    a->body_bytes < sizeof(n) + sizeof(chosen))
		return -EPROTO;
	memcpy(chosen, a->body + sizeof(n), sizeof(chosen));
	if (!listed(&ic_msg_frameworks, chosen[0]) || !listed(messages, chosen[1]))
		return -EPROTO;
	*ret_framework = chosen[0];
	*ret_message = chosen[1];
	return 0;
}

/* One character of at most 4 bytes; *s moves behind it. Overlong forms, surrogates and strays are U+FFFD, a byte at a time. */
static uint32_t utf8_next(const uint8_t **s)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = *s;
	unsigned int n = p[0] < 0x80             ? 1
			 : (p[0] & 0xe0) == 0xc0 ? 2
			 : (p[0] & 0xf0) == 0xe0 ? 3
			 : (p[0] & 0xf8) == 0xf0 ? 4
						 : 0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	++*s;
	for (unsigned int i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (n == 0 || c < least[n] || c > 0x10ffff || (c & 0xfffff800) == 0xd800)
		return 0xfffd;
	*s = p + n;
	return c;
}

static void put16(uint8_t *out, uint32_t v)
{
	out[0] = (uint8_t)v;
	out[1] = (uint8_t)(v >> 8);
}

void ic_msg_text(const char *utf8, uint8_t out[IC_SHUTDOWN_TEXT_BYTES])
{
	const uint8_t *s = (const uint8_t *)utf8;
	size_t at = 0;

	memset(out, 0, IC_SHUTDOWN_TEXT_BYTES);
	while (*s) {
		uint32_t c = utf8_next(&s);
		size_t need = c >= 0x10000 ? 4 : 2;

		if (at + need > IC_SHUTDOWN_TEXT_BYTES - 2)
			return;
		if (need == 4) {
			put16(out + at, 0xd800 + ((c - 0x10000) >> 10));
			put16(out + at + 2, 0xdc00 + ((c - 0x10000) & 0x3ff));
		} else {
			put16(out + at, c);
		}
		at += need;
	}
}
