/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NVSP: version, configuration, receive buffer, send buffer; RNDIS is in netvsc_rndis.c. A send's transaction id is its section and one more,
 * negotiation has an id of its own.
 */
#include "core/netvsc.h"

#include <errno.h>
#include "core/mem.h"

#define RING_PAGES 16u
#define RECV_PAGES 128u
#define SEND_PAGES 48u
#define RECV_ID 0xcafeu
#define SEND_ID 0u
#define INIT_ID 0x1000u

const uint8_t netvsc_type[16] = NVSP_NETWORK_TYPE;

static uint64_t now(const struct netvsc *n)
{
	const struct core_env *env = n->bus->hv->env;

	return env->now_us(env->opaque);
}

static size_t message_bytes(const struct netvsc *n)
{
	return n->version == NVSP_VERSION_61 ? NVSP_MESSAGE_BYTES_61 : NVSP_MESSAGE_BYTES;
}

/* A message of the negotiation and its completion. */
static int exchange(struct netvsc *n, struct nvsp_message *m)
{
	uint64_t until = now(n) + BUS_REPLY_TIMEOUT_US;
	struct chan *ch = n->queue[0];
	struct vmbus_packet d;
	size_t len;
	int r;

	r = chan_send(ch, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED, INIT_ID, m,
		      message_bytes(n));
	if (r)
		return r;
	for (;;) {
		r = chan_recv(ch, &d, m, sizeof(*m), &len);
		if (!r && d.type == VM_PKT_COMP && d.transaction_id == INIT_ID)
			return 0;
		if (r && r != -EAGAIN)
			return r;
		if (now(n) >= until)
			return -ETIMEDOUT;
		if (r)
			bus_wait(n->bus, 0, BUS_REPLY_TIMEOUT_US / 10);
	}
}

static int tell(struct netvsc *n, const struct nvsp_message *m)
{
	return chan_send(n->queue[0], 0, INIT_ID, m, message_bytes(n));
}

static int negotiate_version(struct netvsc *n, uint32_t max_version)
{
	static const uint32_t versions[] = { NVSP_VERSION_61, NVSP_VERSION_6,
					     NVSP_VERSION_5,  NVSP_VERSION_4,
					     NVSP_VERSION_2,  NVSP_VERSION_1 };
	size_t i;
	int r;

	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct nvsp_message m = { .type = NVSP_INIT,
					  .init = { versions[i], versions[i] } };

		if (max_version && versions[i] > max_version)
			continue;
		r = exchange(n, &m);
		if (r)
			return r;
		if (m.type == NVSP_INIT_COMPLETE &&
		    m.init_complete.status == NVSP_STATUS_SUCCESS) {
			n->version = versions[i];
			return 0;
		}
	}
	return -EPROTONOSUPPORT;
}

static int configure(struct netvsc *n)
{
	const struct nvsp_message config = { .type = NVSP_SEND_NDIS_CONFIG,
					     .ndis_config = { 1514,
							      0,
							      { NVSP_CAP_8021Q } } },
				  version = { .type = NVSP_SEND_NDIS_VERSION,
					      .ndis_version = { 6, 30 } };
	int r = 0;

	if (n->version >= NVSP_VERSION_2)
		r = tell(n, &config);
	return r ? r : tell(n, &version);
}

static int lend(struct netvsc *n, unsigned int pages, uint8_t **ret, uint32_t *ret_gpadl)
{
	const struct core_env *env = n->bus->hv->env;

	*ret = env->pages_alloc(env->opaque, pages);
	return *ret ? bus_gpadl_create(n->bus, n->queue[0]->offer.child_relid, *ret,
				       pages * CORE_PAGE_SIZE, ret_gpadl)
		    : -ENOMEM;
}

static int give_receive_buffer(struct netvsc *n)
{
	struct nvsp_message m = { .type = NVSP_SEND_RECEIVE_BUFFER };
	const struct nvsp_section *s = &m.receive_buffer_complete.section;
	int r = lend(n, RECV_PAGES, &n->recv, &n->recv_gpadl);

	if (r)
		return r;
	m.buffer = (struct nvsp_buffer){ n->recv_gpadl, RECV_ID, 0 };
	r = exchange(n, &m);
	if (r)
		return r;
	if (m.type != NVSP_SEND_RECEIVE_BUFFER_COMPLETE ||
	    m.receive_buffer_complete.status != NVSP_STATUS_SUCCESS)
		return -EIO;
	n->sub_bytes = s->sub_bytes;
	n->sub_count = s->sub_count;
	return m.receive_buffer_complete.sections != 1 || s->offset || !s->sub_count ||
			       s->sub_bytes > RECV_PAGES * CORE_PAGE_SIZE / s->sub_count
		       ? -EPROTO
		       : 0;
}

