/* SPDX-License-Identifier: BSD-2-Clause */
/* RNDIS' control messages and OIDs: lengths and offsets that lie first, then what drivers ask. */
#include "vsp/netvsp/rndis.h"

#include <errno.h>
#include <string.h>

#include "unit/test.h"

#define QUEUES 4u

static struct rndis r;
static uint8_t reply[RNDIS_CONTROL_MAX];
static size_t reply_bytes;

static void setup(void)
{
	memset(&r, 0, sizeof(r));
	memcpy(r.permanent, (uint8_t[]){ 0, 0x15, 0x5d, 1, 2, 3 }, 6);
	strcpy(r.name, "Network adapter 0");
	r.frame_bytes = 1514;
	r.queues = QUEUES;
	r.can_csum = r.can_lso = r.link_up = true;
	rndis_reset(&r);
	memset(reply, 0xee, sizeof(reply));
	reply_bytes = 99;
}

struct msg {
	struct rndis_header h;
	union {
		struct rndis_initialize init;
		struct rndis_request req;
		uint32_t words[64];
		uint8_t bytes[2048];
	};
};

static int say(const struct msg *m, size_t len)
{
	/* at the end of its memory, so that a sanitizer sees what is read beyond */
	uint8_t *copy = malloc(len ? len : 1);
	int n;

	memcpy(copy, m, len);
	n = rndis_control(&r, copy, len, reply, &reply_bytes);
	free(copy);
	return n;
}

static void initialize(void)
{
	struct msg m = { .h = { RNDIS_INITIALIZE, 24 }, .init = { 7, 1, 0, 0x4000 } };
	struct rndis_initialize_complete out;

	ck_assert_int_eq(say(&m, 24), 0);
	memcpy(&out, reply + 8, sizeof(out));
	ck_assert_uint_eq(out.request_id, 7);
	ck_assert_uint_eq(out.status, RNDIS_STATUS_SUCCESS);
	ck_assert_uint_eq(reply_bytes, 52);
}

/* ---- hostile ---- */

