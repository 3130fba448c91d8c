/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner of a control plane for tests: logs what is posted, opens and closes as the test says. One thread.
 */
#ifndef TESTS_UNIT_VMBUS_CONTROL_HOST_H
#define TESTS_UNIT_VMBUS_CONTROL_HOST_H

#include "vid/guestmem.h"
#include "vmbus/control.h"

#define HOST_POSTS 4096
#define HOST_CHANNELS 64

struct host_post {
	unsigned int vp, sint, len;
	union {
		struct vmbus_header header;
		struct vmbus_offer_channel offer;
		struct vmbus_relid_message relid;
		struct vmbus_open_result open_result;
		struct vmbus_gpadl_created created;
		struct vmbus_gpadl_torndown torndown;
		struct vmbus_version_response version;
		struct vmbus_tl_connect_result tl;
		struct vmbus_modify_channel_response modify;
		uint8_t bytes[VMBUS_MESSAGE_MAX];
	};
};

struct host_channel {
	struct control_channel control;
	bool used;
	struct gpadl *ring; /* while open */
};

struct host {
	struct control control;
	struct guestmem *gm;
	struct host_post posts[HOST_POSTS];
	unsigned int post_count, taken;
	struct host_channel channels[HOST_CHANNELS];
	unsigned int opens, closes, modifies, gones, resets, notifies, discards;
	bool defer_close; /* the test calls host_closed() */
	int open_result;
};

void host_init(struct host *h);
/* Closes and drops everything; fails the test when anything is left. */
void host_done(struct host *h);

struct host_channel *host_offer(struct host *h, uint8_t instance);
struct host_channel *host_offer_sub(struct host *h, struct host_channel *primary,
				    unsigned int index);
void host_closed(struct host *h, struct host_channel *ch);

/* The next post, which must be of this type. */
const struct host_post *host_expect(struct host *h, uint32_t type);
void host_expect_nothing(const struct host *h);
void host_forget(struct host *h);

/* Messages of the guest. */
void host_send(struct host *h, const void *msg, size_t len);
void host_contact(struct host *h, uint32_t version);
void host_connect(struct host *h, uint32_t version); /* and offers; posts forgotten */
void host_simple(struct host *h, uint32_t type);
void host_relid(struct host *h, uint32_t type, uint32_t relid);
/* One range of `pages` pages of RAM, header and bodies. */
void host_gpadl(struct host *h, uint32_t relid, uint32_t id, unsigned int pages);
void host_teardown(struct host *h, uint32_t relid, uint32_t id);
void host_open(struct host *h, uint32_t relid, uint32_t gpadl, uint32_t vp);
void host_modify(struct host *h, uint32_t relid, uint32_t vp);

/* What must hold at any time; called by the fuzzer too. NULL or what is wrong. */
const char *host_fault(const struct host *h);

#endif
