/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a disk gets its minimum rate. As with Hyper-V's storage QoS a minimum is no share that is enforced, but a promise of the host's storage that is
 * watched: a disk that for QOS_WINDOW_NS on end always had work, and in every look got less than its minimum done, is below it, until a look finds it well
 * or without work.
 * Thread: the owner's. Times are CLOCK_MONOTONIC in ns, given by the caller.
 */
#ifndef BACK_QOS_H
#define BACK_QOS_H

#include "util/macros.h"

#define QOS_WINDOW_NS 30000000000ull

struct qos {
	uint32_t min_iops; /* units of 8 KiB a second (throttle.h); 0: none */
	uint32_t rate;     /* of them, between the last two looks */
	bool below;
	bool began;       /* there was a look */
	uint64_t units;   /* all that were done, then */
	uint64_t look_ns; /* and when it was */
	uint64_t low_ns;  /* since when it got less all the time; 0: it does not */
};

/* Another minimum; what was seen by the one before is forgotten. */
void qos_set(struct qos *q, uint32_t min_iops);
/* The time since the last look does not count: the machine stood. */
void qos_skip(struct qos *q);
/* `units` in all so far; busy: it had work all the time since the last look. True when `below` has changed. */
bool qos_look(struct qos *q, uint64_t units, bool busy, uint64_t now_ns);

#endif
