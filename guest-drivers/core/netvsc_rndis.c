/* SPDX-License-Identifier: BSD-2-Clause */
/* RNDIS ([MS-RNDIS]) of the network client: one request at a time, each with an id of its own; packets with per-packet information. */
#include "core/netvsc.h"

#include <errno.h>
#include "core/mem.h"

#define HEADER sizeof(struct rndis_header)

/* ---- messages of the host ---- */

static int on_packet(struct netvsc *n, unsigned int queue, const uint8_t *at, size_t len)
{
	const uint8_t *body = at + HEADER;
	struct netvsc_rx rx = { 0 };
	struct rndis_packet p;
	uint32_t off;

	len -= HEADER;
	if (len < sizeof(p))
		return -EPROTO;
	memcpy(&p, body, sizeof(p));
	if (p.data_offset > len || p.data_bytes > len - p.data_offset ||
	    p.ppi_offset > len || p.ppi_bytes > len - p.ppi_offset)
		return -EPROTO;
	for (off = 0; off + 16 <= p.ppi_bytes;) {
		struct {
			struct rndis_ppi ppi;
			uint32_t value;
		} i;

		memcpy(&i, body + p.ppi_offset + off, sizeof(i));
		if (i.ppi.bytes < sizeof(i) || i.ppi.value_offset != sizeof(i.ppi))
			return -EPROTO;
		if (i.ppi.type == RNDIS_PPI_CHECKSUM)
			rx.csum = i.value;
		rx.has_vlan |= i.ppi.type == RNDIS_PPI_VLAN;
		rx.has_hash |= i.ppi.type == RNDIS_PPI_HASH;
		if (i.ppi.type == RNDIS_PPI_VLAN)
			rx.vlan = i.value;
		if (i.ppi.type == RNDIS_PPI_HASH)
			rx.hash = i.value;
		off += i.ppi.bytes;
	}
	rx.frame = body + p.data_offset;
	rx.bytes = p.data_bytes;
	if (n->frame)
		n->frame(n->opaque, n, queue, &rx);
	return 0;
}

static int on_answer(struct netvsc *n, uint32_t type, const uint8_t *body, size_t len)
{
	uint32_t id;

	if (len < sizeof(id) || len > sizeof(n->answer))
		return -EPROTO;
	memcpy(&id, body, sizeof(id));
	if (type != n->answer_type || id != n->request_id)
		return 0; /* of a request that was given up */
	memcpy(n->answer, body, len);
	n->answer_bytes = (uint32_t)len;
	n->answered = true;
	return 0;
}

int netvsc_rndis_message(struct netvsc *n, unsigned int queue, const uint8_t *at,
			 size_t len)
{
	struct rndis_header h;
	uint32_t status;

	if (len < HEADER)
		return -EPROTO;
	memcpy(&h, at, HEADER);
	if (h.length < HEADER || h.length > len)
		return -EPROTO;
	if (h.type == RNDIS_PACKET)
		return on_packet(n, queue, at, h.length);
	if (h.type != RNDIS_INDICATE_STATUS)
		return on_answer(n, h.type, at + HEADER, h.length - HEADER);
	if (h.length < HEADER + sizeof(struct rndis_indicate_status))
		return -EPROTO;
	memcpy(&status, at + HEADER, sizeof(status));
	if (status == RNDIS_STATUS_MEDIA_CONNECT ||
	    status == RNDIS_STATUS_MEDIA_DISCONNECT) {
		n->link_up = status == RNDIS_STATUS_MEDIA_CONNECT;
		n->link_changes++;
	}
	return 0;
}

/* ---- requests ---- */

/* `body` begins with the request id, which is filled in here. Waits for the answer where there is one. */
static int request(struct netvsc *n, uint32_t type, void *body, size_t len)
{
	const struct core_env *env = n->bus->hv->env;
	uint64_t until = env->now_us(env->opaque) + BUS_REPLY_TIMEOUT_US;
	const struct rndis_header h = { type, (uint32_t)(HEADER + len) };
	int section = netvsc_take_section(n), r;
	uint8_t *to;

	if (section < 0)
		return section;
	n->request_id++;
	memcpy(body, &n->request_id, sizeof(n->request_id));
	n->answer_type = type | RNDIS_COMPLETE;
	n->answered = false;
	to = n->send + (size_t)section * n->section_bytes;
	memcpy(to, &h, HEADER);
	memcpy(to + HEADER, body, len);
	r = netvsc_send_section(n, 0, (unsigned int)section, NVSP_CHANNEL_CONTROL,
				h.length, false);
	while (!r) {
		r = netvsc_poll(n, 0);
		if (r < 0)
			return r;
		if (n->answered ||
		    (type == RNDIS_HALT &&
		     !__atomic_load_n(&n->busy[section], __ATOMIC_ACQUIRE)))
			return 0;
		if (env->now_us(env->opaque) >= until)
			return -ETIMEDOUT;
		if (!r)
			bus_wait(n->bus, 0, BUS_REPLY_TIMEOUT_US / 10);
		r = 0;
	}
	return r;
}

