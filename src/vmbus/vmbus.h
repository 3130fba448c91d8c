/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMBus of one VM: it offers devices to the guest and joins the control plane (vmbus/control.h), GPADLs and channels with the
 * SynIC and the worker's loop.
 *
 * Thread: the one that runs `loop`, "the bus thread"; the guest's messages come from VP threads through a bounded queue and never wait.
 */
#ifndef VMBUS_VMBUS_H
#define VMBUS_VMBUS_H

#include "vid/guestmem.h"
#include "vid/synic.h"
#include "vmbus/channel.h"

struct event_base;

/* All outlive the bus. */
struct vmbus_env {
	const struct synic_ops *synic_ops;
	struct synic *synic;
	const struct guestmem *gm;
	struct event_base *loop;
	/* The connection, an offer's or a channel's state changed: for the status document. Bus thread; may be NULL. */
	void (*changed)(void *opaque);
	void *opaque;
};

/* -ENOMEM, -EMFILE, or what synic_ops->message_port said. */
int vmbus_new(const struct vmbus_env *env, struct vmbus **ret) __must_check;
/* After the VPs stand still for good and every channel is closed (vmbus_reset). */
void vmbus_free(struct vmbus *bus);

/*
 * Offers a device, now if the guest has asked for offers, else as soon as it does. The primary channel is *ret_ch. -EEXIST for the same
 * instance GUID, -ENOSPC beyond 2047 channels, -EINVAL, -ENOMEM.
 */
int vmbus_offer(struct vmbus *bus, const struct vmbus_offer_params *params,
		struct vmbus_channel **ret_ch) __must_check;
/* Hot remove: takes the offer and its sub-channels back; ops->close for each that is open, then ops->gone. `primary` is of no use after gone. */
void vmbus_rescind(struct vmbus_channel *primary);
/*
 * Back to the state of a partition that has just started: closes all channels, forgets the guest's connection and GPADLs; offers stay. VPs
 * stand still. `done` comes on the bus thread when the last channel is closed (maybe before the return); a reset
 * before that replaces it.
 */
void vmbus_reset(struct vmbus *bus, void (*done)(void *opaque), void *opaque);

/*
 * While the partition is paused: nothing is posted to the guest and none of its messages is looked at. The VPs stand still; the devices are
 * paused on their own (vsp_pause). A reset may come meanwhile.
 */
void vmbus_pause(struct vmbus *bus);
void vmbus_resume(struct vmbus *bus);

/* VMBUS_VERSION_*, 0 while the guest is not connected. */
uint32_t vmbus_version(const struct vmbus *bus);

enum vmbus_channel_state { VMBUS_OFFERED, VMBUS_OPEN, VMBUS_RESCINDED };

struct vmbus_channel_info {
	const char *name; /* until the next change */
	struct guid type, instance;
	unsigned int sub_index, target_vp;
	enum vmbus_channel_state state;
	struct channel_stats stats;
};

/* Calls fn for each channel, sub-channels too. */
void vmbus_each(const struct vmbus *bus,
		void (*fn)(void *opaque, const struct vmbus_channel_info *info),
		void *opaque);

#endif
