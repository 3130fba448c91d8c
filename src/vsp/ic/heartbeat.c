/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heartbeat: a request every two seconds, unless the last is still unanswered: a guest that hangs finds one request
 * when it comes back, not a full ring. Its state goes from "no contact" to "ok" with the first answer, and to "lost" when an answer is
 * overdue for ten seconds.
 */
#include <errno.h>
#include <string.h>
#include "vsp/ic/ic_priv.h"

#define NS_PER_MS 1000000ull

static const struct ic_version versions[] = { { 1, 0 }, { 3, 0 } };

static void heartbeat_send(struct ic_channel *ch)
{
	const struct ic_heartbeat body = { .sequence = ch->sequence++ };

	ic_channel_send(ch, &body, sizeof(body));
	ic_channel_timer_ms(ch, IC_HEARTBEAT_INTERVAL_MS);
}

static void heartbeat_timer(struct ic_channel *ch)
{
	struct ic *ic = ch->slot->ic;

	if (!ch->unanswered) {
		heartbeat_send(ch);
		ic_channel_hurry(ic, IC_TIME_SYNC, IC_HEARTBEAT_INTERVAL_MS - 1);
		return;
	}
	if (ic->heartbeat == IC_HEARTBEAT_OK &&
	    ic_now_ns(ic) - ch->sent_ns >= IC_HEARTBEAT_LOST_MS * NS_PER_MS)
		ic_heartbeat_set(ic, IC_HEARTBEAT_LOST);
	ic_channel_timer_ms(ch, IC_HEARTBEAT_INTERVAL_MS);
}

/* The sequence number is the guest's to choose (Linux adds one, others keep their own); what counts is that it answers. */
static int heartbeat_answer(struct ic_channel *ch, const struct ic_answer *a)
{
	if (a->body_bytes < sizeof(uint64_t))
		return -EPROTO;
	/* An answer may still come while the service is being taken back. */
	if (a->status == IC_STATUS_OK && ch->slot->ic->heartbeat != IC_HEARTBEAT_DISABLED)
		ic_heartbeat_set(ch->slot->ic, IC_HEARTBEAT_OK);
	return 0;
}

/* The time in which the VPs stood still does not count. */
static void heartbeat_resumed(struct ic_channel *ch)
{
	ch->sent_ns = ic_now_ns(ch->slot->ic);
	ic_channel_timer_ms(ch, IC_HEARTBEAT_INTERVAL_MS);
}

static void heartbeat_closed(struct ic_channel *ch)
{
	if (ch->slot->ic->heartbeat != IC_HEARTBEAT_DISABLED)
		ic_heartbeat_set(ch->slot->ic, IC_HEARTBEAT_NO_CONTACT);
}

const struct ic_ops ic_heartbeat_ops = {
	.name = "heartbeat",
	.title = "Heartbeat",
	.type = { IC_HEARTBEAT_TYPE },
	.instance = { IC_HEARTBEAT_INSTANCE },
	.message_type = ICMSGTYPE_HEARTBEAT,
	.versions = { versions, ARRAY_SIZE(versions) },
	.ready = heartbeat_send,
	.answer = heartbeat_answer,
	.timer = heartbeat_timer,
	.resumed = heartbeat_resumed,
	.closed = heartbeat_closed,
};