START_TEST(broken_messages)
{
	static const struct {
		uint32_t type, length;
		size_t len;
		uint32_t info_bytes, info_offset;
	} t[] = {
		{ RNDIS_INITIALIZE, 24, 0 },
		{ RNDIS_INITIALIZE, 24, 7 },
		{ RNDIS_INITIALIZE, 24, 23 },
		{ RNDIS_INITIALIZE, 0, 24 },
		{ RNDIS_INITIALIZE, 7, 24 },
		{ RNDIS_INITIALIZE, 23, 24 },
		{ RNDIS_INITIALIZE, UINT32_MAX, 24 },
		{ RNDIS_QUERY, 27, 28 },
		{ RNDIS_QUERY, 28, 28, 1, 20 },
		{ RNDIS_QUERY, 32, 32, 4, 19 },
		{ RNDIS_QUERY, 32, 32, 5, 20 },
		{ RNDIS_QUERY, 32, 32, 4, 21 },
		{ RNDIS_QUERY, 32, 32, 4, UINT32_MAX },
		{ RNDIS_QUERY, 32, 32, UINT32_MAX, 20 },
		{ RNDIS_SET, 27, 28 },
		{ RNDIS_SET, 32, 32, 4, 0 },
		{ RNDIS_SET, 32, 32, UINT32_MAX, UINT32_MAX },
		{ RNDIS_KEEPALIVE, 8, 8 },
		{ RNDIS_KEEPALIVE, 11, 12 },
		{ 0, 32, 32 },
		{ RNDIS_PACKET, 64, 64 },
		{ RNDIS_INDICATE_STATUS, 32, 32 },
		{ 9, 32, 32 },
		{ RNDIS_QUERY | RNDIS_COMPLETE, 32, 32 },
		{ UINT32_MAX, 32, 32 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct msg m = { .h = { t[i].type, t[i].length } };

		m.req.info_bytes = t[i].info_bytes;
		m.req.info_offset = t[i].info_offset;
		ck_assert_msg(say(&m, t[i].len) == -EPROTO, "row %zu", i);
	}
	ck_assert(!r.ready);
}
END_TEST

static uint32_t set(uint32_t oid, const void *value, size_t len)
{
	struct msg m = { .h = { RNDIS_SET, (uint32_t)(28 + len) },
			 .req = { 9, oid, (uint32_t)len, 20 } };
	struct rndis_complete out;

	if (len)
		memcpy(m.bytes + 20, value, len);
	ck_assert_int_eq(say(&m, 28 + len), 0);
	ck_assert_uint_eq(reply_bytes, 16);
	memcpy(&out, reply + 8, sizeof(out));
	ck_assert_uint_eq(out.request_id, 9);
	return out.status;
}

static uint32_t query(uint32_t oid, void *value, size_t max, size_t *ret_len)
{
	struct msg m = { .h = { RNDIS_QUERY, 28 }, .req = { 5, oid, 0, 20 } };
	struct rndis_query_complete out;

	ck_assert_int_eq(say(&m, 28), 0);
	memcpy(&out, reply + 8, sizeof(out));
	ck_assert_uint_eq(out.request_id, 5);
	ck_assert_uint_eq(reply_bytes, 24 + out.info_bytes);
	*ret_len = out.info_bytes;
	if (out.info_bytes) {
		ck_assert_uint_eq(out.info_offset, sizeof(out));
		ck_assert_uint_le(out.info_bytes, max);
		memcpy(value, reply + 8 + out.info_offset, out.info_bytes);
	}
	return out.status;
}

START_TEST(values_of_a_wrong_form)
{
	static const uint8_t bytes[1024];
	static const struct {
		uint32_t oid;
		size_t len;
		uint32_t status;
	} t[] = {
		{ OID_GEN_CURRENT_PACKET_FILTER, 0, RNDIS_STATUS_INVALID_LENGTH },
		{ OID_GEN_CURRENT_PACKET_FILTER, 3, RNDIS_STATUS_INVALID_LENGTH },
		{ OID_802_3_MULTICAST_LIST, 5, RNDIS_STATUS_INVALID_LENGTH },
		{ OID_802_3_MULTICAST_LIST, 65 * 6, RNDIS_STATUS_MULTICAST_FULL },
		{ OID_802_3_CURRENT_ADDRESS, 5, RNDIS_STATUS_INVALID_LENGTH },
		{ OID_802_3_CURRENT_ADDRESS, 6, RNDIS_STATUS_INVALID_DATA },
		{ OID_GEN_RNDIS_CONFIG_PARAMETER, 19, RNDIS_STATUS_INVALID_LENGTH },
		{ OID_GEN_RNDIS_CONFIG_PARAMETER, 20, RNDIS_STATUS_NOT_SUPPORTED },
		{ OID_GEN_RECEIVE_SCALE_PARAMETERS, 39, RNDIS_STATUS_INVALID_LENGTH },
		{ OID_GEN_RECEIVE_SCALE_PARAMETERS, 40, RNDIS_STATUS_INVALID_DATA },
		{ OID_TCP_OFFLOAD_PARAMETERS, 19, RNDIS_STATUS_INVALID_LENGTH },
		{ OID_TCP_OFFLOAD_PARAMETERS, 20, RNDIS_STATUS_INVALID_DATA },
		{ OID_802_3_PERMANENT_ADDRESS, 6, RNDIS_STATUS_NOT_SUPPORTED },
		{ OID_GEN_SUPPORTED_LIST, 4, RNDIS_STATUS_NOT_SUPPORTED },
		{ 0, 4, RNDIS_STATUS_NOT_SUPPORTED },
		{ UINT32_MAX, 4, RNDIS_STATUS_NOT_SUPPORTED },
	};
	struct rndis before;

	initialize();
	before = r;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_msg(set(t[i].oid, bytes, t[i].len) == t[i].status, "row %zu",
			      i);
	ck_assert_mem_eq(&r, &before, sizeof(r));
}
END_TEST

START_TEST(nothing_before_initialize)
{
	uint32_t filter = RNDIS_FILTER_DIRECTED;
	struct msg old = { .h = { RNDIS_INITIALIZE, 24 }, .init = { 1, 2, 0, 0x4000 } };

	ck_assert_uint_eq(set(OID_GEN_CURRENT_PACKET_FILTER, &filter, 4),
			  RNDIS_STATUS_FAILURE);
	ck_assert_int_eq(say(&old, 24), 0);
	ck_assert(!r.ready);
}
END_TEST

START_TEST(config_parameter_offsets)
{
	struct {
		struct rndis_config_parameter p;
		uint16_t name[14], value[12];
	} v = { .p = { 20, 28, RNDIS_CONFIG_STRING, 48, 24 } }, bad;
	static const char name[] = "NetworkAddress", value[] = "00155DABcd0f";

	for (unsigned int i = 0; i < 14; i++)
		v.name[i] = (uint16_t)name[i];
	for (unsigned int i = 0; i < 12; i++)
		v.value[i] = (uint16_t)value[i];
	initialize();
	bad = v;
	bad.p.name_bytes = 0xffff;
	ck_assert_uint_eq(set(OID_GEN_RNDIS_CONFIG_PARAMETER, &bad, sizeof(bad)),
			  RNDIS_STATUS_INVALID_LENGTH);
	bad = v;
	bad.p.value_offset = 49;
	ck_assert_uint_eq(set(OID_GEN_RNDIS_CONFIG_PARAMETER, &bad, sizeof(bad)),
			  RNDIS_STATUS_INVALID_LENGTH);
	bad = v;
	bad.p.value_bytes = 22;
	ck_assert_uint_eq(set(OID_GEN_RNDIS_CONFIG_PARAMETER, &bad, sizeof(bad)),
			  RNDIS_STATUS_INVALID_DATA);
	bad = v;
	bad.value[3] = 'g';
	ck_assert_uint_eq(set(OID_GEN_RNDIS_CONFIG_PARAMETER, &bad, sizeof(bad)),
			  RNDIS_STATUS_INVALID_DATA);
	bad = v;
	bad.p.type = 0;
	ck_assert_uint_eq(set(OID_GEN_RNDIS_CONFIG_PARAMETER, &bad, sizeof(bad)),
			  RNDIS_STATUS_NOT_SUPPORTED);
	bad = v;
	bad.value[1] = '1'; /* 01: a group's */
	ck_assert_uint_eq(set(OID_GEN_RNDIS_CONFIG_PARAMETER, &bad, sizeof(bad)),
			  RNDIS_STATUS_INVALID_DATA);
	ck_assert_mem_eq(r.mac, r.permanent, 6);
	ck_assert_uint_eq(set(OID_GEN_RNDIS_CONFIG_PARAMETER, &v, sizeof(v)), 0);
	ck_assert_mem_eq(r.mac, ((uint8_t[]){ 0, 0x15, 0x5d, 0xab, 0xcd, 0x0f }), 6);
}
END_TEST

/* ---- as drivers do ---- */

START_TEST(every_oid_of_the_list)
{
	uint32_t list[256], n;
	uint8_t value[2048];
	size_t len, bytes;

	initialize();
	ck_assert_uint_eq(query(OID_GEN_SUPPORTED_LIST, list, sizeof(list), &len), 0);
	ck_assert_uint_gt(len, 100);
	for (n = 0; n < len / 4; n++) {
		uint32_t status = query(list[n], value, sizeof(value), &bytes);

		if (status == 0)
			continue;
		ck_assert_uint_eq(status, RNDIS_STATUS_NOT_SUPPORTED);
		ck_assert_uint_ne(set(list[n], NULL, 0), RNDIS_STATUS_NOT_SUPPORTED);
	}
	ck_assert_uint_eq(query(0x12345678, value, sizeof(value), &bytes),
			  RNDIS_STATUS_NOT_SUPPORTED);
}
END_TEST

START_TEST(what_linux_asks)
{
	struct ndis_rss_capabilities rss;
	uint8_t mac[6], name[512];
	uint32_t number;
	size_t len;

	initialize();
	ck_assert_uint_eq(query(OID_802_3_PERMANENT_ADDRESS, mac, 6, &len), 0);
	ck_assert_mem_eq(mac, r.permanent, 6);
	ck_assert_uint_eq(query(OID_GEN_MAXIMUM_FRAME_SIZE, &number, 4, &len), 0);
	ck_assert_uint_eq(number, 1500);
	ck_assert_uint_eq(query(OID_GEN_MEDIA_CONNECT_STATUS, &number, 4, &len), 0);
	ck_assert_uint_eq(number, RNDIS_MEDIA_CONNECTED);
	r.link_up = false;
	ck_assert_uint_eq(query(OID_GEN_MEDIA_CONNECT_STATUS, &number, 4, &len), 0);
	ck_assert_uint_eq(number, RNDIS_MEDIA_DISCONNECTED);
	ck_assert_uint_eq(query(OID_GEN_LINK_SPEED, &number, 4, &len), 0);
	ck_assert_uint_eq(number / 10000, 10000); /* Mbit/s */
	ck_assert_uint_eq(
		query(OID_GEN_RECEIVE_SCALE_CAPABILITIES, &rss, sizeof(rss), &len), 0);
	ck_assert_uint_eq(len, 18);
	ck_assert_uint_eq(rss.queues, QUEUES);
	ck_assert_uint_eq(query(OID_GEN_FRIENDLY_NAME, name, sizeof(name), &len), 0);
	ck_assert_uint_eq(len, 2 * sizeof("Network adapter 0"));
	ck_assert_uint_eq(name[16], 'a');
}
END_TEST

START_TEST(offloads)
{
	struct ndis_offload_parameters p = { .header = { NDIS_OBJECT_DEFAULT, 3, 28 },
					     .tcp4 = NDIS_OFFLOAD_CSUM_BOTH,
					     .tcp6 = NDIS_OFFLOAD_CSUM_SEND,
					     .lso4 = NDIS_OFFLOAD_LSO_ON };
	struct ndis_offload o;
	size_t len;

	initialize();
	ck_assert_uint_eq(
		query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &o, sizeof(o), &len), 0);
	ck_assert_uint_eq(o.header.type, NDIS_OBJECT_OFFLOAD);
	ck_assert_uint_eq(o.header.bytes, len);
	ck_assert_uint_eq(o.csum[0].flags & 0x14u, 0x14u);
	ck_assert_uint_eq(o.csum[2].flags & 0x15u, 0x15u);
	ck_assert_uint_eq(o.lso4.max_bytes, RNDIS_LSO_MAX);
	ck_assert_uint_eq(o.lso6_flags, 5);
	ck_assert_uint_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &p, sizeof(p)), 0);
	ck_assert(r.offload.csum4 && r.offload.receive4 && r.offload.csum6 &&
		  !r.offload.receive6 && r.offload.lso4 && !r.offload.lso6);
	p.tcp4 = NDIS_OFFLOAD_CSUM_OFF;
	p.tcp6 = p.lso4 = 0; /* no change */
	ck_assert_uint_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &p, sizeof(p)), 0);
	ck_assert(!r.offload.csum4 && r.offload.csum6 && r.offload.lso4);
	ck_assert_uint_eq(query(OID_TCP_OFFLOAD_CURRENT_CONFIG, &o, sizeof(o), &len), 0);
	ck_assert_uint_eq(o.csum[0].flags, 0);
	ck_assert_uint_ne(o.csum[2].flags, 0);
	p.tcp4 = 5;
	ck_assert_uint_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &p, sizeof(p)),
			  RNDIS_STATUS_INVALID_DATA);
	/* a back-end without offloads says so, and keeps all off */
	r.can_csum = r.can_lso = false;
	p.tcp4 = p.tcp6 = NDIS_OFFLOAD_CSUM_BOTH;
	p.lso4 = p.lso6 = NDIS_OFFLOAD_LSO_ON;
	ck_assert_uint_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &p, sizeof(p)), 0);
	ck_assert(!r.offload.csum4 && !r.offload.csum6 && !r.offload.lso4);
	ck_assert_uint_eq(
		query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &o, sizeof(o), &len), 0);
	ck_assert_uint_eq(o.csum[0].flags | o.csum[3].flags | o.lso4.max_bytes, 0);
}
END_TEST

