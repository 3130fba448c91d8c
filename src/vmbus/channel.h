/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A channel as the side that serves it sees it. A VSP normally goes through vsp/vsp.h, which has the thread, the batches and the
 * flow control; what is here is what that stands on.
 *
 * A channel lives from its offer to the end of its rescind. Between ops->open and channel_close_done() its rings are mapped and one
 * thread, the serving one, calls the functions of the second block.
 *
 * Bad guest data closes that channel and nothing else: channel_fault() counts it, remembers why and stops all service: receive gives
 * -ESHUTDOWN, sends are dropped, the guest sees no further completion. The channel is not rescinded: the guest may close it and open it
 * again, which mends it (Linux cannot lose a storage controller that it booted from, but it can reload the driver).
 */
#ifndef VMBUS_CHANNEL_H
#define VMBUS_CHANNEL_H

#include "util/guid.h"
#include "vmbus/gpadl.h"
#include "vmbus/packet.h"

struct guestmem;
struct vmbus;
struct vmbus_channel;

/* Called on the bus thread (the worker's loop). `dev` is the offer's. A callback may call any function of this file and of vmbus.h but vmbus_free. */
struct vmbus_channel_ops {
	/*
	 * The guest opened `ch` (the offer's primary channel or a sub-channel of it); its rings are ready, its doorbell works. 0, or
	 * -errno, which the guest sees as a failed open; then no close follows.
	 */
	int (*open)(void *dev, struct vmbus_channel *ch);
	/*
	 * Stop serving: the guest closed it, left the bus, was reset, or the offer is being rescinded. Serve nothing more, let the I/O
	 * that is under way end, drop GPADL references, then call channel_close_done(ch) (from here, or later on the bus thread). Until then
	 * the guest's memory stays lent.
	 */
	void (*close)(void *dev, struct vmbus_channel *ch);
	/* A vmbus_rescind() has ended (the guest released it, or was not there): the offer and its channels are gone. May be NULL. */
	void (*gone)(void *dev);
};

/* What a device offers. Copied, but for ops, dev. */
struct vmbus_offer_params {
	struct guid type, instance;
	const char *name; /* for people: "SCSI controller 0" */
	uint16_t flags;   /* VMBUS_CHANNEL_* */
	uint16_t mmio_megabytes;
	uint8_t user_defined
		[VMBUS_OFFER_USER_BYTES]; /* pipe mode: VMBUS_PIPE_TYPE_* first */
	unsigned int max_sub_channels;
	/* The longest packet that the guest may send, descriptor included; 0 is 16 KiB. A longer one is a fault. */
	size_t max_packet_bytes;
	const struct vmbus_channel_ops *ops;
	void *dev;
};

struct channel_stats {
	uint64_t packets_in, packets_out;
	uint64_t interrupts; /* to the guest */
	uint64_t bells;     /* times that the guest woke the serving thread for packets */
	uint64_t throttles; /* packets that found the ring to the guest full */
	uint64_t faults;
};

/* ---- Thread: any ---- */

const char *channel_name(const struct vmbus_channel *ch);       /* "SCSI controller 0" */
unsigned int channel_sub_index(const struct vmbus_channel *ch); /* 0 is the primary */
unsigned int
channel_target_vp(const struct vmbus_channel *ch); /* the guest may change it */
const struct guestmem *channel_guestmem(const struct vmbus_channel *ch);
void channel_stats(const struct vmbus_channel *ch, struct channel_stats *ret);
/*
 * A reference on a GPADL of this device (any of its channels) by the guest's handle: *ret to be dropped by gpadl_unref(). -ENOENT when
 * there is none or it is being torn down.
 */
int channel_gpadl(struct vmbus_channel *ch, uint32_t id, struct gpadl **ret) __must_check;
/*
 * Asks for `count` sub-channels beside the primary `ch`, bounded by the offer's max; those that are there count. They are offered to the
 * guest soon, and come to ops->open as it opens them. The count that will be there, or -EINVAL on a sub-channel.
 */
int channel_request_subs(struct vmbus_channel *ch, unsigned int count) __must_check;

/* ---- Thread: the serving one, between open and channel_close_done ---- */

/* Readable when the guest rang (or when it freed room that a send waits for). Read it to clear. Stays the channel's. */
int channel_doorbell(const struct vmbus_channel *ch);
/* The user data of OPENCHANNEL: what a pipe's client passes. */
const uint8_t *channel_open_data(const struct vmbus_channel *ch);
/*
 * The next packet; *ret points into the channel's buffer until the next call. -EAGAIN when there is none, -ESHUTDOWN once it is faulted
 * (bad guest data faults it here).
 */
int channel_recv(struct vmbus_channel *ch, struct packet *ret) __must_check;
/* Asks the guest to keep the doorbell quiet. Unmask after a channel_flush(); true when something arrived meanwhile. */
void channel_mask(struct vmbus_channel *ch);
bool channel_unmask(struct vmbus_channel *ch) __must_check;
/*
 * Puts a packet into the ring; the guest sees it at the next channel_flush(). -EAGAIN when there is no room: the doorbell will
 * tell (channel_room_poll_us() says how long to believe that). -ESHUTDOWN, -EMSGSIZE.
 */
int channel_send(struct vmbus_channel *ch, uint16_t type, uint16_t flags,
		 uint64_t transaction_id, const struct iovec *iov,
		 unsigned int n) __must_check;
/* VM_PKT_COMP. */
int channel_complete(struct vmbus_channel *ch, uint64_t transaction_id,
		     const void *payload, size_t len) __must_check;
/* VM_PKT_DATA_USING_XFER_PAGES: the bulk lies in a GPADL that the guest lent, at these ranges. */
int channel_send_xfer(struct vmbus_channel *ch, uint16_t flags, uint64_t transaction_id,
		      uint16_t pageset_id, const struct vmbus_xfer_range *ranges,
		      unsigned int range_count, const void *payload,
		      size_t len) __must_check;
/* Publishes what was received and sent, and interrupts the guest if it must be. Once a batch. */
void channel_flush(struct vmbus_channel *ch);
/* Microseconds after which a send refused with -EAGAIN is to be tried again, should the doorbell not have told by then. */
unsigned int channel_room_poll_us(const struct vmbus_channel *ch);
/* The guest broke the protocol: stops this channel (see above). `why` is a literal. Thread: any, the first counts. */
void channel_fault(struct vmbus_channel *ch, const char *why);
/* NULL while there was no fault since open. */
const char *channel_fault_reason(const struct vmbus_channel *ch);

/* ---- Thread: the bus ---- */

/* Ends what ops->close began. The channel's functions of the block above are not called any more. */
void channel_close_done(struct vmbus_channel *ch);

#endif
