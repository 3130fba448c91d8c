/* SPDX-License-Identifier: BSD-2-Clause */
/* VLANs of a bridge's ports: RTM_SETLINK and RTM_DELLINK of family AF_BRIDGE, bridge(8) "vlan". */
#include "vswitch/link.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#define UNTAGGED_VLAN 1 /* of ports without one: what a bridge gives them by itself */

static void add_range(struct netlink_batch *b, const char *port, int index, uint16_t type,
		      const struct vlan_range *v, uint16_t flags)
{
	struct nlmsghdr *m = netlink_add(b, type, 0, 0, "VLANs of %s", port);
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(m, sizeof(*i));
	struct nlattr *spec;
	struct bridge_vlan_info info = { .flags = flags, .vid = v->first };

	i->ifi_family = AF_BRIDGE;
	i->ifi_index = index;
	spec = mnl_attr_nest_start(m, IFLA_AF_SPEC);
	if (v->first == v->last) {
		mnl_attr_put(m, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
	} else {
		info.flags = flags | BRIDGE_VLAN_INFO_RANGE_BEGIN;
		mnl_attr_put(m, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
		info.flags = flags | BRIDGE_VLAN_INFO_RANGE_END;
		info.vid = v->last;
		mnl_attr_put(m, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
	}
	mnl_attr_nest_end(m, spec);
}

static const struct vlan_range all = { 1, CONFIG_VLAN_MAX };

static void put_vlans(struct netlink_batch *b, const struct link_info *l,
		      const struct nic_port *p)
{
	const uint16_t own = p->vlan ? p->vlan : UNTAGGED_VLAN;
	const struct vlan_range untagged = { own, own };

	add_range(b, l->name, l->index, RTM_DELLINK, &all, 0);
	for (size_t i = 0; i < p->trunk_count; i++)
		add_range(b, l->name, l->index, RTM_SETLINK, &p->trunk[i], 0);
	add_range(b, l->name, l->index, RTM_SETLINK, &untagged,
		  BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED);
}

int bridge_set_port(const char *bridge, const char *port, unsigned int mtu,
		    const struct nic_port *p, struct vswitch_error *e)
{
	cleanup_batch struct netlink_batch *b = netlink_batch_new();
	struct link_info br, l;
	struct nlmsghdr *m;
	int r = b ? link_find(bridge, &br, e) : vswitch_fail(e, -ENOMEM, "no memory");

	if (r == 0)
		r = link_find(port, &l, e);
	if (r < 0)
		return r;
	if (!br.filters_vlans && nic_port_needs_vlans(p))
		return vswitch_fail(e, -EOPNOTSUPP,
				    "the kernel's bridge knows no VLANs "
				    "(CONFIG_BRIDGE_VLAN_FILTERING is missing)");
	if (l.master != br.index) {
		m = link_message(b, l.index, false, port);
		if (mtu)
			mnl_attr_put_u32(m, IFLA_MTU, mtu);
		mnl_attr_put_u32(m, IFLA_MASTER, (uint32_t)br.index);
	}
	if (br.filters_vlans)
		put_vlans(b, &l, p);
	link_message(b, l.index, true, port);
	return netlink_send(b, e);
}

int bridge_trunk_all(const char *bridge, const char *port, struct vswitch_error *e)
{
	const struct nic_port p = { .trunk = { { 2, CONFIG_VLAN_MAX } },
				    .trunk_count = 1 };
	struct link_info br;
	int r = link_find(bridge, &br, e);

	return r < 0 || !br.filters_vlans ? r : bridge_set_port(bridge, port, 0, &p, e);
}
