/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RNDIS_PACKET ([MS-RNDIS] 2.2.14) with its per-packet information, both ways. What comes from the guest lies in memory that it may
 * change: headers are copied once, the frame is only ever described.
 *
 * Pure; thread: any.
 */
#ifndef VSP_NETVSP_RNDIS_PACKET_H
#define VSP_NETVSP_RNDIS_PACKET_H

#include <sys/uio.h>
#include "proto/rndis.h"
#include "util/macros.h"

/* Pieces of one packet of the guest: the most that MDL chains of drivers come to, with room. */
#define RNDIS_IOVS_MAX 64u
/* The most per-packet information that is looked at. */
#define RNDIS_PPI_MAX 512u

/* A packet of the guest. */
struct rndis_tx {
	size_t message_bytes;         /* to the next message */
	size_t frame_at, frame_bytes; /* from the start of the memory */
	bool has_csum, has_lso, has_vlan;
	uint32_t csum, lso, vlan; /* values of RNDIS_PPI_* */
};

/* Copies [off, off + len) of the pieces; false where they end before. */
bool rndis_copy(const struct iovec *iov, unsigned int n, size_t off, void *buf,
		size_t len);
/* The same as pieces: *ret_n, at most `max`. False where they end before, or need more. */
bool rndis_slice(const struct iovec *iov, unsigned int n, size_t off, size_t len,
		 struct iovec *ret, unsigned int max, unsigned int *ret_n);

/* The message at `off` of memory of `total` bytes. -EPROTO when a length or an offset does not fit, or it is no packet. */
int rndis_packet_parse(const struct iovec *iov, unsigned int n, size_t off, size_t total,
		       struct rndis_tx *ret) __must_check;

/* Where the frame stands in a message to the guest, and so what stands before it. */
#define RNDIS_RX_HEAD 96u

/* A packet to the guest: values of RNDIS_PPI_*. */
struct rndis_rx {
	bool has_csum, has_hash, has_vlan;
	uint32_t csum, hash, vlan;
	uint32_t frame_at; /* from the message's start: RNDIS_RX_HEAD or behind */
	uint32_t frame_bytes;
};
void rndis_packet_head(const struct rndis_rx *rx, uint8_t ret[RNDIS_RX_HEAD]);

#endif
