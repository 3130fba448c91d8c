/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/storvsp/storvsp_priv.h"

#include <string.h>
#include "unit/test.h"

#define SUBS 3u

static struct storvsp_init in;
static struct vstor_packet p;
static unsigned int subs;

static uint32_t ask(uint32_t operation, uint16_t value)
{
	memset(&p, 0, sizeof(p));
	p.operation = operation;
	p.version.major_minor = value; /* sub_channel_count lies at the same place */
	storvsp_init_packet(&in, &p, &subs);
	ck_assert_uint_eq(p.operation, VSTOR_COMPLETE_IO);
	return p.status;
}

#define STATE VSTOR_STATUS_INVALID_DEVICE_STATE
#define REQUEST VSTOR_STATUS_INVALID_DEVICE_REQUEST

/* Each operation in each phase: 0 is success. */
static const struct {
	uint32_t operation;
	uint32_t status[STORVSP_READY + 1];
} table[] = {
	{ 0, { REQUEST, REQUEST, REQUEST, REQUEST, REQUEST } },
	{ VSTOR_COMPLETE_IO, { STATE, STATE, STATE, STATE, STATE } },
	{ VSTOR_REMOVE_DEVICE, { STATE, STATE, STATE, STATE, STATE } },
	{ VSTOR_EXECUTE_SRB, { STATE, STATE, STATE, STATE, STATE } },
	{ VSTOR_RESET_LUN, { STATE, STATE, STATE, STATE, STATE } },
	{ VSTOR_RESET_ADAPTER, { STATE, STATE, STATE, STATE, STATE } },
	{ VSTOR_RESET_BUS, { STATE, STATE, STATE, STATE, STATE } },
	{ VSTOR_BEGIN_INITIALIZATION, { 0, STATE, STATE, STATE, STATE } },
	{ VSTOR_END_INITIALIZATION, { STATE, STATE, STATE, 0, STATE } },
	{ VSTOR_QUERY_PROTOCOL_VERSION, { STATE, 0, STATE, STATE, STATE } },
	{ VSTOR_QUERY_PROPERTIES, { STATE, STATE, 0, STATE, STATE } },
	{ VSTOR_ENUMERATE_BUS, { STATE, STATE, STATE, STATE, STATE } },
	{ VSTOR_FCHBA_DATA, { REQUEST, REQUEST, REQUEST, REQUEST, REQUEST } },
	{ VSTOR_CREATE_SUB_CHANNELS,
	  { STATE, STATE, STATE, VSTOR_STATUS_INVALID_PARAMETER,
	    VSTOR_STATUS_INVALID_PARAMETER } },
	{ VSTOR_EVENT_NOTIFICATION, { STATE, STATE, STATE, STATE, STATE } },
	{ VSTOR_EVENT_NOTIFICATION + 1, { REQUEST, REQUEST, REQUEST, REQUEST, REQUEST } },
	{ UINT32_MAX, { REQUEST, REQUEST, REQUEST, REQUEST, REQUEST } },
};

/* A number that is a version, and too many sub-channels. */
START_TEST(every_operation_in_every_phase)
{
	for (enum storvsp_phase phase = STORVSP_BEGIN; phase <= STORVSP_READY; phase++) {
		storvsp_init_reset(&in, SUBS);
		in.phase = phase;
		in.version = phase > STORVSP_VERSION ? VSTOR_VERSION_WIN10 : 0;
		ck_assert_msg(ask(table[_i].operation, VSTOR_VERSION_WIN10) ==
				      table[_i].status[phase],
			      "operation %u in phase %d: %08x", table[_i].operation,
			      (int)phase, p.status);
		ck_assert_uint_eq(subs, 0);
		if (table[_i].status[phase])
			ck_assert_uint_eq(in.phase, phase);
	}
}
END_TEST

static const struct {
	uint16_t version;
	bool ok;
	unsigned int subs;
} versions[] = {
	{ 0, false, 0 },
	{ VSTOR_VERSION(1, 0), false, 0 },
	{ VSTOR_VERSION(2, 1), false, 0 },
	{ VSTOR_VERSION(6, 1), false, 0 },
	{ VSTOR_VERSION(6, 3), false, 0 },
	{ UINT16_MAX, false, 0 },
	{ VSTOR_VERSION_WIN6, true, 0 },
	{ VSTOR_VERSION_WIN7, true, 0 },
	{ VSTOR_VERSION_WIN8, true, SUBS },
	{ VSTOR_VERSION_WIN8_1, true, SUBS },
	{ VSTOR_VERSION_WIN10, true, SUBS },
};

START_TEST(negotiates)
{
	storvsp_init_reset(&in, SUBS);
	ck_assert_uint_eq(ask(VSTOR_BEGIN_INITIALIZATION, 0), 0);
	if (!versions[_i].ok) {
		ck_assert_uint_eq(ask(VSTOR_QUERY_PROTOCOL_VERSION, versions[_i].version),
				  VSTOR_STATUS_REVISION_MISMATCH);
		/* The guest tries the next. */
		ck_assert_uint_eq(ask(VSTOR_QUERY_PROTOCOL_VERSION, VSTOR_VERSION_WIN8),
				  0);
		return;
	}
	ck_assert_uint_eq(ask(VSTOR_QUERY_PROTOCOL_VERSION, versions[_i].version), 0);
	ck_assert_uint_eq(ask(VSTOR_QUERY_PROPERTIES, 0), 0);
	ck_assert_uint_eq(p.properties.max_channel_count, versions[_i].subs);
	ck_assert_uint_eq(p.properties.flags, versions[_i].subs ? 1 : 0);
	ck_assert_uint_eq(p.properties.max_transfer_bytes, STORVSP_TRANSFER_MAX);
	ck_assert_uint_eq(ask(VSTOR_CREATE_SUB_CHANNELS, 0),
			  VSTOR_STATUS_INVALID_PARAMETER);
	ck_assert_uint_eq(ask(VSTOR_CREATE_SUB_CHANNELS, SUBS + 1),
			  VSTOR_STATUS_INVALID_PARAMETER);
	ck_assert_uint_eq(ask(VSTOR_CREATE_SUB_CHANNELS, 1),
			  versions[_i].subs ? 0 : VSTOR_STATUS_INVALID_PARAMETER);
	ck_assert_uint_eq(subs, versions[_i].subs ? 1 : 0);
	ck_assert_uint_eq(ask(VSTOR_END_INITIALIZATION, 0), 0);
	ck_assert_uint_eq(in.phase, STORVSP_READY);
	if (versions[_i].subs) {
		ck_assert_uint_eq(ask(VSTOR_CREATE_SUB_CHANNELS, SUBS), 0);
		ck_assert_uint_eq(subs, SUBS);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("storvsp_init");
	TCase *t = tcase_create("storvsp_init");

	tcase_add_loop_test(t, every_operation_in_every_phase, 0, ARRAY_SIZE(table));
	tcase_add_loop_test(t, negotiates, 0, ARRAY_SIZE(versions));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
