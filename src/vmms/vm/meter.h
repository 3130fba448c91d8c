/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metering of what VMs use over time, as Hyper-V's Enable-, Measure- and Reset-VMResourceMetering have it. A VM is metered while its folder has
 * a file meter.json, which holds the sums and the last reading; it is replaced every 5 minutes while the VM runs, and when it ends. A reading
 * is taken every minute, when a client asks, and by the worker's own last word; since counters are totals, what a crash of vmms
 * loses is only how memory went between two readings. Thread: the event loop's.
 */
#ifndef VMMS_VM_METER_H
#define VMMS_VM_METER_H

#include <jansson.h>

struct meter;
struct rpc_call;
struct vm;
struct vmms;

#define METER_FILE "meter.json"

/* Reads the file of a VM, where there is one. At the start of vmms. */
void meter_load(struct vmms *v, struct vm *vm);
/* Lets go of it; the file stays. NULL is ok. */
void meter_free(struct meter *m);
/* A worker told its counters unasked, because it is about to end. */
void meter_told(struct vm *vm, const json_t *counters);

void meter_enable(struct rpc_call *call, void *ctx);
void meter_disable(struct rpc_call *call, void *ctx);
void meter_reset(struct rpc_call *call, void *ctx);
void meter_show(struct rpc_call *call, void *ctx);

#endif
