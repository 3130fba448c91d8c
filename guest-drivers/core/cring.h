/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's side of a channel's pair of rings. Source: Linux' include/linux/hyperv.h, struct hv_ring_buffer and its comments.
 *
 * Thread: one at a time per half; the two halves are independent.
 */
#ifndef CORE_CRING_H
#define CORE_CRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/vmbus.h"

struct cring_half {
	struct vmbus_ring_header *header;
	uint8_t *data;
	uint32_t size; /* of the data */
};

struct cring {
	struct cring_half out, in; /* out: the guest writes */
};

/* One piece of a packet. */
struct cring_piece {
	const void *p;
	size_t len;
};

/* `pages`: contiguous and zero; the first out_pages are the ring that the guest writes. Each at least two. */
void cring_init(struct cring *r, void *pages, unsigned int out_pages,
		unsigned int in_pages);

/*
 * Appends a packet made of these pieces, padded to 8 bytes, with its trailer. *ret_signal: the host must be told. -EAGAIN when there is no
 * room; then pending_send_size is set, and the host interrupts when there is. -EMSGSIZE when it can never fit.
 */
int cring_send(struct cring *r, const struct cring_piece *pieces, unsigned int n,
	       bool *ret_signal);
/*
 * Copies the next packet out. 0 with its bytes, without trailer; -EAGAIN when there is none; -EMSGSIZE when it is longer than max, -EPROTO
 * when the ring makes no sense: then it is not taken. *ret_signal as above: the host waits for the room that this made.
 */
int cring_recv(struct cring *r, void *buf, size_t max, size_t *ret_len, bool *ret_signal);

/* Asks the host not to interrupt for packets; unmask: true when one came in meanwhile. */
void cring_mask(struct cring *r);
bool cring_unmask(struct cring *r);

/* Bytes free for the guest to write, and bytes there for it to read. */
uint32_t cring_out_free(const struct cring *r);
uint32_t cring_in_used(const struct cring *r);

#endif
