/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All VMs of this vmms, by id and by name, in the order of their names. Owns them. Thread: the event loop's.
 */
#ifndef VMMS_VM_REGISTRY_H
#define VMMS_VM_REGISTRY_H

#include "util/list.h"
#include "vmms/vm/vm.h"

struct jobs;

struct registry {
	struct list vms; /* by name, then id */
	size_t count;
	struct jobs *jobs; /* what else may use an image; NULL: nothing. Not owned */
};

void registry_init(struct registry *r);
void registry_done(struct registry *r);
/* -EEXIST when the id or the name is taken; else the registry owns the VM. */
int registry_add(struct registry *r, struct vm *vm) __must_check;
/* Takes it out; the caller owns it again. */
void registry_remove(struct registry *r, struct vm *vm);
/* -EEXIST and a line, when another VM has this name. */
int registry_check_name(const struct registry *r, const char *name,
			struct rpc_error *e) __must_check;
/* The new name must be free (registry_by_name()); the VM finds its new place in the order. */
void registry_renamed(struct registry *r, struct vm *vm);
struct vm *registry_by_name(const struct registry *r, const char *name);
struct vm *registry_by_id(const struct registry *r, const struct guid *id);
/* By name or id, as a client says it; NULL and -ENOENT's error when there is none. */
struct vm *registry_find(const struct registry *r, const char *name_or_id,
			 struct rpc_error *e);

#endif
