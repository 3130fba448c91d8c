/* SPDX-License-Identifier: BSD-2-Clause */
/* A switch is made and unmade, each step told by its record before. */
#include "vmms/net/switch_priv.h"

#include <errno.h>
#include <string.h>

#include "util/log.h"
#include "vmms/vm/registry.h"

/* Everything that can be known beforehand. */
static int check_new(struct vswitch *s, struct rpc_error *e)
{
	struct vswitch *other;
	struct link_info l;
	int r = 0;

	list_for_each (other, &s->all->all, link) {
		if (other != s && strcmp(other->config.name, s->config.name) == 0)
			return rpc_error_set(e, -EEXIST,
					     "there is a switch called %s already; "
					     "choose another name",
					     s->config.name);
	}
	if (link_find(s->bridge, &l, NULL) == 0)
		r = rpc_error_set(e, -EEXIST,
				  "there is an interface %s already; try again",
				  s->bridge);
	return r < 0 ? r : switch_check_host(s, e);
}

int switch_make(struct vswitch *s, struct rpc_error *e)
{
	struct rpc_error ignored;
	int r = check_new(s, e);

	if (r == 0 && s->config.type == SWITCH_EXTERNAL)
		r = switch_take_snapshot(s, s->config.interface, e);
	s->phase = SWITCH_CREATING;
	if (r == 0)
		r = switch_record_write(s, e);
	if (r < 0)
		return r;
	r = switch_put_up(s, e);
	if (r == 0 && s->config.nat)
		r = switch_filters_apply(s->all, e);
	s->phase = SWITCH_READY;
	if (r == 0)
		r = switch_record_write(s, e);
	if (r == 0)
		return 0;
	/* Nothing is left of it; what could not be removed now is by the next vmms. */
	s->phase = SWITCH_DELETING;
	if (switch_take_down(s, &ignored) < 0)
		log_err("switch %s could not be removed: %s", s->config.name,
			ignored.message);
	else if (switch_record_remove(s) < 0)
		log_err("the record of switch %s could not be removed", s->config.name);
	return r;
}

static int check_unused(const struct vswitch *s, struct rpc_error *e)
{
	struct vm *vm;

	list_for_each (vm, &s->all->registry->vms, link) {
		for (size_t i = 0; i < vm->config.nic_count; i++) {
			const struct nic_config *n = &vm->config.nics[i];

			if (n->kind == NIC_SWITCH &&
			    strcmp(n->switch_name, s->config.name) == 0)
				return rpc_error_set(
					e, -EBUSY,
					"switch %s is in use: network adapter %u of %s "
					"is on it; remove that first",
					s->config.name, n->number, vm->config.name);
		}
	}
	return 0;
}

int switch_unmake(struct vswitch *s, struct rpc_error *e)
{
	struct link_info l;
	int r = check_unused(s, e);

	/* The host's addresses may have changed since they moved. */
	if (r == 0 && s->config.type == SWITCH_EXTERNAL &&
	    link_find(s->bridge, &l, NULL) == 0)
		r = switch_take_snapshot(s, s->bridge, e);
	if (r < 0)
		return r;
	s->phase = SWITCH_DELETING;
	r = switch_record_write(s, e);
	if (r == 0)
		r = switch_take_down(s, e);
	if (r == 0) {
		r = switch_record_remove(s);
		if (r < 0)
			rpc_error_set(e, r, "the record of switch %s: %s", s->config.name,
				      strerror(-r));
	}
	return r;
}
