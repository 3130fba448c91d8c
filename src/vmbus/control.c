/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The connection. A guest posts INITIATE_CONTACT with a version, from its newest downwards until one is accepted; each gets a VERSION_RESPONSE.
 * REQUESTOFFERS then brings an OFFERCHANNEL for each device and ALLOFFERS_DELIVERED; later offers and rescinds come by themselves.
 *
 * INITIATE_CONTACT at any time (a new kernel after a crash) and UNLOAD (driver removal, crash) end what was before: all channels
 * close, sub-channels and GPADLs go, offers stay. The guest may use the memory again once it has the answer, so the answer waits
 * until the last channel is closed (CONTROL_LEAVING); meanwhile only a later wish of the same kind is taken, and replaces the first.
 *
 * Answers go to the VP that INITIATE_CONTACT named. A crashing guest reads the message pages of all VPs, so UNLOAD_RESPONSE goes there too.
 */
#include "vmbus/control.h"

#include <errno.h>
#include <string.h>
#include "vmbus/control_priv.h"

static const uint32_t versions[] = {
	VMBUS_VERSION_WIN8,       VMBUS_VERSION_WIN8_1,     VMBUS_VERSION_WIN10,
	VMBUS_VERSION_WIN10_V4_1, VMBUS_VERSION_WIN10_V5,   VMBUS_VERSION_WIN10_V5_1,
	VMBUS_VERSION_WIN10_V5_2, VMBUS_VERSION_WIN10_V5_3,
};

void control_init(struct control *c, const struct control_actions *actions, void *opaque,
		  unsigned int vps, const struct guestmem *gm,
		  void (*notify)(void *opaque))
{
	memset(c, 0, sizeof(*c));
	c->actions = actions;
	c->opaque = opaque;
	c->vps = vps;
	list_init(&c->channels);
	gpadl_table_init(&c->gpadls, gm, notify, opaque);
}

void control_done(struct control *c)
{
	gpadl_table_done(&c->gpadls);
}

struct control_channel *control_find(struct control *c, uint32_t relid)
{
	struct control_channel *ch =
		relid <= CONTROL_RELID_MAX ? c->by_relid[relid] : NULL;

	return ch && ch->state != CONTROL_HELD ? ch : NULL;
}

void control_post(struct control *c, const void *msg, size_t len)
{
	c->actions->post(c->opaque, c->vp, VMBUS_MESSAGE_SINT, msg, len);
}

static void post_empty(struct control *c, uint32_t type)
{
	struct vmbus_header h = { .message_type = type };

	control_post(c, &h, sizeof(h));
}

static bool version_known(uint32_t version)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		if (versions[i] == version)
			return true;
	}
	return false;
}

/* From 5.0 on the guest names the SINT and the trust level that messages shall go to; below 3.0 VP 0 gets them. */
static void answer_contact(struct control *c)
{
	const struct vmbus_initiate_contact *m = &c->contact;
	bool multi = m->version_requested >= VMBUS_VERSION_WIN10_V5;
	unsigned int sint = multi ? m->msg_sint : VMBUS_MESSAGE_SINT;
	struct vmbus_version_response rsp = {
		.header.message_type = CHANNELMSG_VERSION_RESPONSE,
	};

	c->vp = m->version_requested >= VMBUS_VERSION_WIN8_1 ? m->target_vp : 0;
	if (version_known(m->version_requested) && sint == VMBUS_MESSAGE_SINT &&
	    (!multi || !m->msg_vtl)) {
		c->connection = CONTROL_CONNECTED;
		c->version = m->version_requested;
		rsp.version_supported = 1;
		rsp.msg_connection_id = multi ? VMBUS_MESSAGE_CONNECTION_ID : c->version;
	}
	c->actions->post(c->opaque, c->vp, sint, &rsp, sizeof(rsp));
	c->actions->changed(c->opaque);
}

void control_left(struct control *c)
{
	if (c->connection != CONTROL_LEAVING || c->closing)
		return;
	gpadl_table_drop(&c->gpadls, 0);
	c->connection = CONTROL_DISCONNECTED;
	if (c->next_reset) {
		c->next_reset = c->next_contact = c->next_unload = false;
		c->actions->reset_done(c->opaque);
	} else if (c->next_contact) {
		c->next_contact = false;
		answer_contact(c);
	} else if (c->next_unload) {
		c->next_unload = false;
		post_empty(c, CHANNELMSG_UNLOAD_RESPONSE);
	}
}

