/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RNDIS' control messages and OIDs ([MS-RNDIS] 3.2), as pure functions over bytes: a copied message in, the state of the adapter changed, the
 * answer out.
 *
 * Thread: one at a time; netvsp holds its lock.
 */
#ifndef VSP_NETVSP_RNDIS_H
#define VSP_NETVSP_RNDIS_H

#include "proto/rndis.h"
#include "util/macros.h"
#include "vsp/netvsp/rss.h"

#define RNDIS_MAC_BYTES 6u
#define RNDIS_MULTICAST_MAX 64u
/* The longest control message that is taken, and the longest answer: an OID's value is at most a page in any driver. */
#define RNDIS_CONTROL_MAX 4096u

#define RNDIS_PACKETS_MAX 8u      /* in one message of the guest */
#define RNDIS_PACKET_ALIGNMENT 3u /* 2^3 */
#define RNDIS_LSO_MAX 0xf53cu /* bytes of a frame that is to be segmented: Hyper-V's */

struct rndis_stats {
	uint64_t sent, received; /* frames, from the guest and to it */
	uint64_t sent_bytes, received_bytes;
	uint64_t send_errors, no_buffer;
};

/* What the guest may offload, all or nothing of each. */
struct rndis_offload {
	bool csum4, csum6, lso4, lso6; /* sends */
	bool receive4, receive6;       /* is told that a sum is good */
};

struct rndis {
	/* fixed, or the host's to change */
	uint8_t permanent[RNDIS_MAC_BYTES];
	char name[64];
	uint32_t frame_bytes; /* of the largest, with its Ethernet header */
	unsigned int queues;  /* channels that there may be */
	bool can_csum, can_lso;
	bool link_up;
	struct rndis_stats stats; /* as of now: whoever calls fills it in */
	/* the guest's */
	bool ready; /* INITIALIZE was done */
	uint32_t filter;
	uint8_t mac[RNDIS_MAC_BYTES];
	unsigned int multicast_count;
	uint8_t multicast[RNDIS_MULTICAST_MAX][RNDIS_MAC_BYTES];
	struct rndis_offload offload;
	struct rss rss;
};

/* Back to what an adapter is that no driver has touched. */
void rndis_reset(struct rndis *r);
/*
 * A control message, and the answer into reply[RNDIS_CONTROL_MAX]: *ret_bytes of it, 0 where there is none (HALT). -EPROTO for what is no control
 * message: lengths that do not fit, an unknown type.
 */
int rndis_control(struct rndis *r, const void *msg, size_t len, uint8_t *reply,
		  size_t *ret_bytes) __must_check;
/* The message that says that the link is up or down. */
size_t rndis_link_status(bool up, uint8_t *reply);

/* Whether the guest wants this frame, by its destination address. */
bool rndis_wants(const struct rndis *r, const uint8_t destination[RNDIS_MAC_BYTES]);

/* rndis_oid.c. A status; *ret_bytes of value when it is a success. `value` has room for RNDIS_CONTROL_MAX / 2. */
uint32_t rndis_oid_query(const struct rndis *r, uint32_t oid, uint8_t *value,
			 size_t *ret_bytes);
uint32_t rndis_oid_set(struct rndis *r, uint32_t oid, const uint8_t *value, size_t len);

/* rndis_offload.c. The values of OID_TCP_OFFLOAD_*; as above. */
void rndis_offload_capabilities(const struct rndis *r, struct ndis_offload *ret);
void rndis_offload_config(const struct rndis *r, struct ndis_offload *ret);
uint32_t rndis_offload_set(struct rndis *r, const uint8_t *value, size_t len);

#endif
