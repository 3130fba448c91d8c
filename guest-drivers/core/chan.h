/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A channel of the bus, as a client driver uses it.
 *
 * Thread: open, close, modify, release on VP 0; send, receive and events on the VP that the channel is bound to, one at a time.
 */
#ifndef CORE_CHAN_H
#define CORE_CHAN_H

#include "core/bus.h"
#include "core/cring.h"

struct chan {
	struct bus *bus;
	enum chan_state state;
	struct vmbus_offer_channel offer;
	bool rescinded;
	unsigned int vp; /* ours; its SynIC gets the event flag */
	uint8_t event;   /* the flag was seen and chan_take_event() has not taken it */
	uint32_t gpadl;
	void *pages;
	unsigned int out_pages, in_pages;
	struct cring ring;
	uint64_t sent, received, signals;
};

/*
 * Makes rings of that many pages (header page included), lends and opens them, bound to VP `vp`. user_data: VMBUS_OFFER_USER_BYTES
 * or NULL. -EBUSY when open, -ENODEV when rescinded, -ENOMEM, -EIO when the host refuses, -ETIMEDOUT; then nothing is left behind.
 */
int chan_open(struct chan *ch, unsigned int out_pages, unsigned int in_pages,
	      unsigned int vp, const void *user_data);
/* CLOSECHANNEL, then takes the rings back. */
int chan_close(struct chan *ch);
/* Binds an open channel to another VP. From version 4.1 on: -EOPNOTSUPP below; -EIO when the host refuses (from 5.3). */
int chan_modify(struct chan *ch, unsigned int vp);
/* Answers a rescind: RELID_RELEASED; the channel is gone then. Closed before. */
int chan_release(struct chan *ch);

/* True once for each time that the host signalled since the last call (several may count as one). */
bool chan_take_event(struct chan *ch);

/*
 * An in-band packet; the host is told if need be. flags: VMBUS_PACKET_FLAG_*. -EAGAIN without room: wait for an event and try again.
 * -EMSGSIZE, -ENOTCONN.
 */
int chan_send(struct chan *ch, uint16_t flags, uint64_t transaction_id,
	      const void *payload, size_t len);
/* VM_PKT_COMP: done with what the host asked for. */
int chan_send_completion(struct chan *ch, uint64_t transaction_id, const void *payload,
			 size_t len);
/* chan_send() with the pages of one buffer beside it (VM_PKT_DATA_USING_GPA_DIRECT), at most CHAN_DATA_PAGES_MAX; -E2BIG. */
#define CHAN_DATA_PAGES_MAX 257u
int chan_send_data(struct chan *ch, uint64_t transaction_id, const void *data,
		   size_t data_len, const void *payload, size_t len);
/*
 * The next packet: descriptor copied to *ret, its payload to buf. 0 with the payload's bytes, -EAGAIN, -EMSGSIZE, -EPROTO, -ENOTCONN. A payload
 * behind ranges (transfer pages) is what stands at offset8.
 */
int chan_recv(struct chan *ch, struct vmbus_packet *ret, void *buf, size_t max,
	      size_t *ret_len);

/*
 * The same; of a packet with transfer pages also its descriptor and its ranges, of which there may be max_ranges (-EPROTO). Of any other
 * packet xfer is zeros.
 */
int chan_recv_xfer(struct chan *ch, struct vmbus_packet *ret,
		   struct vmbus_packet_xfer_pages *xfer, struct vmbus_xfer_range *ranges,
		   unsigned int max_ranges, void *buf, size_t max, size_t *ret_len);

#define CHAN_PACKET_MAX 16384u

#endif
