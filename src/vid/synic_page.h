/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens on the two pages that the SynIC and a guest share (TLFS 11.8.3, 11.8.4), and nothing else. `page` is 4096 bytes of guest
 * memory, page-aligned; the guest may change it at any time, so it is touched by atomics alone.
 */
#ifndef VID_SYNIC_PAGE_H
#define VID_SYNIC_PAGE_H

#include "proto/hv.h"
#include "util/macros.h"

/*
 * Puts the message into the slot of `sint` (< 16): payload first, type last. When the slot holds one, sets its pending flag, so that the
 * guest writes EOM once it has taken it: -EBUSY. Callers for one page exclude each other.
 */
int synic_page_post(void *page, unsigned int sint,
		    const struct hv_message *msg) __must_check;
bool synic_page_slot_free(const void *page, unsigned int sint);
/* Sets the event flag (< 2048) of `sint`; true when it was clear. Thread: any. */
bool synic_page_set_flag(void *page, unsigned int sint, unsigned int flag);

#endif
