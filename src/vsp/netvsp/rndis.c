/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INITIALIZE first; then QUERY and SET of what the driver wants to know and to have; the data flows while a packet filter is set; HALT ends it. Each
 * request but HALT has an answer with its id. A request that is well formed and that we do not know is answered so.
 */
#include "vsp/netvsp/rndis.h"

#include <errno.h>
#include <string.h>

#define HEADER sizeof(struct rndis_header)

void rndis_reset(struct rndis *r)
{
	r->ready = false;
	r->filter = 0;
	memcpy(r->mac, r->permanent, sizeof(r->mac));
	r->multicast_count = 0;
	r->offload = (struct rndis_offload){ 0 };
	r->rss = (struct rss){ .entries = 0 };
}

/* ---- answers ---- */

static size_t finish(uint8_t *reply, uint32_t type, size_t body_bytes)
{
	const struct rndis_header h = { type, (uint32_t)(HEADER + body_bytes) };

	memcpy(reply, &h, HEADER);
	return HEADER + body_bytes;
}

static size_t answer(uint8_t *reply, uint32_t request, const void *body, size_t bytes)
{
	memcpy(reply + HEADER, body, bytes);
	return finish(reply, request | RNDIS_COMPLETE, bytes);
}

size_t rndis_link_status(bool up, uint8_t *reply)
{
	const struct rndis_indicate_status s = {
		.status = up ? RNDIS_STATUS_MEDIA_CONNECT : RNDIS_STATUS_MEDIA_DISCONNECT,
	};

	memcpy(reply + HEADER, &s, sizeof(s));
	return finish(reply, RNDIS_INDICATE_STATUS, sizeof(s));
}

/* ---- requests: the body's copy, its bytes ---- */

static int on_initialize(struct rndis *r, const uint8_t *body, size_t len, uint8_t *reply,
			 size_t *ret_bytes)
{
	struct rndis_initialize in;
	struct rndis_initialize_complete out = {
		.status = RNDIS_STATUS_SUCCESS,
		.major_version = RNDIS_MAJOR_VERSION,
		.minor_version = RNDIS_MINOR_VERSION,
		.device_flags = RNDIS_DF_CONNECTIONLESS,
		.medium = RNDIS_MEDIUM_802_3,
		.max_packets_per_message = RNDIS_PACKETS_MAX,
		.packet_alignment = RNDIS_PACKET_ALIGNMENT,
	};

	if (len < sizeof(in))
		return -EPROTO;
	memcpy(&in, body, sizeof(in));
	out.request_id = in.request_id;
	out.max_transfer_bytes = RNDIS_PACKETS_MAX * (r->frame_bytes + 256u);
	if (in.major_version != RNDIS_MAJOR_VERSION) {
		out.status = RNDIS_STATUS_NOT_SUPPORTED;
	} else {
		rndis_reset(r);
		r->ready = true;
	}
	*ret_bytes = answer(reply, RNDIS_INITIALIZE, &out, sizeof(out));
	return 0;
}

static int on_halt(struct rndis *r, const uint8_t *body, size_t len, uint8_t *reply,
		   size_t *ret_bytes)
{
	rndis_reset(r);
	*ret_bytes = 0;
	return 0;
}

/* What QUERY and SET have in common. The value lies behind the fixed part, wherever the offset says. */
static int take_request(const uint8_t *body, size_t len, struct rndis_request *ret,
			const uint8_t **ret_value)
{
	if (len < sizeof(*ret))
		return -EPROTO;
	memcpy(ret, body, sizeof(*ret));
	if (ret->info_bytes && (ret->info_offset < sizeof(*ret) ||
				!range_ok(ret->info_offset, ret->info_bytes, len)))
		return -EPROTO;
	*ret_value = ret->info_bytes ? body + ret->info_offset : body;
	return 0;
}

