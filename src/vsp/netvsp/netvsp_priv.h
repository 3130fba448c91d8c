/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the adapter: the device and its channels (netvsp.c), its control messages (netvsp_control.c), frames from the guest (netvsp_tx.c)
 * and to it (netvsp_rx.c).
 *
 * Locks, in this order: netvsp.lock (read by serving threads while they use buffers or RNDIS' state, which is never across a wait;
 * written to change those), netvsp_channel.inbox_lock or netvsp.pool_lock (leaves).
 */
#ifndef VSP_NETVSP_NETVSP_PRIV_H
#define VSP_NETVSP_NETVSP_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include "vmbus/gpadl.h"
#include "vsp/netvsp/frame.h"
#include "vsp/netvsp/netvsp.h"
#include "vsp/netvsp/nvsp.h"

/* One part of the receive buffer holds a frame and what stands before it; a byte more shows that a frame did not fit. */
#define NETVSP_SUB_EXTRA (RNDIS_RX_HEAD + 4u + 1u)
#define NETVSP_SUB_ALIGN 64u
#define NETVSP_SUBS_MAX 16384u
#define NETVSP_SUBS_MIN 8u
#define NETVSP_SUBS_RESERVED 4u /* for answers, which must not wait for frames */
#define NETVSP_SECTION_BYTES 6144u
#define NETVSP_BUFFER_MAX (64u << 20)

#define NETVSP_BATCH 32u /* frames in one message to the guest */
#define NETVSP_MESSAGES \
	512u               /* messages on one channel that the guest has not given back */
#define NETVSP_TURN 64u    /* frames read in one turn */
#define NETVSP_INBOX 1024u /* frames that another channel's thread read for this one */

/* A frame in the receive buffer: the part it lies in, and the message's bytes. */
struct netvsp_frame {
	uint16_t sub;
	uint32_t bytes;
};

/* A message to the guest, until it says that it has done with it. */
struct netvsp_message {
	unsigned int frames; /* 0: free */
	uint32_t channel_type;
	struct netvsp_frame frame[NETVSP_BATCH];
};

struct netvsp_counters {
	_Atomic uint64_t sent, received, sent_bytes, received_bytes, send_errors,
		no_buffer;
};

struct netvsp_channel {
	/* fixed after open */
	struct netvsp *s;
	struct vsp_channel *vc;
	unsigned int index; /* 0 is the primary */
	const struct guestmem *gm;
	/* Serving thread. */
	bool tx_held;
	size_t tx_done; /* of a packet that is held: what of it is sent */
	bool watching;
	bool link_told; /* what the guest was told last */
	/* Serving thread, and whoever has netvsp.lock written. Messages to the guest: the free ones, and those that wait for the ring. */
	struct netvsp_message messages[NETVSP_MESSAGES];
	uint16_t free[NETVSP_MESSAGES], waiting[NETVSP_MESSAGES];
	unsigned int free_count, waiting_head, waiting_count;
	/* Under inbox_lock. */
	pthread_mutex_t inbox_lock;
	struct netvsp_frame inbox[NETVSP_INBOX];
	unsigned int inbox_head, inbox_count;
};

struct netvsp {
	/* fixed */
	struct vsp *vsp;
	struct nic *nic;
	char name[64];
	unsigned int max_sub_channels;
	/* bus thread */
	void (*removed)(void *opaque);
	void *removed_opaque;
	void (*idle)(void *opaque);
	void *idle_opaque;
	/* Any thread. */
	struct netvsp_counters counters;
	atomic_bool link_wanted, nic_gone;
	atomic_bool
		starved; /* a channel stopped reading for want of room in the receive buffer */
	/* Under lock. */
	pthread_rwlock_t lock;
	struct nvsp nvsp;
	struct rndis rndis;
	struct gpadl *recv, *send;
	uint32_t sub_bytes, sub_count, section_bytes;
	uint16_t recv_id;
	bool receive_csum; /* what the back-end was told */
	struct netvsp_channel *channels[NETVSP_SUB_CHANNELS_MAX + 1];
	unsigned int open_channels;
	/* Under pool_lock: the free parts of the receive buffer. */
	pthread_mutex_t pool_lock;
	uint16_t *pool;
	unsigned int pool_free;
};

extern const struct vsp_ops netvsp_ops;

bool netvsp_link(const struct netvsp *s);

/* netvsp_control.c. Errors are of ops->packet. */
int netvsp_on_nvsp(struct netvsp_channel *ch, const struct packet *p);
/* Tells the guest of a link that has changed. */
void netvsp_tell_link(struct netvsp_channel *ch);
/* Lets go of both buffers; lock is written. */
void netvsp_drop_recv_locked(struct netvsp *s);
void netvsp_drop_send_locked(struct netvsp *s);

/* netvsp_tx.c: RNDIS from the guest, with the message that named it; lock is not held. */
int netvsp_on_rndis(struct netvsp_channel *ch, const struct packet *p,
		    const struct nvsp_rndis_packet *rndis);

/* netvsp_rx.c */
void netvsp_rx_init(struct netvsp_channel *ch);
/* Forgets what is under way to the guest and gives the parts of the receive buffer back; lock is written. */
void netvsp_rx_forget_locked(struct netvsp_channel *ch);
/* Reads what the back-end has, for as long as there is room. */
void netvsp_receive(struct netvsp_channel *ch);
/* Sends what was read for this channel, and what waits for the ring. */
void netvsp_deliver(struct netvsp_channel *ch);
/* The guest has done with a message. -EPROTO when it cannot be one. */
int netvsp_given_back(struct netvsp_channel *ch, uint64_t transaction_id);
/* A message of RNDIS' control channel; lock is held. -ENOSPC when the guest gives nothing back. */
int netvsp_send_control_locked(struct netvsp_channel *ch, const uint8_t *message,
			       size_t len);
/* The free parts of a buffer that has come; lock is written. -ENOMEM. */
int netvsp_pool_new_locked(struct netvsp *s) __must_check;
void netvsp_pool_free_locked(struct netvsp *s);

#endif
