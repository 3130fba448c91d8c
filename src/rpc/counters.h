/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of performance counters: what a worker tells, what vmms takes of it, what vmctl shows, Prometheus' text and
 * the list of vmms-rpc(7). Names are those of Hyper-V's performance counter sets; where Windows shows a rate ("Read Bytes/sec")
 * the total is told here and a rate is the difference of two readings.
 * Constant data. Thread: any.
 */
#ifndef RPC_COUNTERS_H
#define RPC_COUNTERS_H

#include <jansson.h>
#include "util/macros.h"

enum counter_kind {
	COUNTER_TOTAL, /* only rises, from 0 at the start of the VM's worker */
	COUNTER_GAUGE, /* what is now */
};

enum counter_unit { COUNTER_COUNT, COUNTER_BYTES, COUNTER_US };

/* A table of counters ends with a NULL key. */
struct counter {
	const char *key;  /* member of "counters"; unique in its set */
	const char *name; /* Hyper-V's */
	enum counter_kind kind;
	enum counter_unit unit;
	const char *column; /* its title in a table for people; NULL: not shown there */
	const char *per;    /* people see its rise by this one's; NULL: by time */
	const char *help;   /* one sentence */
};

struct counter_set {
	const char *key;       /* of the JSON and Prometheus names */
	const char *name;      /* Hyper-V's */
	const char *instances; /* what an instance is; NULL: there is one, "" */
	bool worker;           /* told by a worker; else by vmms */
	bool host;             /* of the host, not of a VM */
	const struct counter *counters;
};

extern const struct counter_set counter_sets[];
extern const size_t counter_sets_count;

#define COUNTER_INSTANCE_MAX 64u /* bytes of an instance's name, with its end */
/* Instances that one VM can have: 64 VPs, 256 drives, channels of 4 controllers and 8 adapters, and services. */
#define COUNTER_INSTANCES_MAX 1024u

/* NULL if there is none. */
const struct counter_set *counter_set_find(const char *key);

/*
 * What a worker said its counters are, as an array of {set, instance, counters}: a copy in which every set and counter is one of the
 * table's, instances are printable and named once, and values are not negative. What is not so is left out. A new reference; NULL
 * without memory or when `foreign` is no array.
 */
json_t *counters_copy(const json_t *foreign);

/* One more instance, for those who tell: takes the reference to `values`. 0 or -ENOMEM. */
int counters_add(json_t *sets, const char *set, const char *instance,
		 json_t *values) __must_check;

#endif
