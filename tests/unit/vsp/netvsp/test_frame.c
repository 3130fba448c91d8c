/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest's frame becomes for the back-end: tags, sums, segments; and headers that are not what they are said to be. */
#include "vsp/netvsp/frame.h"

#include <errno.h>
#include <string.h>

#include "proto/be.h"
#include "unit/test.h"

#define ALL (NIC_FEATURE_CSUM | NIC_FEATURE_TSO)
#define PAYLOAD 3000u

static uint8_t bytes[14 + 40 + 20 + PAYLOAD];
static struct frame f;
static uint8_t out[sizeof(bytes) + 4];

/* A TCP segment with wrong sums and no lengths, as guests give large sends. */
static size_t make(bool v6, size_t payload)
{
	size_t l3 = v6 ? 40 : 20;

	memset(bytes, 0, sizeof(bytes));
	memset(bytes, 0x11, 12);
	bytes[12] = v6 ? 0x86 : 8;
	bytes[13] = v6 ? 0xdd : 0;
	for (size_t i = 0; i < l3; i++)
		bytes[14 + i] = (uint8_t)(i * 3);
	bytes[14] = v6 ? 0x60 : 0x45;
	bytes[14 + (v6 ? 6 : 9)] = 6;
	bytes[14 + l3 + 12] = 0x50;
	for (size_t i = 0; i < payload; i++)
		bytes[14 + l3 + 20 + i] = (uint8_t)i;
	return 14 + l3 + 20 + payload;
}

static int build(struct rndis_tx tx, unsigned int features, size_t cut)
{
	const struct iovec iov[] = { { bytes, cut },
				     { bytes + cut, sizeof(bytes) - cut } };
	size_t at = 0;
	int r;

	memset(&f, 0xee, sizeof(f));
	r = frame_build(&f, iov, 2, &tx, features);
	for (unsigned int i = 0; r == 0 && i < f.n; i++) {
		ck_assert_uint_le(at + f.iov[i].iov_len, sizeof(out));
		memcpy(out + at, f.iov[i].iov_base, f.iov[i].iov_len);
		at += f.iov[i].iov_len;
	}
	if (r == 0)
		ck_assert_uint_eq(at, tx.frame_bytes + (tx.has_vlan ? 4 : 0));
	return r;
}

/* The sum over the whole segment and its pseudo header, as the back-end would finish it. */
static void finish_and_check(bool v6, size_t l3, size_t len)
{
	size_t l4 = f.meta.csum_start;
	uint32_t pseudo = (uint32_t)(len - l4) + 6;
	uint16_t sum;

	ck_assert_uint_eq(f.meta.flags, NIC_CSUM_NEEDED);
	ck_assert_uint_eq(f.meta.csum_offset, 16);
	sum = frame_fold(frame_sum(out + l4, len - l4, 0));
	out[l4 + 16] = (uint8_t)(sum >> 8);
	out[l4 + 17] = (uint8_t)sum;
	pseudo = v6 ? frame_sum(out + l3 + 8, 32, pseudo)
		    : frame_sum(out + l3 + 12, 8, pseudo);
	ck_assert_uint_eq(frame_fold(frame_sum(out + l4, len - l4, pseudo)), 0);
}

START_TEST(plain)
{
	const struct rndis_tx tx = { .frame_bytes = sizeof(bytes) };

	make(false, PAYLOAD);
	for (size_t cut = 0; cut < sizeof(bytes); cut += 13) {
		ck_assert_int_eq(build(tx, 0, cut), 0);
		ck_assert_mem_eq(out, bytes, sizeof(bytes));
		ck_assert_uint_eq(f.meta.flags | f.meta.gso, 0);
		/* not a byte of it is a copy */
		ck_assert(f.iov[0].iov_base == bytes || f.iov[0].iov_base == bytes + cut);
	}
}
END_TEST

START_TEST(vlan_tag)
{
	const struct rndis_tx tx = { .frame_bytes = 64,
				     .has_vlan = true,
				     .vlan = RNDIS_VLAN(5u, 1u, 100u) };

	make(false, PAYLOAD);
	ck_assert_int_eq(build(tx, 0, 9), 0);
	ck_assert_mem_eq(out, bytes, 12);
	ck_assert_uint_eq(be16_get(out + 12), 0x8100);
	ck_assert_uint_eq(be16_get(out + 14), 5 << 13 | 1 << 12 | 100);
	ck_assert_mem_eq(out + 16, bytes + 12, 52);
}
END_TEST

