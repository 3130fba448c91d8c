/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control plane of VMBus as a state machine: messages of the guest and wishes of the host in, actions out. It knows no
 * thread, clock, SynIC or ring, so that tests and fuzzers drive it alone.
 *
 * Thread: the bus; nothing here is called from inside an action but where it says so.
 * Source: Linux' include/linux/hyperv.h and drivers/hv/{channel_mgmt,connection,channel}.c for what guests send and expect.
 */
#ifndef VMBUS_CONTROL_H
#define VMBUS_CONTROL_H

#include "proto/vmbus.h"
#include "util/guid.h"
#include "util/list.h"
#include "vmbus/gpadl_table.h"

#define CONTROL_RELID_MAX 2047u /* event flags of a SINT, less flag 0 */

struct control_channel;

/* An OPENCHANNEL that was checked. */
struct control_open {
	uint32_t open_id, ring_gpadl, target_vp, downstream_page_offset;
	uint8_t user_data[VMBUS_OFFER_USER_BYTES];
};

struct control_actions {
	/* A message for the guest, to be posted after those before. Kept by copy. */
	void (*post)(void *opaque, unsigned int vp, unsigned int sint, const void *msg,
		     size_t len);
	/* What was to be posted and is not yet is for a connection that has ended. */
	void (*discard)(void *opaque);
	/* Map the rings of `ring` (a reference that goes to the callee on success) and serve. 0 or -errno: the guest sees a failed open. */
	int (*open)(void *opaque, struct control_channel *c,
		    const struct control_open *open, struct gpadl *ring);
	/* Stop serving, then call control_closed(c): from here or later. */
	void (*close)(void *opaque, struct control_channel *c);
	/* From now on interrupts of an open channel go to its new c->target_vp; none to the old one after the return. */
	void (*modify)(void *opaque, struct control_channel *c);
	/* It is gone from the guest's sight and from here: free it. */
	void (*gone)(void *opaque, struct control_channel *c);
	/* control_reset() has ended. */
	void (*reset_done)(void *opaque);
	/* Something of what a status shows has changed. */
	void (*changed)(void *opaque);
};

enum control_state {
	CONTROL_HELD,    /* the guest does not know it */
	CONTROL_OFFERED, /* it does, closed */
	CONTROL_OPEN,
	CONTROL_CLOSING, /* until control_closed() */
};

/* Filled in by the host before control_offer(), then fixed; embedded in the owner's channel. */
struct control_offer {
	struct guid type, instance;
	uint16_t flags, mmio_megabytes, sub_index;
	uint8_t user_defined[VMBUS_OFFER_USER_BYTES];
};

struct control_channel {
	struct control_offer offer;
	/* fixed after control_offer() */
	struct control *control;
	struct control_channel *primary; /* NULL: it is one */
	uint32_t relid, connection_id;
	/* state */
	enum control_state state;
	uint32_t target_vp; /* while open */
	bool rescinded;     /* the host took it back */
	bool released;      /* and the guest knows, or never knew it */
	bool reopen;        /* the guest opened it again before the close had ended */
	struct control_open open;
	struct list link; /* control->channels */
};

enum control_connection { CONTROL_DISCONNECTED, CONTROL_LEAVING, CONTROL_CONNECTED };

struct control {
	const struct control_actions *actions;
	void *opaque;
	unsigned int vps;
	enum control_connection connection;
	uint32_t version; /* while connected */
	uint32_t vp;      /* that gets our messages */
	bool offers_requested;
	/* What follows when all channels are closed (CONTROL_LEAVING). */
	bool next_contact, next_unload, next_reset;
	struct vmbus_initiate_contact contact;
	unsigned int closing; /* channels in CONTROL_CLOSING */
	uint64_t errors;      /* messages that no well-behaved guest sends */
	struct list channels; /* primaries before their sub-channels */
	struct control_channel *by_relid[CONTROL_RELID_MAX + 1];
	uint32_t next_relid;
	struct gpadl_table gpadls;
};

/* `notify` as gpadl_table's: call control_reap() soon on the bus thread. */
void control_init(struct control *c, const struct control_actions *actions, void *opaque,
		  unsigned int vps, const struct guestmem *gm,
		  void (*notify)(void *opaque));
/* Every channel is closed and gone. */
void control_done(struct control *c);

/*
 * A message of the guest, any bytes. What a guest must not send is counted in c->errors and ignored, or refused where the protocol has an
 * answer for that.
 */
void control_message(struct control *c, const void *msg, size_t len);
/* GPADLs that ended since are reported to the guest. */
void control_reap(struct control *c);

/* Offers ch (its offer is filled in). `primary` for a sub-channel: it must be open, the sub-channel goes when it closes. -EEXIST, -ENOSPC, -EINVAL. */
int control_offer(struct control *c, struct control_channel *ch,
		  struct control_channel *primary) __must_check;
/* Takes it back, with its sub-channels; ends in actions->gone, maybe before the return. Twice is harmless. */
void control_rescind(struct control_channel *ch);
/* The end of what actions->close began. */
void control_closed(struct control_channel *ch);
/* Ends the connection as if the partition had just started; ends in actions->reset_done. */
void control_reset(struct control *c);

#endif
