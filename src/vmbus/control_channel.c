/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A channel's life. HELD: the guest does not know it. OFFERCHANNEL makes it OFFERED; OPENCHANNEL makes it OPEN, answered by
 * OPENCHANNEL_RESULT; CLOSECHANNEL makes it CLOSING, which ends when the VSP says so and has no answer: so the guest may open it again
 * before, and the open waits (reopen).
 *
 * To take it back the host sends RESCIND_CHANNELOFFER and closes it; the guest answers with RELID_RELEASED when it has no more use for
 * the number. Until then relid and channel stay. RELID_RELEASED comes without a rescind as well: Linux releases a sub-channel when the primary's driver
 * goes, and all channels when the bus driver goes; a primary is then held until the next REQUESTOFFERS, a sub-channel ends.
 *
 * Sub-channels live while their primary is open; what the guest has not released when it closes the primary is rescinded.
 */
#include <errno.h>
#include <string.h>
#include "vmbus/control.h"
#include "vmbus/control_priv.h"

/* The doorbells' connection ids are relids in a range of their own, away from the message connections. */
#define CONNECTION_BASE 0x10000u

static bool has_subs(const struct control_channel *ch)
{
	const struct control_channel *sub;

	list_for_each (sub, &ch->control->channels, link) {
		if (sub->primary == ch)
			return true;
	}
	return false;
}

/* Ends ch, if nothing holds it any more. ch is of no use after. */
static void settle(struct control_channel *ch)
{
	struct control *c = ch->control;
	struct control_channel *primary = ch->primary;

	if (ch->state != CONTROL_HELD || !(ch->rescinded || primary) || has_subs(ch))
		return;
	list_del(&ch->link);
	c->by_relid[ch->relid] = NULL;
	c->actions->gone(c->opaque, ch);
	if (primary && primary->rescinded)
		settle(primary);
}

static int alloc_relid(struct control *c, uint32_t *ret)
{
	for (uint32_t i = 0; i < CONTROL_RELID_MAX; i++) {
		uint32_t relid = (c->next_relid + i) % CONTROL_RELID_MAX + 1;

		if (c->by_relid[relid])
			continue;
		c->next_relid = relid;
		*ret = relid;
		return 0;
	}
	return -ENOSPC;
}

static bool instance_taken(const struct control *c, const struct control_channel *ch)
{
	const struct control_channel *other;

	list_for_each (other, &c->channels, link) {
		if (!other->primary &&
		    guid_equal(&other->offer.instance, &ch->offer.instance))
			return true;
	}
	return false;
}

int control_offer(struct control *c, struct control_channel *ch,
		  struct control_channel *primary)
{
	int r;

	if (!!primary != !!ch->offer.sub_index)
		return -EINVAL;
	if (primary && (primary->state != CONTROL_OPEN || primary->rescinded))
		return -EINVAL;
	if (!primary && instance_taken(c, ch))
		return -EEXIST;
	r = alloc_relid(c, &ch->relid);
	if (r)
		return r;
	ch->control = c;
	ch->primary = primary;
	ch->connection_id = CONNECTION_BASE + ch->relid;
	ch->state = CONTROL_HELD;
	ch->rescinded = ch->released = ch->reopen = false;
	c->by_relid[ch->relid] = ch;
	list_add_tail(&c->channels, &ch->link);
	if (c->connection == CONTROL_CONNECTED && c->offers_requested)
		control_channel_show(ch);
	return 0;
}

void control_channel_show(struct control_channel *ch)
{
	const struct control_offer *o = &ch->offer;
	struct vmbus_offer_channel m = {
		.header.message_type = CHANNELMSG_OFFERCHANNEL,
		.channel_flags = o->flags,
		.mmio_megabytes = o->mmio_megabytes,
		.sub_channel_index = o->sub_index,
		.child_relid = ch->relid,
		.monitor_id = VMBUS_MONITOR_NONE,
		.is_dedicated_interrupt = 1,
		.connection_id = ch->connection_id,
	};

	memcpy(m.interface_type, &o->type, sizeof(m.interface_type));
	memcpy(m.interface_instance, &o->instance, sizeof(m.interface_instance));
	memcpy(m.user_defined, o->user_defined, sizeof(m.user_defined));
	ch->state = CONTROL_OFFERED;
	control_post(ch->control, &m, sizeof(m));
	ch->control->actions->changed(ch->control->opaque);
}

static void rescind_subs(struct control_channel *primary)
{
	struct control_channel *sub, *tmp;

	list_for_each_safe (sub, tmp, &primary->control->channels, link) {
		if (sub->primary == primary)
			control_rescind(sub);
	}
}

static void begin_close(struct control_channel *ch)
{
	struct control *c = ch->control;

	if (!ch->primary)
		rescind_subs(ch);
	ch->state = CONTROL_CLOSING;
	c->closing++;
	c->actions->close(c->opaque, ch);
}

static void post_rescind(struct control_channel *ch)
{
	struct vmbus_relid_message m = {
		.header.message_type = CHANNELMSG_RESCIND_CHANNELOFFER,
		.child_relid = ch->relid,
	};

	control_post(ch->control, &m, sizeof(m));
}

/* Sub-channels go before the mark is set, so that the last of them does not settle ch under our feet. */
void control_rescind(struct control_channel *ch)
{
	struct control *c = ch->control;

	if (ch->rescinded)
		return;
	rescind_subs(ch);
	ch->rescinded = true;
	ch->reopen = false;
	if (ch->state != CONTROL_HELD && !ch->released)
		post_rescind(ch);
	if (ch->state == CONTROL_OPEN)
		begin_close(ch);
	else
		settle(ch);
	c->actions->changed(c->opaque);
}