START_TEST(checksum)
{
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		for (unsigned int vlan = 0; vlan < 2; vlan++) {
			size_t len = make(v6, 100), tag = vlan ? 4 : 0;
			const struct rndis_tx tx = {
				.frame_bytes = len,
				.has_vlan = vlan,
				.has_csum = true,
				.csum = (v6 ? RNDIS_CSUM_IPV6
					    : RNDIS_CSUM_IPV4 | RNDIS_CSUM_IP_HEADER) |
					RNDIS_CSUM_TCP,
			};

			ck_assert_int_eq(build(tx, ALL, 30), 0);
			ck_assert_uint_eq(f.meta.csum_start, 14 + tag + (v6 ? 40 : 20));
			ck_assert_uint_eq(f.meta.gso, NIC_GSO_NONE);
			if (!v6)
				ck_assert_uint_eq(
					frame_fold(frame_sum(out + 14 + tag, 20, 0)), 0);
			finish_and_check(v6, 14 + tag, len + tag);
		}
	}
}
END_TEST

START_TEST(udp)
{
	size_t len = make(false, 100);
	const struct rndis_tx tx = { .frame_bytes = len,
				     .has_csum = true,
				     .csum = RNDIS_CSUM_IPV4 | RNDIS_CSUM_UDP };

	bytes[14 + 9] = 17;
	ck_assert_int_eq(build(tx, ALL, 30), 0);
	ck_assert_uint_eq(f.meta.csum_start, 34);
	ck_assert_uint_eq(f.meta.csum_offset, 6);
	bytes[14 + 9] = 6; /* no UDP */
	ck_assert_int_eq(build(tx, ALL, 30), -EINVAL);
}
END_TEST

START_TEST(large)
{
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		size_t len = make(v6, PAYLOAD), l3 = v6 ? 40 : 20;
		const struct rndis_tx tx = {
			.frame_bytes = len,
			.has_lso = true,
			.lso = 1400 | RNDIS_LSO_V2 | (v6 ? RNDIS_LSO_IPV6 : 0),
		};

		ck_assert_int_eq(build(tx, ALL, 50), 0);
		ck_assert_uint_eq(f.meta.gso, v6 ? NIC_GSO_TCP6 : NIC_GSO_TCP4);
		ck_assert_uint_eq(f.meta.gso_bytes, 1400);
		ck_assert_uint_eq(f.meta.header_bytes, 14 + l3 + 20);
		ck_assert_uint_eq(be16_get(out + 14 + (v6 ? 4 : 2)),
				  len - 14 - (v6 ? 40 : 0));
		if (!v6)
			ck_assert_uint_eq(frame_fold(frame_sum(out + 14, 20, 0)), 0);
		finish_and_check(v6, 14, len);
		/* one segment is none to cut */
		make(v6, 1400);
		ck_assert_int_eq(build((struct rndis_tx){ .frame_bytes = 34 + l3 + 1400,
							  .has_lso = true,
							  .lso = tx.lso },
				       ALL, 50),
				 0);
		ck_assert_uint_eq(f.meta.gso, NIC_GSO_NONE);
	}
}
END_TEST

/* By the definition, a 16-bit word at a time. */
static uint16_t slow_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

START_TEST(a_sum_is_that_of_the_definition)
{
	make(false, PAYLOAD);
	for (size_t len = 0; len < 80; len++) {
		ck_assert_uint_eq((uint16_t)~frame_fold(frame_sum(bytes + 1, len, 0)),
				  slow_sum(bytes + 1, len));
		/* 0xffff2345 is 0x2345 to ones' complement */
		ck_assert_uint_eq(frame_fold(frame_sum(bytes, len, 0xffff2345)),
				  frame_fold(slow_sum(bytes, len) + 0x2345u));
	}
}
END_TEST

START_TEST(a_received_frame_gets_its_sum)
{
	const size_t start = 34, payload = 777, len = make(false, payload);
	uint16_t want;

	bytes[start + 16] = 0xab; /* the pseudo header's */
	bytes[start + 17] = 0xcd;
	want = (uint16_t)~slow_sum(bytes + start, len - start);
	for (size_t cut = 0; cut < len; cut++) {
		const struct iovec iov[] = { { bytes, cut },
					     { bytes + cut, sizeof(bytes) - cut } };

		bytes[start + 16] = 0xab;
		bytes[start + 17] = 0xcd;
		ck_assert(frame_complete_sum(iov, 2, len, start, 16));
		ck_assert_uint_eq(be16_get(bytes + start + 16), want);
	}
}
END_TEST

