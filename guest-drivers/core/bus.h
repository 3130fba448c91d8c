/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's VMBus: the connection to the host, the table of offered channels, and the requests that wait for an answer.
 *
 * Thread: VP 0 for everything here; bus_events() runs on each VP that channels are bound to.
 */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include "core/hv.h"
#include "proto/vmbus.h"

#define BUS_CHANNELS_MAX 128u
#define BUS_REPLY_TIMEOUT_US 5000000u

struct bus;

enum chan_state { CHAN_NONE, CHAN_OFFERED, CHAN_OPEN };

struct chan;

struct bus_hooks {
	/* A channel was offered; a sub-channel has sub_channel_index != 0. May be NULL. */
	void (*offered)(void *opaque, struct chan *ch);
	/* The host takes a channel back; close it if it is open, then chan_release(). May be NULL. */
	void (*rescinded)(void *opaque, struct chan *ch);
	void *opaque;
};

struct bus {
	struct hv *hv;
	struct bus_hooks hooks;
	uint32_t version; /* VMBUS_VERSION_*; 0 while there is no connection */
	uint32_t connection_id;
	uint8_t *monitor_pages;
	uint32_t next_gpadl;
	bool all_offered;
	/* What bus_request() waits for: a message of this type whose u32 at `key_at` is `key`. */
	struct {
		uint32_t type, key_at, key;
		bool done;
		uint8_t bytes[VMBUS_MESSAGE_MAX];
	} wanted;
	struct chan *channels; /* BUS_CHANNELS_MAX of them */
	struct chan *by_relid[HV_EVENT_FLAGS_COUNT];
	uint64_t unknown_messages;
};

/* SynIC of VP 0 is on, SINT VMBUS_MESSAGE_SINT. hooks are copied. -ENOMEM. */
int bus_init(struct bus *bus, struct hv *hv, const struct bus_hooks *hooks);
void bus_done(struct bus *bus);

/*
 * INITIATE_CONTACT with each version of the list, in its order, until the host takes one. -EPROTONOSUPPORT when it takes none,
 * -ETIMEDOUT.
 */
int bus_connect(struct bus *bus, const uint32_t *versions, size_t n);
/* All that we know, newest first. */
extern const uint32_t bus_versions[];
extern const size_t bus_versions_n;
/* REQUESTOFFERS, and waits for ALLOFFERS_DELIVERED. -ETIMEDOUT. */
int bus_request_offers(struct bus *bus);
/* UNLOAD: the host forgets the connection, channels and GPADLs; so do we. -ETIMEDOUT. */
int bus_unload(struct bus *bus);

/* Takes what messages there are. Hooks run from here. */
void bus_poll(struct bus *bus);
/* Takes the event flags of one VP: marks channels as signalled (chan_take_event). Thread: that VP. */
void bus_events(struct bus *bus, unsigned int vp);
/*
 * The only way to wait: until this VP is interrupted, or `us` are over (0: no limit), or sooner; then takes its event flags, and on VP 0
 * its messages. Whoever eats an interrupt must take all that it stands for: the host does not raise it again for what is still set.
 * Thread: that VP.
 */
void bus_wait(struct bus *bus, unsigned int vp, uint64_t us);

/*
 * Posts a control message and waits for its answer: type, and the u32 at offset key_at of it being key (key_at 0: any). The answer is
 * copied into ret. -ETIMEDOUT, errors of hv_post().
 */
int bus_request(struct bus *bus, const void *msg, size_t len, uint32_t reply_type,
		uint32_t key_at, uint32_t key, void *ret, size_t ret_len);
/* Its two halves, for a request of several messages. */
void bus_expect(struct bus *bus, uint32_t type, uint32_t key_at, uint32_t key);
int bus_await(struct bus *bus, void *ret, size_t ret_len);
/* Posts a control message that has no answer. */
int bus_post(struct bus *bus, const void *msg, size_t len);

/*
 * Lends `bytes` of memory at p (whole pages, virtually contiguous) to the host, with as many GPADL_BODY messages as it takes. -EINVAL,
 * -EIO when the host refuses, -ETIMEDOUT.
 */
int bus_gpadl_create(struct bus *bus, uint32_t relid, const void *p, size_t bytes,
		     uint32_t *ret_gpadl);
int bus_gpadl_teardown(struct bus *bus, uint32_t relid, uint32_t gpadl);

/* The next channel of this interface type (16 bytes in wire order) after `after` (NULL: the first); NULL type: any. */
struct chan *bus_find(struct bus *bus, const uint8_t *type, const struct chan *after);
/* The sub-channel of a primary; NULL while it is not offered. */
struct chan *bus_find_sub(struct bus *bus, const struct chan *primary,
			  unsigned int index);

#endif