static int give_send_buffer(struct netvsc *n)
{
	struct nvsp_message m = { .type = NVSP_SEND_SEND_BUFFER };
	int r = lend(n, SEND_PAGES, &n->send, &n->send_gpadl);

	if (r)
		return r;
	m.buffer = (struct nvsp_buffer){ n->send_gpadl, SEND_ID, 0 };
	r = exchange(n, &m);
	if (r)
		return r;
	if (m.type != NVSP_SEND_SEND_BUFFER_COMPLETE ||
	    m.send_buffer_complete.status != NVSP_STATUS_SUCCESS)
		return -EIO;
	n->section_bytes = m.send_buffer_complete.section_bytes;
	if (n->section_bytes < NETVSC_FRAME_MAX + 128u)
		return -EPROTO;
	n->sections = SEND_PAGES * CORE_PAGE_SIZE / n->section_bytes;
	if (n->sections > NETVSC_SECTIONS_MAX)
		n->sections = NETVSC_SECTIONS_MAX;
	return 0;
}

/* The host answers before it offers them, so each is waited for. */
static int open_subs(struct netvsc *n, unsigned int subs, unsigned int vps)
{
	uint64_t until = now(n) + BUS_REPLY_TIMEOUT_US;
	unsigned int i;
	int r;

	for (i = 1; i <= subs; i++) {
		struct chan *ch;

		while (!(ch = bus_find_sub(n->bus, n->queue[0], i))) {
			if (now(n) >= until)
				return -ETIMEDOUT;
			bus_wait(n->bus, 0, BUS_REPLY_TIMEOUT_US / 10);
		}
		r = chan_open(ch, RING_PAGES, RING_PAGES, i % vps, NULL);
		if (r)
			return r;
		n->queue[i] = ch;
		n->queues = i + 1;
	}
	return 0;
}

static int create_subs(struct netvsc *n, unsigned int subs, unsigned int vps)
{
	struct nvsp_message m = { .type = NVSP_SUB_CHANNEL,
				  .sub_channel = { NVSP_SUB_CHANNEL_ALLOCATE, subs } };
	int r;

	if (subs > NETVSC_QUEUES_MAX - 1)
		return -EINVAL;
	if (!subs || n->version < NVSP_VERSION_5)
		return 0;
	r = exchange(n, &m);
	if (r)
		return r;
	if (m.type != NVSP_SUB_CHANNEL ||
	    m.sub_channel.operation_or_status != NVSP_STATUS_SUCCESS)
		return -EIO;
	return open_subs(n, m.sub_channel.count < subs ? m.sub_channel.count : subs, vps);
}

int netvsc_start(struct netvsc *n, struct bus *bus, struct chan *primary,
		 uint32_t max_version, unsigned int subs, unsigned int vps,
		 netvsc_frame_fn frame, void *opaque)
{
	int r;

	memset(n, 0, sizeof(*n));
	n->bus = bus;
	n->frame = frame;
	n->opaque = opaque;
	r = chan_open(primary, RING_PAGES, RING_PAGES, 0, NULL);
	if (r)
		return r;
	n->queue[0] = primary;
	n->queues = 1;
	r = negotiate_version(n, max_version);
	if (!r)
		r = configure(n);
	if (!r)
		r = give_receive_buffer(n);
	if (!r)
		r = give_send_buffer(n);
	if (!r)
		r = create_subs(n, subs, vps);
	if (!r)
		r = netvsc_rndis_start(n);
	if (r)
		netvsc_stop(n);
	return r;
}

static int take_back(struct netvsc *n, uint8_t **p, unsigned int pages, uint32_t gpadl,
		     uint32_t type, uint16_t id)
{
	const struct nvsp_message m = { .type = type, .revoke_id = id };
	const struct core_env *env = n->bus->hv->env;
	int r = 0;

	if (!*p)
		return 0;
	if (gpadl && !n->queue[0]->rescinded) {
		tell(n, &m);
		r = bus_gpadl_teardown(n->bus, n->queue[0]->offer.child_relid, gpadl);
	}
	if (!r)
		env->pages_free(env->opaque, *p, pages);
	*p = NULL;
	return r;
}

int netvsc_stop(struct netvsc *n)
{
	int r = 0, one;

	if (!n->queues)
		return -ENOTCONN;
	if (n->sections && !n->queue[0]->rescinded)
		r = netvsc_rndis_halt(n);
	one = take_back(n, &n->recv, RECV_PAGES, n->recv_gpadl,
			NVSP_REVOKE_RECEIVE_BUFFER, RECV_ID);
	r = r ? r : one;
	one = take_back(n, &n->send, SEND_PAGES, n->send_gpadl, NVSP_REVOKE_SEND_BUFFER,
			SEND_ID);
	r = r ? r : one;
	while (n->queues) {
		n->queues--;
		one = chan_close(n->queue[n->queues]);
		r = r ? r : one;
	}
	return r;
}

