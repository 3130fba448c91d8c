/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slot's protocol. We: (1) see type 0, write payload and header, (2) release, write the type. The guest: (3) reads the type, takes
 * the message, writes type 0, (4) full barrier, reads the pending flag, writes EOM if it is set.
 * We, finding type ≠ 0: (5) set the pending flag, (6) full barrier, read the type again. Either the guest's (4) sees our (5), and
 * EOM comes; or our (6) sees its (3), and the slot is free now. Both may be true: then EOM comes for nothing.
 */
#include "vid/synic_page.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

static struct hv_message *slot(void *page, unsigned int sint)
{
	return (struct hv_message *)page + sint;
}

static _Atomic uint32_t *slot_type(struct hv_message *m)
{
	return (_Atomic uint32_t *)&m->message_type;
}

bool synic_page_slot_free(const void *page, unsigned int sint)
{
	const struct hv_message *m = (const struct hv_message *)page + sint;

	return atomic_load((const _Atomic uint32_t *)&m->message_type) == HVMSG_NONE;
}

int synic_page_post(void *page, unsigned int sint, const struct hv_message *msg)
{
	struct hv_message *m = slot(page, sint);

	if (!synic_page_slot_free(page, sint)) {
		atomic_fetch_or((_Atomic uint8_t *)&m->message_flags,
				HV_MESSAGE_FLAG_PENDING);
		atomic_thread_fence(memory_order_seq_cst);
		if (!synic_page_slot_free(page, sint))
			return -EBUSY;
	}
	m->payload_size = msg->payload_size;
	m->reserved[0] = m->reserved[1] = 0;
	m->sender = msg->sender;
	atomic_store_explicit((_Atomic uint8_t *)&m->message_flags, 0,
			      memory_order_relaxed);
	memcpy(m->payload, msg->payload, MIN(msg->payload_size, HV_MESSAGE_PAYLOAD_MAX));
	atomic_store_explicit(slot_type(m), msg->message_type, memory_order_release);
	return 0;
}

bool synic_page_set_flag(void *page, unsigned int sint, unsigned int flag)
{
	_Atomic uint64_t *words = (_Atomic uint64_t *)page;
	uint64_t bit = 1ull << (flag % 64);

	words += sint * (HV_EVENT_FLAGS_BYTES / sizeof(uint64_t)) + flag / 64;
	return (atomic_fetch_or(words, bit) & bit) == 0;
}
