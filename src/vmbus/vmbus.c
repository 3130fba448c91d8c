/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message of the guest arrives on the thread of the VP that posted it, is queued and the bus thread is kicked. The bus thread gives it to the control
 * plane, whose actions come back here: messages to the outbox, opens and closes to channel.c and the devices' ops.
 *
 * Two queues bound each other: while many answers wait for the guest to take them, no further message is looked at, and when the
 * incoming queue is full the guest's hypercall says so and it tries again. Only what ends all that was before (vmbus/inbox.h) is looked at in
 * any case.
 *
 * A VSP may send as soon as it is opened, while OPENCHANNEL_RESULT is still on its way, and there are guests that ignore a channel's interrupts
 * before they have it (OpenVMM's vmbus_server knows some). So a while after the open the guest is interrupted again, if something lies unread.
 */
#include "vmbus/vmbus.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "util/log.h"
#include "vmbus/channel_priv.h"
#include "vmbus/subs.h"

#define OUT_HIGH 64 /* answers that may wait before the guest has to */
#define NUDGE_NS 100000000ull

static const uint32_t message_ports[] = { VMBUS_MESSAGE_CONNECTION_ID,
					  VMBUS_MESSAGE_CONNECTION_ID_4 };

void vmbus_kick(struct vmbus *bus)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then it is kicked already. */
	if (write(bus->kick, &one, sizeof(one)) < 0)
		return;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void add_timer(struct event *ev, uint64_t in_ns)
{
	uint64_t us = in_ns / 1000 + 1;
	struct timeval tv = { .tv_sec = (time_t)(us / 1000000),
			      .tv_usec = (suseconds_t)(us % 1000000) };

	evtimer_add(ev, &tv);
}

/* ---- VP threads ---- */

static uint16_t on_message(void *opaque, unsigned int vp, uint32_t type,
			   const void *payload, size_t len)
{
	struct vmbus *bus = opaque;
	int r = type == HVMSG_CHANNEL ? inbox_put(&bus->in, payload, len) : -EINVAL;

	if (r == -ENOBUFS)
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	if (r)
		return HV_STATUS_INVALID_PARAMETER;
	vmbus_kick(bus);
	return HV_STATUS_SUCCESS;
}

static void on_slot_free(void *opaque, unsigned int vp, unsigned int sint)
{
	vmbus_kick(opaque);
}

/* ---- any thread: the last user of a GPADL that is being torn down ---- */

static void on_gpadl_end(void *opaque)
{
	struct vmbus *bus = opaque;

	atomic_store(&bus->reap, true);
	vmbus_kick(bus);
}

/* ---- the control plane's actions ---- */

static void act_post(void *opaque, unsigned int vp, unsigned int sint, const void *msg,
		     size_t len)
{
	struct vmbus *bus = opaque;

	outbox_add(&bus->out, vp, sint, msg, len);
	if (!bus->in_turn)
		vmbus_kick(bus);
}

static void act_discard(void *opaque)
{
	struct vmbus *bus = opaque;

	outbox_clear(&bus->out);
}

static int act_open(void *opaque, struct control_channel *c,
		    const struct control_open *open, struct gpadl *ring)
{
	struct vmbus_channel *ch = channel_of(c);
	struct vmbus *bus = opaque;
	int r = channel_open(ch, open, ring);

	if (!r) {
		ch->nudge_ns = now_ns() + NUDGE_NS;
		if (!evtimer_pending(bus->ev_nudge, NULL))
			add_timer(bus->ev_nudge, NUDGE_NS);
	}
	return r;
}

static void act_close(void *opaque, struct control_channel *c)
{
	struct vmbus_channel *ch = channel_of(c);

	ch->primary->params.ops->close(ch->primary->params.dev, ch);
}

void channel_close_done(struct vmbus_channel *ch)
{
	channel_unmap(ch);
	control_closed(&ch->control);
}

static void act_modify(void *opaque, struct control_channel *c)
{
	channel_set_target(channel_of(c), c->target_vp);
}

static void act_gone(void *opaque, struct control_channel *c)
{
	struct vmbus_channel *ch = channel_of(c);
	const struct vmbus_channel_ops *ops = ch->primary == ch ? ch->params.ops : NULL;
	void *dev = ch->params.dev;

	channel_free(ch);
	if (ops && ops->gone)
		ops->gone(dev);
}

static void act_reset_done(void *opaque)
{
	struct vmbus *bus = opaque;
	void (*done)(void *) = bus->reset_done;

	bus->reset_done = NULL;
	if (done)
		done(bus->reset_opaque);
}

static void act_changed(void *opaque)
{
	struct vmbus *bus = opaque;

	if (bus->env.changed)
		bus->env.changed(bus->env.opaque);
}

static const struct control_actions actions = {
	.post = act_post,
	.discard = act_discard,
	.open = act_open,
	.close = act_close,
	.modify = act_modify,
	.gone = act_gone,
	.reset_done = act_reset_done,
	.changed = act_changed,
};

/* ---- the bus thread's turn ---- */

static void pump(struct vmbus *bus)
{
	uint64_t now = now_ns(), at = outbox_pump(&bus->out, now);

	if (at)
		add_timer(bus->ev_timer, at - now);
	else
		evtimer_del(bus->ev_timer);
}

static void turn(struct vmbus *bus)
{
	struct inbox_message m;
	unsigned int n;

	if (bus->paused)
		return;
	bus->in_turn = true;
	if (atomic_exchange(&bus->reap, false))
		control_reap(&bus->control);
	subs_offer(bus);
	pump(bus);
	for (n = 0; n < INBOX_MAX; n++) {
		if (!inbox_take(&bus->in, bus->out.count >= OUT_HIGH, &m))
			break;
		control_message(&bus->control, m.bytes, m.len);
		pump(bus);
	}
	bus->in_turn = false;
	if (n == INBOX_MAX) /* the loop has others to serve */
		vmbus_kick(bus);
}

static void on_kick(evutil_socket_t fd, short what, void *opaque)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return; /* somebody's kick was served with another's */
	turn(opaque);
}

