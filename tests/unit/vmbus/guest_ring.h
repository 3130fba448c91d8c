/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's side of a pair of rings, for tests: written from the protocol, apart from vmbus/ring.c, with every field open to be
 * set to nonsense. One thread.
 */
#ifndef TESTS_UNIT_VMBUS_GUEST_RING_H
#define TESTS_UNIT_VMBUS_GUEST_RING_H

#include "proto/vmbus.h"
#include "util/macros.h"

struct guest_ring {
	struct vmbus_ring_header *tx, *rx; /* guest to host, host to guest */
	uint8_t *tx_data, *rx_data;
	uint32_t tx_size, rx_size;
};

/* `mem`: the pages of the pair, neighbours; the first tx_pages are ours to write. Zeroes indices, sets our feature bit. */
void guest_ring_init(struct guest_ring *g, void *mem, unsigned int tx_pages,
		     unsigned int rx_pages);
/* A packet of these bytes: descriptor made from type, flags, id; *ret_signal: ring the doorbell. False when there is no room. */
bool guest_ring_send(struct guest_ring *g, uint16_t type, uint16_t flags, uint64_t id,
		     const void *payload, size_t len, bool *ret_signal);
/* Any bytes as a packet with its trailer. */
bool guest_ring_send_raw(struct guest_ring *g, const void *bytes, size_t len,
			 bool *ret_signal);
/* The next packet's descriptor and up to `max` bytes of payload (*ret_len has all). *ret_signal: the host waits for the room. */
bool guest_ring_recv(struct guest_ring *g, struct vmbus_packet *ret_desc, void *payload,
		     size_t max, size_t *ret_len, bool *ret_signal);
/* The host waits for room to send. */
bool guest_ring_host_waits(const struct guest_ring *g);
/* Asks the host to interrupt when a packet of `bytes` (descriptor and payload) fits. True when it fits already. */
bool guest_ring_wait(struct guest_ring *g, size_t bytes);
/* Free bytes of the ring to the host. */
uint32_t guest_ring_room(const struct guest_ring *g);

#endif
