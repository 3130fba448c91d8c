/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time synchronization. The first message after the driver is ready, and after the VPs stood still, says SYNC: the guest sets its
 * clock. Then a SAMPLE every five seconds, for guests that discipline their clock by it (Linux: through its PTP device).
 *
 * In between the guest's clock runs on the partition's reference time, the host's on its own discipline. What a SYNC told was the
 * difference of the two. Once it is off by more than RESYNC (the host's clock was set, or drifted away in hours), the next message says
 * SYNC again: guests that take samples are right already and see no step, and the others stay within the bound.
 *
 * From 4.0 on a message holds the reference time of its sample, by which the guest takes out the way that it came.
 */
#include <errno.h>
#include <stdlib.h>
#include "vsp/ic/ic_priv.h"

#define RESYNC_100NS 200000 /* 20 ms */

static const struct ic_version versions[] = { { 1, 0 }, { 3, 0 }, { 4, 0 } };
#define REFERENCE_MAJOR 4u

struct sample {
	uint64_t wall, reference; /* 100 ns */
};

/* Reads the one clock between two readings of the other. */
static struct sample take_sample(const struct ic *ic)
{
	uint64_t before = ic->env.reference_time(ic->env.opaque);
	uint64_t wall = ic_wall_100ns(ic);
	uint64_t after = ic->env.reference_time(ic->env.opaque);

	return (struct sample){ .wall = wall,
				.reference = before + (after - before) / 2 };
}

static void time_send(struct ic_channel *ch, bool sync)
{
	struct ic *ic = ch->slot->ic;
	struct sample s = take_sample(ic);
	int64_t offset = (int64_t)(s.wall - s.reference);
	uint8_t flags;

	if (llabs(offset - ic->time_offset) > RESYNC_100NS)
		sync = true;
	if (sync)
		ic->time_offset = offset;
	flags = sync ? IC_TIMESYNC_FLAG_SYNC : IC_TIMESYNC_FLAG_SAMPLE;
	if (ch->message.major >= REFERENCE_MAJOR) {
		const struct ic_timesync_ref body = { .parent_time = s.wall,
						      .vm_reference_time = s.reference,
						      .flags = flags };

		ic_channel_send(ch, &body, sizeof(body));
	} else {
		const struct ic_timesync body = { .parent_time = s.wall, .flags = flags };

		ic_channel_send(ch, &body, sizeof(body));
	}
	ic_channel_timer_ms(ch, IC_TIME_SYNC_INTERVAL_MS);
}

static void time_ready(struct ic_channel *ch)
{
	time_send(ch, true);
}

static void time_timer(struct ic_channel *ch)
{
	if (ch->unanswered)
		ic_channel_timer_ms(ch, IC_TIME_SYNC_INTERVAL_MS);
	else
		time_send(ch, false);
}

/* What was on its way when the VPs stopped is wrong by now, so this is sent beside it. */
static void time_resumed(struct ic_channel *ch)
{
	time_send(ch, true);
}

static int time_answer(struct ic_channel *ch, const struct ic_answer *a)
{
	return 0; /* that it came is all it says */
}

const struct ic_ops ic_time_sync_ops = {
	.name = "time_sync",
	.title = "Time synchronization",
	.type = { IC_TIMESYNC_TYPE },
	.instance = { IC_TIMESYNC_INSTANCE },
	.message_type = ICMSGTYPE_TIMESYNC,
	.versions = { versions, ARRAY_SIZE(versions) },
	.ready = time_ready,
	.answer = time_answer,
	.timer = time_timer,
	.resumed = time_resumed,
};
