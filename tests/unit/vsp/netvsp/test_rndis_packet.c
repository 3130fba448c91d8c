/* SPDX-License-Identifier: BSD-2-Clause */
/* RNDIS_PACKET: every length and offset with bad values, then good ones over any split of the memory. */
#include "vsp/netvsp/rndis_packet.h"

#include <errno.h>
#include <string.h>

#include "unit/test.h"

#define FRAME 60u

struct msg {
	struct rndis_header h;
	struct rndis_packet p;
	struct {
		struct rndis_ppi ppi;
		uint32_t value;
	} vlan, csum;
	uint8_t frame[FRAME];
};

static struct msg good(void)
{
	struct msg m = {
		.h = { RNDIS_PACKET, sizeof(m) },
		.p = { .data_offset = offsetof(struct msg, frame) - 8,
		       .data_bytes = FRAME,
		       .ppi_offset = offsetof(struct msg, vlan) - 8,
		       .ppi_bytes = 32 },
		.vlan = { { 16, RNDIS_PPI_VLAN, 12 }, 0x50 },
		.csum = { { 16, RNDIS_PPI_CHECKSUM, 12 }, 0x5 },
	};

	for (unsigned int i = 0; i < FRAME; i++)
		m.frame[i] = (uint8_t)i;
	return m;
}

static int parse(const struct msg *m, size_t total, struct rndis_tx *tx)
{
	/* at the end of its memory, so that a sanitizer sees what is read beyond */
	uint8_t *copy = malloc(total ? total : 1);
	const struct iovec iov = { copy, total };
	int r;

	memcpy(copy, m, total);
	r = rndis_packet_parse(&iov, 1, 0, total, tx);
	free(copy);
	return r;
}

START_TEST(hostile)
{
	struct rndis_tx tx;
	struct msg m;

#define REFUSED(change)                                               \
	do {                                                          \
		m = good();                                           \
		change;                                               \
		ck_assert_int_eq(parse(&m, sizeof(m), &tx), -EPROTO); \
	} while (0)
	REFUSED(m.h.type = 2);
	REFUSED(m.h.length = 0);
	REFUSED(m.h.length = 43);
	REFUSED(m.h.length = sizeof(m) + 1);
	REFUSED(m.h.length = UINT32_MAX);
	REFUSED(m.p.data_offset = sizeof(m) - 8 - FRAME + 1);
	REFUSED(m.p.data_offset = UINT32_MAX);
	REFUSED(m.p.data_bytes = FRAME + 1);
	REFUSED(m.p.data_bytes = UINT32_MAX);
	REFUSED(m.p.data_bytes = UINT32_MAX - m.p.data_offset + 1);
	REFUSED(m.p.ppi_offset = UINT32_MAX);
	REFUSED(m.p.ppi_offset = sizeof(m) - 8 - 31);
	REFUSED(m.p.ppi_bytes = UINT32_MAX);
	REFUSED(m.p.ppi_bytes = 31); /* the last one is cut */
	REFUSED(m.p.ppi_bytes = 1);
	REFUSED(m.vlan.ppi.bytes = 0);
	REFUSED(m.vlan.ppi.bytes = 11);
	REFUSED(m.vlan.ppi.bytes = 33);
	REFUSED(m.vlan.ppi.bytes = UINT32_MAX);
	REFUSED(m.vlan.ppi.value_offset = 13);
	REFUSED(m.vlan.ppi.value_offset = 17);
	REFUSED(m.vlan.ppi.value_offset = UINT32_MAX);
	for (size_t len = 0; len < sizeof(m); len++) {
		m = good();
		ck_assert_int_eq(parse(&m, len, &tx), -EPROTO);
	}
	/* more information than is looked at */
	{
		struct {
			struct msg m;
			uint8_t more[1024];
		} big = { .m = good() };
		const struct iovec iov = { &big, sizeof(big) };

		big.m.h.length = sizeof(big);
		big.m.p.ppi_bytes = RNDIS_PPI_MAX + 1;
		ck_assert_int_eq(rndis_packet_parse(&iov, 1, 0, sizeof(big), &tx),
				 -EPROTO);
	}
	m = good();
	ck_assert_int_eq(parse(&m, sizeof(m), &tx), 0);
}
END_TEST

START_TEST(any_split)
{
	struct msg m[2] = { good(), good() };
	struct rndis_tx tx;
	uint8_t frame[FRAME];

	for (size_t cut = 0; cut <= sizeof(m); cut++) {
		const struct iovec iov[] = { { m, cut },
					     { (uint8_t *)m + cut, sizeof(m) - cut } };
		struct iovec slice[2];
		unsigned int n;

		ck_assert_int_eq(rndis_packet_parse(iov, 2, sizeof(m[0]), sizeof(m), &tx),
				 0);
		ck_assert_uint_eq(tx.message_bytes, sizeof(m[0]));
		ck_assert(tx.has_vlan && tx.has_csum && !tx.has_lso);
		ck_assert_uint_eq(tx.vlan, 0x50);
		ck_assert_uint_eq(tx.csum, 5);
		ck_assert(rndis_copy(iov, 2, tx.frame_at, frame, tx.frame_bytes));
		ck_assert_mem_eq(frame, m[1].frame, FRAME);
		ck_assert(rndis_slice(iov, 2, tx.frame_at, tx.frame_bytes, slice, 2, &n));
		ck_assert(!rndis_slice(iov, 2, tx.frame_at, FRAME + 1, slice, 2, &n));
		ck_assert(!rndis_copy(iov, 2, tx.frame_at + 1, frame, FRAME));
	}
}
END_TEST

START_TEST(head_to_guest)
{
	const struct rndis_rx rx = { .has_csum = true,
				     .has_hash = true,
				     .has_vlan = true,
				     .csum = RNDIS_CSUM_TCP_GOOD,
				     .hash = 0x1234,
				     .vlan = 0x70,
				     .frame_at = RNDIS_RX_HEAD + 4,
				     .frame_bytes = 60 };
	uint8_t bytes[RNDIS_RX_HEAD + 64] = { 0 };
	const struct iovec iov = { bytes, sizeof(bytes) };
	struct rndis_tx tx;

	rndis_packet_head(&rx, bytes);
	ck_assert_int_eq(rndis_packet_parse(&iov, 1, 0, sizeof(bytes), &tx), 0);
	ck_assert_uint_eq(tx.frame_at, RNDIS_RX_HEAD + 4);
	ck_assert_uint_eq(tx.frame_bytes, 60);
	ck_assert_uint_eq(tx.csum, RNDIS_CSUM_TCP_GOOD);
	ck_assert_uint_eq(tx.vlan, 0x70);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("rndis_packet");
	TCase *tc = tcase_create("rndis_packet");

	tcase_add_test(tc, hostile);
	tcase_add_test(tc, any_split);
	tcase_add_test(tc, head_to_guest);
	suite_add_tcase(su, tc);
	return su;
}

TEST_MAIN(suite)