/* ---- sending ---- */

int netvsc_take_section(struct netvsc *n)
{
	unsigned int i;

	for (i = 0; i < n->sections; i++) {
		if (!__atomic_exchange_n(&n->busy[i], 1, __ATOMIC_ACQUIRE))
			return (int)i;
	}
	return -EAGAIN;
}

static void put_section(struct netvsc *n, unsigned int section)
{
	__atomic_store_n(&n->busy[section], 0, __ATOMIC_RELEASE);
}

int netvsc_send_section(struct netvsc *n, unsigned int queue, unsigned int section,
			uint32_t channel_type, size_t len, bool by_pages)
{
	struct nvsp_message m = {
		.type = NVSP_SEND_RNDIS_PACKET,
		.rndis = { channel_type, by_pages ? NVSP_NO_SECTION : section,
			   by_pages ? 0 : (uint32_t)len },
	};
	int r;

	if (by_pages)
		r = chan_send_data(n->queue[queue], section + 1u,
				   n->send + (size_t)section * n->section_bytes, len, &m,
				   message_bytes(n));
	else
		r = chan_send(n->queue[queue], VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
			      section + 1u, &m, message_bytes(n));
	if (r)
		put_section(n, section);
	return r;
}

int netvsc_send(struct netvsc *n, unsigned int queue, const struct netvsc_tx *tx)
{
	int section, len;

	if (queue >= n->queues)
		return -EINVAL;
	section = netvsc_take_section(n);
	if (section < 0)
		return section;
	len = netvsc_rndis_packet(tx, n->send + (size_t)section * n->section_bytes,
				  n->section_bytes);
	if (len < 0) {
		put_section(n, (unsigned int)section);
		return len;
	}
	return netvsc_send_section(n, queue, (unsigned int)section, NVSP_CHANNEL_DATA,
				   (size_t)len, tx->by_pages);
}

/* ---- receiving ---- */

static int on_completion(struct netvsc *n, uint64_t id, const struct nvsp_message *m)
{
	if (id == INIT_ID)
		return 0;
	if (!id || id > n->sections || m->type != NVSP_SEND_RNDIS_PACKET_COMPLETE)
		return -EPROTO;
	if (m->status != NVSP_STATUS_SUCCESS)
		n->rejected++;
	put_section(n, (unsigned int)id - 1);
	return 0;
}

static int on_xfer(struct netvsc *n, unsigned int queue, uint64_t id,
		   const struct vmbus_packet_xfer_pages *xfer,
		   const struct vmbus_xfer_range *ranges)
{
	const struct nvsp_message done = { .type = NVSP_SEND_RNDIS_PACKET_COMPLETE,
					   .status = NVSP_STATUS_SUCCESS };
	uint32_t i;
	int r;

	if (xfer->xfer_pageset_id != RECV_ID || !n->recv)
		return -EPROTO;
	for (i = 0; i < xfer->range_count; i++) {
		uint32_t at = ranges[i].byte_offset, len = ranges[i].byte_count;

		if (at > RECV_PAGES * CORE_PAGE_SIZE ||
		    len > RECV_PAGES * CORE_PAGE_SIZE - at)
			return -EPROTO;
		r = netvsc_rndis_message(n, queue, n->recv + at, len);
		if (r)
			return r;
	}
	do
		r = chan_send_completion(n->queue[queue], id, &done, message_bytes(n));
	while (r == -EAGAIN);
	return r;
}

static int on_inband(struct netvsc *n, const struct nvsp_message *m, size_t len)
{
	if (m->type != NVSP_SEND_INDIRECTION_TABLE)
		return 0;
	n->send_table_channels = m->send_table.count;
	return m->send_table.offset + m->send_table.count * 4 <= len ? 0 : -EPROTO;
}

int netvsc_poll(struct netvsc *n, unsigned int queue)
{
	struct vmbus_xfer_range ranges[NETVSC_RANGES_MAX];
	struct vmbus_packet_xfer_pages xfer;
	struct vmbus_packet d;
	union {
		struct nvsp_message m;
		uint8_t bytes[256];
	} u;
	size_t len;
	int count = 0, r;

	memset(&u, 0, sizeof(u));
	while (!(r = chan_recv_xfer(n->queue[queue], &d, &xfer, ranges, NETVSC_RANGES_MAX,
				    &u, sizeof(u), &len))) {
		if (d.type == VM_PKT_COMP)
			r = on_completion(n, d.transaction_id, &u.m);
		else if (d.type == VM_PKT_DATA_USING_XFER_PAGES)
			r = on_xfer(n, queue, d.transaction_id, &xfer, ranges);
		else
			r = on_inband(n, &u.m, len);
		if (r)
			return r;
		count++;
	}
	return r == -EAGAIN ? count : r;
}
