/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of guests: INIT with one version after the other, from the newest they know, until one is taken; SEND_NDIS_CONFIG from version 2 on;
 * SEND_NDIS_VERSION; the receive buffer, the send buffer. Then RNDIS' own beginning, in RNDIS packets; then, from version 5 on, sub-channels. At the
 * end both buffers are revoked, which has no answer.
 */
#include "vsp/netvsp/nvsp.h"

#include <errno.h>
#include <string.h>

#include "proto/rndis.h"

/* The longest chain of buffers for one packet that the host takes: what Hyper-V says. */
#define MDL_CHAIN 34u

void nvsp_reset(struct nvsp *s, unsigned int max_sub_channels)
{
	*s = (struct nvsp){ .frame_bytes = NVSP_FRAME_DEFAULT,
			    .max_sub_channels = max_sub_channels };
}

static size_t message_bytes(const struct nvsp *s)
{
	return s->version == NVSP_VERSION_61 ? NVSP_MESSAGE_BYTES_61 : NVSP_MESSAGE_BYTES;
}

static void answer(const struct nvsp *s, struct nvsp_result *ret, uint32_t type)
{
	ret->has_answer = true;
	ret->answer = (struct nvsp_message){ .type = type };
	ret->answer_bytes = message_bytes(s);
}

/* The newest that lies in the guest's span, which drivers since Windows 7 make one version wide. */
static uint32_t choose_version(const struct nvsp_init *in)
{
	static const uint32_t known[] = {
		NVSP_VERSION_61, NVSP_VERSION_6, NVSP_VERSION_5,
		NVSP_VERSION_4,  NVSP_VERSION_2, NVSP_VERSION_1
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i] >= in->min_version && known[i] <= in->max_version)
			return known[i];
	}
	return 0;
}

static int on_init(struct nvsp *s, const struct nvsp_message *m, struct nvsp_result *ret)
{
	uint32_t version = choose_version(&m->init);

	if (s->version)
		return -EPROTO;
	answer(s, ret, NVSP_INIT_COMPLETE);
	ret->answer.init_complete = (struct nvsp_init_complete){
		.version = version == NVSP_VERSION_1 ? NVSP_VERSION_1 : NVSP_VERSION_NONE,
		.max_mdl_chain = MDL_CHAIN,
		.status = version ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE,
	};
	s->version = version;
	return 0;
}

static int on_config(struct nvsp *s, const struct nvsp_message *m,
		     struct nvsp_result *ret)
{
	uint32_t mtu = m->ndis_config.mtu;

	/* The size of receive buffers comes from it, so not once there is one. */
	if (s->has_receive_buffer)
		return -EPROTO;
	s->frame_bytes = MIN(MAX(mtu, NVSP_FRAME_DEFAULT), NVSP_FRAME_MAX);
	s->capabilities = m->ndis_config.capabilities[0];
	return 0;
}

static int on_ndis_version(struct nvsp *s, const struct nvsp_message *m,
			   struct nvsp_result *ret)
{
	return 0;
}

static int on_receive_buffer(struct nvsp *s, const struct nvsp_message *m,
			     struct nvsp_result *ret)
{
	if (s->has_receive_buffer)
		return -EPROTO;
	ret->want = NVSP_WANT_RECEIVE_BUFFER;
	ret->buffer = m->buffer;
	return 0;
}

void nvsp_receive_buffer(struct nvsp *s, struct nvsp_result *ret, uint32_t sub_bytes,
			 uint32_t count)
{
	s->has_receive_buffer = count != 0;
	answer(s, ret, NVSP_SEND_RECEIVE_BUFFER_COMPLETE);
	ret->answer.receive_buffer_complete.status = NVSP_STATUS_FAILURE;
	if (!count)
		return;
	ret->answer.receive_buffer_complete = (struct nvsp_receive_buffer_complete){
		.status = NVSP_STATUS_SUCCESS,
		.sections = 1,
		.section = { 0, sub_bytes, count, sub_bytes * count },
	};
}

static int on_revoke_receive(struct nvsp *s, const struct nvsp_message *m,
			     struct nvsp_result *ret)
{
	s->has_receive_buffer = false;
	ret->want = NVSP_WANT_REVOKE_RECEIVE;
	return 0;
}

static int on_send_buffer(struct nvsp *s, const struct nvsp_message *m,
			  struct nvsp_result *ret)
{
	if (s->has_send_buffer)
		return -EPROTO;
	ret->want = NVSP_WANT_SEND_BUFFER;
	ret->buffer = m->buffer;
	return 0;
}

void nvsp_send_buffer(struct nvsp *s, struct nvsp_result *ret, uint32_t section_bytes)
{
	s->has_send_buffer = section_bytes != 0;
	answer(s, ret, NVSP_SEND_SEND_BUFFER_COMPLETE);
	ret->answer.send_buffer_complete = (struct nvsp_send_buffer_complete){
		section_bytes ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE, section_bytes
	};
}

static int on_revoke_send(struct nvsp *s, const struct nvsp_message *m,
			  struct nvsp_result *ret)
{
	s->has_send_buffer = false;
	ret->want = NVSP_WANT_REVOKE_SEND;
	return 0;
}

static int on_rndis(struct nvsp *s, const struct nvsp_message *m, struct nvsp_result *ret)
{
	ret->want = NVSP_WANT_RNDIS;
	ret->rndis = m->rndis;
	return 0;
}

