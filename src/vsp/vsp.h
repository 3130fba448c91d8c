/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of a VSP: a device that serves VMBus channels. This file has the serving: a thread an open channel (or the
 * worker's loop, for devices of a low rate), batches, doorbell masking, completions that find the ring full, pause, close. A VSP has
 * the ops below and the state of its protocol.
 *
 * Threads. The *bus* thread is the worker's loop. The *serving* thread of a channel is its own, or with VSP_ON_LOOP the bus thread. ops
 * say theirs. A device with sub-channels has several serving threads at once: what they share (LUNs) needs the device's lock;
 * a channel's state needs none.
 *
 * One turn of a serving thread: wait for doorbell, I/O descriptor, timer or kick; then packets, at most a batch, each through ops->packet;
 * ops->io, ops->timer, ops->kicked if due; ops->flush; then what was sent becomes visible and the guest is interrupted at most once.
 */
#ifndef VSP_VSP_H
#define VSP_VSP_H

#include "vmbus/vmbus.h"

struct vsp;         /* a device: one offer and its channels */
struct vsp_channel; /* one open channel of it */

struct vsp_ops {
	/*
	 * The guest opened a channel. Makes its state. vsp_channel_vmbus() gives index, open data and so on; vsp_watch() may be called here.
	 * -errno refuses the open. Thread: bus.
	 */
	int (*open)(void *dev, struct vsp_channel *vc, void **ret_state);
	/*
	 * One packet; `p` is good until the return. 0: taken. -EAGAIN: no resources now: the same packet comes again after the next io, timer or kick,
	 * and nothing is received meanwhile. Any other -errno: the guest broke the protocol, the channel faults with it. Thread: serving.
	 */
	int (*packet)(void *state, const struct packet *p);
	/* The end of a turn: submit the I/O gathered in it. Optional. Thread: serving. */
	void (*flush)(void *state);
	/* The descriptor of vsp_watch() is readable: reap completions. Optional. Thread: serving. */
	void (*io)(void *state);
	/* The time of vsp_timer() has come; it is off then. Optional. Thread: serving. */
	void (*timer)(void *state);
	/* vsp_kick() was called. Optional. Thread: serving. */
	void (*kicked)(void *state);
	/*
	 * Requests under way that will still use guest memory or call vsp_complete(). While the channel is to stand still (pause, close, fault)
	 * no packet is received but io and timer go on until this says 0. Optional: NULL is always 0. Thread: serving.
	 */
	unsigned int (*outstanding)(void *state);
	/* The channel is closed, nothing is outstanding, no op runs any more: frees the state. Thread: bus. */
	void (*close)(void *state);
};

#define VSP_ON_LOOP \
	1u /* served by the bus thread: for integration services and the like */

/*
 * Offers the device; `params.ops` and `.dev` are the VSP layer's own and are ignored. ops are kept by reference, `dev` is passed to open. `loop` is the
 * bus thread's. Errors of vmbus_offer. Thread: bus.
 */
int vsp_new(struct vmbus *bus, struct event_base *loop,
	    const struct vmbus_offer_params *params, unsigned int flags,
	    const struct vsp_ops *ops, void *dev, struct vsp **ret) __must_check;
/*
 * Hot remove: rescinds, closes its channels, frees the vsp, then calls done(opaque) on the bus thread: only then may the device go. For
 * the end of a VM too, where after vmbus_reset() no channel is open and done comes before the return.
 */
void vsp_remove(struct vsp *v, void (*done)(void *opaque), void *opaque);
/*
 * Stands still: no packet is received, outstanding requests end, guest memory is not touched any more; then done(opaque) on the bus thread
 * (maybe before the return). The VPs stand still before. vsp_resume() goes on; what the guest sent meanwhile is found. Thread: bus.
 */
void vsp_pause(struct vsp *v, void (*done)(void *opaque), void *opaque);
void vsp_resume(struct vsp *v);
/* ops->kicked runs soon on the serving thread of each open channel. Thread: bus. */
void vsp_kick(struct vsp *v);
/* The same for one. Thread: any that knows the channel to be open (the device's lock, open and close tell). */
void vsp_channel_kick(struct vsp_channel *vc);
/* The primary channel's, for statistics and channel_request_subs(). */
struct vmbus_channel *vsp_primary(struct vsp *v);

/* ---- of a channel. Thread: serving (and bus during open) ---- */

struct vmbus_channel *vsp_channel_vmbus(struct vsp_channel *vc);
/* ops->io runs when fd (the I/O engine's completion descriptor; it stays the VSP's) is readable. One a channel; -1 ends it. */
void vsp_watch(struct vsp_channel *vc, int fd);
/* ops->timer runs at this CLOCK_MONOTONIC time in ns; 0 is off. One a channel. */
void vsp_timer(struct vsp_channel *vc, uint64_t deadline_ns);
/* The same, unless it is set to an earlier time. */
void vsp_timer_by(struct vsp_channel *vc, uint64_t deadline_ns);
/* False while the channel is to stand still, when only what is outstanding may end. */
bool vsp_runs(const struct vsp_channel *vc);
/*
 * Send and complete never fail for the VSP: what finds the ring full is kept in order and goes out as room comes; nothing is received meanwhile, so
 * it is bounded by what is outstanding (VSP_BACKLOG_BYTES beyond that is a fault). On a faulted or closing channel they vanish.
 */
#define VSP_BACKLOG_BYTES (1u << 20)
void vsp_complete(struct vsp_channel *vc, uint64_t transaction_id, const void *payload,
		  size_t len);
void vsp_send(struct vsp_channel *vc, uint16_t flags, uint64_t transaction_id,
	      const void *payload, size_t len); /* VM_PKT_DATA_INBAND */
/* True while the backlog is empty: for senders that would rather drop than queue (network). */
bool vsp_send_room(const struct vsp_channel *vc);

#endif
