/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.set: the configuration is on disk, then what can change while the VM runs is changed there, then the answer says which members hold now and
 * which wait for the next start. What waits is known by comparing with what the worker was started with, which its record keeps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "vmms/vm/automatic.h"
#include "vmms/disk/images.h"
#include "vmms/net/nic.h"
#include "vmms/disk/reservations.h"
#include "vmms/worker/shares.h"
#include "vmms/vm/store.h"
#include "vmms/vmms.h"
#include "vmms/worker/worker.h"

#define SWITCH_MS 2000

static const struct {
	const char *service;
	size_t offset; /* of its bool in struct vm_config */
} services[] = {
	{ "heartbeat", offsetof(struct vm_config, integration.heartbeat) },
	{ "shutdown", offsetof(struct vm_config, integration.shutdown) },
	{ "time_sync", offsetof(struct vm_config, integration.time_sync) },
};

/* A call that is answered when the worker has switched the services. */
struct set {
	struct vmms *v;
	struct vm *vm; /* outlives it: a VM with a worker is not deleted */
	struct rpc_call *call;
	json_t *changed;   /* names of members */
	unsigned int left; /* answers to come, and one for the caller */
	bool refused;      /* a service could not be switched */
	bool switched;     /* one was */
};

static bool service_on(const struct vm_config *c, size_t i)
{
	return *(const bool *)((const char *)c + services[i].offset);
}

static bool names(const json_t *list, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (strcmp(json_string_value(item), name) == 0)
			return true;
	}
	return false;
}

static json_t *answer(const struct set *s)
{
	json_t *doc = vm_summary(s->vm), *pending = vm_pending(s->vm),
	       *applied = json_array(), *name;
	size_t i;

	if (s->refused && s->vm->worker && !names(pending, "integration"))
		json_array_append_new(pending, json_string("integration"));
	json_array_foreach (s->changed, i, name) {
		if (!names(pending, json_string_value(name)))
			json_array_append(applied, name);
	}
	json_object_set_new(doc, "applied", applied);
	json_object_set_new(doc, "pending", pending);
	return doc;
}

static void on_status(void *arg, const json_t *result, const struct rpc_error *e);

static void set_unref(struct set *s)
{
	if (--s->left)
		return;
	/* What the worker says of its services is from before. */
	if (s->switched && s->vm->worker) {
		s->left = 1;
		s->switched = false;
		if (worker_call(s->vm->worker, "vm.status", NULL, SWITCH_MS, on_status,
				s) == 0)
			return;
	}
	rpc_call_reply(s->call, answer(s));
	json_decref(s->changed);
	free(s);
}

static void on_status(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct set *s = arg;
	int mask = result ? vm_apply_status(s->vm, result) : 0;

	if (mask > 0)
		vmms_changed(s->v, s->vm, mask);
	set_unref(s);
}

static void on_switched(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct set *s = arg;

	if (e) {
		log_warning(
			"%s: an integration service: %s; it changes at the next start",
			s->vm->config.name, e->message);
		s->refused = true;
	} else {
		s->switched = true;
	}
	set_unref(s);
}

/* Offers and rescinds in the running guest what changed. */
static void switch_services(struct set *s, const struct vm_config *before)
{
	const struct vm_config *now = &s->vm->config;

	for (size_t i = 0; s->vm->worker && i < ARRAY_SIZE(services); i++) {
		json_t *params;

		if (service_on(now, i) == service_on(before, i))
			continue;
		params = json_pack("{s:s, s:b}", "service", services[i].service,
				   "enabled", service_on(now, i));
		s->left++;
		if (worker_call(s->vm->worker, "integration.set", params, SWITCH_MS,
				on_switched, s) == 0)
			continue;
		s->left--;
		s->refused = true;
	}
}

static int check(struct vmms *v, struct vm *vm, const struct vm_config *next,
		 const json_t *changed, struct rpc_error *e)
{
	const json_t *name;
	size_t i;
	int r = 0;

	json_array_foreach (changed, i, name) {
		if (r == 0 && config_when(json_string_value(name)) == CONFIG_OWN_WAY)
			r = state_check(VM_OP_CONFIGURE, vm->state, vm->config.name, e);
	}
	if (r == 0 && names(changed, "scsi"))
		r = images_check_once(next, e);
	if (r == 0 && vm->worker)
		r = shares_check_change(v, vm, next, e);
	if (r == 0 && names(changed, "nics"))
		r = nic_check_macs(&v->registry, &vm->id, next, e);
	if (r == 0 && names(changed, "nics"))
		r = switches_check(v->switches, next, e);
	if (r == 0 && strcmp(vm->config.name, next->name) != 0)
		r = registry_check_name(&v->registry, next->name, e);
	return r;
}

/* What is checked becomes the VM's configuration. Takes over both. */
static void adopt(struct set *s, struct vm_config *next)
{
	struct vm *vm = s->vm;
	struct vm_config before = vm->config;

	vm->config = *next;
	registry_renamed(&s->v->registry, vm);
	reservations_sweep(&s->v->registry, s->v->instance.state_fd);
	log_info("%s: configuration changed", vm->config.name);
	events_add(s->v->events, "changed", vm, "the configuration of %s was changed",
		   vm->config.name);
	automatic_changed(s->v, vm);
	switch_services(s, &before);
	shares_apply(s->v);
	config_done(&before);
	set_unref(s);
}

static struct set *set_new(struct vmms *v, struct vm *vm, struct rpc_call *call,
			   const struct vm_config *next)
{
	struct set *s = malloc(sizeof(*s));
	json_t *changed = config_diff(&vm->config, next);

	if (!s || !changed) {
		free(s);
		json_decref(changed);
		return NULL;
	}
	*s = (struct set){
		.v = v, .vm = vm, .call = call, .changed = changed, .left = 1
	};
	return s;
}

void manage_set(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct vm *vm = vmms_find(v, call);
	struct config_error why;
	struct vm_config next;
	struct rpc_error e;
	struct set *s;
	int r;

	if (!vm)
		return;
	r = config_patch(&vm->config, json_object_get(rpc_call_params(call), "patch"),
			 &next, &why);
	if (r < 0) {
		rpc_call_fail(call, r, "%s: %s", vm->config.name, why.message);
		return;
	}
	config_give_serials(&next);
	s = set_new(v, vm, call, &next);
	r = s ? check(v, vm, &next, s->changed, &e)
	      : rpc_error_set(&e, -ENOMEM, "no memory");
	if (r == 0 && json_array_size(s->changed))
		r = store_update(v->instance.state_fd, &vm->id, &next, &e);
	if (r == 0) {
		adopt(s, &next);
		return;
	}
	config_done(&next);
	rpc_call_error(call, &e);
	if (s)
		json_decref(s->changed);
	free(s);
}
