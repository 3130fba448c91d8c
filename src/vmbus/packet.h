/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One packet of a ring, copied out of guest memory, checked and taken apart. Nothing here points into the guest but
 * the iovecs that packet_iov() makes for bulk data.
 * Source: Linux' include/linux/hyperv.h (vmpacket_descriptor, vmdata_gpa_direct). Thread: any.
 */
#ifndef VMBUS_PACKET_H
#define VMBUS_PACKET_H

#include <sys/uio.h>
#include "proto/vmbus.h"
#include "util/macros.h"

struct guestmem;

struct packet {
	uint16_t type;  /* enum vmbus_packet_type */
	uint16_t flags; /* VMBUS_PACKET_FLAG_* */
	uint64_t transaction_id;
	const void *payload; /* inside the private copy: good until the next receive */
	size_t payload_bytes;
	const uint8_t *
		ranges; /* GPA_DIRECT: struct vmbus_gpa_range one behind the other; else NULL */
	size_t ranges_bytes;
	unsigned int range_count;
};

/* The guest waits for a completion with this transaction id. */
static inline bool packet_wants_completion(const struct packet *p)
{
	return (p->flags & VMBUS_PACKET_FLAG_COMPLETION_REQUESTED) != 0;
}

/*
 * Takes apart `len` bytes at `buf` (8-byte aligned, a private copy). -EPROTO when the descriptor does not fit them: offsets, sizes,
 * a count of ranges beyond PACKET_RANGES_MAX, ranges that do not lie inside the descriptor. *ret points into buf.
 */
int packet_parse(const void *buf, size_t len, struct packet *ret) __must_check;

#define PACKET_RANGES_MAX 512u

/* Bytes that all ranges describe; 0 without ranges. */
uint64_t packet_range_bytes(const struct packet *p);

/*
 * The packet's ranges as host memory, in order, neighbours merged. -EFAULT when a page is not RAM, -E2BIG when they need more than
 * `max` entries; *ret_n untouched then. What is there may change while it is used: straight to I/O, never parsed in place.
 */
int packet_iov(const struct packet *p, const struct guestmem *gm, struct iovec *iov,
	       unsigned int max, unsigned int *ret_n) __must_check;

#endif
