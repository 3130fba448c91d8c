/* SPDX-License-Identifier: BSD-2-Clause */
/* The verification suite of the Windows driver documentation ("Verifying the RSS hash calculation"), and tables that lie. */
#include "vsp/netvsp/rss.h"

#include <string.h>

#include "unit/test.h"

static const uint8_t key[NDIS_RSS_KEY_BYTES] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
	0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
	0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

/* Ethernet, IPv4, ports: from 66.9.149.187:2794 to 161.142.100.80:1766. */
static void make_ipv4(uint8_t f[64], uint8_t proto)
{
	static const uint8_t ip[] = { 0x45, 0,   0,   40, 0,    0,    0,    0,
				      64,   6,   0,   0,  66,   9,    149,  187,
				      161,  142, 100, 80, 0x0a, 0xea, 0x06, 0xe6 };

	memset(f, 0, 64);
	f[12] = 8;
	memcpy(f + 14, ip, sizeof(ip));
	f[14 + 9] = proto;
}

static void make_ipv6(uint8_t f[64], uint8_t proto)
{
	static const uint8_t ip[] = { 0x60, 0,    0,    0, 0,    20,   6,    64,   0x3f,
				      0xfe, 0x25, 0x01, 2, 0,    0x1f, 0xff, 0,    0,
				      0,    0,    0,    0, 0,    7,    0x3f, 0xfe, 0x25,
				      1,    2,    0,    0, 3,    0,    0,    0,    0,
				      0,    0,    0,    1, 0x0a, 0xea, 0x06, 0xe6 };

	memset(f, 0, 64);
	f[12] = 0x86;
	f[13] = 0xdd;
	memcpy(f + 14, ip, sizeof(ip));
	f[14 + 6] = proto;
}

START_TEST(known_hashes)
{
	static const struct {
		bool v6;
		uint8_t proto;
		uint32_t types, hash;
	} t[] = {
		{ false, 6, NDIS_HASH_IPV4, 0x323e8fc2 },
		{ false, 6, NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, 0x51ccc178 },
		{ false, 17, NDIS_HASH_UDP_IPV4, 0x51ccc178 },
		{ false, 17, NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, 0x323e8fc2 },
		{ true, 6, NDIS_HASH_IPV6, 0x2cc18cd5 },
		{ true, 6, NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6, 0x40207d3d },
	};
	struct rss rss = { .enabled = true };
	uint8_t f[64];
	uint32_t hash;

	memcpy(rss.key, key, sizeof(key));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		rss.hash = t[i].types;
		(t[i].v6 ? make_ipv6 : make_ipv4)(f, t[i].proto);
		ck_assert(rss_frame_hash(&rss, f, sizeof(f), &hash));
		ck_assert_uint_eq(hash, t[i].hash);
	}
}
END_TEST

START_TEST(frames_without_hash)
{
	struct rss rss = { .hash = NDIS_HASH_TCP_IPV4 | NDIS_HASH_TCP_IPV6 };
	uint8_t f[64];
	uint32_t hash;

	for (size_t len = 0; len < 14 + 24; len++) {
		make_ipv4(f, 6);
		ck_assert(!rss_frame_hash(&rss, f, len, &hash));
	}
	ck_assert(rss_frame_hash(&rss, f, 14 + 24, &hash));
	f[14] = 0x44; /* a header of 16 bytes */
	ck_assert(!rss_frame_hash(&rss, f, sizeof(f), &hash));
	f[14] = 0x4f; /* of 60, which are not here */
	ck_assert(!rss_frame_hash(&rss, f, sizeof(f), &hash));
	make_ipv4(f, 6);
	f[14 + 6] = 0x20; /* a fragment has no ports */
	ck_assert(!rss_frame_hash(&rss, f, sizeof(f), &hash));
	make_ipv6(f, 6);
	for (size_t len = 0; len < 14 + 44; len++)
		ck_assert(!rss_frame_hash(&rss, f, len, &hash));
	f[12] = 8;
	f[13] = 6;
	ck_assert(!rss_frame_hash(&rss, f, sizeof(f), &hash));
}
END_TEST

