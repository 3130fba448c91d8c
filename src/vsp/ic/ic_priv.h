/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the services and what they share. A service is one const struct ic_ops in the table of ic.c; ic_channel.c negotiates
 * versions and matches answers with requests for it.
 *
 * Thread: the bus thread throughout.
 */
#ifndef VSP_IC_IC_PRIV_H
#define VSP_IC_IC_PRIV_H

#include "vsp/ic/ic.h"
#include "vsp/ic/ic_msg.h"
#include "vsp/vsp.h"

struct ic_channel;

/* All but `answer` may be NULL. */
struct ic_ops {
	const char *name, *title; /* for the RPC; for people */
	struct guid type, instance;
	uint16_t message_type;
	struct ic_versions versions;
	/* The versions are agreed; ic_channel_send() may be used from now on. */
	void (*ready)(struct ic_channel *ch);
	/* An answer to the last request; its body lies in a private copy. -EPROTO faults the channel. */
	int (*answer)(struct ic_channel *ch, const struct ic_answer *a);
	void (*timer)(struct ic_channel *ch);
	/* The partition goes on after a pause. Only after ready. */
	void (*resumed)(struct ic_channel *ch);
	/* The channel is going, ready or not. */
	void (*closed)(struct ic_channel *ch);
};

extern const struct ic_ops ic_heartbeat_ops, ic_shutdown_ops, ic_time_sync_ops;

/* One service of one VM. */
struct ic_slot {
	struct ic *ic;
	const struct ic_ops *ops;
	struct vsp *vsp; /* NULL: not offered */
	bool removing;
	struct ic_channel *channel; /* NULL: the guest has it not open */
};

struct ic_shutdown_request {
	ic_shutdown_fn done; /* NULL: none under way */
	void *opaque;
};

struct ic {
	struct ic_env env;
	struct ic_slot slots[IC_SERVICES];
	enum ic_heartbeat_state heartbeat;
	struct ic_shutdown_request shutdown;
	int64_t time_offset; /* what the last SYNC said: wall clock minus reference time, 100 ns */
	/* What ic_remove() and ic_pause() wait for, plus one while they go through the slots. */
	unsigned int removals, pauses;
	bool leaving; /* ic_remove() was called: the last removal frees it */
	void (*removed)(void *opaque);
	void *removed_opaque;
	void (*paused)(void *opaque);
	void *paused_opaque;
};

/* An open channel. */
struct ic_channel {
	struct ic_slot *slot;
	struct vsp_channel *vc;
	enum { IC_ASK, IC_ASKED, IC_READY, IC_REFUSED } phase;
	struct ic_version framework, message;
	uint8_t transaction_id;    /* of the last request */
	unsigned int unanswered;   /* requests */
	uint64_t sent_ns, seen_ns; /* last request, last answer; the service's own use */
	uint64_t sequence;
	uint64_t due_ns; /* of ic_channel_timer_ms() */
};

extern const struct vsp_ops ic_channel_ops;

/* Sends a request of the slot's message type. */
void ic_channel_send(struct ic_channel *ch, const void *body, size_t bytes);
/* ops->timer at now + ms. */
void ic_channel_timer_ms(struct ic_channel *ch, unsigned int ms);

/*
 * What a service would send within `ms` is sent now: the guest is being woken anyway, and what an idle VM costs its host are its
 * wake-ups.
 */
void ic_channel_hurry(struct ic *ic, enum ic_service service, unsigned int ms);

uint64_t ic_now_ns(const struct ic *ic);     /* CLOCK_MONOTONIC */
uint64_t ic_wall_100ns(const struct ic *ic); /* UTC since 1601 */
void ic_changed(struct ic *ic);
void ic_heartbeat_set(struct ic *ic, enum ic_heartbeat_state state);

#endif
