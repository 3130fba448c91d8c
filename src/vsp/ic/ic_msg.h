/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The integration components' messages: building what the host asks, taking apart what the guest answers. No state.
 * Source: proto/ic.h. Thread: any.
 */
#ifndef VSP_IC_IC_MSG_H
#define VSP_IC_IC_MSG_H

#include "proto/ic.h"
#include "util/macros.h"

#define IC_MSG_HEAD_BYTES (sizeof(struct ic_pipe) + sizeof(struct ic_header))
/* The longest that the host sends, and the longest answer it takes. */
#define IC_MSG_BYTES_MAX (IC_MSG_HEAD_BYTES + sizeof(struct ic_shutdown))
#define IC_VERSIONS_MAX 8u

struct ic_versions {
	const struct ic_version *v; /* ascending */
	unsigned int n;             /* at most IC_VERSIONS_MAX */
};

extern const struct ic_versions ic_msg_frameworks;

/* Both return the count of bytes written to buf. */
size_t ic_msg_negotiate(uint8_t buf[IC_MSG_BYTES_MAX],
			const struct ic_versions *messages);
struct ic_request {
	struct ic_version framework, message;
	uint16_t type;
	uint8_t transaction_id;
	const void *body;
	size_t body_bytes; /* at most sizeof(struct ic_shutdown) */
};
size_t ic_msg_request(uint8_t buf[IC_MSG_BYTES_MAX], const struct ic_request *rq);

struct ic_answer {
	uint16_t type;
	uint32_t status;
	uint8_t transaction_id;
	const uint8_t *body; /* inside the payload */
	size_t body_bytes;
};

/* -EPROTO: shorter than its headers, their sizes do not fit, or it is no response. */
int ic_msg_answer(const void *payload, size_t len, struct ic_answer *ret) __must_check;
/*
 * What the guest chose: -EPROTO when the answer is malformed or names what was not offered, -EOPNOTSUPP when nothing suits it.
 */
int ic_msg_versions(const struct ic_answer *a, const struct ic_versions *messages,
		    struct ic_version *ret_framework,
		    struct ic_version *ret_message) __must_check;

/* UTF-8 into UTF-16LE with a final NUL, cut between characters; what is no UTF-8 becomes U+FFFD. The rest of out is zeros. */
void ic_msg_text(const char *utf8, uint8_t out[IC_SHUTDOWN_TEXT_BYTES]);

#endif
