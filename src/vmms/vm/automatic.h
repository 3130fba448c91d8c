/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of VMs without anybody asking: automatic starts after a boot of the host, and new starts of those whose worker died
 * (restart.h). Both are the same wait: a timer, then a place among the few that start at a time.
 *
 * What is to be done is on disk before it is begun: the automatic starts in STATE/host.json (host_record.h), a new start in the VM's
 * report.json, so that a vmms that comes later goes on with it. Which boot of the host it is decides about automatic starts: a vmms that
 * begins again on the same boot starts nothing that an operator has stopped. Thread: the event loop's.
 */
#ifndef VMMS_VM_AUTOMATIC_H
#define VMMS_VM_AUTOMATIC_H

#include "rpc/error.h"
#include "vmms/vm/vm.h"

struct automatic;
struct vmms;

/* Reads the record; before VMs are adopted. */
int automatic_new(struct vmms *v, struct automatic **ret) __must_check;
void automatic_free(struct automatic *a);
/* A VM without a worker, at the start of vmms: what its report says, and what is to follow. */
void automatic_recall(struct vmms *v, struct vm *vm);
/* When all are known: decides on automatic starts, and begins with what waits. */
void automatic_begin(struct vmms *v);

/*
 * A worker is gone (the VM is Off, its reason set) after ran_ms. `again`: it failed, and nobody was told of a start that failed. Writes the
 * report and adds to the reason what follows.
 */
void automatic_ended(struct vmms *v, struct vm *vm, bool again, uint64_t ran_ms);
/* Its worker begins, because somebody asked. */
void automatic_forget(struct vmms *v, struct vm *vm);
/* Whether it is Off, but to be started. */
bool automatic_waits(const struct vm *vm);
/* It is not to be started; on disk when it returns 0. */
int automatic_cancel(struct vmms *v, struct vm *vm, struct rpc_error *e) __must_check;
/* After a change of its configuration, or its state. */
void automatic_changed(struct vmms *v, struct vm *vm);

/* The host is going down: those that run are noted, and nothing starts until automatic_resume(). */
void automatic_suspend(struct vmms *v);
void automatic_resume(struct vmms *v);
bool automatic_suspended(const struct vmms *v);

#endif
