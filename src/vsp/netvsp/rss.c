/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/netvsp/rss.h"

#include <errno.h>
#include <string.h>

#include "proto/be.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_VLAN 0x8100u
#define ETHERTYPE_IPV6 0x86ddu
#define PROTO_TCP 6u
#define PROTO_UDP 17u

uint32_t rss_hash(const uint8_t key[NDIS_RSS_KEY_BYTES], const uint8_t *data, size_t len)
{
	uint32_t window = be32_get(key), result = 0;

	for (size_t i = 0; i < len && i + 4 < NDIS_RSS_KEY_BYTES; i++) {
		for (unsigned int bit = 0x80, shift = 7; bit; bit >>= 1, shift--) {
			if (data[i] & bit)
				result ^= window;
			window = window << 1 | (key[i + 4] >> shift & 1u);
		}
	}
	return result;
}

/* ---- of a frame ---- */

/* Both addresses, and both ports where they count: they stand in this order in the packet, with other things between. */
struct flow {
	uint8_t bytes[36];
	size_t len;
};

static void add(struct flow *f, const uint8_t *p, size_t len)
{
	memcpy(f->bytes + f->len, p, len);
	f->len += len;
}

static bool ipv4_flow(uint32_t types, const uint8_t *ip, size_t len, struct flow *ret)
{
	size_t header = (size_t)(ip[0] & 15u) * 4;
	bool fragment, ports;

	if (len < 20 || header < 20)
		return false;
	fragment = (be16_get(ip + 6) & 0x3fffu) != 0;
	ports = !fragment && len >= header + 4 &&
		((ip[9] == PROTO_TCP && types & NDIS_HASH_TCP_IPV4) ||
		 (ip[9] == PROTO_UDP && types & NDIS_HASH_UDP_IPV4));
	if (!ports && !(types & NDIS_HASH_IPV4))
		return false;
	add(ret, ip + 12, 8);
	if (ports)
		add(ret, ip + header, 4);
	return true;
}

/* Extension headers are not looked behind: such packets are hashed by their addresses. */
static bool ipv6_flow(uint32_t types, const uint8_t *ip, size_t len, struct flow *ret)
{
	bool ports;

	if (len < 40)
		return false;
	ports = len >= 44 && ((ip[6] == PROTO_TCP && types & NDIS_HASH_TCP_IPV6) ||
			      (ip[6] == PROTO_UDP && types & NDIS_HASH_UDP_IPV6));
	if (!ports && !(types & NDIS_HASH_IPV6))
		return false;
	add(ret, ip + 8, 32);
	if (ports)
		add(ret, ip + 40, 4);
	return true;
}

bool rss_frame_hash(const struct rss *rss, const uint8_t *frame, size_t len,
		    uint32_t *ret)
{
	struct flow flow = { .len = 0 };
	size_t at = 12;
	uint16_t type;
	bool found = false;

	if (len >= at + 6 && be16_get(frame + at) == ETHERTYPE_VLAN)
		at += 4;
	if (len < at + 2 + 20)
		return false;
	type = be16_get(frame + at);
	at += 2;
	if (type == ETHERTYPE_IPV4)
		found = ipv4_flow(rss->hash, frame + at, len - at, &flow);
	else if (type == ETHERTYPE_IPV6)
		found = ipv6_flow(rss->hash, frame + at, len - at, &flow);
	if (found)
		*ret = rss_hash(rss->key, flow.bytes, flow.len);
	return found;
}

/* ---- OID_GEN_RECEIVE_SCALE_PARAMETERS ---- */

static uint32_t set_table(struct rss *rss, unsigned int channels, const uint8_t *table,
			  size_t bytes)
{
	size_t n = bytes / sizeof(uint32_t);

	if (bytes % sizeof(uint32_t) || !n || n > NDIS_RSS_TABLE_ENTRIES || n & (n - 1))
		return RNDIS_STATUS_INVALID_LENGTH;
	for (size_t i = 0; i < n; i++) {
		uint32_t channel;

		memcpy(&channel, table + i * sizeof(channel), sizeof(channel));
		if (channel >= channels)
			return RNDIS_STATUS_INVALID_DATA;
		rss->table[i] = (uint8_t)channel;
	}
	rss->entries = (unsigned int)n;
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t set_hash(struct rss *rss, uint32_t hash)
{
	if ((hash & 0xffu) != NDIS_HASH_TOEPLITZ && hash)
		return RNDIS_STATUS_NOT_SUPPORTED;
	rss->hash = hash & ~0xffu;
	return RNDIS_STATUS_SUCCESS;
}

/* What is there behind the fixed part, piece by piece; `next` is what it would become. */
static uint32_t set_parts(struct rss *next, unsigned int channels,
			  const struct ndis_rss_parameters *p, const uint8_t *value,
			  size_t len)
{
	uint32_t status = RNDIS_STATUS_SUCCESS;

	if (!(p->flags & NDIS_RSS_UNCHANGED_HASH))
		status = set_hash(next, p->hash);
	if (!status && !(p->flags & NDIS_RSS_UNCHANGED_KEY)) {
		if (p->key_bytes != NDIS_RSS_KEY_BYTES ||
		    !range_ok(p->key_offset, p->key_bytes, len))
			return RNDIS_STATUS_INVALID_LENGTH;
		memcpy(next->key, value + p->key_offset, sizeof(next->key));
	}
	if (!status && !(p->flags & NDIS_RSS_UNCHANGED_TABLE)) {
		if (!range_ok(p->table_offset, p->table_bytes, len))
			return RNDIS_STATUS_INVALID_LENGTH;
		status = set_table(next, channels, value + p->table_offset,
				   p->table_bytes);
	}
	return status;
}

uint32_t rss_set(struct rss *rss, unsigned int channels, const uint8_t *value, size_t len)
{
	struct ndis_rss_parameters p;
	struct rss next = *rss;
	uint32_t status;

	if (len < sizeof(p))
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&p, value, sizeof(p));
	if (p.header.type != NDIS_OBJECT_RSS_PARAMETERS)
		return RNDIS_STATUS_INVALID_DATA;
	if (p.flags & NDIS_RSS_DISABLE) {
		rss->enabled = false;
		return RNDIS_STATUS_SUCCESS;
	}
	status = set_parts(&next, channels, &p, value, len);
	if (status)
		return status;
	next.enabled = next.hash != 0;
	*rss = next;
	return RNDIS_STATUS_SUCCESS;
}
