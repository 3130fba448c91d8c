/* SPDX-License-Identifier: BSD-2-Clause */
/* The NVSP state machine: what no driver sends first, then the ways of real ones. */
#include "vsp/netvsp/nvsp.h"

#include <errno.h>
#include <string.h>

#include "proto/rndis.h"
#include "unit/test.h"

#define SUBS 3u

static struct nvsp s;
static struct nvsp_result res;

static int say(struct nvsp_message m, size_t len)
{
	memset(&res, 0xee, sizeof(res));
	return nvsp_packet(&s, &m, len, &res);
}

static void agree(uint32_t version)
{
	nvsp_reset(&s, SUBS);
	if (!version)
		return;
	ck_assert_int_eq(say((struct nvsp_message){ .type = NVSP_INIT,
						    .init = { version, version } },
			     sizeof(struct nvsp_message)),
			 0);
	ck_assert_uint_eq(res.answer.init_complete.status, NVSP_STATUS_SUCCESS);
}

/* ---- hostile ---- */

static const struct {
	uint32_t version, type;
	size_t len; /* all that is there, type included */
} refused[] = {
	/* too short for a type, or for the type's own part */
	{ 0, NVSP_INIT, 0 },
	{ 0, NVSP_INIT, 3 },
	{ 0, NVSP_INIT, 11 },
	{ NVSP_VERSION_61, NVSP_SEND_RNDIS_PACKET, 4 },
	{ NVSP_VERSION_61, NVSP_SEND_RNDIS_PACKET, 15 },
	{ NVSP_VERSION_61, NVSP_SEND_RECEIVE_BUFFER, 9 },
	{ NVSP_VERSION_61, NVSP_SEND_SEND_BUFFER, 9 },
	{ NVSP_VERSION_61, NVSP_REVOKE_RECEIVE_BUFFER, 5 },
	{ NVSP_VERSION_61, NVSP_REVOKE_SEND_BUFFER, 5 },
	{ NVSP_VERSION_61, NVSP_SEND_NDIS_VERSION, 11 },
	{ NVSP_VERSION_61, NVSP_SEND_NDIS_CONFIG, 19 },
	{ NVSP_VERSION_61, NVSP_SUB_CHANNEL, 11 },
	{ NVSP_VERSION_61, NVSP_OID_QUERY_EX, 11 },
	{ NVSP_VERSION_61, NVSP_SWITCH_DATA_PATH, 7 },
	{ NVSP_VERSION_61, NVSP_PD_API, 7 },
	/* before a version is agreed */
	{ 0, NVSP_SEND_RNDIS_PACKET, 40 },
	{ 0, NVSP_SEND_RECEIVE_BUFFER, 40 },
	{ 0, NVSP_SEND_NDIS_CONFIG, 40 },
	{ 0, NVSP_SUB_CHANNEL, 40 },
	/* of a later version than the one agreed */
	{ NVSP_VERSION_1, NVSP_SEND_NDIS_CONFIG, 40 },
	{ NVSP_VERSION_2, NVSP_SWITCH_DATA_PATH, 40 },
	{ NVSP_VERSION_4, NVSP_SUB_CHANNEL, 40 },
	{ NVSP_VERSION_4, NVSP_OID_QUERY_EX, 40 },
	{ NVSP_VERSION_6, NVSP_PD_API, 40 },
	/* twice */
	{ NVSP_VERSION_5, NVSP_INIT, 40 },
	/* the host's own, and none */
	{ NVSP_VERSION_61, NVSP_INIT_COMPLETE, 40 },
	{ NVSP_VERSION_61, NVSP_SEND_INDIRECTION_TABLE, 40 },
	{ NVSP_VERSION_61, NVSP_SEND_VF_ASSOCIATION, 40 },
	{ NVSP_VERSION_61, 0, 40 },
	{ NVSP_VERSION_61, 99, 40 },
	{ NVSP_VERSION_61, 137, 40 },
	{ NVSP_VERSION_61, UINT32_MAX, 40 },
};

START_TEST(hostile)
{
	struct nvsp before;

	agree(refused[_i].version);
	before = s;
	ck_assert_int_eq(
		say((struct nvsp_message){ .type = refused[_i].type }, refused[_i].len),
		-EPROTO);
	ck_assert_mem_eq(&s, &before, sizeof(s));
}
END_TEST

