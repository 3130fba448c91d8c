/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control plane runs over messages: we post to a connection, the host's come into the message slot of VP 0. One request is under way at
 * a time; while it waits, offers and rescinds that come in between are taken as at any time. A request
 * whose answer the host owes in any case is matched by type and one key (relid or GPADL handle).
 */
#include "core/bus.h"

#include <errno.h>
#include "core/chan.h"
#include "core/mem.h"

const uint32_t bus_versions[] = {
	VMBUS_VERSION_WIN10_V5_3, VMBUS_VERSION_WIN10_V5_2, VMBUS_VERSION_WIN10_V5_1,
	VMBUS_VERSION_WIN10_V5,   VMBUS_VERSION_WIN10_V4_1, VMBUS_VERSION_WIN10,
	VMBUS_VERSION_WIN8_1,     VMBUS_VERSION_WIN8,
};
const size_t bus_versions_n = sizeof(bus_versions) / sizeof(bus_versions[0]);

#define CHANNEL_TABLE_PAGES \
	((BUS_CHANNELS_MAX * sizeof(struct chan) + CORE_PAGE_SIZE - 1) / CORE_PAGE_SIZE)

int bus_init(struct bus *bus, struct hv *hv, const struct bus_hooks *hooks)
{
	const struct core_env *env = hv->env;

	memset(bus, 0, sizeof(*bus));
	bus->hv = hv;
	bus->hooks = *hooks;
	bus->next_gpadl =
		0xe1e10; /* any but 0; not small, so that nobody takes it for an index */
	bus->channels = env->pages_alloc(env->opaque, CHANNEL_TABLE_PAGES);
	bus->monitor_pages = env->pages_alloc(env->opaque, 2);
	return bus->channels && bus->monitor_pages ? 0 : -ENOMEM;
}

void bus_done(struct bus *bus)
{
	const struct core_env *env = bus->hv->env;

	if (bus->channels)
		env->pages_free(env->opaque, bus->channels, CHANNEL_TABLE_PAGES);
	if (bus->monitor_pages)
		env->pages_free(env->opaque, bus->monitor_pages, 2);
	memset(bus, 0, sizeof(*bus));
}

int bus_post(struct bus *bus, const void *msg, size_t len)
{
	return hv_post(bus->hv, bus->connection_id, msg, len);
}

static struct chan *free_slot(struct bus *bus)
{
	unsigned int i;

	for (i = 0; i < BUS_CHANNELS_MAX; i++) {
		if (bus->channels[i].state == CHAN_NONE)
			return &bus->channels[i];
	}
	return NULL;
}

static void handle_offer(struct bus *bus, const struct vmbus_offer_channel *offer)
{
	uint32_t relid = offer->child_relid;
	struct chan *ch;

	if (!relid || relid >= HV_EVENT_FLAGS_COUNT || bus->by_relid[relid])
		return;
	ch = free_slot(bus);
	if (!ch)
		return;
	memset(ch, 0, sizeof(*ch));
	ch->bus = bus;
	ch->offer = *offer;
	ch->state = CHAN_OFFERED;
	__atomic_store_n(&bus->by_relid[relid], ch, __ATOMIC_RELEASE);
	if (bus->hooks.offered)
		bus->hooks.offered(bus->hooks.opaque, ch);
}

static void handle_rescind(struct bus *bus, const struct vmbus_relid_message *m)
{
	struct chan *ch;

	if (m->child_relid >= HV_EVENT_FLAGS_COUNT)
		return;
	ch = bus->by_relid[m->child_relid];
	if (!ch || ch->rescinded)
		return;
	__atomic_store_n(&ch->rescinded, true, __ATOMIC_RELEASE);
	if (bus->hooks.rescinded)
		bus->hooks.rescinded(bus->hooks.opaque, ch);
}

static bool is_wanted(const struct bus *bus, const uint8_t *bytes, uint32_t type)
{
	uint32_t key;

	if (type != bus->wanted.type || bus->wanted.done)
		return false;
	memcpy(&key, bytes + bus->wanted.key_at, sizeof(key));
	return !bus->wanted.key_at || key == bus->wanted.key;
}

static void handle(struct bus *bus, const struct hv_message *m)
{
	struct vmbus_header h;
	uint8_t bytes[VMBUS_MESSAGE_MAX] __attribute__((aligned(8))) = { 0 };

	if (m->message_type != HVMSG_CHANNEL)
		return;
	memcpy(bytes, m->payload, m->payload_size);
	memcpy(&h, bytes, sizeof(h));
	if (h.message_type == CHANNELMSG_OFFERCHANNEL)
		handle_offer(bus, (const void *)bytes);
	else if (h.message_type == CHANNELMSG_RESCIND_CHANNELOFFER)
		handle_rescind(bus, (const void *)bytes);
	else if (is_wanted(bus, bytes, h.message_type)) {
		memcpy(bus->wanted.bytes, bytes, sizeof(bytes));
		bus->wanted.done = true;
	} else
		bus->unknown_messages++;
}

void bus_poll(struct bus *bus)
{
	struct hv_message m;

	while (hv_message(bus->hv, 0, VMBUS_MESSAGE_SINT, &m))
		handle(bus, &m);
}

static void mark(void *opaque, unsigned int flag)
{
	struct bus *bus = opaque;
	struct chan *ch = __atomic_load_n(&bus->by_relid[flag], __ATOMIC_ACQUIRE);

	if (ch)
		__atomic_store_n(&ch->event, 1, __ATOMIC_RELEASE);
}

