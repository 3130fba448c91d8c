/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients of the integration services: heartbeat, shutdown, time synchronization. The host asks, we answer; proto/ic.h.
 *
 * Thread: VP 0.
 */
#ifndef CORE_ICVSC_H
#define CORE_ICVSC_H

#include "core/chan.h"
#include "proto/ic.h"

struct icvsc;

enum icvsc_service { ICVSC_HEARTBEAT, ICVSC_SHUTDOWN, ICVSC_TIMESYNC, ICVSC_SERVICES };

struct icvsc_hooks {
	/* The host asks for a shutdown or a restart (flags: IC_SHUTDOWN_FLAG_*). Gives the IC_STATUS_* to answer with. Acted on after the answer. */
	uint32_t (*shutdown)(void *opaque, uint32_t flags);
	/* The host's wall clock, 100 ns since 1601; `reference_time` is the partition's when it was taken (0 below version 4.0). */
	void (*time)(void *opaque, uint64_t wall, uint64_t reference_time, uint8_t flags);
	void *opaque;
};

struct icvsc {
	struct chan *ch;
	enum icvsc_service service;
	struct icvsc_hooks hooks;
	struct ic_version framework, message; /* 0.0 before the negotiation */
	uint64_t answered;                    /* messages other than negotiations */
	uint64_t sequence;                    /* heartbeat: the last that was answered */
};

/* Interface types in wire order. */
extern const uint8_t icvsc_types[ICVSC_SERVICES][16];
const char *icvsc_name(enum icvsc_service service);

/* Opens the channel on VP 0. Errors of chan_open(). hooks are copied; those of other services may be NULL. */
int icvsc_start(struct icvsc *ic, struct chan *ch, enum icvsc_service service,
		const struct icvsc_hooks *hooks);
int icvsc_stop(struct icvsc *ic);
/* Answers what has come. The count of messages, or -errno: -EPROTO for what makes no sense (then the channel is of no more use). */
int icvsc_poll(struct icvsc *ic);

#endif