START_TEST(filters)
{
	static const uint8_t mine[] = { 0, 0x15, 0x5d, 1, 2, 3 },
			     other[] = { 0, 0x15, 0x5d, 1, 2, 4 },
			     all[] = { 255, 255, 255, 255, 255, 255 },
			     group[] = { 1, 0, 0x5e, 0, 0, 1 },
			     group2[] = { 1, 0, 0x5e, 0, 0, 2 };
	static const struct {
		uint32_t filter;
		bool mine, other, all, group, group2;
	} t[] = {
		{ 0, 0, 0, 0, 0, 0 },
		{ RNDIS_FILTER_DIRECTED, 1, 0, 0, 0, 0 },
		{ RNDIS_FILTER_BROADCAST, 0, 0, 1, 0, 0 },
		{ RNDIS_FILTER_MULTICAST, 0, 0, 0, 1, 0 },
		{ RNDIS_FILTER_ALL_MULTICAST, 0, 0, 0, 1, 1 },
		{ RNDIS_FILTER_PROMISCUOUS, 1, 1, 1, 1, 1 },
	};

	initialize();
	ck_assert_uint_eq(set(OID_802_3_MULTICAST_LIST, group, 6), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		ck_assert_uint_eq(set(OID_GEN_CURRENT_PACKET_FILTER, &t[i].filter, 4), 0);
		ck_assert_int_eq(rndis_wants(&r, mine), t[i].mine);
		ck_assert_int_eq(rndis_wants(&r, other), t[i].other);
		ck_assert_int_eq(rndis_wants(&r, all), t[i].all);
		ck_assert_int_eq(rndis_wants(&r, group), t[i].group);
		ck_assert_int_eq(rndis_wants(&r, group2), t[i].group2);
	}
	/* another address from here on, and the old one's frames are no more ours */
	ck_assert_uint_eq(set(OID_802_3_CURRENT_ADDRESS, other, 6), 0);
	r.filter = RNDIS_FILTER_DIRECTED;
	ck_assert(rndis_wants(&r, other) && !rndis_wants(&r, mine));
}
END_TEST

