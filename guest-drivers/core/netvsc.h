/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client of the synthetic network adapter: NVSP, RNDIS, sub-channels, frames both ways. proto/nvsp.h, proto/rndis.h.
 *
 * Thread: start, stop and requests on VP 0; send and poll of a queue (one channel) on one VP at a time.
 */
#ifndef CORE_NETVSC_H
#define CORE_NETVSC_H

#include "core/chan.h"
#include "proto/nvsp.h"
#include "proto/rndis.h"

#define NETVSC_QUEUES_MAX 8u
#define NETVSC_SECTIONS_MAX 32u
#define NETVSC_FRAME_MAX 1518u
#define NETVSC_RANGES_MAX 64u
#define NETVSC_INFO_MAX 1024u

struct netvsc;

/* A frame came, on that queue; good until the return. `rx` are the values of its per-packet information, 0 without. */
struct netvsc_rx {
	const uint8_t *frame;
	size_t bytes;
	uint32_t csum, vlan, hash;
	bool has_vlan, has_hash;
};
typedef void (*netvsc_frame_fn)(void *opaque, struct netvsc *n, unsigned int queue,
				const struct netvsc_rx *rx);

/* What is to be done to a frame on its way. */
struct netvsc_tx {
	const void *frame;
	size_t bytes;
	bool by_pages; /* beside the packet, not in the send buffer */
	bool has_csum, has_lso, has_vlan;
	uint32_t csum, lso, vlan;
};

struct netvsc {
	struct bus *bus;
	netvsc_frame_fn frame;
	void *opaque;
	uint32_t version; /* NVSP_VERSION_* */
	uint8_t mac[6];
	unsigned int queues;
	struct chan *queue[NETVSC_QUEUES_MAX];
	/* the buffers that the host was lent */
	uint8_t *recv, *send;
	uint32_t recv_gpadl, send_gpadl;
	uint32_t sub_bytes, sub_count, section_bytes;
	unsigned int sections;
	uint8_t busy[NETVSC_SECTIONS_MAX]; /* sent, and not completed */
	/* the request that waits for its answer */
	uint32_t request_id, answer_type;
	bool answered;
	uint32_t answer_bytes;
	uint8_t answer[NETVSC_INFO_MAX];
	bool link_up;
	unsigned int link_changes;
	uint64_t rejected; /* sends that the host could not make sense of */
	uint32_t send_table_channels;
};

/* Interface type of the offer, in wire order. */
extern const uint8_t netvsc_type[16];

/*
 * Opens `primary` on VP 0 and brings the adapter up: the newest version that both know and is not above `max_version` (0: any), buffers, RNDIS,
 * up to `subs` sub-channels (queue i on VP i % vps), every frame of ours and broadcasts. -EPROTO, -EPROTONOSUPPORT, -EIO when the host refuses something, -ENOMEM,
 * -ETIMEDOUT, errors of chan_open().
 */
int netvsc_start(struct netvsc *n, struct bus *bus, struct chan *primary,
		 uint32_t max_version, unsigned int subs, unsigned int vps,
		 netvsc_frame_fn frame, void *opaque);
/* HALT, both buffers revoked, channels closed. */
int netvsc_stop(struct netvsc *n);

/* -EAGAIN when all sections are busy or the ring is full; -EMSGSIZE. */
int netvsc_send(struct netvsc *n, unsigned int queue, const struct netvsc_tx *tx);
/* Takes what came on a queue: completions, answers, frames (through the hook). How many packets, or -errno. */
int netvsc_poll(struct netvsc *n, unsigned int queue);

/* OIDs. 0, -EIO when the status is no success (*ret_status has it), -ETIMEDOUT. */
int netvsc_query(struct netvsc *n, uint32_t oid, void *value, size_t max, size_t *ret_len,
		 uint32_t *ret_status);
int netvsc_set(struct netvsc *n, uint32_t oid, const void *value, size_t len,
	       uint32_t *ret_status);

/* netvsc_rndis.c, for netvsc.c: the message in the receive buffer at `at`. */
int netvsc_rndis_message(struct netvsc *n, unsigned int queue, const uint8_t *at,
			 size_t len);
int netvsc_rndis_start(struct netvsc *n);
int netvsc_rndis_halt(struct netvsc *n);
/* The RNDIS message of a frame into `to`, or -EMSGSIZE; its bytes. */
int netvsc_rndis_packet(const struct netvsc_tx *tx, uint8_t *to, size_t max);
/* Sends `len` bytes that lie in that section. */
int netvsc_send_section(struct netvsc *n, unsigned int queue, unsigned int section,
			uint32_t channel_type, size_t len, bool by_pages);
/* A free section, taken; -EAGAIN. */
int netvsc_take_section(struct netvsc *n);

#endif
