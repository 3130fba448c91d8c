/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/throttle.h"

void throttle_init(struct throttle *t)
{
	atomic_init(&t->unit_ns, 0);
	atomic_init(&t->full_ns, 0);
	atomic_init(&t->units, 0);
}

void throttle_set(struct throttle *t, uint32_t iops)
{
	atomic_store(&t->unit_ns, iops ? MAX(1000000000ull / iops, 1ull) : 0);
	atomic_store(&t->full_ns, 0);
}

uint64_t throttle_take(struct throttle *t, uint32_t units, uint64_t now_ns)
{
	uint64_t unit_ns = atomic_load_explicit(&t->unit_ns, memory_order_relaxed);
	uint64_t full, next;

	atomic_fetch_add_explicit(&t->units, units, memory_order_relaxed);
	if (!unit_ns)
		return 0;
	full = atomic_load(&t->full_ns);
	do
		next = MAX(full, now_ns) + units * unit_ns;
	while (!atomic_compare_exchange_weak(&t->full_ns, &full, next));
	/* What was there before these units decides: one that is larger than the bucket is not kept out for ever. */
	return full > now_ns + THROTTLE_BURST_NS ? full - THROTTLE_BURST_NS : 0;
}