START_TEST(buffers_once)
{
	const struct nvsp_message recv = { .type = NVSP_SEND_RECEIVE_BUFFER },
				  send = { .type = NVSP_SEND_SEND_BUFFER },
				  config = { .type = NVSP_SEND_NDIS_CONFIG };

	agree(NVSP_VERSION_61);
	ck_assert_int_eq(say(recv, 40), 0);
	ck_assert_int_eq(res.want, NVSP_WANT_RECEIVE_BUFFER);
	nvsp_receive_buffer(&s, &res, 1664, 100);
	ck_assert_int_eq(say(recv, 40), -EPROTO);
	/* the size of its parts came from the MTU */
	ck_assert_int_eq(say(config, 40), -EPROTO);
	ck_assert_int_eq(say(send, 40), 0);
	nvsp_send_buffer(&s, &res, 6144);
	ck_assert_int_eq(say(send, 40), -EPROTO);
	ck_assert_int_eq(
		say((struct nvsp_message){ .type = NVSP_REVOKE_RECEIVE_BUFFER }, 40), 0);
	ck_assert_int_eq(res.want, NVSP_WANT_REVOKE_RECEIVE);
	ck_assert(!res.has_answer);
	ck_assert_int_eq(say(config, 40), 0);
	ck_assert_int_eq(say(recv, 40), 0);
	nvsp_receive_buffer(&s, &res, 1664, 0);
	ck_assert_uint_eq(res.answer.receive_buffer_complete.status, NVSP_STATUS_FAILURE);
	ck_assert_uint_eq(res.answer.receive_buffer_complete.sections, 0);
	ck_assert_int_eq(say(recv, 40), 0);
}
END_TEST

START_TEST(unknown_versions)
{
	static const struct nvsp_init spans[] = {
		{ 0, 0 },
		{ 1, 1 },
		{ 3, 0x30001 },
		{ 0x50001, 0x50001 },
		{ 0x60002, UINT32_MAX },
		{ NVSP_VERSION_5, NVSP_VERSION_4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		agree(0);
		ck_assert_int_eq(
			say((struct nvsp_message){ .type = NVSP_INIT, .init = spans[i] },
			    12),
			0);
		ck_assert_uint_ne(res.answer.init_complete.status, NVSP_STATUS_SUCCESS);
		ck_assert_uint_eq(s.version, 0);
	}
}
END_TEST

START_TEST(sub_channel_counts)
{
	static const struct nvsp_sub_channel bad[] = {
		{ 0, 1 }, { 2, 1 }, { 1, 0 }, { 1, SUBS + 1 }, { 1, UINT32_MAX },
	};

	agree(NVSP_VERSION_5);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(say((struct nvsp_message){ .type = NVSP_SUB_CHANNEL,
							    .sub_channel = bad[i] },
				     28),
				 0);
		ck_assert_int_eq(res.want, NVSP_WANT_NOTHING);
		ck_assert(res.has_answer);
		ck_assert_uint_eq(res.answer.sub_channel.operation_or_status,
				  NVSP_STATUS_FAILURE);
	}
	ck_assert_int_eq(say((struct nvsp_message){ .type = NVSP_SUB_CHANNEL,
						    .sub_channel = { 1, SUBS } },
			     28),
			 0);
	ck_assert_int_eq(res.want, NVSP_WANT_SUB_CHANNELS);
	ck_assert_uint_eq(res.sub_channels, SUBS);
	nvsp_sub_channels(&s, &res, SUBS);
	ck_assert_uint_eq(res.answer.type, NVSP_SUB_CHANNEL);
	ck_assert_uint_eq(res.answer.sub_channel.operation_or_status,
			  NVSP_STATUS_SUCCESS);
	ck_assert_uint_eq(res.answer.sub_channel.count, SUBS);
}
END_TEST

/* ---- as drivers do ---- */

static const uint32_t versions[] = { NVSP_VERSION_1, NVSP_VERSION_2, NVSP_VERSION_4,
				     NVSP_VERSION_5, NVSP_VERSION_6, NVSP_VERSION_61 };

