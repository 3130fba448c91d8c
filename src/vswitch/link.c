/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitch/link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* ---- looking ---- */

static void read_bridge(const struct nlattr *info, struct link_info *l)
{
	const struct nlattr *a, *data;

	netlink_for_each_nested (a, info) {
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			snprintf(l->kind, sizeof(l->kind), "%s", mnl_attr_get_str(a));
		if (mnl_attr_get_type(a) != IFLA_INFO_DATA || strcmp(l->kind, "bridge"))
			continue;
		netlink_for_each_nested (data, a) {
			if (mnl_attr_get_type(data) == IFLA_BR_VLAN_FILTERING)
				l->filters_vlans = mnl_attr_get_u8(data);
		}
	}
}

static void read_link(const struct nlmsghdr *m, struct link_info *l)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(m);
	const struct nlattr *a;

	*l = (struct link_info){ .index = i->ifi_index,
				 .ethernet = i->ifi_type == ARPHRD_ETHER,
				 .loopback = i->ifi_flags & IFF_LOOPBACK,
				 .up = i->ifi_flags & IFF_UP };
	netlink_for_each (a, m, sizeof(*i)) {
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			snprintf(l->name, sizeof(l->name), "%s", mnl_attr_get_str(a));
			break;
		case IFLA_IFALIAS:
			snprintf(l->alias, sizeof(l->alias), "%s", mnl_attr_get_str(a));
			break;
		case IFLA_MASTER:
			l->master = (int)mnl_attr_get_u32(a);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(a) == LINK_MAC_BYTES)
				memcpy(l->mac, mnl_attr_get_payload(a), LINK_MAC_BYTES);
			break;
		case IFLA_MTU:
			l->mtu = mnl_attr_get_u32(a);
			break;
		case IFLA_LINKINFO:
			read_bridge(a, l);
			break;
		default:
			break;
		}
	}
}

struct each {
	int (*fn)(void *ctx, const struct link_info *l);
	void *ctx;
};

static int on_link(void *arg, const struct nlmsghdr *m)
{
	struct each *e = arg;
	struct link_info l;

	if (m->nlmsg_type != RTM_NEWLINK)
		return 0;
	read_link(m, &l);
	return e->fn(e->ctx, &l);
}

int link_each(int (*fn)(void *ctx, const struct link_info *l), void *ctx)
{
	struct each e = { fn, ctx };

	return netlink_dump(RTM_GETLINK, AF_UNSPEC, on_link, &e);
}

struct search {
	const char *name;
	struct link_info *ret;
};

static int on_candidate(void *arg, const struct link_info *l)
{
	struct search *s = arg;

	if (strcmp(l->name, s->name) != 0)
		return 0;
	*s->ret = *l;
	return 1;
}

int link_find(const char *name, struct link_info *ret, struct vswitch_error *e)
{
	struct search s = { name, ret };
	int r = link_each(on_candidate, &s);

	if (r == 0)
		return vswitch_fail(e, -ENODEV, "there is no interface %s", name);
	return r < 0 ? vswitch_fail(e, r, "the list of interfaces: %s", strerror(-r)) : 0;
}

/* ---- messages ---- */

struct nlmsghdr *link_message(struct netlink_batch *b, int index, bool up,
			      const char *what)
{
	struct nlmsghdr *m = netlink_add(b, RTM_NEWLINK, 0, 0, "%s", what);
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(m, sizeof(*i));

	i->ifi_family = AF_UNSPEC;
	i->ifi_index = index;
	i->ifi_flags = up ? IFF_UP : 0;
	i->ifi_change = IFF_UP;
	return m;
}

static void put_bridge_data(struct nlmsghdr *m, uint16_t type, uint8_t value)
{
	struct nlattr *info = mnl_attr_nest_start(m, IFLA_LINKINFO), *data;

	mnl_attr_put_str(m, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(m, IFLA_INFO_DATA);
	if (type == IFLA_BR_FORWARD_DELAY)
		mnl_attr_put_u32(m, type, value);
	else
		mnl_attr_put_u8(m, type, value);
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, info);
}

/* By its name, as its index is not known before it is made. */
static struct nlmsghdr *named_message(struct netlink_batch *b, const char *name,
				      uint16_t flags, int tolerated, const char *what)
{
	struct nlmsghdr *m =
		netlink_add(b, RTM_NEWLINK, flags, tolerated, "%s %s", name, what);

	mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, name);
	return m;
}

int bridge_make(const struct bridge_spec *s, struct vswitch_error *e)
{
	cleanup_batch struct netlink_batch *b = netlink_batch_new();
	struct link_info l;
	struct nlmsghdr *m;
	struct ifinfomsg *i;
	int r;

	if (!b)
		return vswitch_fail(e, -ENOMEM, "no memory");
	r = link_find(s->name, &l, e);
	if (r < 0 && r != -ENODEV)
		return r;
	if (r == 0 && strcmp(l.alias, s->alias) != 0)
		return vswitch_fail(e, -EEXIST,
				    "there is an interface %s that is not this switch's",
				    s->name);
	if (r == -ENODEV) {
		m = named_message(b, s->name, NLM_F_CREATE | NLM_F_EXCL, 0,
				  "cannot be made");
		mnl_attr_put(m, IFLA_ADDRESS, LINK_MAC_BYTES, s->mac);
		/* No spanning tree, so nothing to wait for. */
		put_bridge_data(m, IFLA_BR_FORWARD_DELAY, 0);
	}
	/* An MTU that was asked for does not follow that of the ports; what is not changed was not asked for. */
	for (unsigned int mtu = s->mtu - 1; mtu <= s->mtu; mtu++)
		mnl_attr_put_u32(named_message(b, s->name, 0, 0, "refuses its MTU"),
				 IFLA_MTU, mtu);
	m = named_message(b, s->name, 0, 0, "cannot be marked");
	i = mnl_nlmsg_get_payload(m);
	i->ifi_flags = i->ifi_change = IFF_UP;
	mnl_attr_put(m, IFLA_IFALIAS, strlen(s->alias), s->alias);
	m = named_message(b, s->name, 0, EOPNOTSUPP, "cannot filter VLANs");
	put_bridge_data(m, IFLA_BR_VLAN_FILTERING, 1);
	return netlink_send(b, e);
}

int link_delete(const char *name, struct vswitch_error *e)
{
	cleanup_batch struct netlink_batch *b = netlink_batch_new();
	struct nlmsghdr *m;

	if (!b)
		return vswitch_fail(e, -ENOMEM, "no memory");
	m = netlink_add(b, RTM_DELLINK, 0, ENODEV, "%s cannot be removed", name);
	mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, name);
	return netlink_send(b, e);
}