static void on_timer(evutil_socket_t fd, short what, void *opaque)
{
	turn(opaque);
}

static void on_nudge(evutil_socket_t fd, short what, void *opaque)
{
	struct vmbus *bus = opaque;
	struct control_channel *c;
	uint64_t now = now_ns(), next = 0;

	if (bus->paused)
		return;
	list_for_each (c, &bus->control.channels, link) {
		struct vmbus_channel *ch = channel_of(c);

		if (c->state != CONTROL_OPEN || !ch->nudge_ns)
			continue;
		if (ch->nudge_ns <= now) {
			ch->nudge_ns = 0;
			channel_nudge(ch);
		} else if (!next || ch->nudge_ns < next) {
			next = ch->nudge_ns;
		}
	}
	if (next)
		add_timer(bus->ev_nudge, next - now);
}

/* ---- for the worker ---- */

static int start(struct vmbus *bus)
{
	const struct vmbus_env *env = &bus->env;
	int r;

	bus->ev_kick =
		event_new(env->loop, bus->kick, EV_READ | EV_PERSIST, on_kick, bus);
	bus->ev_timer = evtimer_new(env->loop, on_timer, bus);
	bus->ev_nudge = evtimer_new(env->loop, on_nudge, bus);
	if (!bus->ev_kick || !bus->ev_timer || !bus->ev_nudge ||
	    event_add(bus->ev_kick, NULL))
		return -ENOMEM;
	env->synic_ops->on_slot_free(env->synic, on_slot_free, bus);
	for (size_t i = 0; i < ARRAY_SIZE(message_ports); i++) {
		r = env->synic_ops->message_port(env->synic, message_ports[i], on_message,
						 bus);
		if (r)
			return r;
		bus->ports[i] = true;
	}
	return 0;
}

int vmbus_new(const struct vmbus_env *env, struct vmbus **ret)
{
	struct vmbus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->env = *env;
	inbox_init(&bus->in);
	outbox_init(&bus->out, env->synic_ops, env->synic);
	control_init(&bus->control, &actions, bus, env->synic_ops->vps(env->synic),
		     env->gm, on_gpadl_end);
	bus->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = bus->kick < 0 ? -errno : start(bus);
	if (r) {
		vmbus_free(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

void vmbus_free(struct vmbus *bus)
{
	struct control_channel *c, *tmp;

	if (!bus)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(message_ports); i++) {
		if (bus->ports[i])
			(void)!bus->env.synic_ops->message_port(
				bus->env.synic, message_ports[i], NULL, NULL);
	}
	if (bus->ev_kick)
		event_free(bus->ev_kick);
	if (bus->ev_timer)
		event_free(bus->ev_timer);
	if (bus->ev_nudge)
		event_free(bus->ev_nudge);
	list_for_each_safe (c, tmp, &bus->control.channels, link)
		channel_free(channel_of(c));
	outbox_clear(&bus->out);
	control_done(&bus->control);
	if (bus->kick >= 0)
		close(bus->kick);
	inbox_done(&bus->in);
	free(bus);
}

int vmbus_offer(struct vmbus *bus, const struct vmbus_offer_params *params,
		struct vmbus_channel **ret_ch)
{
	struct control_offer *o;
	struct vmbus_channel *ch;
	int r = channel_new(bus, &ch);

	if (r)
		return r;
	ch->primary = ch;
	ch->params = *params;
	ch->name = strdup(params->name);
	o = &ch->control.offer;
	o->type = params->type;
	o->instance = params->instance;
	o->flags = params->flags;
	o->mmio_megabytes = params->mmio_megabytes;
	memcpy(o->user_defined, params->user_defined, sizeof(o->user_defined));
	r = ch->name ? control_offer(&bus->control, &ch->control, NULL) : -ENOMEM;
	if (r) {
		channel_free(ch);
		return r;
	}
	*ret_ch = ch;
	return 0;
}

void vmbus_rescind(struct vmbus_channel *primary)
{
	control_rescind(&primary->control);
}

void vmbus_reset(struct vmbus *bus, void (*done)(void *opaque), void *opaque)
{
	inbox_clear(&bus->in);
	bus->reset_done = done;
	bus->reset_opaque = opaque;
	control_reset(&bus->control);
}

void vmbus_pause(struct vmbus *bus)
{
	bus->paused = true;
}

void vmbus_resume(struct vmbus *bus)
{
	bus->paused = false;
	vmbus_kick(bus);
	add_timer(bus->ev_nudge, NUDGE_NS);
}

uint32_t vmbus_version(const struct vmbus *bus)
{
	return bus->control.version;
}

void vmbus_each(const struct vmbus *bus,
		void (*fn)(void *opaque, const struct vmbus_channel_info *info),
		void *opaque)
{
	struct control_channel *c;

	list_for_each (c, &bus->control.channels, link) {
		struct vmbus_channel_info info = {
			.name = channel_name(channel_of(c)),
			.type = c->offer.type,
			.instance = c->offer.instance,
			.sub_index = c->offer.sub_index,
			.target_vp = c->state == CONTROL_OPEN ? c->target_vp : 0,
			.state = c->rescinded               ? VMBUS_RESCINDED
				 : c->state == CONTROL_OPEN ? VMBUS_OPEN
							    : VMBUS_OFFERED,
		};

		channel_stats(channel_of(c), &info.stats);
		fn(opaque, &info);
	}
}
