/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The synthetic network adapter: offers itself on the bus, negotiates with the guest's netvsc, and moves frames between the guest's
 * buffers and a back-end, each open channel on a thread of its own.
 *
 * Thread: the bus thread, unless said otherwise.
 */
#ifndef VSP_NETVSP_NETVSP_H
#define VSP_NETVSP_NETVSP_H

#include "back/nic.h"
#include "vsp/netvsp/rndis.h"
#include "vsp/vsp.h"

struct netvsp;

#define NETVSP_SUB_CHANNELS_MAX 15u

struct netvsp_params {
	struct vmbus *bus;
	struct event_base *loop;
	const char *name; /* that people see: "Network adapter 0"; at most 63 bytes */
	struct guid
		instance; /* stays the same over the VM's life: guests name devices by it */
	uint8_t mac[RNDIS_MAC_BYTES];
	unsigned int
		max_sub_channels; /* one less than the VPs; at most NETVSP_SUB_CHANNELS_MAX are offered */
	struct nic *nic; /* the adapter's on success */
};

/* Errors of vsp_new; -EINVAL for a MAC address that is for a group. */
int netvsp_new(const struct netvsp_params *params, struct netvsp **ret) __must_check;
/* Rescinds the offer, frees adapter and back-end; then done(opaque). As vsp_remove(). */
void netvsp_remove(struct netvsp *s, void (*done)(void *opaque), void *opaque);
/*
 * The same while the guest runs: calls idle(opaque), maybe before the return, when no thread uses the back-end any more and it is freed. The
 * adapter goes by itself when the guest has let go of it, or with the bus.
 */
void netvsp_unplug(struct netvsp *s, void (*idle)(void *opaque), void *opaque);
/* For vsp_pause(). */
struct vsp *netvsp_vsp(struct netvsp *s);

/* Plugs the cable in or pulls it: the guest is told, and no frame passes while it is out. */
void netvsp_set_link(struct netvsp *s, bool up);

struct netvsp_status {
	const char *kind;             /* of the back-end */
	uint8_t mac[RNDIS_MAC_BYTES]; /* the one in use */
	bool link_up, ready;          /* ready: the guest's driver is up */
	uint32_t nvsp_version;        /* 0 before it is agreed */
	unsigned int channels;        /* open ones */
	struct rndis_stats stats;
};
void netvsp_status(struct netvsp *s, struct netvsp_status *ret);

#endif