int netvsc_query(struct netvsc *n, uint32_t oid, void *value, size_t max, size_t *ret_len,
		 uint32_t *ret_status)
{
	struct rndis_request req = { .oid = oid, .info_offset = sizeof(req) };
	struct rndis_query_complete c;
	int r = request(n, RNDIS_QUERY, &req, sizeof(req));

	if (r)
		return r;
	if (n->answer_bytes < sizeof(c))
		return -EPROTO;
	memcpy(&c, n->answer, sizeof(c));
	if (ret_status)
		*ret_status = c.status;
	if (c.status)
		return -EIO;
	if (c.info_bytes > max || c.info_offset > n->answer_bytes ||
	    c.info_bytes > n->answer_bytes - c.info_offset)
		return -EPROTO;
	memcpy(value, n->answer + c.info_offset, c.info_bytes);
	*ret_len = c.info_bytes;
	return 0;
}

int netvsc_set(struct netvsc *n, uint32_t oid, const void *value, size_t len,
	       uint32_t *ret_status)
{
	struct {
		struct rndis_request req;
		uint8_t value[NETVSC_INFO_MAX];
	} m = { .req = { .oid = oid,
			 .info_bytes = (uint32_t)len,
			 .info_offset = sizeof(m.req) } };
	struct rndis_complete c;
	int r;

	if (len > sizeof(m.value))
		return -EMSGSIZE;
	memcpy(m.value, value, len);
	r = request(n, RNDIS_SET, &m, sizeof(m.req) + len);
	if (r)
		return r;
	if (n->answer_bytes < sizeof(c))
		return -EPROTO;
	memcpy(&c, n->answer, sizeof(c));
	if (ret_status)
		*ret_status = c.status;
	return c.status ? -EIO : 0;
}

int netvsc_rndis_start(struct netvsc *n)
{
	struct rndis_initialize init = { .major_version = RNDIS_MAJOR_VERSION,
					 .minor_version = RNDIS_MINOR_VERSION,
					 .max_transfer_bytes = 0x4000 };
	const uint32_t filter = RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST;
	uint32_t media = RNDIS_MEDIA_DISCONNECTED, status;
	size_t len;
	int r = request(n, RNDIS_INITIALIZE, &init, sizeof(init));

	if (r)
		return r;
	memcpy(&status, n->answer + sizeof(uint32_t), sizeof(status));
	if (n->answer_bytes < sizeof(struct rndis_initialize_complete) || status)
		return -EPROTO;
	r = netvsc_query(n, OID_802_3_PERMANENT_ADDRESS, n->mac, sizeof(n->mac), &len,
			 NULL);
	if (!r)
		r = netvsc_query(n, OID_GEN_MEDIA_CONNECT_STATUS, &media, sizeof(media),
				 &len, NULL);
	n->link_up = media == RNDIS_MEDIA_CONNECTED;
	return r ? r
		 : netvsc_set(n, OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter),
			      NULL);
}

int netvsc_rndis_halt(struct netvsc *n)
{
	uint32_t id;

	return request(n, RNDIS_HALT, &id, sizeof(id));
}

/* ---- frames ---- */

static size_t put_ppi(uint8_t *to, uint32_t type, uint32_t value)
{
	const struct {
		struct rndis_ppi ppi;
		uint32_t value;
	} p = { { sizeof(p), type, sizeof(p.ppi) }, value };

	memcpy(to, &p, sizeof(p));
	return sizeof(p);
}

int netvsc_rndis_packet(const struct netvsc_tx *tx, uint8_t *to, size_t max)
{
	struct {
		struct rndis_header h;
		struct rndis_packet p;
	} head = { .h.type = RNDIS_PACKET };
	size_t at = sizeof(head);

	if (max < at + 3 * 16 || tx->bytes > max - at - 3 * 16)
		return -EMSGSIZE;
	if (tx->has_csum)
		at += put_ppi(to + at, RNDIS_PPI_CHECKSUM, tx->csum);
	if (tx->has_lso)
		at += put_ppi(to + at, RNDIS_PPI_LSO, tx->lso);
	if (tx->has_vlan)
		at += put_ppi(to + at, RNDIS_PPI_VLAN, tx->vlan);
	head.p.ppi_bytes = (uint32_t)(at - sizeof(head));
	head.p.ppi_offset = head.p.ppi_bytes ? sizeof(head.p) : 0;
	head.p.data_offset = (uint32_t)(at - HEADER);
	head.p.data_bytes = (uint32_t)tx->bytes;
	head.h.length = (uint32_t)(at + tx->bytes);
	memcpy(to, &head, sizeof(head));
	memcpy(to + at, tx->frame, tx->bytes);
	return (int)head.h.length;
}
