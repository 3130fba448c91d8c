/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor as a guest sees it: hypercalls, and the SynIC of each VP. TLFS chapters 3 and 11.
 *
 * Thread: hv_init() and hv_done() once, on VP 0; hv_synic_on/off() on the VP meant; the rest on the VP named.
 */
#ifndef CORE_HV_H
#define CORE_HV_H

#include "core/env.h"
#include "proto/hv.h"

#define HV_VPS_MAX 64u

struct hv_vp {
	struct hv_message *messages; /* HV_SINT_COUNT slots, one page; NULL while off */
	uint8_t *events;             /* HV_SINT_COUNT times HV_EVENT_FLAGS_BYTES */
	uint32_t index;              /* HV_X64_MSR_VP_INDEX */
};

struct hv {
	const struct core_env *env;
	void *hypercall_page;
	struct hv_input_post_message *post; /* a page, the input of HvCallPostMessage */
	struct hv_vp vps[HV_VPS_MAX];
};

/* Tells the hypervisor who we are and asks for the hypercall page. -ENOMEM, -ENODEV when it does not give one. */
int hv_init(struct hv *hv, const struct core_env *env);
/* Gives the page back; every SynIC is off. */
void hv_done(struct hv *hv);

/* Turns on the SynIC of this VP, the `vp`th for us, with one SINT unmasked at `vector`. -EINVAL, -ENOMEM. */
int hv_synic_on(struct hv *hv, unsigned int vp, unsigned int sint, uint8_t vector);
void hv_synic_off(struct hv *hv, unsigned int vp, unsigned int sint);

/* HvCallPostMessage, tried again while the host is short of buffers, for a second at most. Thread: VP 0. -EAGAIN then, -EIO, -EMSGSIZE. */
int hv_post(struct hv *hv, uint32_t connection_id, const void *payload, size_t len);
/* HvCallSignalEvent, the fast form. Gives an HV_STATUS. Thread: any. */
uint16_t hv_signal(struct hv *hv, uint32_t connection_id);

/* Takes the message of (vp, sint) out of its slot, and lets the next one in. False when there is none. */
bool hv_message(struct hv *hv, unsigned int vp, unsigned int sint,
		struct hv_message *ret);
/* Takes the event flags of (vp, sint) and calls fn for each that was set. */
void hv_events(struct hv *hv, unsigned int vp, unsigned int sint,
	       void (*fn)(void *opaque, unsigned int flag), void *opaque);

#endif
