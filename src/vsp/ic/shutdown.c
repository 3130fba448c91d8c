/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shutdown on the host's request. The guest answers at once whether it will; that it did shows by its power-off or reset, which
 * comes later and elsewhere. Linux takes the request only at its full 2,060 bytes.
 */
#include <errno.h>
#include "vsp/ic/ic_priv.h"

static const struct ic_version versions[] = { { 1, 0 }, { 3, 0 }, { 3, 1 }, { 3, 2 } };
/* Restart came with 3.0; an older guest would power off instead. */
#define RESTART_MAJOR 3u

static void finish(struct ic *ic, int r, uint32_t status)
{
	struct ic_shutdown_request rq = ic->shutdown;

	ic->shutdown.done = NULL;
	if (rq.done)
		rq.done(rq.opaque, r, status);
}

int ic_shutdown(struct ic *ic, enum ic_shutdown_type type, bool force, const char *reason,
		ic_shutdown_fn done, void *opaque)
{
	struct ic_channel *ch = ic->slots[IC_SHUTDOWN].channel;
	struct ic_shutdown body = { .reason_code = IC_SHUTDOWN_REASON_PLANNED };

	if (!ch || ch->phase != IC_READY || ic->slots[IC_SHUTDOWN].removing)
		return -ENOTCONN;
	if (ic->shutdown.done)
		return -EALREADY;
	if (type == IC_SHUTDOWN_RESTART && ch->message.major < RESTART_MAJOR)
		return -EOPNOTSUPP;
	body.flags = (force ? IC_SHUTDOWN_FLAG_FORCE : 0) |
		     (type == IC_SHUTDOWN_RESTART ? IC_SHUTDOWN_FLAG_RESTART : 0);
	ic_msg_text(reason, body.display_message);
	ic->shutdown.done = done;
	ic->shutdown.opaque = opaque;
	ic_channel_send(ch, &body, sizeof(body));
	ic_channel_timer_ms(ch, IC_SHUTDOWN_ANSWER_MS);
	vsp_channel_kick(
		ch->vc); /* this is no turn of its own: the next one publishes it */
	return 0;
}

static void shutdown_timer(struct ic_channel *ch)
{
	finish(ch->slot->ic, -ETIMEDOUT, 0);
}

static int shutdown_answer(struct ic_channel *ch, const struct ic_answer *a)
{
	vsp_timer(ch->vc, 0);
	finish(ch->slot->ic, a->status == IC_STATUS_OK ? 0 : -EREMOTEIO, a->status);
	return 0;
}

static void shutdown_closed(struct ic_channel *ch)
{
	finish(ch->slot->ic, -ECONNRESET, 0);
}

static void shutdown_resumed(struct ic_channel *ch)
{
	if (ch->slot->ic->shutdown.done)
		ic_channel_timer_ms(ch, IC_SHUTDOWN_ANSWER_MS);
}

const struct ic_ops ic_shutdown_ops = {
	.name = "shutdown",
	.title = "Shutdown",
	.type = { IC_SHUTDOWN_TYPE },
	.instance = { IC_SHUTDOWN_INSTANCE },
	.message_type = ICMSGTYPE_SHUTDOWN,
	.versions = { versions, ARRAY_SIZE(versions) },
	.answer = shutdown_answer,
	.timer = shutdown_timer,
	.resumed = shutdown_resumed,
	.closed = shutdown_closed,
};
