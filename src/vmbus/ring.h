/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's side of a channel's pair of rings in guest memory. The only code that touches ring indices.
 *
 * Incoming (guest to host): ring_recv() copies packets out and moves a private read index; ring_recv_commit() publishes it.
 * Outgoing (host to guest): ring_send() copies packets in behind a private write index; ring_send_commit() publishes them together.
 * Both commits say whether the guest is to be interrupted now, so a batch costs at most one interrupt.
 *
 * Thread: the one that serves the channel. Errors: -EPROTO is bad guest data: the ring is of no more use.
 * Source: Linux' include/linux/hyperv.h (struct hv_ring_buffer and its comments), drivers/hv/ring_buffer.c for what guests expect.
 */
#ifndef VMBUS_RING_H
#define VMBUS_RING_H

#include <sys/uio.h>
#include "proto/vmbus.h"
#include "util/macros.h"

struct ring_half {
	struct vmbus_ring_header *header; /* guest memory */
	uint8_t *
		base; /* the data when its pages are neighbours in our memory, else NULL */
	uint8_t **pages;    /* the data pages; owned */
	uint32_t size;      /* bytes of data, a multiple of 4096 */
	uint32_t index;     /* our index: what was read or written so far */
	uint32_t published; /* our index as the guest knows it */
	uint32_t peer;      /* the guest's index, when last read */
};

struct ring {
	struct ring_half in, out;
	bool waiting; /* out.header->pending_send_size is set */
};

/* Pages of one ring with its header page: two at least. */
#define RING_PAGES_MAX (8u << 10)

/*
 * `pages`: host addresses of all pages of the pair, each ring with its header page first; the first `in_pages` are the guest's to write.
 * Copied; the memory stays valid until ring_done(). -EINVAL for a size that is no ring, -EPROTO for indices that lie outside it,
 * -ENOMEM. Begins where the indices stand.
 */
int ring_init(struct ring *r, void *const *pages, unsigned int in_pages,
	      unsigned int out_pages) __must_check;
/* Safe on a zeroed ring. */
void ring_done(struct ring *r);

/*
 * Copies the next packet (descriptor and payload) into buf. 0 with its bytes; -EAGAIN when there is none; -EPROTO when an index or the
 * packet's own sizes are impossible; -EMSGSIZE (a fault as well) when it is larger than `max`.
 */
int ring_recv(struct ring *r, void *buf, size_t max, size_t *ret_len) __must_check;
/* Gives what was received back to the guest. True: the guest waits for this room, interrupt it. */
bool ring_recv_commit(struct ring *r) __must_check;
/* True when something may be there to receive. */
bool ring_recv_ready(struct ring *r);
/*
 * Asks the guest not to ring the doorbell. Unmask with all committed that was received: the guest rings only when it finds the ring empty.
 * True when something arrived meanwhile.
 */
void ring_recv_mask(struct ring *r);
bool ring_recv_unmask(struct ring *r) __must_check;

/*
 * Appends one packet: the pieces of iov, padded to 8 bytes, and its trailer. -EAGAIN when there is no room: commit, ring_send_wait(), and
 * try again once the guest rang. -EMSGSIZE when it can never fit, -EPROTO.
 */
int ring_send(struct ring *r, const struct iovec *iov, unsigned int n) __must_check;
/* Publishes what was sent. True: interrupt the guest. */
bool ring_send_commit(struct ring *r) __must_check;
/*
 * Asks the guest to ring when `bytes` (a packet without its trailer) fit. True when they fit already. Where ring_send_notifies() is
 * false the guest never rings for that (its feature bit is clear): try again by time.
 */
bool ring_send_wait(struct ring *r, size_t bytes) __must_check;
bool ring_send_notifies(const struct ring *r);
/* The guest has not taken all that was published. Thread: any, while the ring is mapped. */
bool ring_send_unread(const struct ring *r);

#endif
