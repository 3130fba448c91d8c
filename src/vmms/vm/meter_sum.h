/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VM used since its metering began: sums over readings of its counters. Pure: no clock, no file. A reading is compared with the
 * last one of the same worker, instance by instance; of another worker, and of an instance that was not there, all counts,
 * because both begin at 0. So a reading that is missed loses nothing but a look at the memory. Foreign numbers
 * saturate. Thread: any.
 */
#ifndef VMMS_VM_METER_SUM_H
#define VMMS_VM_METER_SUM_H

#include <jansson.h>
#include "util/macros.h"

enum meter_number {
	METER_RUNNING_US,
	METER_CPU_US,
	METER_MEMORY_MIN,   /* bytes; 0: not looked at yet */
	METER_MEMORY_MAX,   /* bytes */
	METER_MEMORY_KIB_S, /* for the average: by METER_RUNNING_US */
	METER_READ_BYTES,
	METER_WRITE_BYTES,
	METER_OPERATIONS,
	METER_NORMALIZED,
	METER_LATENCY_US,
	METER_RECEIVED_BYTES,
	METER_SENT_BYTES,
	METER_NUMBERS
};

struct meter_sum {
	char since[40]; /* UTC, RFC 3339 */
	uint64_t n[METER_NUMBERS];
	json_t *last; /* {worker, time_us, sets}; NULL: none */
};

/* Of one worker, which this text names for ever. Borrowed. */
struct meter_reading {
	const char *worker;
	uint64_t time_us, uptime_us;
	const json_t *sets; /* as counters_copy() gives them, with memory */
};

/* All zero; `now`: RFC 3339. */
void meter_sum_begin(struct meter_sum *s, const char *now);
void meter_sum_done(struct meter_sum *s);
/* Adds what was used up to the reading; the first after meter_sum_begin() of a VM that ran before is given to meter_sum_base(). */
int meter_sum_add(struct meter_sum *s, const struct meter_reading *r) __must_check;
/* What was used up to here does not count. */
int meter_sum_base(struct meter_sum *s, const struct meter_reading *r) __must_check;

/* For the state file: a new reference; and back: -EINVAL for what is none. */
json_t *meter_sum_to_json(const struct meter_sum *s);
int meter_sum_from_json(const json_t *j, struct meter_sum *ret) __must_check;
/* For clients: members are added to `to`. */
int meter_sum_report(const struct meter_sum *s, json_t *to) __must_check;

#endif
