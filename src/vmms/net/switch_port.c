/* SPDX-License-Identifier: BSD-2-Clause */
/* The ports that VMs have on switches, and the filters of all of them. */
#include "vmms/net/switch_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/net/nic.h"
#include "vmms/vm/registry.h"

#define PORT_MTU 9216 /* a guest's own MTU, or the switch's for the host, is below */

void switch_port_free(struct switch_port *p)
{
	list_del(&p->link);
	free(p);
}

static void name_tap(const struct guid *vm, unsigned int number, char ret[LINK_NAME_SIZE])
{
	char text[GUID_STR_LEN];

	guid_format(vm, text);
	snprintf(ret, LINK_NAME_SIZE, "vt%.8s-%u", text, number % 10);
}

static struct switch_port *find(const struct switches *all, const struct guid *vm,
				unsigned int number)
{
	struct switch_port *p;

	list_for_each (p, &all->ports, link) {
		if (p->number == number && guid_equal(&p->vm, vm))
			return p;
	}
	return NULL;
}

/* ---- filters ---- */

static void fill_ports(const struct switches *all, struct filter_port *ret)
{
	struct switch_port *p;

	list_for_each (p, &all->ports, link) {
		strcpy(ret->name, p->tap);
		strcpy(ret->bridge, p->on->bridge);
		memcpy(ret->mac, p->mac, sizeof(ret->mac));
		ret->port = &p->port;
		ret++;
	}
}

static size_t fill_nats(const struct switches *all, struct filter_nat *ret)
{
	struct vswitch *s;
	size_t n = 0;

	list_for_each (s, &all->all, link) {
		if (!s->config.nat)
			continue;
		strcpy(ret[n].bridge, s->bridge);
		ret[n++].network = net_prefix_network(switch_config_ipv4(&s->config));
	}
	return n;
}

int switch_filters_apply(const struct switches *all, struct rpc_error *e)
{
	cleanup_free struct filter_port *ports = NULL;
	cleanup_free struct filter_nat *nats = NULL;
	cleanup_free char *text = NULL;
	struct filter f = { .table = all->table };
	struct vswitch_error why;
	const struct list *l;
	size_t switches = 0;
	int r;

	for (l = all->ports.next; l != &all->ports; l = l->next)
		f.port_count++;
	for (l = all->all.next; l != &all->all; l = l->next)
		switches++;
	ports = calloc(f.port_count + 1, sizeof(*ports));
	nats = calloc(switches + 1, sizeof(*nats));
	if (!ports || !nats)
		return rpc_error_set(e, -ENOMEM, "no memory");
	fill_ports(all, ports);
	f.nat_count = fill_nats(all, nats);
	f.ports = ports;
	f.nats = nats;
	text = filter_text(&f);
	if (!text)
		return rpc_error_set(e, -ENOMEM, "no memory");
	r = filter_apply(text, &why);
	return r < 0 ? rpc_error_set(e, r, "%s", why.message) : 0;
}

/* ---- what a port may ask for ---- */

static int check_port(const struct vswitch *s, const struct nic_port *p,
		      struct rpc_error *e)
{
	struct link_info l;

	if (nic_port_needs_vlans(p) && link_find(s->bridge, &l, NULL) == 0 &&
	    !l.filters_vlans)
		return rpc_error_set(e, -EOPNOTSUPP,
				     "this host's kernel has no VLANs on bridges "
				     "(CONFIG_BRIDGE_VLAN_FILTERING); use a switch for "
				     "each network, or another kernel");
	return 0;
}

int switches_check(const struct switches *all, const struct vm_config *c,
		   struct rpc_error *e)
{
	for (size_t i = 0; i < c->nic_count; i++) {
		const struct nic_config *nic = &c->nics[i];
		struct rpc_error why;
		struct vswitch *s;

		if (nic->kind != NIC_SWITCH)
			continue;
		s = switch_find(all, nic->switch_name, &why);
		if (!s || check_port(s, &nic->port, &why) < 0)
			return rpc_error_set(e, why.err, "network adapter %u: %s",
					     nic->number, why.message);
	}
	return 0;
}

/* ---- a port's life ---- */