void control_channel_leave(struct control_channel *ch)
{
	ch->released = true;
	ch->reopen = false;
	if (ch->state == CONTROL_OPEN) {
		begin_close(ch);
	} else if (ch->state == CONTROL_OFFERED) {
		ch->state = CONTROL_HELD;
		ch->released = false;
		settle(ch);
	} else if (ch->state == CONTROL_HELD) {
		ch->released = false;
	}
}

static void post_open_result(struct control *c, uint32_t relid, uint32_t open_id, int r)
{
	struct vmbus_open_result m = {
		.header.message_type = CHANNELMSG_OPENCHANNEL_RESULT,
		.child_relid = relid,
		.open_id = open_id,
		.status = r ? VMBUS_STATUS_UNSUCCESSFUL : VMBUS_STATUS_SUCCESS,
	};

	control_post(c, &m, sizeof(m));
}

/* Opens with ch->open. The state is OPEN before the action, which may offer sub-channels. */
static void do_open(struct control_channel *ch)
{
	struct control *c = ch->control;
	struct gpadl *ring;
	int r = gpadl_table_get(&c->gpadls, ch->open.ring_gpadl, &ch->relid, 1, &ring);

	if (!r) {
		ch->target_vp = ch->open.target_vp;
		ch->state = CONTROL_OPEN;
		r = c->actions->open(c->opaque, ch, &ch->open, ring);
		if (r) {
			ch->state = CONTROL_OFFERED;
			gpadl_unref(ring);
		}
	} else {
		c->errors++;
	}
	post_open_result(c, ch->relid, ch->open.open_id, r);
	c->actions->changed(c->opaque);
}

void control_open_channel(struct control *c, const void *msg, size_t len)
{
	const struct vmbus_open_channel *m = msg;
	struct control_channel *ch = control_find(c, m->child_relid);
	bool vp_ok = m->target_vp < c->vps || m->target_vp == VMBUS_VP_NONE;

	if (!ch || ch->rescinded || ch->released || !vp_ok || ch->state == CONTROL_OPEN ||
	    ch->reopen) {
		c->errors++;
		post_open_result(c, m->child_relid, m->open_id, -EINVAL);
		return;
	}
	ch->open = (struct control_open){
		.open_id = m->open_id,
		.ring_gpadl = m->ring_gpadl,
		.target_vp = m->target_vp,
		.downstream_page_offset = m->downstream_page_offset,
	};
	memcpy(ch->open.user_data, m->user_data, sizeof(ch->open.user_data));
	if (ch->state == CONTROL_CLOSING)
		ch->reopen = true;
	else
		do_open(ch);
}

void control_closed(struct control_channel *ch)
{
	struct control *c = ch->control;

	c->closing--;
	ch->state = ch->released ? CONTROL_HELD : CONTROL_OFFERED;
	ch->released = false;
	if (ch->state == CONTROL_HELD) {
		gpadl_table_drop(&c->gpadls, ch->relid);
		settle(ch);
	} else if (ch->reopen) {
		ch->reopen = false;
		do_open(ch);
	}
	c->actions->changed(c->opaque);
	control_left(c);
}

/* A rescinded channel is closed by us; that the guest does so too is no error. */
void control_close_channel(struct control *c, const void *msg, size_t len)
{
	const struct vmbus_relid_message *m = msg;
	struct control_channel *ch = control_find(c, m->child_relid);

	if (ch && ch->state == CONTROL_OPEN) {
		begin_close(ch);
		c->actions->changed(c->opaque);
	} else if (ch && ch->reopen) {
		ch->reopen = false;
		post_open_result(c, ch->relid, ch->open.open_id, -ECANCELED);
	} else if (!ch || !ch->rescinded) {
		c->errors++;
	}
}

void control_relid_released(struct control *c, const void *msg, size_t len)
{
	const struct vmbus_relid_message *m = msg;
	struct control_channel *ch = control_find(c, m->child_relid);

	if (!ch || ch->state == CONTROL_OPEN || ch->released || ch->reopen) {
		c->errors++;
		return;
	}
	if (ch->state == CONTROL_CLOSING) {
		ch->released = true;
		return;
	}
	gpadl_table_drop(&c->gpadls, ch->relid);
	ch->state = CONTROL_HELD;
	settle(ch);
	c->actions->changed(c->opaque);
}

/* From 5.3 on the guest waits for the answer, and no interrupt comes to the old VP after it. */
void control_modify_channel(struct control *c, const void *msg, size_t len)
{
	const struct vmbus_modify_channel *m = msg;
	struct control_channel *ch = control_find(c, m->child_relid);
	struct vmbus_modify_channel_response rsp = {
		.header.message_type = CHANNELMSG_MODIFYCHANNEL_RESPONSE,
		.child_relid = m->child_relid,
		.status = VMBUS_STATUS_UNSUCCESSFUL,
	};

	if (ch && ch->state == CONTROL_OPEN && m->target_vp < c->vps &&
	    ch->target_vp != VMBUS_VP_NONE) {
		ch->target_vp = m->target_vp;
		c->actions->modify(c->opaque, ch);
		c->actions->changed(c->opaque);
		rsp.status = VMBUS_STATUS_SUCCESS;
	} else {
		c->errors++;
	}
	if (c->version >= VMBUS_VERSION_WIN10_V5_3)
		control_post(c, &rsp, sizeof(rsp));
}
