/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a machine counts, for vm.counters: the sets of rpc/counters.h that a worker tells. Each number has one writer, the thread that
 * does the thing; here they are read, without a lock that any of those threads takes. Nothing is kept up to date for a reader, so
 * that who is not read pays nothing. Thread: the worker's loop.
 */
#ifndef VMWP_COUNTERS_H
#define VMWP_COUNTERS_H

#include <jansson.h>

struct machine;

/* {time_us, sets}; a new reference, NULL without memory. */
json_t *counters_json(const struct machine *m);

#endif