START_TEST(every_version)
{
	uint32_t version = versions[_i];

	agree(version);
	ck_assert_uint_eq(s.version, version);
	ck_assert_uint_eq(res.answer.type, NVSP_INIT_COMPLETE);
	/* that one is as it was before there were versions; those that follow grew */
	ck_assert_uint_eq(res.answer_bytes, 28);
	ck_assert_uint_eq(nvsp_rndis_done(&s, NVSP_STATUS_SUCCESS, &res.answer),
			  version == NVSP_VERSION_61 ? 40 : 28);
	ck_assert_int_eq(say((struct nvsp_message){ .type = NVSP_SEND_NDIS_VERSION,
						    .ndis_version = { 6, 30 } },
			     28),
			 0);
	ck_assert(!res.has_answer);
	ck_assert_int_eq(say((struct nvsp_message){ .type = NVSP_SEND_RNDIS_PACKET,
						    .rndis = { 1, 7, 99 } },
			     28),
			 0);
	ck_assert_int_eq(res.want, NVSP_WANT_RNDIS);
	ck_assert_uint_eq(res.rndis.section_index, 7);
	ck_assert_uint_eq(res.rndis.section_bytes, 99);
}
END_TEST

START_TEST(the_newest_of_a_span)
{
	agree(0);
	ck_assert_int_eq(
		say((struct nvsp_message){ .type = NVSP_INIT, .init = { 2, 0x50010 } },
		    12),
		0);
	ck_assert_uint_eq(s.version, NVSP_VERSION_5);
}
END_TEST

START_TEST(mtu)
{
	static const struct {
		uint32_t asked, given;
	} t[] = { { 0, 1514 },          { 68, 1514 },     { 1514, 1514 },
		  { 9014, 9014 },       { 65535, 65535 }, { 65536, 65535 },
		  { UINT32_MAX, 65535 } };

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		agree(NVSP_VERSION_61);
		ck_assert_int_eq(
			say((struct nvsp_message){ .type = NVSP_SEND_NDIS_CONFIG,
						   .ndis_config = { t[i].asked } },
			    40),
			0);
		ck_assert_uint_eq(s.frame_bytes, t[i].given);
	}
}
END_TEST

START_TEST(answers_without_effect)
{
	agree(NVSP_VERSION_61);
	ck_assert_int_eq(
		say((struct nvsp_message){ .type = NVSP_PD_API, .pd_api = { 1 } }, 40),
		0);
	ck_assert_uint_eq(res.answer.pd_api.status, RNDIS_STATUS_NOT_SUPPORTED);
	ck_assert_uint_eq(res.answer.pd_api.operation, 1);
	ck_assert_int_eq(say((struct nvsp_message){ .type = NVSP_SWITCH_DATA_PATH }, 40),
			 0);
	ck_assert(res.has_answer);
	ck_assert_uint_eq(res.answer_bytes, 0);
	ck_assert_int_eq(say((struct nvsp_message){ .type = NVSP_OID_QUERY_EX }, 40), 0);
	ck_assert_uint_eq(res.answer.oid_query_ex_complete.status,
			  RNDIS_STATUS_NOT_SUPPORTED);
}
END_TEST

START_TEST(send_table)
{
	uint8_t bytes[NVSP_SEND_TABLE_BYTES];
	struct nvsp_message m;
	uint32_t channel;

	nvsp_send_table(3, bytes);
	memcpy(&m, bytes, sizeof(m));
	ck_assert_uint_eq(m.type, NVSP_SEND_INDIRECTION_TABLE);
	ck_assert_uint_eq(m.send_table.count, 16);
	ck_assert_uint_eq(m.send_table.offset + 16 * 4, sizeof(bytes));
	for (unsigned int i = 0; i < 16; i++) {
		memcpy(&channel, bytes + m.send_table.offset + 4 * i, 4);
		ck_assert_uint_eq(channel, i % 3);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("nvsp");
	TCase *tc = tcase_create("nvsp");

	tcase_add_loop_test(tc, hostile, 0, ARRAY_SIZE(refused));
	tcase_add_test(tc, buffers_once);
	tcase_add_test(tc, unknown_versions);
	tcase_add_test(tc, sub_channel_counts);
	tcase_add_loop_test(tc, every_version, 0, ARRAY_SIZE(versions));
	tcase_add_test(tc, the_newest_of_a_span);
	tcase_add_test(tc, mtu);
	tcase_add_test(tc, answers_without_effect);
	tcase_add_test(tc, send_table);
	suite_add_tcase(su, tc);
	return su;
}

TEST_MAIN(suite)
