/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VSP layer for tests of the integration services: what a service sends is kept, its timer runs on the test's clock, and
 * the test plays the guest. It defines the functions of vsp/vsp.h itself: one program that includes it, one source.
 */
#ifndef TESTS_UNIT_VSP_IC_FAKE_VSP_H
#define TESTS_UNIT_VSP_IC_FAKE_VSP_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vsp/ic/ic.h"
#include "vsp/ic/ic_msg.h"
#include "vsp/vsp.h"

struct vsp_channel {
	struct vsp *vsp;
	void *state;
	uint64_t deadline;
	unsigned int sent, kicks;
	uint8_t last[IC_MSG_BYTES_MAX]; /* the last message sent */
	size_t last_len;
	uint64_t last_transaction;
};

struct vsp {
	const struct vsp_ops *ops;
	void *dev;
	struct vmbus_offer_params params;
	bool open, paused;
	struct vsp_channel vc;
	void (*removed)(void *opaque);
	void *removed_opaque;
};

static struct vsp *fake_vsps[8];
static unsigned int fake_count;
static bool fake_slow_removal; /* a rescind waits for fake_gone() */
static int fake_offer_error;   /* of the second offer */
static uint64_t fake_mono_ns, fake_real_ns, fake_ref;

int vsp_new(struct vmbus *bus, struct event_base *loop,
	    const struct vmbus_offer_params *params, unsigned int flags,
	    const struct vsp_ops *ops, void *dev, struct vsp **ret)
{
	struct vsp *v;

	if (fake_offer_error && fake_count == 1)
		return fake_offer_error;
	v = calloc(1, sizeof(*v));
	if (!v)
		abort();
	v->ops = ops;
	v->dev = dev;
	v->params = *params;
	v->vc.vsp = v;
	fake_vsps[fake_count++] = v;
	*ret = v;
	return 0;
}

static inline void fake_close(struct vsp *v)
{
	if (v->open)
		v->ops->close(v->vc.state);
	v->open = false;
}

static inline void fake_gone(struct vsp *v)
{
	void (*done)(void *) = v->removed;
	void *opaque = v->removed_opaque;

	for (unsigned int i = 0; i < fake_count; i++) {
		if (fake_vsps[i] == v)
			fake_vsps[i--] = fake_vsps[--fake_count];
	}
	free(v);
	done(opaque);
}

void vsp_remove(struct vsp *v, void (*done)(void *opaque), void *opaque)
{
	v->removed = done;
	v->removed_opaque = opaque;
	if (fake_slow_removal)
		return;
	fake_close(v);
	fake_gone(v);
}

void vsp_pause(struct vsp *v, void (*done)(void *opaque), void *opaque)
{
	v->paused = true;
	done(opaque);
}

void vsp_resume(struct vsp *v)
{
	v->paused = false;
}

void vsp_timer(struct vsp_channel *vc, uint64_t deadline_ns)
{
	vc->deadline = deadline_ns;
}

void vsp_channel_kick(struct vsp_channel *vc)
{
	vc->kicks++;
}

void vsp_send(struct vsp_channel *vc, uint16_t flags, uint64_t transaction_id,
	      const void *payload, size_t len)
{
	if (len > sizeof(vc->last))
		abort();
	memcpy(vc->last, payload, len);
	vc->last_len = len;
	vc->last_transaction = transaction_id;
	vc->sent++;
}

/* The offered service of this name, or NULL. */
static inline struct vsp *fake_find(const char *title)
{
	for (unsigned int i = 0; i < fake_count; i++) {
		if (strcmp(fake_vsps[i]->params.name, title) == 0)
			return fake_vsps[i];
	}
	return NULL;
}

static inline int fake_open(struct vsp *v)
{
	int r;

	v->vc = (struct vsp_channel){ .vsp = v };
	r = v->ops->open(v->dev, &v->vc, &v->vc.state);
	v->open = r == 0;
	return r;
}

static inline void fake_run_timers(void)
{
	for (unsigned int i = 0; i < fake_count; i++) {
		struct vsp *v = fake_vsps[i];

		if (!v->open || v->paused || !v->vc.deadline ||
		    v->vc.deadline > fake_mono_ns)
			continue;
		v->vc.deadline = 0;
		v->ops->timer(v->vc.state);
	}
}

/* Lets the clocks run, and each due timer with them. The reference time stands still with the VPs. */
static inline void fake_advance_ms(unsigned int ms)
{
	fake_run_timers();
	while (ms--) {
		fake_mono_ns += 1000000;
		fake_real_ns += 1000000;
		if (!fake_count || !fake_vsps[0]->paused)
			fake_ref += 10000;
		fake_run_timers();
	}
}

static inline int fake_packet(struct vsp *v, uint16_t type, const void *payload,
			      size_t len)
{
	const struct packet p = { .type = type,
				  .transaction_id = v->vc.last_transaction,
				  .payload = payload,
				  .payload_bytes = len };

	return v->ops->packet(v->vc.state, &p);
}

static inline struct ic_header fake_header(const struct vsp *v)
{
	struct ic_header h;

	memcpy(&h, v->vc.last + sizeof(struct ic_pipe), sizeof(h));
	return h;
}

/* Sends the last request back with this header. */
static inline int fake_answer_as(struct vsp *v, struct ic_header h)
{
	memcpy(v->vc.last + sizeof(struct ic_pipe), &h, sizeof(h));
	return fake_packet(v, VM_PKT_DATA_INBAND, v->vc.last, v->vc.last_len);
}

/* Answers the last request as Linux does: the same bytes, flags and status changed. */
static inline int fake_answer(struct vsp *v, uint32_t status)
{
	struct ic_header h = fake_header(v);

	h.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	h.status = status;
	return fake_answer_as(v, h);
}

/* Chooses these versions in answer to the negotiation; major 0 means none. */
static inline int fake_choose(struct vsp *v, uint16_t major, uint16_t minor)
{
	const struct ic_version chosen[2] = { { 3, 0 }, { major, minor } };
	const struct ic_negotiate n = { .framework_count = major != 0,
					.message_count = major != 0 };
	struct ic_header h = fake_header(v);

	h.message_size = sizeof(n) + sizeof(chosen);
	h.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	memcpy(v->vc.last + IC_MSG_HEAD_BYTES, &n, sizeof(n));
	memcpy(v->vc.last + IC_MSG_HEAD_BYTES + sizeof(n), chosen, sizeof(chosen));
	return fake_answer_as(v, h);
}

static uint64_t fake_monotonic(void *opaque)
{
	return fake_mono_ns;
}

static uint64_t fake_realtime(void *opaque)
{
	return fake_real_ns;
}

static uint64_t fake_reference(void *opaque)
{
	return fake_ref;
}

static const struct ic_clock fake_clock = { fake_monotonic, fake_realtime, NULL };

#endif
