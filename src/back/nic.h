/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of a virtual network adapter: Ethernet frames without their check sequence, in and out, one a call. Frames are
 * read into and written from the caller's memory; no back-end keeps or copies one.
 *
 * Thread: nic_send() and nic_recv() of one queue are one thread's at a time; queues are independent. The rest: the loop's.
 */
#ifndef BACK_NIC_H
#define BACK_NIC_H

#include <assert.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "util/macros.h"

/* What a frame needs or has beside its bytes: struct virtio_net_hdr (virtio 1.2, 5.1.6), as a tap speaks it. */
struct nic_meta {
	uint8_t flags; /* NIC_CSUM_* */
	uint8_t gso;   /* NIC_GSO_* */
	uint16_t
		header_bytes; /* Ethernet, IP and TCP, of what is to be cut into segments */
	uint16_t gso_bytes;   /* of a segment's payload */
	uint16_t csum_start, csum_offset;
};
static_assert(sizeof(struct nic_meta) == 10, "size");
#define NIC_CSUM_NEEDED 1u /* sum from csum_start to the end, to csum_offset behind it */
#define NIC_CSUM_GOOD 2u
#define NIC_GSO_NONE 0u
#define NIC_GSO_TCP4 1u
#define NIC_GSO_TCP6 4u

#define NIC_FEATURE_CSUM \
	1u /* sends with NIC_CSUM_NEEDED; receives with it where allowed */
#define NIC_FEATURE_TSO 2u /* sends with NIC_GSO_* */

#define NIC_FRAME_MAX (65535u + 18u)
#define NIC_QUEUES_MAX 16u
#define NIC_IOVS_MAX 72u /* pieces of one frame; what has more is dropped */

struct nic;

struct nic_ops {
	const char *kind; /* "tap", "user", "none" */
	/* 0: taken, or dropped where a network drops. -EAGAIN: no room now. -EPIPE: the other end has gone. */
	int (*send)(struct nic *nic, unsigned int queue, const struct nic_meta *meta,
		    const struct iovec *iov, unsigned int n);
	/* Bytes of the next frame; -EAGAIN when there is none; -EMSGSIZE: one that did not fit is gone; -EPIPE. */
	ssize_t (*recv)(struct nic *nic, unsigned int queue, struct nic_meta *meta,
			const struct iovec *iov, unsigned int n);
	/*
	 * Whether a queue but the first, which always is, is read from now on: the back-end puts frames into those only. It begins with none.
	 * NULL where there is nothing to choose.
	 */
	int (*use_queue)(struct nic *nic, unsigned int queue, bool used);
	/* Frames whose sum is only begun may be received from now on, or not. NULL where there is no such thing. */
	int (*receive_csum)(struct nic *nic, bool allowed);
	void (*free)(struct nic *nic);
};

struct nic {
	/* fixed */
	const struct nic_ops *ops;
	unsigned int features; /* NIC_FEATURE_* */
	unsigned int queues;
	int fds[NIC_QUEUES_MAX]; /* readable when a frame is there; -1: never */
};

/* A link that leads nowhere: what is sent is dropped. -ENOMEM. */
int nic_null_new(struct nic **ret) __must_check;
/*
 * A packet socket of the local kind (AF_UNIX, SOCK_SEQPACKET), a frame a message; its other end is a network of its own, as vmnat's. Takes
 * over fd in any case. -ENOMEM, -EINVAL when it is no such socket.
 */
int nic_socket_new(int fd, struct nic **ret) __must_check;
/*
 * The queues of a tap device (Linux' Documentation/networking/tuntap), opened with IFF_NO_PI and IFF_VNET_HDR, more than one with
 * IFF_MULTI_QUEUE, headers of 10 bytes. Takes over fds in any case. `offload`: checksums and segmentation were switched on. -ENOMEM, -EINVAL.
 */
int nic_tap_new(const int *fds, unsigned int n, bool offload,
		struct nic **ret) __must_check;

static inline int nic_send(struct nic *nic, unsigned int queue,
			   const struct nic_meta *meta, const struct iovec *iov,
			   unsigned int n)
{
	return nic->ops->send(nic, queue, meta, iov, n);
}

static inline ssize_t nic_recv(struct nic *nic, unsigned int queue, struct nic_meta *meta,
			       const struct iovec *iov, unsigned int n)
{
	return nic->ops->recv(nic, queue, meta, iov, n);
}

void nic_free(struct nic *nic); /* NULL is fine */

#endif