static int on_query(struct rndis *r, const uint8_t *body, size_t len, uint8_t *reply,
		    size_t *ret_bytes)
{
	struct rndis_query_complete out = { .info_offset = sizeof(out) };
	struct rndis_request in;
	const uint8_t *value;
	size_t bytes = 0;
	int n = take_request(body, len, &in, &value);

	if (n < 0)
		return n;
	out.request_id = in.request_id;
	out.status = rndis_oid_query(r, in.oid, reply + HEADER + sizeof(out), &bytes);
	out.info_bytes = (uint32_t)(out.status ? 0 : bytes);
	if (!out.info_bytes)
		out.info_offset = 0;
	memcpy(reply + HEADER, &out, sizeof(out));
	*ret_bytes =
		finish(reply, RNDIS_QUERY | RNDIS_COMPLETE, sizeof(out) + out.info_bytes);
	return 0;
}

static int on_set(struct rndis *r, const uint8_t *body, size_t len, uint8_t *reply,
		  size_t *ret_bytes)
{
	struct rndis_complete out = { 0 };
	struct rndis_request in;
	const uint8_t *value;
	int n = take_request(body, len, &in, &value);

	if (n < 0)
		return n;
	out.request_id = in.request_id;
	out.status = r->ready ? rndis_oid_set(r, in.oid, value, in.info_bytes)
			      : RNDIS_STATUS_FAILURE;
	*ret_bytes = answer(reply, RNDIS_SET, &out, sizeof(out));
	return 0;
}

static int on_reset(struct rndis *r, const uint8_t *body, size_t len, uint8_t *reply,
		    size_t *ret_bytes)
{
	const struct rndis_reset_complete out = { RNDIS_STATUS_SUCCESS, 1 };

	r->filter = 0;
	r->multicast_count = 0;
	*ret_bytes = answer(reply, RNDIS_RESET, &out, sizeof(out));
	return 0;
}

static int on_keepalive(struct rndis *r, const uint8_t *body, size_t len, uint8_t *reply,
			size_t *ret_bytes)
{
	struct rndis_complete out = { .status = RNDIS_STATUS_SUCCESS };

	if (len < sizeof(out.request_id))
		return -EPROTO;
	memcpy(&out.request_id, body, sizeof(out.request_id));
	*ret_bytes = answer(reply, RNDIS_KEEPALIVE, &out, sizeof(out));
	return 0;
}

int rndis_control(struct rndis *r, const void *msg, size_t len, uint8_t *reply,
		  size_t *ret_bytes)
{
	static int (*const handlers[])(struct rndis *, const uint8_t *, size_t, uint8_t *,
				       size_t *) = {
		[RNDIS_INITIALIZE] = on_initialize, [RNDIS_HALT] = on_halt,
		[RNDIS_QUERY] = on_query,           [RNDIS_SET] = on_set,
		[RNDIS_RESET] = on_reset,           [RNDIS_KEEPALIVE] = on_keepalive,
	};
	struct rndis_header h;

	if (len < HEADER)
		return -EPROTO;
	memcpy(&h, msg, HEADER);
	if (h.length < HEADER || h.length > len)
		return -EPROTO;
	if (h.type >= ARRAY_SIZE(handlers) || !handlers[h.type])
		return -EPROTO;
	return handlers[h.type](r, (const uint8_t *)msg + HEADER, h.length - HEADER,
				reply, ret_bytes);
}

/* ---- the filter ---- */

static bool is_broadcast(const uint8_t *mac)
{
	static const uint8_t all[RNDIS_MAC_BYTES] = { 255, 255, 255, 255, 255, 255 };

	return memcmp(mac, all, sizeof(all)) == 0;
}

bool rndis_wants(const struct rndis *r, const uint8_t destination[RNDIS_MAC_BYTES])
{
	uint32_t f = r->filter;

	if (f & RNDIS_FILTER_PROMISCUOUS)
		return true;
	if (!(destination[0] & 1))
		return f & RNDIS_FILTER_DIRECTED &&
		       memcmp(destination, r->mac, sizeof(r->mac)) == 0;
	if (is_broadcast(destination))
		return f & RNDIS_FILTER_BROADCAST;
	if (f & RNDIS_FILTER_ALL_MULTICAST)
		return true;
	for (unsigned int i = 0; f & RNDIS_FILTER_MULTICAST && i < r->multicast_count;
	     i++) {
		if (memcmp(destination, r->multicast[i], RNDIS_MAC_BYTES) == 0)
			return true;
	}
	return false;
}
