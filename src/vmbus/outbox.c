/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "proto/vmbus.h"

struct letter {
	struct list link;
	unsigned int vp, sint;
	uint32_t type;
	struct hv_message msg;
};

void outbox_init(struct outbox *o, const struct synic_ops *ops, struct synic *synic)
{
	memset(o, 0, sizeof(*o));
	o->ops = ops;
	o->synic = synic;
	o->retry_ns = OUTBOX_RETRY_MIN_NS;
	list_init(&o->queue);
}

void outbox_add(struct outbox *o, unsigned int vp, unsigned int sint, const void *msg,
		size_t len)
{
	struct letter *l = calloc(1, sizeof(*l));

	if (!l || len > sizeof(l->msg.payload) || len < sizeof(l->type)) {
		free(l);
		o->dropped++;
		return;
	}
	l->vp = vp;
	l->sint = sint;
	memcpy(&l->type, msg, sizeof(l->type));
	l->msg.message_type = HVMSG_CHANNEL;
	l->msg.payload_size = (uint8_t)len;
	memcpy(l->msg.payload, msg, len);
	list_add_tail(&o->queue, &l->link);
	o->count++;
}

static void drop(struct outbox *o, struct letter *l)
{
	list_del(&l->link);
	free(l);
	o->count--;
}

void outbox_clear(struct outbox *o)
{
	struct letter *l, *tmp;

	list_for_each_safe (l, tmp, &o->queue, link)
		drop(o, l);
}

/* The earliest time for this kind of message. */
static uint64_t not_before(const struct outbox *o, uint32_t type)
{
	uint64_t after = 0;

	if (type == CHANNELMSG_RESCIND_CHANNELOFFER)
		after = o->offer_ns;
	else if (type == CHANNELMSG_OFFERCHANNEL)
		after = o->rescind_ns;
	return after ? after + OUTBOX_PACE_NS : 0;
}

static void note_sent(struct outbox *o, uint32_t type, uint64_t now_ns)
{
	if (type == CHANNELMSG_RESCIND_CHANNELOFFER)
		o->rescind_ns = now_ns;
	else if (type == CHANNELMSG_OFFERCHANNEL)
		o->offer_ns = now_ns;
}

uint64_t outbox_pump(struct outbox *o, uint64_t now_ns)
{
	while (!list_empty(&o->queue)) {
		struct letter *l = list_entry(o->queue.next, struct letter, link);
		uint64_t wait = not_before(o, l->type);
		int r;

		if (wait > now_ns)
			return wait;
		r = o->ops->post(o->synic, l->vp, l->sint, &l->msg);
		if (r == -EBUSY) {
			wait = now_ns + o->retry_ns;
			o->retry_ns = MIN(o->retry_ns * 2, OUTBOX_RETRY_MAX_NS);
			return wait;
		}
		o->retry_ns = OUTBOX_RETRY_MIN_NS;
		if (r)
			o->dropped++;
		else
			note_sent(o, l->type, now_ns);
		drop(o, l);
	}
	return 0;
}
