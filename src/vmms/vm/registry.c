/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/registry.h"

#include <errno.h>
#include <string.h>

void registry_init(struct registry *r)
{
	list_init(&r->vms);
	r->count = 0;
}

void registry_done(struct registry *r)
{
	struct list *l;

	while ((l = list_pop(&r->vms)))
		vm_free(list_entry(l, struct vm, link));
	r->count = 0;
}

static void insert(struct registry *r, struct vm *vm)
{
	struct vm *p;

	list_for_each (p, &r->vms, link) {
		if (strcmp(p->config.name, vm->config.name) > 0)
			break;
	}
	list_insert_before(&p->link, &vm->link);
}

int registry_add(struct registry *r, struct vm *vm)
{
	if (registry_by_id(r, &vm->id) || registry_by_name(r, vm->config.name))
		return -EEXIST;
	insert(r, vm);
	r->count++;
	return 0;
}

int registry_check_name(const struct registry *r, const char *name, struct rpc_error *e)
{
	if (registry_by_name(r, name))
		return rpc_error_set(
			e, -EEXIST,
			"there is a VM called %s already; choose another name", name);
	return 0;
}

void registry_remove(struct registry *r, struct vm *vm)
{
	list_del(&vm->link);
	r->count--;
}

void registry_renamed(struct registry *r, struct vm *vm)
{
	list_del(&vm->link);
	insert(r, vm);
}

struct vm *registry_by_name(const struct registry *r, const char *name)
{
	struct vm *vm;

	list_for_each (vm, &r->vms, link) {
		if (strcmp(vm->config.name, name) == 0)
			return vm;
	}
	return NULL;
}

struct vm *registry_by_id(const struct registry *r, const struct guid *id)
{
	struct vm *vm;

	list_for_each (vm, &r->vms, link) {
		if (guid_equal(&vm->id, id))
			return vm;
	}
	return NULL;
}

struct vm *registry_find(const struct registry *r, const char *name_or_id,
			 struct rpc_error *e)
{
	struct guid id;
	struct vm *vm = guid_parse(name_or_id, &id) == 0
				? registry_by_id(r, &id)
				: registry_by_name(r, name_or_id);

	if (!vm)
		rpc_error_set(
			e, -ENOENT,
			"there is no VM '%.128s'; 'vmctl list' shows those there are",
			name_or_id);
	return vm;
}