void bus_events(struct bus *bus, unsigned int vp)
{
	hv_events(bus->hv, vp, VMBUS_MESSAGE_SINT, mark, bus);
}

void bus_wait(struct bus *bus, unsigned int vp, uint64_t us)
{
	const struct core_env *env = bus->hv->env;

	env->wait(env->opaque, us);
	bus_events(bus, vp);
	if (!vp)
		bus_poll(bus);
}

int bus_await(struct bus *bus, void *ret, size_t ret_len)
{
	const struct core_env *env = bus->hv->env;
	uint64_t until = env->now_us(env->opaque) + BUS_REPLY_TIMEOUT_US;

	bus_poll(bus);
	while (!bus->wanted.done) {
		if (env->now_us(env->opaque) >= until)
			return -ETIMEDOUT;
		bus_wait(bus, 0, BUS_REPLY_TIMEOUT_US / 10);
	}
	bus->wanted.type = CHANNELMSG_INVALID;
	memcpy(ret, bus->wanted.bytes, ret_len);
	return 0;
}

void bus_expect(struct bus *bus, uint32_t type, uint32_t key_at, uint32_t key)
{
	bus->wanted.type = type;
	bus->wanted.key_at = key_at;
	bus->wanted.key = key;
	bus->wanted.done = false;
}

int bus_request(struct bus *bus, const void *msg, size_t len, uint32_t reply_type,
		uint32_t key_at, uint32_t key, void *ret, size_t ret_len)
{
	int r;

	bus_expect(bus, reply_type, key_at, key);
	r = bus_post(bus, msg, len);
	return r ? r : bus_await(bus, ret, ret_len);
}

/* From 5.0 on, contact is made on connection 4, and the answer names the connection for all that follows. */
static int try_version(struct bus *bus, uint32_t version)
{
	const struct core_env *env = bus->hv->env;
	struct vmbus_initiate_contact m = {
		.header.message_type = CHANNELMSG_INITIATE_CONTACT,
		.version_requested = version,
		.target_vp = bus->hv->vps[0].index,
	};
	struct vmbus_version_response reply;
	int r;

	m.monitor_page[0] = env->gpa(env->opaque, bus->monitor_pages);
	m.monitor_page[1] = env->gpa(env->opaque, bus->monitor_pages + CORE_PAGE_SIZE);
	bus->connection_id = VMBUS_MESSAGE_CONNECTION_ID;
	if (version >= VMBUS_VERSION_WIN10_V5) {
		m.msg_sint = VMBUS_MESSAGE_SINT;
		bus->connection_id = VMBUS_MESSAGE_CONNECTION_ID_4;
	}
	r = bus_request(bus, &m, sizeof(m), CHANNELMSG_VERSION_RESPONSE, 0, 0, &reply,
			sizeof(reply));
	if (r)
		return r;
	if (!reply.version_supported || reply.connection_state)
		return -EPROTONOSUPPORT;
	if (version >= VMBUS_VERSION_WIN10_V5)
		bus->connection_id = reply.msg_connection_id;
	bus->version = version;
	return 0;
}

int bus_connect(struct bus *bus, const uint32_t *versions, size_t n)
{
	int r = -EPROTONOSUPPORT;
	size_t i;

	for (i = 0; i < n && r == -EPROTONOSUPPORT; i++)
		r = try_version(bus, versions[i]);
	return r;
}

int bus_request_offers(struct bus *bus)
{
	const struct vmbus_header m = { .message_type = CHANNELMSG_REQUESTOFFERS };
	struct vmbus_header reply;

	return bus_request(bus, &m, sizeof(m), CHANNELMSG_ALLOFFERS_DELIVERED, 0, 0,
			   &reply, sizeof(reply));
}

int bus_unload(struct bus *bus)
{
	const struct core_env *env = bus->hv->env;
	const struct vmbus_header m = { .message_type = CHANNELMSG_UNLOAD };
	struct vmbus_header reply;
	unsigned int i;
	int r;

	r = bus_request(bus, &m, sizeof(m), CHANNELMSG_UNLOAD_RESPONSE, 0, 0, &reply,
			sizeof(reply));
	if (r)
		return r;
	for (i = 0; i < BUS_CHANNELS_MAX; i++) {
		struct chan *ch = &bus->channels[i];

		if (ch->pages)
			env->pages_free(env->opaque, ch->pages,
					ch->out_pages + ch->in_pages);
		memset(ch, 0, sizeof(*ch));
	}
	memset(bus->by_relid, 0, sizeof(bus->by_relid));
	bus->version = 0;
	return 0;
}

struct chan *bus_find(struct bus *bus, const uint8_t *type, const struct chan *after)
{
	unsigned int i = after ? (unsigned int)(after - bus->channels) + 1 : 0;

	for (; i < BUS_CHANNELS_MAX; i++) {
		struct chan *ch = &bus->channels[i];

		if (ch->state == CHAN_NONE || ch->offer.sub_channel_index)
			continue;
		if (!type || !memcmp(ch->offer.interface_type, type, 16))
			return ch;
	}
	return NULL;
}

struct chan *bus_find_sub(struct bus *bus, const struct chan *primary, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < BUS_CHANNELS_MAX; i++) {
		struct chan *ch = &bus->channels[i];

		if (ch->state != CHAN_NONE && ch->offer.sub_channel_index == index &&
		    !memcmp(ch->offer.interface_instance,
			    primary->offer.interface_instance, 16))
			return ch;
	}
	return NULL;
}
