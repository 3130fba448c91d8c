/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many operations a second a disk may do, each counted in units of 8 KiB as Hyper-V's storage QoS does: one of 4 KiB is 1, of 64 KiB 8.
 * A token bucket kept as one number, the time at which it is full again, so that taking is one atomic exchange and nothing runs by time:
 * who has to wait is told until when.
 * Thread: any. Times are CLOCK_MONOTONIC in ns.
 */
#ifndef BACK_THROTTLE_H
#define BACK_THROTTLE_H

#include <stdatomic.h>
#include "util/macros.h"

#define THROTTLE_UNIT_BYTES 8192u
/* What a bucket holds: this long of its rate may come at once. */
#define THROTTLE_BURST_NS 100000000ull

struct throttle {
	_Atomic uint64_t unit_ns; /* a unit's share of a second; 0: no bound */
	_Atomic uint64_t full_ns; /* when the bucket is full again */
	_Atomic uint64_t units;   /* taken in all, bound or not */
};

static inline uint32_t throttle_units(uint32_t bytes)
{
	uint64_t up = (uint64_t)bytes + THROTTLE_UNIT_BYTES - 1;

	return bytes ? (uint32_t)(up / THROTTLE_UNIT_BYTES) : 1;
}

void throttle_init(struct throttle *t);
/* `iops` units a second, 0 for no bound. The bucket is full after it; who waits by an older bound may ask again. */
void throttle_set(struct throttle *t, uint32_t iops);
/* Takes `units`: 0, or the time before which they may not be used. */
uint64_t throttle_take(struct throttle *t, uint32_t units, uint64_t now_ns);

#endif
