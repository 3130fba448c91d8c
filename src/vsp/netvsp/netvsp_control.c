/* SPDX-License-Identifier: BSD-2-Clause */
/* NVSP on a channel: what the state machine wants is done with GPADLs and sub-channels, and answered. */
#include "vsp/netvsp/netvsp_priv.h"

#include <errno.h>
#include <string.h>

void netvsp_drop_recv_locked(struct netvsp *s)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(s->channels); i++) {
		if (s->channels[i])
			netvsp_rx_forget_locked(s->channels[i]);
	}
	netvsp_pool_free_locked(s);
	if (s->recv)
		gpadl_unref(s->recv);
	s->recv = NULL;
}

void netvsp_drop_send_locked(struct netvsp *s)
{
	if (s->send)
		gpadl_unref(s->send);
	s->send = NULL;
	s->section_bytes = 0;
}

static void take_recv_locked(struct netvsp_channel *ch, struct nvsp_result *res)
{
	struct netvsp *s = ch->s;
	uint64_t bytes;

	s->sub_count = 0;
	s->sub_bytes = (uint32_t)align_up(s->nvsp.frame_bytes + NETVSP_SUB_EXTRA,
					  NETVSP_SUB_ALIGN);
	if (channel_gpadl(vsp_channel_vmbus(ch->vc), res->buffer.gpadl, &s->recv) == 0) {
		bytes = MIN(gpadl_bytes(s->recv), (uint64_t)NETVSP_BUFFER_MAX);
		s->sub_count =
			(uint32_t)MIN(bytes / s->sub_bytes, (uint64_t)NETVSP_SUBS_MAX);
		if (s->sub_count < NETVSP_SUBS_MIN || netvsp_pool_new_locked(s) < 0) {
			s->sub_count = 0;
			netvsp_drop_recv_locked(s);
		}
	}
	s->recv_id = res->buffer.id;
	s->rndis.frame_bytes = s->nvsp.frame_bytes;
	nvsp_receive_buffer(&s->nvsp, res, s->sub_bytes, s->sub_count);
}

static void take_send_locked(struct netvsp_channel *ch, struct nvsp_result *res)
{
	struct netvsp *s = ch->s;

	if (channel_gpadl(vsp_channel_vmbus(ch->vc), res->buffer.gpadl, &s->send) == 0) {
		s->section_bytes = NETVSP_SECTION_BYTES;
		if (gpadl_bytes(s->send) < NETVSP_SECTION_BYTES)
			netvsp_drop_send_locked(s);
	}
	nvsp_send_buffer(&s->nvsp, res, s->section_bytes);
}

static void act_locked(struct netvsp_channel *ch, struct nvsp_result *res)
{
	struct netvsp *s = ch->s;
	int n;

	switch (res->want) {
	case NVSP_WANT_RECEIVE_BUFFER:
		take_recv_locked(ch, res);
		break;
	case NVSP_WANT_SEND_BUFFER:
		take_send_locked(ch, res);
		break;
	case NVSP_WANT_SUB_CHANNELS:
		n = channel_request_subs(vsp_channel_vmbus(ch->vc), res->sub_channels);
		nvsp_sub_channels(&s->nvsp, res, n > 0 ? (unsigned int)n : 0);
		break;
	case NVSP_WANT_REVOKE_RECEIVE:
		netvsp_drop_recv_locked(s);
		break;
	case NVSP_WANT_REVOKE_SEND:
		netvsp_drop_send_locked(s);
		break;
	default:
		break;
	}
}

static int on_control(struct netvsp_channel *ch, const struct packet *p)
{
	struct netvsp *s = ch->s;
	uint8_t table[NVSP_SEND_TABLE_BYTES];
	struct nvsp_result res;
	int r;

	if (ch->index)
		return -EPROTO;
	pthread_rwlock_wrlock(&s->lock);
	r = nvsp_packet(&s->nvsp, p->payload, p->payload_bytes, &res);
	if (r == 0)
		act_locked(ch, &res);
	pthread_rwlock_unlock(&s->lock);
	if (r < 0)
		return r;
	if (packet_wants_completion(p))
		vsp_complete(ch->vc, p->transaction_id, &res.answer, res.answer_bytes);
	if (res.want == NVSP_WANT_SUB_CHANNELS && res.answer.sub_channel.count) {
		nvsp_send_table(res.answer.sub_channel.count + 1, table);
		vsp_send(ch->vc, 0, 0, table, sizeof(table));
	}
	return 0;
}

int netvsp_on_nvsp(struct netvsp_channel *ch, const struct packet *p)
{
	struct netvsp *s = ch->s;
	struct nvsp_result res;
	uint32_t type;
	int r;

	if (p->payload_bytes < sizeof(type))
		return -EPROTO;
	memcpy(&type, p->payload, sizeof(type));
	if (type != NVSP_SEND_RNDIS_PACKET)
		return on_control(ch, p);
	pthread_rwlock_rdlock(&s->lock);
	r = nvsp_packet(&s->nvsp, p->payload, p->payload_bytes, &res);
	pthread_rwlock_unlock(&s->lock);
	return r < 0 ? r : netvsp_on_rndis(ch, p, &res.rndis);
}

void netvsp_tell_link(struct netvsp_channel *ch)
{
	struct netvsp *s = ch->s;
	bool up = netvsp_link(s);
	uint8_t message[RNDIS_CONTROL_MAX];

	if (up == ch->link_told)
		return;
	pthread_rwlock_rdlock(&s->lock);
	if (s->rndis.ready &&
	    netvsp_send_control_locked(ch, message, rndis_link_status(up, message)) == 0)
		ch->link_told = up;
	pthread_rwlock_unlock(&s->lock);
}
