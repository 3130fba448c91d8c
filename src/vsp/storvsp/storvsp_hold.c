/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that were begun and given back (back/scsi.h, scsi_cmd.hold): above their disk's rate they wait for a time, on a host without room until the
 * VM is resumed. Nothing of theirs is under way, so a VM can pause with them, and a channel close. Each channel keeps its own, in order, and has one
 * timer for the earliest.
 */
#include "vsp/storvsp/storvsp_priv.h"

#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void storvsp_hold_init(struct storvsp_channel *ch)
{
	ch->held_end = &ch->held_first;
	ch->again = atomic_load(&ch->s->again);
	ch->rates = atomic_load(&ch->s->rates);
}

static void append(struct storvsp_channel *ch, struct storvsp_request *req)
{
	req->next = NULL;
	*ch->held_end = req;
	ch->held_end = &req->next;
}

void storvsp_hold(struct scsi_cmd *cmd, uint64_t until_ns)
{
	struct storvsp_request *req = container_of(cmd, struct storvsp_request, cmd);
	struct storvsp_channel *ch = req->ch;

	req->until_ns = until_ns;
	append(ch, req);
	ch->held++;
	if (cmd->lun < SCSI_LUNS)
		atomic_fetch_add(&ch->s->held[cmd->lun], 1);
	if (until_ns)
		vsp_timer_by(ch->vc, until_ns);
}

static void release(struct storvsp_channel *ch, const struct storvsp_request *req)
{
	ch->held--;
	if (req->cmd.lun < SCSI_LUNS)
		atomic_fetch_sub(&ch->s->held[req->cmd.lun], 1);
}

/* One pass over what was held before it. */
struct pass {
	uint64_t now;
	bool again, rates;
};

static bool is_due(struct storvsp_request *req, const struct pass *p)
{
	if (!req->until_ns)
		return p->again;
	if (p->rates)
		req->cmd.admitted = false;
	return p->rates || req->until_ns <= p->now;
}

void storvsp_hold_run(struct storvsp_channel *ch)
{
	struct storvsp_request *req = ch->held_first, *next;
	unsigned int again = atomic_load(&ch->s->again),
		     rates = atomic_load(&ch->s->rates);
	struct pass p = { .again = again != ch->again, .rates = rates != ch->rates };

	if (!vsp_runs(ch->vc))
		return;
	ch->again = again;
	ch->rates = rates;
	p.now = req ? now_ns() : 0;
	/* Those that are held once more are appended, and not seen in this pass. */
	ch->held_first = NULL;
	ch->held_end = &ch->held_first;
	for (; req; req = next) {
		next = req->next;
		if (is_due(req, &p)) {
			release(ch, req);
			storvsp_execute(req);
		} else {
			append(ch, req);
			if (req->until_ns)
				vsp_timer_by(ch->vc, req->until_ns);
		}
	}
}

void storvsp_hold_drop(struct storvsp_channel *ch)
{
	for (struct storvsp_request *req = ch->held_first; req; req = req->next)
		release(ch, req);
	ch->held_first = NULL;
}
