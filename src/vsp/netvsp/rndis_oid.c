/* SPDX-License-Identifier: BSD-2-Clause */
/* One table: which OIDs there are, what each one's value is, and how those that can be set are set. */
#include "vsp/netvsp/rndis.h"

#include <string.h>

#define LINK_SPEED 100000000u /* 10 Gbit/s, in 100 bit/s */
#define VENDOR_DESCRIPTION "vmms network adapter"
#define NDIS_VERSION 0x0006001eu
#define BUFFER_SPACE (1u << 20)
#define VALUE_MAX (RNDIS_CONTROL_MAX / 2)

struct oid {
	uint32_t oid;
	/* The value is a number of 4 bytes … */
	uint32_t (*number)(const struct rndis *r);
	/* … or bytes: how many. */
	size_t (*bytes)(const struct rndis *r, uint8_t *value);
	uint32_t (*set)(struct rndis *r, const uint8_t *value, size_t len);
};

/* ---- numbers ---- */

static uint32_t zero(const struct rndis *r)
{
	return 0;
}

static uint32_t frame_payload(const struct rndis *r)
{
	return r->frame_bytes - 14;
}

static uint32_t frame_total(const struct rndis *r)
{
	return r->frame_bytes;
}

static uint32_t link_speed(const struct rndis *r)
{
	return LINK_SPEED;
}

static uint32_t buffer_space(const struct rndis *r)
{
	return BUFFER_SPACE;
}

static uint32_t vendor_id(const struct rndis *r)
{
	return 0xffffffu; /* none registered */
}

static uint32_t filter(const struct rndis *r)
{
	return r->filter;
}

static uint32_t ndis_version(const struct rndis *r)
{
	return NDIS_VERSION;
}

static uint32_t mac_options(const struct rndis *r)
{
	return RNDIS_MAC_RECEIVE_SERIALIZED | RNDIS_MAC_NO_LOOPBACK |
	       RNDIS_MAC_FULL_DUPLEX | RNDIS_MAC_8021P | RNDIS_MAC_8021Q;
}

static uint32_t connect_status(const struct rndis *r)
{
	return r->link_up ? RNDIS_MEDIA_CONNECTED : RNDIS_MEDIA_DISCONNECTED;
}

static uint32_t max_packets(const struct rndis *r)
{
	return RNDIS_PACKETS_MAX;
}

static uint32_t list_size(const struct rndis *r)
{
	return RNDIS_MULTICAST_MAX;
}

static uint32_t sent(const struct rndis *r)
{
	return (uint32_t)r->stats.sent;
}

static uint32_t received(const struct rndis *r)
{
	return (uint32_t)r->stats.received;
}

static uint32_t send_errors(const struct rndis *r)
{
	return (uint32_t)r->stats.send_errors;
}

static uint32_t no_buffer(const struct rndis *r)
{
	return (uint32_t)r->stats.no_buffer;
}

/* ---- bytes ---- */

static size_t supported_list(const struct rndis *r, uint8_t *value);

static size_t vendor_description(const struct rndis *r, uint8_t *value)
{
	memcpy(value, VENDOR_DESCRIPTION, sizeof(VENDOR_DESCRIPTION));
	return sizeof(VENDOR_DESCRIPTION);
}

/* In UTF-16 with its NUL; names are printable ASCII or UTF-8 whose other characters become '?'. */
static size_t friendly_name(const struct rndis *r, uint8_t *value)
{
	size_t n = 0;

	for (const char *p = r->name;; p++) {
		uint8_t c = (uint8_t)*p;

		if ((c & 0xc0) == 0x80)
			continue;
		value[n++] = c & 0x80 ? '?' : c;
		value[n++] = 0;
		if (!c)
			return n;
	}
}

static size_t permanent_address(const struct rndis *r, uint8_t *value)
{
	memcpy(value, r->permanent, RNDIS_MAC_BYTES);
	return RNDIS_MAC_BYTES;
}

static size_t current_address(const struct rndis *r, uint8_t *value)
{
	memcpy(value, r->mac, RNDIS_MAC_BYTES);
	return RNDIS_MAC_BYTES;
}

static size_t multicast_list(const struct rndis *r, uint8_t *value)
{
	memcpy(value, r->multicast, r->multicast_count * RNDIS_MAC_BYTES);
	return r->multicast_count * RNDIS_MAC_BYTES;
}