START_TEST(a_sum_of_zero_is_ones)
{
	uint8_t frame[40] = { 0 };
	const struct iovec iov = { frame, sizeof(frame) };

	memset(frame + 38, 0xff, 2);
	ck_assert(frame_complete_sum(&iov, 1, sizeof(frame), 34, 2));
	ck_assert_uint_eq(be16_get(frame + 36), 0xffff);
}
END_TEST

START_TEST(a_sum_beyond_the_frame)
{
	const struct iovec iov = { bytes, sizeof(bytes) };

	ck_assert(!frame_complete_sum(&iov, 1, 60, 59, 0));
	ck_assert(!frame_complete_sum(&iov, 1, 60, 34, 25));
	ck_assert(!frame_complete_sum(&iov, 1, 60, 0xffff, 0xffff));
	ck_assert(frame_complete_sum(&iov, 1, 60, 34, 24));
	ck_assert(!frame_complete_sum(&iov, 0, 60, 34, 24));
}
END_TEST

START_TEST(hostile)
{
	const struct rndis_tx lso = { .frame_bytes = 14 + 20 + 20 + PAYLOAD,
				      .has_lso = true,
				      .lso = 1400 },
			      csum = { .frame_bytes = 14 + 20 + 20 + 10,
				       .has_csum = true,
				       .csum = RNDIS_CSUM_TCP | RNDIS_CSUM_IP_HEADER };
	struct rndis_tx tx;

	/* what the back-end cannot do */
	make(false, PAYLOAD);
	ck_assert_int_eq(build(lso, NIC_FEATURE_CSUM, 0), -EOPNOTSUPP);
	ck_assert_int_eq(build(csum, NIC_FEATURE_TSO, 0), -EOPNOTSUPP);
	/* frames that are none */
	for (size_t len = 0; len < 14; len++)
		ck_assert_int_eq(build((struct rndis_tx){ .frame_bytes = len }, ALL, 0),
				 -EINVAL);
	ck_assert_int_eq(build((struct rndis_tx){ .frame_bytes = SIZE_MAX }, ALL, 0),
			 -EINVAL);
	ck_assert_int_eq(
		build((struct rndis_tx){ .frame_bytes = sizeof(bytes) + 1 }, ALL, 0),
		-EINVAL);
	/* every cut through the headers */
	for (size_t len = 14; len < 54; len++) {
		tx = lso;
		tx.frame_bytes = len;
		ck_assert_int_eq(build(tx, ALL, 0), -EINVAL);
		tx = csum;
		tx.frame_bytes = len;
		ck_assert_int_eq(build(tx, ALL, 0), -EINVAL);
	}
	tx = lso;
	tx.lso = 0; /* no segment size */
	ck_assert_int_eq(build(tx, ALL, 0), -EINVAL);
	tx.lso = 0xfffff;
	ck_assert_int_eq(build(tx, ALL, 0), -EINVAL);
	bytes[12] = 9; /* not IP */
	ck_assert_int_eq(build(lso, ALL, 0), -EINVAL);
	make(false, PAYLOAD);
	bytes[14] = 0x44;
	ck_assert_int_eq(build(lso, ALL, 0), -EINVAL);
	ck_assert_int_eq(build(csum, ALL, 0), -EINVAL);
	make(false, PAYLOAD);
	bytes[14 + 20 + 12] = 0x40; /* a TCP header of 16 bytes */
	ck_assert_int_eq(build(lso, ALL, 0), -EINVAL);
	make(true, PAYLOAD);
	bytes[14 + 6] = 43; /* behind extension headers, somewhere outside */
	for (uint32_t at = 0; at < 1024; at++) {
		tx = (struct rndis_tx){ .frame_bytes = sizeof(bytes),
					.has_lso = true,
					.lso = 1400 | at << 20 };
		if (build(tx, ALL, 0) == 0)
			ck_assert_uint_le(f.meta.header_bytes, FRAME_HEAD_MAX);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("frame");
	TCase *tc = tcase_create("frame");

	tcase_add_test(tc, plain);
	tcase_add_test(tc, vlan_tag);
	tcase_add_test(tc, checksum);
	tcase_add_test(tc, udp);
	tcase_add_test(tc, large);
	tcase_add_test(tc, a_sum_is_that_of_the_definition);
	tcase_add_test(tc, a_received_frame_gets_its_sum);
	tcase_add_test(tc, a_sum_of_zero_is_ones);
	tcase_add_test(tc, a_sum_beyond_the_frame);
	tcase_add_test(tc, hostile);
	suite_add_tcase(su, tc);
	return su;
}

TEST_MAIN(suite)
