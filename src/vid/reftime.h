/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition's reference time (TLFS 12.4, 12.7): 100 ns units, from 0 at power-on, and the TSC page from which a guest computes the
 * same number by itself: ((tsc * scale) >> 64) + offset. Counter and page are one formula over one TSC, so they never disagree. Where the
 * guest's TSC is not ours there is no page, and the counter can count anything (reftime_source).
 *
 * It stands still while the partition is paused, as Hyper-V's does (so that a guest sees no gap, and no lockup watchdog fires); the
 * time synchronization service sets the guest's wall clock afterwards. The TSC itself goes on, so each start changes the
 * offset and with it the sequence.
 * Thread: reftime_now() and reftime_source() any; the rest the owner's, while no VP runs.
 */
#ifndef VID_REFTIME_H
#define VID_REFTIME_H

#include <pthread.h>
#include "proto/hv.h"
#include "util/macros.h"

struct reftime {
	/* fixed after init */
	pthread_mutex_t lock;
	/* under lock */
	uint64_t (*tsc)(void); /* the guest's TSC, as any thread can read it */
	uint64_t scale;
	bool running;
	uint64_t held; /* the value while it stands */
	int64_t offset;
	uint32_t sequence;
};

/* -EINVAL for a frequency that the scale cannot express (10 MHz or less, or more than 1 THz). It stands at 0. */
int reftime_init(struct reftime *rt, uint64_t tsc_khz,
		 uint64_t (*tsc)(void)) __must_check;
void reftime_done(struct reftime *rt);
/* Counts another counter from now on, from the value where it is. -EINVAL as above, and nothing changes. */
int reftime_source(struct reftime *rt, uint64_t khz,
		   uint64_t (*counter)(void)) __must_check;
/* Back to 0, standing; the sequence goes on. */
void reftime_reset(struct reftime *rt);
void reftime_start(struct reftime *rt);
void reftime_stop(struct reftime *rt);
uint64_t reftime_now(struct reftime *rt);
/* What the page holds from now to the next start. */
void reftime_page(struct reftime *rt, struct hv_reference_tsc_page *ret);

/* 2^64 * 10^7 / (tsc_khz * 1000), rounded down: the scale; exposed for its test. */
uint64_t reftime_scale(uint64_t tsc_khz);

#endif
