/* SPDX-License-Identifier: BSD-2-Clause */
/* A channel and the bus, as vmbus.c and channel.c share them. */
#ifndef VMBUS_CHANNEL_PRIV_H
#define VMBUS_CHANNEL_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include "vmbus/control.h"
#include "vmbus/inbox.h"
#include "vmbus/outbox.h"
#include "vmbus/ring.h"
#include "vmbus/vmbus.h"

struct vmbus_channel {
	/* fixed after offer */
	struct control_channel control;
	struct vmbus *bus;
	struct vmbus_channel *primary; /* itself, if it is one */
	struct vmbus_offer_params params;
	char *name; /* the primary's own; lent to its sub-channels */
	/* between open and close_done */
	struct ring ring; /* the serving thread's */
	struct gpadl *ring_gpadl;
	int doorbell;
	uint8_t *buf; /* one packet; the serving thread's */
	bool rung;    /* masked, and no packet was received since; the serving thread's */
	uint8_t open_data[VMBUS_OFFER_USER_BYTES];
	uint64_t
		nudge_ns; /* bus thread: when to look whether the guest missed its first interrupt; 0: done */
	/* Held while the guest is interrupted and while the target VP changes, so that nothing comes to the old one after. */
	pthread_mutex_t signal_lock;
	/* any thread */
	_Atomic uint32_t target_vp;
	const char *_Atomic fault;
	_Atomic unsigned int
		subs_wanted; /* of a primary; the bus thread looks after a kick */
	_Atomic uint64_t packets_in, packets_out, interrupts, bells, throttles, faults;
};

static inline struct vmbus_channel *channel_of(struct control_channel *c)
{
	return container_of(c, struct vmbus_channel, control);
}

int channel_new(struct vmbus *bus, struct vmbus_channel **ret) __must_check;
void channel_free(struct vmbus_channel *ch);
/* The bus thread's part. -EINVAL, -ENOMEM, ..., and then nothing is left; on success `ring` is the channel's. */
int channel_open(struct vmbus_channel *ch, const struct control_open *open,
		 struct gpadl *ring) __must_check;
void channel_set_target(struct vmbus_channel *ch, uint32_t vp);
/* Interrupts the guest if it has something to read. */
void channel_nudge(struct vmbus_channel *ch);
/* Unmaps what channel_open made. */
void channel_unmap(struct vmbus_channel *ch);
/* What the bus knows by name to channel.c. Thread: any. */
void vmbus_kick(struct vmbus *bus);

struct vmbus {
	/* fixed after new */
	struct vmbus_env env;
	int kick;
	struct event *ev_kick, *ev_timer, *ev_nudge;
	/* bus thread */
	struct control control;
	struct outbox out;
	void (*reset_done)(void *opaque);
	void *reset_opaque;
	bool ports[2]; /* message ports that are ours */
	bool in_turn, paused;
	/* any thread */
	_Atomic bool reap;
	struct inbox in;
};

#endif