struct params {
	struct ndis_rss_parameters p;
	uint32_t table[NDIS_RSS_TABLE_ENTRIES];
	uint8_t key[NDIS_RSS_KEY_BYTES];
};

static struct params good(void)
{
	struct params p = {
		.p = { .header = { NDIS_OBJECT_RSS_PARAMETERS, 2, 40 },
		       .hash = NDIS_HASH_TOEPLITZ | NDIS_HASH_TCP_IPV4,
		       .table_bytes = sizeof(p.table),
		       .table_offset = offsetof(struct params, table),
		       .key_bytes = sizeof(p.key),
		       .key_offset = offsetof(struct params, key) },
	};

	for (uint32_t i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		p.table[i] = i % 4;
	memcpy(p.key, key, sizeof(key));
	return p;
}

START_TEST(parameters)
{
	struct params p = good();
	struct rss rss = { .entries = 0 };

	ck_assert_uint_eq(rss_channel(&rss, 0xffffffff), 0);
	ck_assert_uint_eq(rss_set(&rss, 4, (uint8_t *)&p, sizeof(p)), 0);
	ck_assert(rss.enabled);
	ck_assert_mem_eq(rss.key, key, sizeof(key));
	ck_assert_uint_eq(rss_channel(&rss, 0x51ccc178), 0x78 % 4);
	ck_assert_uint_eq(rss_channel(&rss, 3), 3);
	p.p.flags = NDIS_RSS_UNCHANGED_KEY | NDIS_RSS_UNCHANGED_HASH;
	p.p.table_bytes = 4;
	p.table[0] = 2;
	ck_assert_uint_eq(rss_set(&rss, 4, (uint8_t *)&p, sizeof(p)), 0);
	ck_assert_uint_eq(rss_channel(&rss, 3), 2);
	p.p.flags = NDIS_RSS_DISABLE;
	ck_assert_uint_eq(rss_set(&rss, 4, (uint8_t *)&p, sizeof(p)), 0);
	ck_assert(!rss.enabled);
}
END_TEST

START_TEST(hostile_parameters)
{
	struct params p = good();
	struct rss rss = { .entries = 0 }, before;

#define REFUSED(change)                                                           \
	do {                                                                      \
		p = good();                                                       \
		change;                                                           \
		before = rss;                                                     \
		ck_assert_uint_ne(rss_set(&rss, 4, (uint8_t *)&p, sizeof(p)), 0); \
		ck_assert_mem_eq(&rss, &before, sizeof(rss));                     \
	} while (0)
	REFUSED(p.p.header.type = NDIS_OBJECT_DEFAULT);
	REFUSED(p.p.table_offset = UINT32_MAX);
	REFUSED(p.p.table_offset = sizeof(p) - 511);
	REFUSED(p.p.table_bytes = 0);
	REFUSED(p.p.table_bytes = 6);
	REFUSED(p.p.table_bytes = 12); /* no power of two */
	REFUSED(p.p.table_bytes = 1024);
	REFUSED(p.p.key_offset = UINT32_MAX - 8);
	REFUSED(p.p.key_offset = sizeof(p) - 39);
	REFUSED(p.p.key_bytes = 39);
	REFUSED(p.p.key_bytes = 41);
	REFUSED(p.p.hash = 2);
	REFUSED(p.table[127] = 4); /* no such channel */
	REFUSED(p.table[0] = UINT32_MAX);
	for (size_t len = 0; len < sizeof(p); len += 7) {
		p = good();
		ck_assert_uint_ne(rss_set(&rss, 4, (uint8_t *)&p, len), 0);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("rss");
	TCase *tc = tcase_create("rss");

	tcase_add_test(tc, known_hashes);
	tcase_add_test(tc, frames_without_hash);
	tcase_add_test(tc, parameters);
	tcase_add_test(tc, hostile_parameters);
	suite_add_tcase(su, tc);
	return su;
}

TEST_MAIN(suite)
