/* SPDX-License-Identifier: BSD-2-Clause */
/* From what the last vmms left to what the records say. */
#include "vmms/net/switch_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"

static void told(struct vswitch *s, const struct rpc_error *e)
{
	snprintf(s->reason, sizeof(s->reason), "%s", e->message);
	log_err("switch %s is down: %s", s->config.name, e->message);
}

/* ---- one switch ---- */

/*
 * An interface that has lost its addresses, because its bridge was removed by others in this boot, gets them from the record. After a boot it
 * has those that the host's own configuration gives it.
 */
static int recover(struct vswitch *s, struct rpc_error *e)
{
	struct snapshot before = s->moved;
	struct vswitch_error why;
	int r;

	s->moved = (struct snapshot){ .address_count = 0 };
	r = switch_take_snapshot(s, s->config.interface, e);
	if (r < 0) {
		s->moved = before;
		return r;
	}
	if (s->moved.address_count || !before.address_count || !s->same_boot) {
		snapshot_done(&before);
		return 0;
	}
	s->moved = before;
	r = move_uplink(s->config.interface, s->bridge, true, &s->moved, &why);
	return r < 0 ? rpc_error_set(e, r, "%s", why.message) : 0;
}

/* By way of the record: where an interface is to move, what it has is written down first. */
static int put_up_recorded(struct vswitch *s, struct rpc_error *e)
{
	struct link_info l, bridge;
	int r = switch_check_host(s, e);

	if (r < 0 || s->config.type != SWITCH_EXTERNAL)
		return r < 0 ? r : switch_put_up(s, e);
	if (link_find(s->config.interface, &l, NULL) == 0 &&
	    link_find(s->bridge, &bridge, NULL) == 0 && l.master == bridge.index)
		return switch_put_up(s, e);
	r = recover(s, e);
	s->phase = SWITCH_MOVING;
	if (r == 0)
		r = switch_record_write(s, e);
	if (r == 0)
		r = switch_put_up(s, e);
	s->phase = SWITCH_READY;
	return r < 0 ? r : switch_record_write(s, e);
}

int switch_ensure(struct vswitch *s, struct rpc_error *e)
{
	struct rpc_error ignored;
	int r = s->up ? 0 : put_up_recorded(s, e);

	if (r == 0) {
		s->reason[0] = 0;
		return 0;
	}
	/* Half of it is worse than nothing: the interface is to work. */
	if (!s->up && s->config.type == SWITCH_EXTERNAL &&
	    switch_take_down(s, &ignored) < 0)
		log_err("%s", ignored.message);
	told(s, e);
	return r;
}

/* Takes it down and forgets it. */
static void forget(struct vswitch *s)
{
	struct rpc_error e;
	int r = switch_take_down(s, &e);

	if (r == 0)
		r = switch_record_remove(s);
	if (r < 0) {
		rpc_error_set(&e, r, "it was being removed, and could not be: %s",
			      e.message);
		told(s, &e);
		return;
	}
	log_info("switch %s, which was being %s, is removed", s->config.name,
		 s->phase == SWITCH_CREATING ? "created" : "deleted");
	switch_free(s);
}

static void settle(struct vswitch *s)
{
	struct rpc_error e;

	switch (s->phase) {
	case SWITCH_CREATING:
	case SWITCH_DELETING:
		forget(s);
		return;
	case SWITCH_MOVING:
		if (switch_take_down(s, &e) < 0) {
			told(s, &e);
			return;
		}
		s->phase = SWITCH_READY;
		break;
	case SWITCH_READY:
		break;
	}
	if (switch_ensure(s, &e) == 0)
		log_info("switch %s is up", s->config.name);
}

/* ---- bridges without a record ---- */

#define STRAYS_MAX 64

struct strays {
	const struct switches *all;
	char prefix[SWITCH_ALIAS_SIZE];
	struct link_info found[STRAYS_MAX];
	size_t n;
	int bridge; /* of_bridge(): whose port is looked for */
	struct link_info port;
};

static int on_bridge(void *ctx, const struct link_info *l)
{
	struct strays *x = ctx;
	struct vswitch *s;

	if (strncmp(l->alias, x->prefix, strlen(x->prefix)) != 0)
		return 0;
	list_for_each (s, &x->all->all, link) {
		if (strcmp(s->alias, l->alias) == 0)
			return 0;
	}
	x->found[x->n++] = *l;
	return x->n == STRAYS_MAX;
}

static int of_bridge(void *ctx, const struct link_info *l)
{
	struct strays *x = ctx;

	if (l->master != x->bridge || strcmp(l->kind, "tun") == 0)
		return 0;
	x->port = *l;
	return 1;
}

/* Its record is lost; what an interface lent it goes back all the same. */
static void remove_stray(struct strays *x, const struct link_info *bridge)
{
	struct snapshot has;
	struct vswitch_error why;
	int r;

	x->bridge = bridge->index;
	r = link_each(of_bridge, x);
	if (r == 1) {
		r = snapshot_take(bridge->name, &has, &why);
		if (r == 0) {
			r = move_uplink(x->port.name, bridge->name, true, &has, &why);
			snapshot_done(&has);
		}
	}
	if (r == 0)
		r = link_delete(bridge->name, &why);
	if (r < 0)
		log_err("the bridge %s belongs to no switch and cannot be removed: %s",
			bridge->name, why.message);
	else
		log_warning("the bridge %s belonged to no switch and is removed",
			    bridge->name);
}

static void remove_strays(struct switches *all)
{
	static struct strays x;

	x = (struct strays){ .all = all };
	switch_alias(all, "", x.prefix);
	/* A record that cannot be read has a bridge all the same: then nothing is known to be a stray. */
	if (all->unreadable || link_each(on_bridge, &x) < 0)
		return;
	for (size_t i = 0; i < x.n; i++)
		remove_stray(&x, &x.found[i]);
}

void switches_start(struct switches *all)
{
	bool any = !list_empty(&all->all);
	struct vswitch *s, *next;
	struct rpc_error e;

	remove_strays(all);
	list_for_each_safe (s, next, &all->all, link)
		settle(s);
	switch_ports_adopt(all);
	if (any && switch_filters_apply(all, &e) < 0)
		log_err("the filters of the switches' ports: %s", e.message);
}
