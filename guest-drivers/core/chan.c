/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open: lend the rings as one GPADL, OPENCHANNEL names it and how many pages of it are ours to write. Close has no answer; the GPADL's
 * teardown has, and when it came the host has let go of the memory.
 */
#include "core/chan.h"

#include <errno.h>
#include "core/mem.h"

static void free_rings(struct chan *ch)
{
	const struct core_env *env = ch->bus->hv->env;

	env->pages_free(env->opaque, ch->pages, ch->out_pages + ch->in_pages);
	ch->pages = NULL;
}

static int post_open(struct chan *ch, const void *user_data)
{
	struct vmbus_open_channel m = {
		.header.message_type = CHANNELMSG_OPENCHANNEL,
		.child_relid = ch->offer.child_relid,
		.open_id = ch->offer.child_relid,
		.ring_gpadl = ch->gpadl,
		.target_vp = ch->bus->hv->vps[ch->vp].index,
		.downstream_page_offset = ch->out_pages,
	};
	struct vmbus_open_result reply;
	int r;

	if (user_data)
		memcpy(m.user_data, user_data, sizeof(m.user_data));
	r = bus_request(ch->bus, &m, sizeof(m), CHANNELMSG_OPENCHANNEL_RESULT,
			offsetof(struct vmbus_open_result, child_relid),
			ch->offer.child_relid, &reply, sizeof(reply));
	if (!r && reply.status)
		r = -EIO;
	return r;
}

int chan_open(struct chan *ch, unsigned int out_pages, unsigned int in_pages,
	      unsigned int vp, const void *user_data)
{
	const struct core_env *env = ch->bus->hv->env;
	size_t n = (size_t)out_pages + in_pages;
	int r;

	if (ch->state == CHAN_OPEN)
		return -EBUSY;
	if (ch->rescinded || ch->state != CHAN_OFFERED)
		return -ENODEV;
	ch->pages = env->pages_alloc(env->opaque, n);
	if (!ch->pages)
		return -ENOMEM;
	ch->out_pages = out_pages;
	ch->in_pages = in_pages;
	ch->vp = vp;
	ch->event = 0;
	cring_init(&ch->ring, ch->pages, out_pages, in_pages);
	r = bus_gpadl_create(ch->bus, ch->offer.child_relid, ch->pages,
			     n * CORE_PAGE_SIZE, &ch->gpadl);
	if (r) {
		free_rings(ch);
		return r;
	}
	r = post_open(ch, user_data);
	if (r) {
		if (!bus_gpadl_teardown(ch->bus, ch->offer.child_relid, ch->gpadl))
			free_rings(ch);
		return r;
	}
	ch->state = CHAN_OPEN;
	return 0;
}

int chan_close(struct chan *ch)
{
	const struct vmbus_relid_message m = {
		.header.message_type = CHANNELMSG_CLOSECHANNEL,
		.child_relid = ch->offer.child_relid,
	};
	int r;

	if (ch->state != CHAN_OPEN)
		return -ENOTCONN;
	ch->state = CHAN_OFFERED;
	r = bus_post(ch->bus, &m, sizeof(m));
	/* a rescinded channel's GPADLs end with it: there is no answer to wait for */
	if (!r && !ch->rescinded)
		r = bus_gpadl_teardown(ch->bus, ch->offer.child_relid, ch->gpadl);
	if (!r)
		free_rings(ch);
	return r;
}

int chan_modify(struct chan *ch, unsigned int vp)
{
	const struct vmbus_modify_channel m = {
		.header.message_type = CHANNELMSG_MODIFYCHANNEL,
		.child_relid = ch->offer.child_relid,
		.target_vp = ch->bus->hv->vps[vp].index,
	};
	struct vmbus_modify_channel_response reply = { 0 };
	int r;

	if (ch->bus->version < VMBUS_VERSION_WIN10_V4_1)
		return -EOPNOTSUPP;
	if (ch->bus->version < VMBUS_VERSION_WIN10_V5_3)
		r = bus_post(ch->bus, &m, sizeof(m));
	else
		r = bus_request(
			ch->bus, &m, sizeof(m), CHANNELMSG_MODIFYCHANNEL_RESPONSE,
			offsetof(struct vmbus_modify_channel_response, child_relid),
			ch->offer.child_relid, &reply, sizeof(reply));
	if (!r && reply.status)
		r = -EIO;
	if (!r)
		ch->vp = vp;
	return r;
}

int chan_release(struct chan *ch)
{
	const struct vmbus_relid_message m = {
		.header.message_type = CHANNELMSG_RELID_RELEASED,
		.child_relid = ch->offer.child_relid,
	};
	struct bus *bus = ch->bus;

	if (ch->state == CHAN_OPEN || !ch->rescinded)
		return -EBUSY;
	__atomic_store_n(&bus->by_relid[ch->offer.child_relid], NULL, __ATOMIC_RELEASE);
	memset(ch, 0, sizeof(*ch));
	return bus_post(bus, &m, sizeof(m));
}

bool chan_take_event(struct chan *ch)
{
	return __atomic_load_n(&ch->event, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&ch->event, 0, __ATOMIC_ACQUIRE);
}

static int send_pieces(struct chan *ch, const struct cring_piece *pieces, unsigned int n)
{
	bool tell;
	int r;

	if (ch->state != CHAN_OPEN)
		return -ENOTCONN;
	r = cring_send(&ch->ring, pieces, n, &tell);
	if (r)
		return r;
	ch->sent++;
	if (tell) {
		ch->signals++;
		if (hv_signal(ch->bus->hv, ch->offer.connection_id))
			return -EIO;
	}
	return 0;
}

