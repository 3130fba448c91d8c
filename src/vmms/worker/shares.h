/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the host each VM gets: its settings, and those of the others that run, to a control group's numbers.
 * Weights: a control group knows no reserve, so that of a VM becomes a part of its weight. Thread: the event loop's.
 */
#ifndef VMMS_WORKER_SHARES_H
#define VMMS_WORKER_SHARES_H

#include "vmms/worker/cgroup.h"

struct rpc_error;
struct vm;
struct vm_config;
struct vmms;

/*
 * One VM's weights against others that run. Where no VM has a reserve, its own weight; else its share of the host, in
 * 10000ths: its reserve, and by weight of what all reserves leave.
 */
struct shares_sum {
	double reserved; /* of the host, 0 to 1 */
	uint64_t weights;
};

/* A VM's reserve as a part of a host with so many processors. */
double shares_reserve(unsigned int percent, unsigned int vps, unsigned int processors);
unsigned int shares_weight(const struct shares_sum *all, double reserve,
			   unsigned int weight);

/* Whether the host still has what this VM reserves: 0, or -EBUSY and a line. */
int shares_check(const struct vmms *v, const struct vm *vm,
		 struct rpc_error *e) __must_check;
/* The same for other settings of a VM that runs. */
int shares_check_change(const struct vmms *v, const struct vm *vm,
			const struct vm_config *next, struct rpc_error *e) __must_check;
/* For a VM that has a worker, or is to get one. */
void shares_of(const struct vmms *v, const struct vm *vm, struct cgroup_limits *ret);
/* Gives every running VM what it now has to have; after a start, an end, a change of settings. */
void shares_apply(struct vmms *v);

#endif
