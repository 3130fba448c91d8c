/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sub-channels: offered when a VSP asked for them (channel_request_subs), at the free indices of their primary. Thread: the bus.
 */
#ifndef VMBUS_SUBS_H
#define VMBUS_SUBS_H

struct vmbus;

/* Looks through all primaries for wishes. What cannot be offered now is not offered. */
void subs_offer(struct vmbus *bus);

#endif
