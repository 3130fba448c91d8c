/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods on switches. What they answer is on disk before, and done. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"
#include "vmms/net/switch_priv.h"
#include "vmms/vmms.h"

/* ---- documents ---- */

static json_t *ports_doc(const struct vswitch *s)
{
	json_t *list = json_array();
	const struct switch_port *p;

	list_for_each (p, &s->all->ports, link) {
		const struct vm *vm = registry_by_id(s->all->registry, &p->vm);
		const uint8_t *m = p->mac;

		if (p->on != s)
			continue;
		json_array_append_new(
			list, json_pack("{s:s, s:i, s:s, s:o, s:o}", "vm",
					vm ? vm->config.name : "?", "number",
					(int)p->number, "tap", p->tap, "mac",
					json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x",
						     m[0], m[1], m[2], m[3], m[4], m[5]),
					"port", nic_port_to_json(&p->port)));
	}
	return list;
}

json_t *switch_doc(const struct vswitch *s)
{
	struct link_info l = { .filters_vlans = false };
	bool there = link_find(s->bridge, &l, NULL) == 0;
	json_t *doc = switch_config_to_json(&s->config);

	json_object_update_new(
		doc, json_pack("{s:s, s:s, s:s?, s:s, s:b, s:o}", "id", s->id_text,
			       "state", s->up && there ? "Up" : "Down", "reason",
			       s->reason[0]      ? s->reason
			       : !there && s->up ? "its bridge was removed by others; it "
						   "comes again at the next start of a VM"
						 : NULL,
			       "bridge", s->bridge, "vlans", there && l.filters_vlans,
			       "ports", ports_doc(s)));
	return doc;
}

void switch_list(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	json_t *list = json_array();
	struct vswitch *s;

	list_for_each (s, &v->switches->all, link)
		json_array_append_new(list, switch_doc(s));
	rpc_call_reply(call, json_pack("{s:o}", "switches", list));
}

static struct vswitch *find(struct vmms *v, struct rpc_call *call)
{
	struct rpc_error e;
	struct vswitch *s = switch_find(v->switches, rpc_call_string(call, "switch"), &e);

	if (!s)
		rpc_call_error(call, &e);
	return s;
}

void switch_show(struct rpc_call *call, void *ctx)
{
	struct vswitch *s = find(ctx, call);

	if (s)
		rpc_call_reply(call, switch_doc(s));
}

/* ---- create ---- */

void switch_create(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct switch_config c;
	struct config_error why;
	struct rpc_error e, inner;
	struct vswitch *s;
	struct guid id;
	int r;

	r = switch_config_from_json(json_object_get(rpc_call_params(call), "config"), &c,
				    &why);
	if (r < 0) {
		rpc_call_fail(call, r, "%s", why.message);
		return;
	}
	guid_new(&id);
	s = switch_new(v->switches, &id, &c);
	if (!s) {
		rpc_call_fail(call, -ENOMEM, "switch.create: no memory");
		return;
	}
	r = switch_make(s, &inner);
	if (r < 0) {
		switch_free(s);
		rpc_error_set(&e, r, "switch %s is not created: %s", c.name,
			      inner.message);
		rpc_call_error(call, &e);
		return;
	}
	log_info("switch %s: created, bridge %s", s->config.name, s->bridge);
	rpc_call_reply(call, switch_doc(s));
}

/* ---- set ---- */

void switch_set(struct rpc_call *call, void *ctx)
{
	struct vswitch *s = find(ctx, call);
	struct switch_config next, before;
	struct config_error why;
	struct rpc_error e, ignored;
	int r;

	if (!s)
		return;
	r = switch_config_patch(
		&s->config, json_object_get(rpc_call_params(call), "patch"), &next, &why);
	if (r < 0) {
		rpc_call_fail(call, r, "switch %s: %s", s->config.name, why.message);
		return;
	}
	before = s->config;
	s->config = next;
	r = switch_record_write(s, &e);
	s->up = false;
	if (r == 0)
		r = switch_ensure(s, &e);
	if (r == 0)
		r = switch_filters_apply(s->all, &e);
	if (r < 0) {
		s->config = before;
		s->up = false;
		if (switch_record_write(s, &ignored) < 0 ||
		    switch_ensure(s, &ignored) < 0)
			log_err("switch %s: %s", s->config.name, ignored.message);
		rpc_call_error(call, &e);
		return;
	}
	log_info("switch %s: changed", s->config.name);
	rpc_call_reply(call, switch_doc(s));
}

/* ---- delete ---- */

void switch_delete(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct vswitch *s = find(v, call);
	struct rpc_error e;
	bool nat;

	if (!s)
		return;
	if (switch_unmake(s, &e) < 0) {
		rpc_call_error(call, &e);
		return;
	}
	log_info("switch %s: deleted", s->config.name);
	nat = s->config.nat;
	switch_free(s);
	if (nat && switch_filters_apply(v->switches, &e) < 0)
		log_err("the filters of the switches' ports: %s", e.message);
	rpc_call_reply(call, json_object());
}
