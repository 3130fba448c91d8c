/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages on their way to the guest. A VP has one slot a SINT, so messages wait here in order until it is free; the SynIC tells when, and
 * in case it does not (a crashed guest empties the slots of other VPs without an EOM there) they are tried again by time.
 *
 * Offers and rescinds are paced: Linux works on them in the background and falls over its own feet when a channel comes and goes within
 * moments (seen with Linux 6.x; OpenVMM's issue 4081), so a rescind keeps a distance from the offer before it and the other way round.
 *
 * Thread: the bus. Time is given in, monotonic ns.
 */
#ifndef VMBUS_OUTBOX_H
#define VMBUS_OUTBOX_H

#include "util/list.h"
#include "vid/synic.h"

#define OUTBOX_PACE_NS 100000000ull
#define OUTBOX_RETRY_MIN_NS 2000000ull
#define OUTBOX_RETRY_MAX_NS 128000000ull

struct outbox {
	const struct synic_ops *ops;
	struct synic *synic;
	struct list queue;
	unsigned int count;
	uint64_t retry_ns;             /* the next pause after a busy slot */
	uint64_t offer_ns, rescind_ns; /* when the last one went out; 0: never */
	uint64_t dropped; /* for VPs that cannot be reached, or for want of memory */
};

void outbox_init(struct outbox *o, const struct synic_ops *ops, struct synic *synic);
/* By copy; len up to HV_MESSAGE_PAYLOAD_MAX. */
void outbox_add(struct outbox *o, unsigned int vp, unsigned int sint, const void *msg,
		size_t len);
void outbox_clear(struct outbox *o);
/* Posts what can be posted. 0 when nothing is left, else the time at which to come again (earlier if the slot is free). */
uint64_t outbox_pump(struct outbox *o, uint64_t now_ns);

#endif
