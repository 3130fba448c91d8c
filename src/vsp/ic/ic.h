/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The integration services of a VM: heartbeat, shutdown, time synchronization; one table (ic.c), one channel each, all served
 * on the bus thread. proto/ic.h has the exchange.
 *
 * Thread: all calls and callbacks here are the bus thread's (the worker's loop).
 */
#ifndef VSP_IC_IC_H
#define VSP_IC_IC_H

#include "proto/ic.h"
#include "util/macros.h"

struct ic;
struct event_base;
struct vmbus;

enum ic_service { IC_HEARTBEAT, IC_SHUTDOWN, IC_TIME_SYNC, IC_SERVICES };

enum ic_heartbeat_state {
	IC_HEARTBEAT_DISABLED, /* the service is not offered */
	IC_HEARTBEAT_NO_CONTACT, /* no answer yet since the guest started or its driver left */
	IC_HEARTBEAT_OK,
	IC_HEARTBEAT_LOST, /* it answered before, and has not for IC_HEARTBEAT_LOST_MS */
};

#define IC_HEARTBEAT_INTERVAL_MS 2000u
#define IC_HEARTBEAT_LOST_MS 10000u
#define IC_TIME_SYNC_INTERVAL_MS 5000u
#define IC_SHUTDOWN_ANSWER_MS 30000u

/* The host's clocks, or a test's own. */
struct ic_clock {
	uint64_t (*monotonic_ns)(void *opaque);
	uint64_t (*realtime_ns)(void *opaque); /* since 1970, UTC */
	void *opaque;
};

struct ic_env {
	const struct ic_clock *clock; /* NULL: CLOCK_MONOTONIC and CLOCK_REALTIME */
	struct vmbus *bus;
	struct event_base *loop;
	/* The partition's reference time, 100 ns; what the guest reads from its reference counter at this moment. */
	uint64_t (*reference_time)(void *opaque);
	/* The heartbeat's state, or the negotiated version of a service, changed. */
	void (*changed)(void *opaque);
	void *opaque;
};

/* Offers the services whose bit (1 << enum ic_service) is set. env is copied. -ENOMEM, errors of vsp_new(). */
int ic_new(const struct ic_env *env, unsigned int enabled, struct ic **ret) __must_check;
/* Takes all offers back, then done(opaque): only then is it gone. */
void ic_remove(struct ic *ic, void (*done)(void *opaque), void *opaque);
/* Stands still with the VPs; after resume the time is synchronized anew and nothing counts as lost for what was missed. */
void ic_pause(struct ic *ic, void (*done)(void *opaque), void *opaque);
void ic_resume(struct ic *ic);

/* Offers or rescinds one while the guest runs. 0 when it is so already; -EBUSY while an earlier rescind of it goes on. */
int ic_enable(struct ic *ic, enum ic_service service, bool enabled) __must_check;
bool ic_enabled(const struct ic *ic, enum ic_service service);
/* The names of the RPC: "heartbeat", "shutdown", "time_sync". */
const char *ic_name(enum ic_service service);
/* -ENOENT for a name that is none. */
int ic_by_name(const char *name, enum ic_service *ret) __must_check;
/* What the guest's driver negotiated; false while there is none. */
bool ic_message_version(const struct ic *ic, enum ic_service service,
			struct ic_version *ret);

enum ic_heartbeat_state ic_heartbeat(const struct ic *ic);
/* "Ok", "No contact", "Lost communication", "Disabled". */
const char *ic_heartbeat_name(enum ic_heartbeat_state state);

enum ic_shutdown_type { IC_SHUTDOWN_POWER_OFF, IC_SHUTDOWN_RESTART };

/*
 * The guest's answer: 0 and status 0, it goes down; -EREMOTEIO and the guest's status (HRESULT) when it refuses; -ETIMEDOUT without an
 * answer in IC_SHUTDOWN_ANSWER_MS; -ECONNRESET when its driver left meanwhile.
 */
typedef void (*ic_shutdown_fn)(void *opaque, int r, uint32_t status);

/*
 * Asks the guest to power off or restart. `reason` is UTF-8, shown to the guest's users, cut at 1023 UTF-16 units. 0: done() follows
 * once, never before the return. -ENOTCONN when the service is off or the guest has no driver for it (yet), -EALREADY while an
 * earlier one is unanswered, -EOPNOTSUPP for a restart of a guest whose driver knows version 1.0 only.
 */
int ic_shutdown(struct ic *ic, enum ic_shutdown_type type, bool force, const char *reason,
		ic_shutdown_fn done, void *opaque) __must_check;

#endif
