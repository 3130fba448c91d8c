/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A turn. The doorbell is masked from the first packet of a turn until the ring is found empty. What was received is given back
 * and what was sent is published by one channel_flush(), and only then is the doorbell unmasked: a guest rings only if it finds the ring empty, so
 * everything must have been given back before.
 *
 * Receiving stops, with the doorbell still masked, while a packet waits for the VSP's resources or an answer for room in the ring; I/O
 * completions or the guest's "room" signal bring the next turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "util/log.h"
#include "vsp/vsp_priv.h"

#define BATCH 32

struct letter {
	struct list link;
	uint16_t type, flags;
	uint64_t transaction_id;
	size_t len;
	uint8_t bytes[];
};

uint64_t vsp_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void tell_fault(struct vsp_channel *vc)
{
	static struct ratelimit rl = RATELIMIT_INIT;
	const char *why = channel_fault_reason(vc->ch);

	if (!why || vc->fault_logged)
		return;
	vc->fault_logged = true;
	log_ratelimited(&rl, LOG_LVL_WARNING,
			"%s: channel %u is out of service until the guest opens it "
			"again: %s",
			channel_name(vc->ch), channel_sub_index(vc->ch), why);
}

/* ---- sending ---- */

void vsp_drop_backlog(struct vsp_channel *vc)
{
	struct list *l;

	while ((l = list_pop(&vc->backlog)))
		free(list_entry(l, struct letter, link));
	vc->backlog_bytes = 0;
}

static int put(struct vsp_channel *vc, uint16_t type, uint16_t flags,
	       uint64_t transaction_id, const void *payload, size_t len)
{
	struct iovec iov = { .iov_len = len };

	memcpy(&iov.iov_base, &payload, sizeof(payload)); /* only read */
	return channel_send(vc->ch, type, flags, transaction_id, &iov, 1);
}

/* Room comes by the doorbell, or where the guest does not tell, by time. */
static void await_room(struct vsp_channel *vc)
{
	vc->room_ns = vsp_now_ns() + channel_room_poll_us(vc->ch) * 1000ull;
}

static void send_backlog(struct vsp_channel *vc)
{
	struct letter *l, *tmp;

	vc->room_ns = 0;
	list_for_each_safe (l, tmp, &vc->backlog, link) {
		if (put(vc, l->type, l->flags, l->transaction_id, l->bytes, l->len) ==
		    -EAGAIN) {
			await_room(vc);
			return;
		}
		vc->backlog_bytes -= l->len;
		list_del(&l->link);
		free(l);
	}
}

static void keep(struct vsp_channel *vc, uint16_t type, uint16_t flags,
		 uint64_t transaction_id, const void *payload, size_t len)
{
	struct letter *l = NULL;

	if (len <= VSP_BACKLOG_BYTES - vc->backlog_bytes)
		l = malloc(sizeof(*l) + len);
	if (!l) {
		channel_fault(vc->ch, "the guest takes no answers");
		return;
	}
	*l = (struct letter){
		.type = type, .flags = flags, .transaction_id = transaction_id, .len = len
	};
	memcpy(l->bytes, payload, len);
	list_add_tail(&vc->backlog, &l->link);
	vc->backlog_bytes += len;
	await_room(vc);
}

static void send_or_keep(struct vsp_channel *vc, uint16_t type, uint16_t flags,
			 uint64_t transaction_id, const void *payload, size_t len)
{
	int r = -EAGAIN;

	if (VSP_MODE(vc->wish) == VSP_STOP)
		return;
	if (list_empty(&vc->backlog))
		r = put(vc, type, flags, transaction_id, payload, len);
	if (r == -EAGAIN)
		keep(vc, type, flags, transaction_id, payload, len);
	else if (r == -EMSGSIZE)
		channel_fault(vc->ch, "the guest's ring is too small for an answer");
}

void vsp_complete(struct vsp_channel *vc, uint64_t transaction_id, const void *payload,
		  size_t len)
{
	send_or_keep(vc, VM_PKT_COMP, 0, transaction_id, payload, len);
}

void vsp_send(struct vsp_channel *vc, uint16_t flags, uint64_t transaction_id,
	      const void *payload, size_t len)
{
	send_or_keep(vc, VM_PKT_DATA_INBAND, flags, transaction_id, payload, len);
}

bool vsp_send_room(const struct vsp_channel *vc)
{
	return list_empty(&vc->backlog);
}

/* ---- receiving ---- */

enum outcome { DRAINED, BLOCKED, MORE };

static enum outcome receive(struct vsp_channel *vc)
{
	const struct vsp_ops *ops = vc->vsp->ops;
	int r;

	if (!vc->masked)
		channel_mask(vc->ch);
	vc->masked = true;
	for (unsigned int n = 0; n < BATCH; n++) {
		if (!list_empty(&vc->backlog))
			return BLOCKED;
		r = vc->held ? 0 : channel_recv(vc->ch, &vc->packet);
		if (r)
			return r == -EAGAIN ? DRAINED : BLOCKED;
		r = ops->packet(vc->state, &vc->packet);
		vc->held = r == -EAGAIN;
		if (r && !vc->held)
			channel_fault(vc->ch, "a request breaks the device's protocol");
		if (r)
			return BLOCKED;
	}
	return MORE;
}

static void run_due(struct vsp_channel *vc, bool io)
{
	const struct vsp_ops *ops = vc->vsp->ops;

	if (io && ops->io)
		ops->io(vc->state);
	if (vc->deadline_ns && vc->deadline_ns <= vsp_now_ns()) {
		vc->deadline_ns = 0;
		if (ops->timer)
			ops->timer(vc->state);
	}
}

static void stand_still(struct vsp_channel *vc)
{
	const struct vsp_ops *ops = vc->vsp->ops;
	uint64_t one = 1;

	if (ops->outstanding && ops->outstanding(vc->state))
		return;
	if (VSP_MODE(vc->wish) == VSP_STOP)
		vsp_drop_backlog(vc);
	atomic_store(&vc->ack, vc->wish);
	if (write(vc->done, &one, sizeof(one)) < 0)
		log_debug("a full eventfd");
}

bool vsp_still(const struct vsp_channel *vc)
{
	return VSP_MODE(vc->wish) != VSP_RUN && atomic_load(&vc->ack) == vc->wish;
}

uint64_t vsp_next_ns(const struct vsp_channel *vc)
{
	if (vsp_still(vc))
		return 0;
	if (!vc->deadline_ns || !vc->room_ns)
		return vc->deadline_ns + vc->room_ns;
	return MIN(vc->deadline_ns, vc->room_ns);
}

bool vsp_turn(struct vsp_channel *vc, bool io)
{
	const struct vsp_ops *ops = vc->vsp->ops;
	enum outcome o = BLOCKED;

	vc->wish = atomic_load(&vc->want);
	if (vsp_still(vc))
		return false;
	run_due(vc, io);
	if (!list_empty(&vc->backlog))
		send_backlog(vc);
	if (VSP_MODE(vc->wish) == VSP_RUN) {
		if (atomic_exchange(&vc->kicked, false) && ops->kicked)
			ops->kicked(vc->state);
		o = receive(vc);
	}
	if (ops->flush)
		ops->flush(vc->state);
	channel_flush(vc->ch);
	tell_fault(vc);
	if (VSP_MODE(vc->wish) != VSP_RUN) {
		stand_still(vc);
		return false;
	}
	if (o == DRAINED) {
		vc->masked = false;
		return channel_unmask(vc->ch);
	}
	return o == MORE;
}