static size_t rss_capabilities(const struct rndis *r, uint8_t *value)
{
	const struct ndis_rss_capabilities c = {
		.header = { NDIS_OBJECT_RSS_CAPABILITIES, 2, sizeof(c) },
		.flags = NDIS_RSS_MSI | NDIS_RSS_AT_ISR | NDIS_RSS_AT_DPC |
			 NDIS_RSS_TCP_IPV4 | NDIS_RSS_TCP_IPV6 | NDIS_HASH_TOEPLITZ,
		.messages = r->queues,
		.queues = r->queues,
		.table_entries = NDIS_RSS_TABLE_ENTRIES,
	};

	memcpy(value, &c, sizeof(c));
	return sizeof(c);
}

static size_t offload_capabilities(const struct rndis *r, uint8_t *value)
{
	struct ndis_offload o;

	rndis_offload_capabilities(r, &o);
	memcpy(value, &o, sizeof(o));
	return sizeof(o);
}

static size_t offload_config(const struct rndis *r, uint8_t *value)
{
	struct ndis_offload o;

	rndis_offload_config(r, &o);
	memcpy(value, &o, sizeof(o));
	return sizeof(o);
}

/* ---- what can be set ---- */

static uint32_t set_filter(struct rndis *r, const uint8_t *value, size_t len)
{
	if (len < sizeof(r->filter))
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&r->filter, value, sizeof(r->filter));
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t set_multicast(struct rndis *r, const uint8_t *value, size_t len)
{
	if (len % RNDIS_MAC_BYTES)
		return RNDIS_STATUS_INVALID_LENGTH;
	if (len > sizeof(r->multicast))
		return RNDIS_STATUS_MULTICAST_FULL;
	memcpy(r->multicast, value, len);
	r->multicast_count = (unsigned int)(len / RNDIS_MAC_BYTES);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t set_mac(struct rndis *r, const uint8_t *value, size_t len)
{
	static const uint8_t none[RNDIS_MAC_BYTES];

	if (len != RNDIS_MAC_BYTES)
		return RNDIS_STATUS_INVALID_LENGTH;
	if (value[0] & 1 || memcmp(value, none, sizeof(none)) == 0)
		return RNDIS_STATUS_INVALID_DATA;
	memcpy(r->mac, value, RNDIS_MAC_BYTES);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t accept(struct rndis *r, const uint8_t *value, size_t len)
{
	return RNDIS_STATUS_SUCCESS;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "NetworkAddress", a string of twelve hexadecimal digits: how Linux sets its address. Both are UTF-16. */
static bool parse_mac(const uint8_t *text, size_t len, uint8_t ret[RNDIS_MAC_BYTES])
{
	if (len < RNDIS_MAC_BYTES * 4)
		return false;
	for (size_t i = 0; i < RNDIS_MAC_BYTES; i++) {
		int high = hex_digit(text[i * 4]), low = hex_digit(text[i * 4 + 2]);

		if (high < 0 || low < 0 || text[i * 4 + 1] || text[i * 4 + 3])
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool name_is(const uint8_t *name, size_t len, const char *ascii)
{
	size_t n = strlen(ascii);

	if (len < n * 2)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (name[i * 2] != (uint8_t)ascii[i] || name[i * 2 + 1])
			return false;
	}
	return true;
}

static uint32_t set_parameter(struct rndis *r, const uint8_t *value, size_t len)
{
	struct rndis_config_parameter p;
	uint8_t mac[RNDIS_MAC_BYTES];

	if (len < sizeof(p))
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&p, value, sizeof(p));
	if (!range_ok(p.name_offset, p.name_bytes, len) ||
	    !range_ok(p.value_offset, p.value_bytes, len))
		return RNDIS_STATUS_INVALID_LENGTH;
	if (p.type != RNDIS_CONFIG_STRING ||
	    !name_is(value + p.name_offset, p.name_bytes, "NetworkAddress"))
		return RNDIS_STATUS_NOT_SUPPORTED;
	if (!parse_mac(value + p.value_offset, p.value_bytes, mac))
		return RNDIS_STATUS_INVALID_DATA;
	return set_mac(r, mac, sizeof(mac));
}

static uint32_t set_rss(struct rndis *r, const uint8_t *value, size_t len)
{
	return rss_set(&r->rss, r->queues, value, len);
}

/* ---- the table ---- */

static const struct oid oids[] = {
	{ OID_GEN_SUPPORTED_LIST, .bytes = supported_list },
	{ OID_GEN_HARDWARE_STATUS, zero },
	{ OID_GEN_MEDIA_SUPPORTED, zero },
	{ OID_GEN_MEDIA_IN_USE, zero },
	{ OID_GEN_MAXIMUM_LOOKAHEAD, frame_payload },
	{ OID_GEN_MAXIMUM_FRAME_SIZE, frame_payload },
	{ OID_GEN_LINK_SPEED, link_speed },
	{ OID_GEN_TRANSMIT_BUFFER_SPACE, buffer_space },
	{ OID_GEN_RECEIVE_BUFFER_SPACE, buffer_space },
	{ OID_GEN_TRANSMIT_BLOCK_SIZE, frame_total },
	{ OID_GEN_RECEIVE_BLOCK_SIZE, frame_total },
	{ OID_GEN_VENDOR_ID, vendor_id },
	{ OID_GEN_VENDOR_DESCRIPTION, .bytes = vendor_description },
	{ OID_GEN_CURRENT_PACKET_FILTER, filter, .set = set_filter },
	{ OID_GEN_CURRENT_LOOKAHEAD, frame_payload, .set = accept },
	{ OID_GEN_DRIVER_VERSION, ndis_version },
	{ OID_GEN_MAXIMUM_TOTAL_SIZE, frame_total },
	{ OID_GEN_PROTOCOL_OPTIONS, zero, .set = accept },
	{ OID_GEN_MAC_OPTIONS, mac_options },
	{ OID_GEN_MEDIA_CONNECT_STATUS, connect_status },
	{ OID_GEN_MAXIMUM_SEND_PACKETS, max_packets },
	{ OID_GEN_VENDOR_DRIVER_VERSION, ndis_version },
	{ OID_GEN_NETWORK_LAYER_ADDRESSES, .set = accept },
	{ OID_GEN_TRANSPORT_HEADER_OFFSET, .set = accept },
	{ OID_GEN_RECEIVE_SCALE_CAPABILITIES, .bytes = rss_capabilities },
	{ OID_GEN_RECEIVE_SCALE_PARAMETERS, .set = set_rss },
	{ OID_GEN_RNDIS_CONFIG_PARAMETER, .set = set_parameter },
	{ OID_GEN_XMIT_OK, sent },
	{ OID_GEN_RCV_OK, received },
	{ OID_GEN_XMIT_ERROR, send_errors },
	{ OID_GEN_RCV_ERROR, zero },
	{ OID_GEN_RCV_NO_BUFFER, no_buffer },
	{ OID_GEN_FRIENDLY_NAME, .bytes = friendly_name },
	{ OID_802_3_PERMANENT_ADDRESS, .bytes = permanent_address },
	{ OID_802_3_CURRENT_ADDRESS, .bytes = current_address, .set = set_mac },
	{ OID_802_3_MULTICAST_LIST, .bytes = multicast_list, .set = set_multicast },
	{ OID_802_3_MAXIMUM_LIST_SIZE, list_size },
	{ OID_802_3_RCV_ERROR_ALIGNMENT, zero },
	{ OID_802_3_XMIT_ONE_COLLISION, zero },
	{ OID_802_3_XMIT_MORE_COLLISIONS, zero },
	{ OID_TCP_OFFLOAD_CURRENT_CONFIG, .bytes = offload_config },
	{ OID_TCP_OFFLOAD_PARAMETERS, .set = rndis_offload_set },
	{ OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, .bytes = offload_capabilities },
};
static_assert(ARRAY_SIZE(oids) * 4 <= VALUE_MAX, "the list of OIDs fits");
static_assert(sizeof(((struct rndis *)0)->multicast) <= VALUE_MAX, "so do addresses");

static size_t supported_list(const struct rndis *r, uint8_t *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(oids); i++)
		memcpy(value + i * 4, &oids[i].oid, 4);
	return ARRAY_SIZE(oids) * 4;
}

static const struct oid *find(uint32_t oid)
{
	for (size_t i = 0; i < ARRAY_SIZE(oids); i++) {
		if (oids[i].oid == oid)
			return &oids[i];
	}
	return NULL;
}

uint32_t rndis_oid_query(const struct rndis *r, uint32_t oid, uint8_t *value,
			 size_t *ret_bytes)
{
	const struct oid *o = find(oid);
	uint32_t number;

	if (!o || (!o->number && !o->bytes))
		return RNDIS_STATUS_NOT_SUPPORTED;
	if (o->bytes) {
		*ret_bytes = o->bytes(r, value);
		return RNDIS_STATUS_SUCCESS;
	}
	number = o->number(r);
	memcpy(value, &number, sizeof(number));
	*ret_bytes = sizeof(number);
	return RNDIS_STATUS_SUCCESS;
}

uint32_t rndis_oid_set(struct rndis *r, uint32_t oid, const uint8_t *value, size_t len)
{
	const struct oid *o = find(oid);

	return o && o->set ? o->set(r, value, len) : RNDIS_STATUS_NOT_SUPPORTED;
}
