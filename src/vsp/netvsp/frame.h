/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame on its way from the guest to the back-end: what it asked to have done to it (a VLAN tag, checksums, segmentation) is put into the form
 * that back-ends take. Headers that must be changed are copied; the rest stays where the guest has it.
 *
 * Pure; thread: any.
 */
#ifndef VSP_NETVSP_FRAME_H
#define VSP_NETVSP_FRAME_H

#include "back/nic.h"
#include "vsp/netvsp/rndis_packet.h"

/* Ethernet with a tag, IP and TCP, each with all its options, and some extension headers. */
#define FRAME_HEAD_MAX 256u

struct frame {
	struct nic_meta meta;
	uint8_t head[FRAME_HEAD_MAX];
	struct iovec iov[RNDIS_IOVS_MAX + 1];
	unsigned int n;
};

/* -EINVAL for a frame that is none, or whose headers are not what it asks work for; -EOPNOTSUPP for work that `features` (NIC_FEATURE_*) lacks. */
int frame_build(struct frame *f, const struct iovec *iov, unsigned int n,
		const struct rndis_tx *tx, unsigned int features) __must_check;

/* The checksum of RFC 1071 over `len` bytes and a sum so far, not yet folded into 16 bits. */
uint32_t frame_sum(const uint8_t *p, size_t len, uint32_t sum);
/* What stands in a header for such a sum. */
uint16_t frame_fold(uint32_t sum);
/*
 * A received frame of `bytes` whose TCP or UDP sum its sender left to an adapter: what stands at start + offset is that of the pseudo header
 * (virtio 5.1.6, NIC_CSUM_NEEDED); made whole in place. False: the place is not in the frame.
 */
bool frame_complete_sum(const struct iovec *iov, unsigned int n, size_t bytes,
			size_t start, size_t offset) __must_check;

#endif