/* There is no other data path, so whichever the guest chose is the synthetic one. Newer guests wait for an answer, which is empty. */
static int on_data_path(struct nvsp *s, const struct nvsp_message *m,
			struct nvsp_result *ret)
{
	ret->has_answer = true;
	return 0;
}

static int on_oid_query_ex(struct nvsp *s, const struct nvsp_message *m,
			   struct nvsp_result *ret)
{
	answer(s, ret, NVSP_OID_QUERY_EX_COMPLETE);
	ret->answer.oid_query_ex_complete.status = RNDIS_STATUS_NOT_SUPPORTED;
	return 0;
}

static int on_sub_channel(struct nvsp *s, const struct nvsp_message *m,
			  struct nvsp_result *ret)
{
	unsigned int count = m->sub_channel.count;

	if (m->sub_channel.operation_or_status != NVSP_SUB_CHANNEL_ALLOCATE || !count ||
	    count > s->max_sub_channels) {
		nvsp_sub_channels(s, ret, 0);
		return 0;
	}
	ret->want = NVSP_WANT_SUB_CHANNELS;
	ret->sub_channels = count;
	return 0;
}

void nvsp_sub_channels(struct nvsp *s, struct nvsp_result *ret, unsigned int count)
{
	answer(s, ret, NVSP_SUB_CHANNEL);
	ret->answer.sub_channel = (struct nvsp_sub_channel){ count ? NVSP_STATUS_SUCCESS
								   : NVSP_STATUS_FAILURE,
							     count };
}

static int on_pd_api(struct nvsp *s, const struct nvsp_message *m,
		     struct nvsp_result *ret)
{
	answer(s, ret, NVSP_PD_API);
	ret->answer.pd_api.operation = m->pd_api.operation;
	ret->answer.pd_api.status = RNDIS_STATUS_NOT_SUPPORTED;
	return 0;
}

struct row {
	uint32_t type, since; /* a version; 0: before there is one */
	size_t bytes;         /* of the message's own part that must be there */
	int (*handle)(struct nvsp *s, const struct nvsp_message *m,
		      struct nvsp_result *ret);
};

static const struct row rows[] = {
	{ NVSP_SEND_RNDIS_PACKET, NVSP_VERSION_1, sizeof(struct nvsp_rndis_packet),
	  on_rndis },
	{ NVSP_INIT, 0, sizeof(struct nvsp_init), on_init },
	{ NVSP_SEND_NDIS_VERSION, NVSP_VERSION_1, sizeof(struct nvsp_ndis_version),
	  on_ndis_version },
	{ NVSP_SEND_RECEIVE_BUFFER, NVSP_VERSION_1, 6, on_receive_buffer },
	{ NVSP_REVOKE_RECEIVE_BUFFER, NVSP_VERSION_1, 2, on_revoke_receive },
	{ NVSP_SEND_SEND_BUFFER, NVSP_VERSION_1, 6, on_send_buffer },
	{ NVSP_REVOKE_SEND_BUFFER, NVSP_VERSION_1, 2, on_revoke_send },
	{ NVSP_SEND_NDIS_CONFIG, NVSP_VERSION_2, sizeof(struct nvsp_ndis_config),
	  on_config },
	{ NVSP_SWITCH_DATA_PATH, NVSP_VERSION_4, 4, on_data_path },
	{ NVSP_OID_QUERY_EX, NVSP_VERSION_5, 8, on_oid_query_ex },
	{ NVSP_SUB_CHANNEL, NVSP_VERSION_5, sizeof(struct nvsp_sub_channel),
	  on_sub_channel },
	{ NVSP_PD_API, NVSP_VERSION_61, 4, on_pd_api },
};

int nvsp_packet(struct nvsp *s, const void *payload, size_t len, struct nvsp_result *ret)
{
	struct nvsp_message m = { 0 };
	struct nvsp_result out = { 0 };
	int r;

	if (len < sizeof(m.type))
		return -EPROTO;
	memcpy(&m, payload, MIN(len, sizeof(m)));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];

		if (row->type != m.type)
			continue;
		if (s->version < row->since || len - sizeof(m.type) < row->bytes)
			return -EPROTO;
		r = row->handle(s, &m, &out);
		if (r == 0)
			*ret = out;
		return r;
	}
	return -EPROTO;
}

size_t nvsp_rndis_done(const struct nvsp *s, enum nvsp_status status,
		       struct nvsp_message *ret)
{
	*ret = (struct nvsp_message){ .type = NVSP_SEND_RNDIS_PACKET_COMPLETE,
				      .status = status };
	return message_bytes(s);
}

size_t nvsp_rndis_to_guest(const struct nvsp *s, uint32_t channel_type,
			   struct nvsp_message *ret)
{
	*ret = (struct nvsp_message){ .type = NVSP_SEND_RNDIS_PACKET,
				      .rndis = { channel_type, NVSP_NO_SECTION, 0 } };
	return message_bytes(s);
}

/*
 * Linux below version 6.1 takes the table from where the longest message ends, whatever the offset says, so that is where it stands
 * for all.
 */
void nvsp_send_table(unsigned int channels, uint8_t ret[NVSP_SEND_TABLE_BYTES])
{
	struct nvsp_message m = { .type = NVSP_SEND_INDIRECTION_TABLE,
				  .send_table = { NVSP_SEND_TABLE_ENTRIES, sizeof(m) } };

	memcpy(ret, &m, sizeof(m));
	for (uint32_t i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++) {
		uint32_t channel = channels ? i % channels : 0;

		memcpy(ret + sizeof(m) + i * sizeof(channel), &channel, sizeof(channel));
	}
}
