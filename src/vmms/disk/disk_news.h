/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker tells of drives by itself. Its status says how they stand, vm.c notes it, and what differs from what was told becomes an event here; so nothing
 * is told twice, and what could not be done is tried again with the next status. Thread: the event loop's.
 */
#ifndef VMMS_DISK_DISK_NEWS_H
#define VMMS_DISK_DISK_NEWS_H

struct vm;
struct vmms;

/*
 * After a status of the worker: what it tells of drives by itself and was not told yet becomes events, and a medium that the guest ejected leaves the
 * configuration. While a change of the drives is under way it waits for the next status.
 */
void disk_news(struct vmms *v, struct vm *vm);

#endif
