/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SynIC without KVM, for tests: it keeps the rules of TLFS chapter 11 (one slot a SINT, message pending, EOM; event flags) on plain memory
 * that a guest's driver, linked into the same process, may use as its SIMP and SIEFP pages.
 * Thread: any. The interrupt callback runs on the thread that posts or signals.
 */
#ifndef TESTS_UNIT_VMBUS_FAKE_SYNIC_H
#define TESTS_UNIT_VMBUS_FAKE_SYNIC_H

#include <pthread.h>
#include <stdatomic.h>
#include "vid/synic.h"

#define FAKE_SYNIC_VPS 8
#define FAKE_SYNIC_DOORBELLS 64

struct fake_vp {
	struct hv_message slots[HV_SINT_COUNT];           /* the SIMP page */
	_Atomic uint64_t flags[HV_SINT_COUNT][2048 / 64]; /* the SIEFP page */
	bool off; /* its SynIC is disabled: posts and signals give -ENXIO */
	bool refused[HV_SINT_COUNT]; /* a post found the slot full */
};

struct synic {
	unsigned int vps;
	struct fake_vp vp[FAKE_SYNIC_VPS];
	void (*interrupt)(void *opaque, unsigned int vp, unsigned int sint);
	void *interrupt_opaque;
	_Atomic unsigned int posts, signals; /* that were delivered */
	/* under lock */
	pthread_mutex_t lock;
	struct {
		uint32_t id;
		int fd;
	} doorbells[FAKE_SYNIC_DOORBELLS];
	unsigned int doorbell_count;
	struct {
		synic_message_fn fn;
		void *opaque;
	} ports[8]; /* by connection id */
	synic_slot_free_fn slot_free;
	void *slot_free_opaque;
};

extern const struct synic_ops fake_synic_ops;

void fake_synic_init(struct synic *s, unsigned int vps);
void fake_synic_done(struct synic *s);

/* ---- the guest's side ---- */

/* HvCallPostMessage with type HVMSG_CHANNEL; an HV_STATUS. */
uint16_t fake_synic_post(struct synic *s, unsigned int vp, uint32_t connection_id,
			 const void *payload, size_t len);
/* HvCallSignalEvent; an HV_STATUS. */
uint16_t fake_synic_signal(struct synic *s, uint32_t connection_id);
/* Writes EOM on this VP: full slots that refused a post and are empty now take messages again. */
void fake_synic_eom(struct synic *s, unsigned int vp);
/* Takes the message of a slot, empties it, EOM if one is pending. False when it is empty. */
bool fake_synic_take(struct synic *s, unsigned int vp, unsigned int sint,
		     struct hv_message *ret);
/* Tests and clears an event flag. */
bool fake_synic_take_flag(struct synic *s, unsigned int vp, unsigned int sint,
			  unsigned int flag);

#endif
