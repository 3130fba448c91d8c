/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of an IC channel: the guest opens it; at the next turn the host lists its versions (IC_ASK → IC_ASKED); the guest chooses
 * (IC_READY) or has none that suits (IC_REFUSED: nothing more is sent). From then on the service sends requests, and
 * the guest answers each with its transaction id. An answer to an earlier request than the last comes late and is dropped; one
 * that answers nothing breaks the protocol.
 */
#include <errno.h>
#include <stdlib.h>
#include "vsp/ic/ic_priv.h"

#define NS_PER_MS 1000000ull

void ic_channel_timer_ms(struct ic_channel *ch, unsigned int ms)
{
	ch->due_ns = ic_now_ns(ch->slot->ic) + ms * NS_PER_MS;
	vsp_timer(ch->vc, ch->due_ns);
}

void ic_channel_hurry(struct ic *ic, enum ic_service service, unsigned int ms)
{
	struct ic_channel *ch = ic->slots[service].channel;
	uint64_t now = ic_now_ns(ic);

	if (!ch || ch->phase != IC_READY || ch->due_ns <= now ||
	    ch->due_ns - now > ms * NS_PER_MS)
		return;
	ic_channel_timer_ms(ch, 0);
	vsp_channel_kick(ch->vc); /* its own turn, in which its timer is due */
}

static void send_bytes(struct ic_channel *ch, const uint8_t *buf, size_t len)
{
	ch->unanswered++;
	ch->sent_ns = ic_now_ns(ch->slot->ic);
	vsp_send(ch->vc, 0, ch->transaction_id, buf, len);
}

void ic_channel_send(struct ic_channel *ch, const void *body, size_t bytes)
{
	uint8_t buf[IC_MSG_BYTES_MAX];
	const struct ic_request rq = { .framework = ch->framework,
				       .message = ch->message,
				       .type = ch->slot->ops->message_type,
				       .transaction_id = ++ch->transaction_id,
				       .body = body,
				       .body_bytes = bytes };

	send_bytes(ch, buf, ic_msg_request(buf, &rq));
}

static int ic_channel_open(void *dev, struct vsp_channel *vc, void **ret_state)
{
	struct ic_slot *slot = dev;
	struct ic_channel *ch;

	if (slot->channel)
		return -EBUSY;
	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return -ENOMEM;
	ch->slot = slot;
	ch->vc = vc;
	slot->channel = ch;
	ic_channel_timer_ms(ch,
			    0); /* the guest may be spoken to once the open is answered */
	*ret_state = ch;
	return 0;
}

static void ic_channel_close(void *state)
{
	struct ic_channel *ch = state;
	struct ic_slot *slot = ch->slot;

	if (slot->ops->closed)
		slot->ops->closed(ch);
	slot->channel = NULL;
	free(ch);
	ic_changed(slot->ic);
}

static void ic_channel_timer(void *state)
{
	struct ic_channel *ch = state;
	const struct ic_ops *ops = ch->slot->ops;
	uint8_t buf[IC_MSG_BYTES_MAX];

	if (ch->phase == IC_ASK) {
		ch->phase = IC_ASKED;
		send_bytes(ch, buf, ic_msg_negotiate(buf, &ops->versions));
	} else if (ch->phase == IC_READY && ops->timer) {
		ops->timer(ch);
	}
}

static int on_versions(struct ic_channel *ch, const struct ic_answer *a)
{
	int r = ic_msg_versions(a, &ch->slot->ops->versions, &ch->framework,
				&ch->message);

	if (r == -EOPNOTSUPP) {
		ch->phase = IC_REFUSED;
		return 0;
	}
	if (r < 0)
		return r;
	ch->phase = IC_READY;
	if (ch->slot->ops->ready)
		ch->slot->ops->ready(ch);
	ic_changed(ch->slot->ic);
	return 0;
}

static int ic_channel_packet(void *state, const struct packet *p)
{
	struct ic_channel *ch = state;
	struct ic_answer a;

	if (p->type == VM_PKT_COMP)
		return 0; /* nothing asks for completions, and some guests send them */
	if (p->type != VM_PKT_DATA_INBAND || ch->unanswered == 0 ||
	    ic_msg_answer(p->payload, p->payload_bytes, &a) < 0)
		return -EPROTO;
	ch->unanswered--;
	if (ch->phase == IC_ASKED)
		return on_versions(ch, &a);
	if (a.type != ch->slot->ops->message_type)
		return -EPROTO;
	if (a.transaction_id != ch->transaction_id)
		return 0;
	ch->seen_ns = ic_now_ns(ch->slot->ic);
	return ch->slot->ops->answer(ch, &a);
}

const struct vsp_ops ic_channel_ops = {
	.open = ic_channel_open,
	.packet = ic_channel_packet,
	.timer = ic_channel_timer,
	.close = ic_channel_close,
};