static int send_plain(struct chan *ch, uint16_t type, uint16_t flags,
		      uint64_t transaction_id, const void *payload, size_t len)
{
	struct vmbus_packet d = {
		.type = type,
		.offset8 = sizeof(d) / 8,
		.len8 = (uint16_t)((sizeof(d) + len + 7) / 8),
		.flags = flags,
		.transaction_id = transaction_id,
	};
	const struct cring_piece pieces[] = { { &d, sizeof(d) }, { payload, len } };

	if (len > UINT16_MAX * 8u - sizeof(d) - 8)
		return -EMSGSIZE;
	return send_pieces(ch, pieces, 2);
}

int chan_send(struct chan *ch, uint16_t flags, uint64_t transaction_id,
	      const void *payload, size_t len)
{
	return send_plain(ch, VM_PKT_DATA_INBAND, flags, transaction_id, payload, len);
}

int chan_send_completion(struct chan *ch, uint64_t transaction_id, const void *payload,
			 size_t len)
{
	return send_plain(ch, VM_PKT_COMP, 0, transaction_id, payload, len);
}

int chan_send_data(struct chan *ch, uint64_t transaction_id, const void *data,
		   size_t data_len, const void *payload, size_t len)
{
	const struct core_env *env = ch->bus->hv->env;
	uint32_t offset = (uint32_t)((uintptr_t)data % CORE_PAGE_SIZE);
	size_t i, n = (offset + data_len + CORE_PAGE_SIZE - 1) / CORE_PAGE_SIZE;
	struct vmbus_packet_gpa_direct d = { .range_count = 1 };
	struct vmbus_gpa_range range = { (uint32_t)data_len, offset };
	uint64_t pfns[CHAN_DATA_PAGES_MAX];
	size_t head = sizeof(d) + sizeof(range) + n * sizeof(pfns[0]);
	const struct cring_piece pieces[] = {
		{ &d, sizeof(d) },
		{ &range, sizeof(range) },
		{ pfns, n * sizeof(pfns[0]) },
		{ payload, len },
	};

	if (!data_len || n > CHAN_DATA_PAGES_MAX)
		return -E2BIG;
	d.packet.type = VM_PKT_DATA_USING_GPA_DIRECT;
	d.packet.offset8 = (uint16_t)(head / 8);
	d.packet.len8 = (uint16_t)((head + len + 7) / 8);
	d.packet.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED;
	d.packet.transaction_id = transaction_id;
	for (i = 0; i < n; i++)
		pfns[i] = env->gpa(env->opaque,
				   (const uint8_t *)data - offset + i * CORE_PAGE_SIZE) /
			  CORE_PAGE_SIZE;
	return send_pieces(ch, pieces, 4);
}

/* The next packet, whole. */
static int recv_packet(struct chan *ch, uint64_t *packet, struct vmbus_packet *ret,
		       size_t *ret_len, size_t *ret_head)
{
	bool tell;
	int r;

	if (ch->state != CHAN_OPEN)
		return -ENOTCONN;
	r = cring_recv(&ch->ring, packet, CHAN_PACKET_MAX, ret_len, &tell);
	if (r)
		return r;
	ch->received++;
	if (tell) {
		ch->signals++;
		if (hv_signal(ch->bus->hv, ch->offer.connection_id))
			return -EIO;
	}
	memcpy(ret, packet, sizeof(*ret));
	*ret_head = (size_t)ret->offset8 * 8;
	return *ret_head < sizeof(*ret) || *ret_head > *ret_len ? -EPROTO : 0;
}

static int take_payload(const uint64_t *packet, size_t len, size_t head, void *buf,
			size_t max, size_t *ret_len)
{
	if (len - head > max)
		return -EMSGSIZE;
	memcpy(buf, (const uint8_t *)packet + head, len - head);
	*ret_len = len - head;
	return 0;
}

int chan_recv(struct chan *ch, struct vmbus_packet *ret, void *buf, size_t max,
	      size_t *ret_len)
{
	uint64_t packet[CHAN_PACKET_MAX / 8];
	size_t len, head;
	int r = recv_packet(ch, packet, ret, &len, &head);

	return r ? r : take_payload(packet, len, head, buf, max, ret_len);
}

int chan_recv_xfer(struct chan *ch, struct vmbus_packet *ret,
		   struct vmbus_packet_xfer_pages *xfer, struct vmbus_xfer_range *ranges,
		   unsigned int max_ranges, void *buf, size_t max, size_t *ret_len)
{
	uint64_t packet[CHAN_PACKET_MAX / 8];
	size_t len, head;
	int r = recv_packet(ch, packet, ret, &len, &head);

	memset(xfer, 0, sizeof(*xfer));
	if (!r && ret->type == VM_PKT_DATA_USING_XFER_PAGES) {
		if (head < sizeof(*xfer))
			return -EPROTO;
		memcpy(xfer, packet, sizeof(*xfer));
		if (xfer->range_count > max_ranges ||
		    xfer->range_count > (head - sizeof(*xfer)) / sizeof(*ranges))
			return -EPROTO;
		memcpy(ranges, (const uint8_t *)packet + sizeof(*xfer),
		       xfer->range_count * sizeof(*ranges));
	}
	return r ? r : take_payload(packet, len, head, buf, max, ret_len);
}
