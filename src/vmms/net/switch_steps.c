/* SPDX-License-Identifier: BSD-2-Clause */
/* What a switch is in the kernel: put up and taken down. Each step may be repeated. */
#include "vmms/net/switch_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

#define FORWARDING "/proc/sys/net/ipv4/ip_forward"

static int failed(int r, const struct vswitch_error *why, struct rpc_error *e)
{
	return r < 0 ? rpc_error_set(e, r, "%s", why->message) : 0;
}

/* ---- an interface of the host ---- */

static int in_use(const struct vswitch *s, const struct link_info *l,
		  const struct link_info *bridge, struct rpc_error *e)
{
	const char *name = s->config.interface;

	if (l->loopback || !l->ethernet)
		return rpc_error_set(e, -EINVAL, "%s is no Ethernet interface", name);
	if (strcmp(l->kind, "bridge") == 0 || strcmp(l->kind, "tun") == 0)
		return rpc_error_set(e, -EINVAL, "%s is a %s; give a network card", name,
				     l->kind);
	if (l->master && (!bridge || l->master != bridge->index))
		return rpc_error_set(
			e, -EBUSY, "%s is in use: it is part of another interface", name);
	return 0;
}

int switch_check_host(const struct vswitch *s, struct rpc_error *e)
{
	struct link_info l, bridge;
	struct vswitch_error why;
	struct vswitch *other;
	bool have;
	int r;

	if (s->config.type != SWITCH_EXTERNAL)
		return 0;
	list_for_each (other, &s->all->all, link) {
		if (other != s &&
		    strcmp(other->config.interface, s->config.interface) == 0)
			return rpc_error_set(e, -EBUSY, "%s is in use by switch %s",
					     s->config.interface, other->config.name);
	}
	r = link_find(s->config.interface, &l, &why);
	if (r < 0)
		return rpc_error_set(e, r, "%s", why.message);
	have = link_find(s->bridge, &bridge, NULL) == 0;
	return in_use(s, &l, have ? &bridge : NULL, e);
}

int switch_take_snapshot(struct vswitch *s, const char *from, struct rpc_error *e)
{
	struct snapshot now;
	struct vswitch_error why;
	int r = snapshot_take(from, &now, &why);

	if (r < 0)
		return failed(r, &why, e);
	snapshot_done(&s->moved);
	s->moved = now;
	return 0;
}

/* Whether its interface is on its bridge, and so the host's addresses are, too. */
static bool is_moved(const struct vswitch *s)
{
	struct link_info l, bridge;

	return link_find(s->config.interface, &l, NULL) == 0 &&
	       link_find(s->bridge, &bridge, NULL) == 0 && l.master == bridge.index;
}

/* ---- up ---- */

static int forward(struct rpc_error *e)
{
	cleanup_fd int fd = open(FORWARDING, O_WRONLY | O_CLOEXEC);

	/* Never switched off again: others may have come to need it. */
	if (fd < 0 || write(fd, "1\n", 2) != 2)
		return rpc_error_set(e, -errno, FORWARDING ": %s", strerror(errno));
	return 0;
}

static int make_bridge(struct vswitch *s, struct vswitch_error *why)
{
	struct bridge_spec spec = { .name = s->bridge,
				    .alias = s->alias,
				    .mac = { 0x00, 0x15, 0x5d },
				    .mtu = s->config.mtu };
	struct link_info l;
	int r = 0;

	memcpy(spec.mac + 3, s->id.b + sizeof(s->id.b) - 3, 3);
	if (s->config.type == SWITCH_EXTERNAL) {
		/* The interface's address, by which the network knows the host. */
		r = link_find(s->config.interface, &l, why);
		memcpy(spec.mac, l.mac, sizeof(spec.mac));
		spec.mtu = l.mtu;
	}
	return r < 0 ? r : bridge_make(&spec, why);
}

static int put_up_external(struct vswitch *s, struct vswitch_error *why)
{
	int r = 0;

	if (!is_moved(s))
		r = move_uplink(s->config.interface, s->bridge, false, &s->moved, why);
	/* What the kernel refuses leaves the rest of the batch done. */
	if (r < 0 &&
	    move_uplink(s->config.interface, s->bridge, true, &s->moved, NULL) < 0)
		log_err("switch %s: the addresses of %s may be lost; they are in its "
			"record",
			s->config.name, s->config.interface);
	return r < 0 ? r : bridge_trunk_all(s->bridge, s->config.interface, why);
}

int switch_put_up(struct vswitch *s, struct rpc_error *e)
{
	const struct switch_config *c = &s->config;
	struct vswitch_error why;
	int r = make_bridge(s, &why);

	if (r == 0 && c->type == SWITCH_EXTERNAL)
		r = put_up_external(s, &why);
	if (r == 0 && c->type == SWITCH_INTERNAL)
		r = link_set_addresses(s->bridge, c->addresses, c->address_count, &why);
	if (r < 0)
		return failed(r, &why, e);
	if (c->nat)
		r = forward(e);
	if (r == 0 && c->dhcp)
		r = dhcp_start(s, e);
	else
		dhcp_stop(s);
	s->up = r == 0;
	return r;
}

/* ---- down ---- */

/* What is on the bridge goes back to its interface, if anything is. */
static int give_back(struct vswitch *s, struct vswitch_error *why)
{
	struct snapshot now;
	int r = snapshot_take(s->bridge, &now, why);

	if (r < 0)
		return r;
	if (is_moved(s) || now.address_count)
		r = move_uplink(s->config.interface, s->bridge, true,
				s->moved.address_count ? &s->moved : &now, why);
	snapshot_done(&now);
	return r;
}

int switch_take_down(struct vswitch *s, struct rpc_error *e)
{
	struct vswitch_error why;
	struct link_info l;
	int r;

	s->up = false;
	dhcp_stop(s);
	r = link_find(s->bridge, &l, &why);
	if (r == -ENODEV)
		return 0;
	if (r == 0 && strcmp(l.alias, s->alias) != 0)
		return 0; /* it was never ours */
	if (r == 0 && s->config.type == SWITCH_EXTERNAL)
		r = give_back(s, &why);
	if (r == 0)
		r = link_delete(s->bridge, &why);
	return failed(r, &why, e);
}