/* Sub-channels first: a primary that closes takes its own along, and none may be left when the walk comes by. */
static void leave(struct control *c)
{
	struct control_channel *ch, *tmp;

	c->actions->discard(c->opaque);
	if (c->connection != CONTROL_LEAVING) {
		c->connection = CONTROL_LEAVING;
		c->version = 0;
		c->offers_requested = false;
		c->closing++; /* until the walk is done */
		for (int subs = 1; subs >= 0; subs--) {
			list_for_each_safe (ch, tmp, &c->channels, link) {
				if (!!ch->primary == subs)
					control_channel_leave(ch);
			}
		}
		c->closing--;
		c->actions->changed(c->opaque);
	}
	control_left(c);
}

static void initiate_contact(struct control *c, const void *msg, size_t len)
{
	memcpy(&c->contact, msg, sizeof(c->contact));
	c->next_contact = true;
	c->next_unload = false;
	leave(c);
}

static void unload(struct control *c, const void *msg, size_t len)
{
	c->next_unload = true;
	c->next_contact = false;
	leave(c);
}

void control_reset(struct control *c)
{
	c->next_reset = true;
	leave(c);
}

static void request_offers(struct control *c, const void *msg, size_t len)
{
	struct control_channel *ch;

	if (c->offers_requested) {
		c->errors++;
		return;
	}
	c->offers_requested = true;
	list_for_each (ch, &c->channels, link) {
		if (!ch->primary && !ch->rescinded && ch->state == CONTROL_HELD)
			control_channel_show(ch);
	}
	post_empty(c, CHANNELMSG_ALLOFFERS_DELIVERED);
}

static void tl_connect(struct control *c, const void *msg, size_t len)
{
	const struct vmbus_tl_connect_request *m = msg;
	struct vmbus_tl_connect_result rsp = {
		.header.message_type = CHANNELMSG_TL_CONNECT_RESULT,
		.status = VMBUS_STATUS_CONNECTION_REFUSED,
	};

	if (c->version < VMBUS_VERSION_WIN10_V4_1)
		return; /* these guests wait for an offer, and give up by time */
	memcpy(rsp.endpoint_id, m->endpoint_id, sizeof(rsp.endpoint_id));
	memcpy(rsp.service_id, m->service_id, sizeof(rsp.service_id));
	control_post(c, &rsp, sizeof(rsp));
}

/* What a guest may send; everything else is an error. min_version 0: without a connection, too. */
static const struct {
	uint16_t min_bytes;
	uint32_t min_version;
	void (*handle)(struct control *c, const void *msg, size_t len);
} messages[] = {
	[CHANNELMSG_REQUESTOFFERS] = { sizeof(struct vmbus_header), VMBUS_VERSION_WIN8,
				       request_offers },
	[CHANNELMSG_OPENCHANNEL] = { sizeof(struct vmbus_open_channel),
				     VMBUS_VERSION_WIN8, control_open_channel },
	[CHANNELMSG_CLOSECHANNEL] = { sizeof(struct vmbus_relid_message),
				      VMBUS_VERSION_WIN8, control_close_channel },
	[CHANNELMSG_GPADL_HEADER] = { sizeof(struct vmbus_gpadl_header),
				      VMBUS_VERSION_WIN8, control_gpadl_header },
	[CHANNELMSG_GPADL_BODY] = { sizeof(struct vmbus_gpadl_body), VMBUS_VERSION_WIN8,
				    control_gpadl_body },
	[CHANNELMSG_GPADL_TEARDOWN] = { sizeof(struct vmbus_gpadl_teardown),
					VMBUS_VERSION_WIN8, control_gpadl_teardown },
	[CHANNELMSG_RELID_RELEASED] = { sizeof(struct vmbus_relid_message),
					VMBUS_VERSION_WIN8, control_relid_released },
	[CHANNELMSG_INITIATE_CONTACT] = { sizeof(struct vmbus_initiate_contact), 0,
					  initiate_contact },
	[CHANNELMSG_UNLOAD] = { sizeof(struct vmbus_header), 0, unload },
	[CHANNELMSG_TL_CONNECT_REQUEST] = { sizeof(struct vmbus_tl_connect_request),
					    VMBUS_VERSION_WIN10, tl_connect },
	[CHANNELMSG_MODIFYCHANNEL] = { sizeof(struct vmbus_modify_channel),
				       VMBUS_VERSION_WIN10_V4_1, control_modify_channel },
};

void control_message(struct control *c, const void *msg, size_t len)
{
	union {
		struct vmbus_header header;
		uint64_t align;
		uint8_t bytes[VMBUS_MESSAGE_MAX];
	} m;
	uint32_t type;

	if (len < sizeof(m.header) || len > sizeof(m)) {
		c->errors++;
		return;
	}
	memcpy(&m, msg, len);
	type = m.header.message_type;
	/* version is 0 without a connection */
	if (type >= ARRAY_SIZE(messages) || !messages[type].handle ||
	    len < messages[type].min_bytes || c->version < messages[type].min_version) {
		c->errors++;
		return;
	}
	messages[type].handle(c, &m, len);
}
