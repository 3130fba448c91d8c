/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The negotiation, in the order of guests: BEGIN_INITIALIZATION; QUERY_PROTOCOL_VERSION, from the newest they know downwards until one is
 * accepted; QUERY_PROPERTIES; END_INITIALIZATION. CREATE_SUB_CHANNELS comes before the end (Windows) or after it (Linux, FreeBSD).
 * A packet out of order is answered with an error and changes nothing.
 */
#include "vsp/storvsp/storvsp_priv.h"

void storvsp_init_reset(struct storvsp_init *in, unsigned int max_sub_channels)
{
	*in = (struct storvsp_init){ .max_sub_channels = max_sub_channels };
}

static void answer(struct vstor_packet *p, uint32_t status)
{
	p->operation = VSTOR_COMPLETE_IO;
	p->status = status;
}

static bool is_known(uint16_t version)
{
	static const uint16_t known[] = {
		VSTOR_VERSION_WIN6,   VSTOR_VERSION_WIN7,  VSTOR_VERSION_WIN8,
		VSTOR_VERSION_WIN8_1, VSTOR_VERSION_WIN10,
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i] == version)
			return true;
	}
	return false;
}

static void query_version(struct storvsp_init *in, struct vstor_packet *p)
{
	uint16_t version = p->version.major_minor;

	if (!is_known(version)) {
		answer(p, VSTOR_STATUS_REVISION_MISMATCH);
		return;
	}
	in->version = version;
	in->phase = STORVSP_PROPERTIES;
	answer(p, VSTOR_STATUS_SUCCESS);
}

static unsigned int sub_channels(const struct storvsp_init *in)
{
	return in->version >= VSTOR_VERSION_WIN8 ? in->max_sub_channels : 0;
}

static void query_properties(struct storvsp_init *in, struct vstor_packet *p)
{
	p->properties = (struct vstor_channel_properties){
		.max_channel_count = (uint16_t)sub_channels(in),
		.flags = sub_channels(in) ? VSTOR_PROPERTIES_MULTI_CHANNEL : 0,
		.max_transfer_bytes = STORVSP_TRANSFER_MAX,
	};
	in->phase = STORVSP_END;
	answer(p, VSTOR_STATUS_SUCCESS);
}

static void create_subs(const struct storvsp_init *in, struct vstor_packet *p,
			unsigned int *ret_subs)
{
	unsigned int count = p->sub_channel_count;

	if (!count || count > sub_channels(in)) {
		answer(p, VSTOR_STATUS_INVALID_PARAMETER);
		return;
	}
	*ret_subs = count;
	answer(p, VSTOR_STATUS_SUCCESS);
}

void storvsp_init_no_subs(struct vstor_packet *p)
{
	answer(p, VSTOR_STATUS_UNSUCCESSFUL);
}

void storvsp_init_packet(struct storvsp_init *in, struct vstor_packet *p,
			 unsigned int *ret_subs)
{
	uint32_t op = p->operation;

	*ret_subs = 0;
	if (op == VSTOR_BEGIN_INITIALIZATION && in->phase == STORVSP_BEGIN) {
		in->phase = STORVSP_VERSION;
		answer(p, VSTOR_STATUS_SUCCESS);
	} else if (op == VSTOR_QUERY_PROTOCOL_VERSION && in->phase == STORVSP_VERSION) {
		query_version(in, p);
	} else if (op == VSTOR_QUERY_PROPERTIES && in->phase == STORVSP_PROPERTIES) {
		query_properties(in, p);
	} else if (op == VSTOR_CREATE_SUB_CHANNELS && in->phase >= STORVSP_END) {
		create_subs(in, p, ret_subs);
	} else if (op == VSTOR_END_INITIALIZATION && in->phase == STORVSP_END) {
		in->phase = STORVSP_READY;
		answer(p, VSTOR_STATUS_SUCCESS);
	} else if (op == VSTOR_FCHBA_DATA || op < VSTOR_COMPLETE_IO ||
		   op > VSTOR_EVENT_NOTIFICATION) {
		answer(p, VSTOR_STATUS_INVALID_DEVICE_REQUEST);
	} else {
		answer(p, VSTOR_STATUS_INVALID_DEVICE_STATE);
	}
}
