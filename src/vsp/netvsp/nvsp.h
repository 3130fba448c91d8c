/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NVSP as a pure state machine: a message of the guest in; what is wanted of the device, and the answer, out. Knows no channel,
 * memory or thread. proto/nvsp.h has the messages.
 */
#ifndef VSP_NETVSP_NVSP_H
#define VSP_NETVSP_NVSP_H

#include "proto/nvsp.h"
#include "util/macros.h"

/* A frame with its Ethernet header: what guests that do not say get, and the most that they may ask for. */
#define NVSP_FRAME_DEFAULT 1514u
#define NVSP_FRAME_MAX (65521u + 14u)

struct nvsp {
	uint32_t version;      /* NVSP_VERSION_*; 0 before it is agreed */
	uint32_t frame_bytes;  /* the guest's MTU, with the Ethernet header */
	uint32_t capabilities; /* NVSP_CAP_* */
	bool has_receive_buffer, has_send_buffer;
	unsigned int max_sub_channels; /* fixed */
};

enum nvsp_want {
	NVSP_WANT_NOTHING, /* but that the answer is sent, if there is one */
	/* The device does it, and says how it went by the function named: it makes the answer. */
	NVSP_WANT_RECEIVE_BUFFER, /* nvsp_receive_buffer() */
	NVSP_WANT_SEND_BUFFER,    /* nvsp_send_buffer() */
	NVSP_WANT_SUB_CHANNELS,   /* nvsp_sub_channels() */
	/* The device does it. */
	NVSP_WANT_REVOKE_RECEIVE,
	NVSP_WANT_REVOKE_SEND,
	NVSP_WANT_RNDIS, /* answered by nvsp_rndis_done() */
};

struct nvsp_result {
	enum nvsp_want want;
	struct nvsp_buffer buffer;      /* *_BUFFER */
	unsigned int sub_channels;      /* SUB_CHANNELS: 1 to max_sub_channels */
	struct nvsp_rndis_packet rndis; /* RNDIS */
	bool has_answer;
	struct nvsp_message answer;
	size_t answer_bytes;
};

void nvsp_reset(struct nvsp *s, unsigned int max_sub_channels);
/* -EPROTO for what no driver sends: too short for its type, out of order, of a version that was not agreed. Then *ret is of no use. */
int nvsp_packet(struct nvsp *s, const void *payload, size_t len,
		struct nvsp_result *ret) __must_check;

/* `count` 0: it cannot be used. */
void nvsp_receive_buffer(struct nvsp *s, struct nvsp_result *ret, uint32_t sub_bytes,
			 uint32_t count);
/* `section_bytes` 0: it cannot be used. */
void nvsp_send_buffer(struct nvsp *s, struct nvsp_result *ret, uint32_t section_bytes);
/* How many will come; 0 is a failure. */
void nvsp_sub_channels(struct nvsp *s, struct nvsp_result *ret, unsigned int count);

/* Messages of the host's own. Each gives the bytes to send. */
size_t nvsp_rndis_done(const struct nvsp *s, enum nvsp_status status,
		       struct nvsp_message *ret);
size_t nvsp_rndis_to_guest(const struct nvsp *s, uint32_t channel_type,
			   struct nvsp_message *ret);
#define NVSP_SEND_TABLE_BYTES \
	(sizeof(struct nvsp_message) + NVSP_SEND_TABLE_ENTRIES * sizeof(uint32_t))
/* Which channel is to carry which of the guest's flows: in turn over `channels` of them. */
void nvsp_send_table(unsigned int channels, uint8_t ret[NVSP_SEND_TABLE_BYTES]);

#endif