static struct switch_port *port_new(struct switches *all, struct vswitch *s,
				    const struct guid *vm, const struct nic_config *nic)
{
	struct switch_port *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->on = s;
	p->vm = *vm;
	p->number = nic->number;
	p->port = nic->port;
	name_tap(vm, nic->number, p->tap);
	config_nic_mac(vm, nic->number, nic, p->mac);
	list_add_tail(&all->ports, &p->link);
	return p;
}

/* Filters first, so that no frame passes without. */
static int apply(const struct switch_port *p, struct rpc_error *e)
{
	struct vswitch_error why;
	int r = switch_filters_apply(p->on->all, e);

	if (r < 0)
		return r;
	r = bridge_set_port(p->on->bridge, p->tap, PORT_MTU, &p->port, &why);
	return r < 0 ? rpc_error_set(e, r, "%s", why.message) : 0;
}

static int connect_port(struct switch_port *p, unsigned int queues, struct nic_fds *ret,
			struct rpc_error *e)
{
	struct nic_fds fds = { .n = 0 };
	struct link_info l;
	int r;

	if (link_find(p->tap, &l, NULL) == 0)
		return rpc_error_set(e, -EBUSY,
				     "there is an interface %s already; is a worker of "
				     "this VM still alive?",
				     p->tap);
	/* The kernel makes the interface down: no frame passes before the rest is done. */
	r = nic_open_tap(p->tap, queues, &fds, e);
	if (r < 0)
		return r;
	r = apply(p, e);
	if (r < 0) {
		nic_close(&fds);
		return r;
	}
	*ret = fds;
	return 0;
}

int switches_open_port(struct switches *all, const struct guid *vm,
		       const struct nic_config *nic, unsigned int queues,
		       struct nic_fds *ret, struct rpc_error *e)
{
	struct vswitch *s = switch_find(all, nic->switch_name, e);
	struct switch_port *p;
	int r = s ? switch_ensure(s, e) : -ENOENT;

	if (r == 0)
		r = check_port(s, &nic->port, e);
	if (r < 0)
		return r;
	p = port_new(all, s, vm, nic);
	if (!p)
		return rpc_error_set(e, -ENOMEM, "no memory");
	r = connect_port(p, queues, ret, e);
	if (r < 0)
		switches_close_port(all, vm, nic->number);
	return r;
}

int switches_change_port(struct switches *all, const struct guid *vm,
			 const struct nic_config *nic, struct rpc_error *e)
{
	struct switch_port *p = find(all, vm, nic->number), before;
	struct vswitch *s = p ? switch_find(all, nic->switch_name, e) : NULL;
	struct rpc_error ignored;
	int r;

	if (!p || !s)
		return p ? -ENOENT : 0;
	before = *p;
	r = switch_ensure(s, e);
	if (r < 0)
		return r;
	p->port = nic->port;
	p->on = s;
	r = apply(p, e);
	if (r == 0)
		return 0;
	p->port = before.port;
	p->on = before.on;
	if (apply(p, &ignored) < 0)
		log_err("the port %s of switch %s: %s", p->tap, p->on->config.name,
			ignored.message);
	return r;
}

void switches_close_port(struct switches *all, const struct guid *vm, unsigned int number)
{
	struct switch_port *p, *next;
	struct rpc_error e;
	bool any = false;

	list_for_each_safe (p, next, &all->ports, link) {
		if (!guid_equal(&p->vm, vm) ||
		    (number != CONFIG_NICS_MAX && p->number != number))
			continue;
		switch_port_free(p);
		any = true;
	}
	if (any && switch_filters_apply(all, &e) < 0)
		log_err("the filters of the switches' ports: %s", e.message);
}

/* After a start of vmms: workers have their taps, which are on their bridges. */
void switch_ports_adopt(struct switches *all)
{
	struct vm *vm;

	list_for_each (vm, &all->registry->vms, link) {
		for (size_t i = 0; vm->worker && i < vm->config.nic_count; i++) {
			const struct nic_config *nic = &vm->config.nics[i];
			struct rpc_error e;
			struct vswitch *s;

			if (nic->kind != NIC_SWITCH)
				continue;
			s = switch_find(all, nic->switch_name, &e);
			if (!s || !port_new(all, s, &vm->id, nic))
				log_err("%s: network adapter %u: %s", vm->config.name,
					nic->number, s ? "no memory" : e.message);
		}
	}
}