START_TEST(reset_keepalive_halt)
{
	struct msg m = { .h = { RNDIS_KEEPALIVE, 12 }, .words = { 0x77 } };
	uint32_t word;

	initialize();
	r.filter = RNDIS_FILTER_DIRECTED;
	ck_assert_int_eq(say(&m, 12), 0);
	memcpy(&word, reply + 8, 4);
	ck_assert_uint_eq(word, 0x77);
	m.h.type = RNDIS_RESET;
	ck_assert_int_eq(say(&m, 12), 0);
	ck_assert_uint_eq(reply_bytes, 16);
	ck_assert_uint_eq(r.filter, 0);
	m.h.type = RNDIS_HALT;
	ck_assert_int_eq(say(&m, 12), 0);
	ck_assert_uint_eq(reply_bytes, 0);
	ck_assert(!r.ready);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("rndis");
	TCase *tc = tcase_create("rndis");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, broken_messages);
	tcase_add_test(tc, values_of_a_wrong_form);
	tcase_add_test(tc, nothing_before_initialize);
	tcase_add_test(tc, config_parameter_offsets);
	tcase_add_test(tc, every_oid_of_the_list);
	tcase_add_test(tc, what_linux_asks);
	tcase_add_test(tc, offloads);
	tcase_add_test(tc, filters);
	tcase_add_test(tc, reset_keepalive_halt);
	suite_add_tcase(su, tc);
	return su;
}

TEST_MAIN(suite)
