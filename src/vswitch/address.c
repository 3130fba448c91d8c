/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's own addresses on a switch: made what they are to be. */
#include "vswitch/link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ADDRESSES_MAX 64

struct present {
	int index;
	struct net_prefix all[ADDRESSES_MAX];
	size_t n;
};

static int on_address(void *ctx, const struct nlmsghdr *m)
{
	const struct ifaddrmsg *i = mnl_nlmsg_get_payload(m);
	struct present *p = ctx;
	const struct nlattr *a;
	struct net_prefix x = { .family = i->ifa_family, .bits = i->ifa_prefixlen };
	size_t len = i->ifa_family == AF_INET ? 4 : 16;

	if (m->nlmsg_type != RTM_NEWADDR || (int)i->ifa_index != p->index ||
	    i->ifa_scope != RT_SCOPE_UNIVERSE)
		return 0;
	netlink_for_each (a, m, sizeof(*i)) {
		/* IFA_LOCAL is the address where the two differ; IPv6 has the other only. */
		if ((mnl_attr_get_type(a) == IFA_LOCAL ||
		     (mnl_attr_get_type(a) == IFA_ADDRESS &&
		      i->ifa_family == AF_INET6)) &&
		    mnl_attr_get_payload_len(a) == len)
			memcpy(x.address, mnl_attr_get_payload(a), len);
	}
	if (p->n == ADDRESSES_MAX)
		return -E2BIG;
	p->all[p->n++] = x;
	return 0;
}

static bool has(const struct net_prefix *list, size_t n, const struct net_prefix *x)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].family == x->family && list[i].bits == x->bits &&
		    memcmp(list[i].address, x->address, sizeof(x->address)) == 0)
			return true;
	}
	return false;
}

static void add(struct netlink_batch *b, bool remove, int index,
		const struct net_prefix *x)
{
	struct ifaddrmsg *i;
	struct nlmsghdr *m;
	char text[NET_PREFIX_STR];
	size_t len = x->family == AF_INET ? 4 : 16;

	net_prefix_format(x, text);
	m = netlink_add(b, remove ? RTM_DELADDR : RTM_NEWADDR,
			remove ? 0 : NLM_F_CREATE | NLM_F_EXCL,
			remove ? EADDRNOTAVAIL : EEXIST, "address %s", text);
	i = mnl_nlmsg_put_extra_header(m, sizeof(*i));
	i->ifa_family = (uint8_t)x->family;
	i->ifa_prefixlen = (uint8_t)x->bits;
	i->ifa_scope = RT_SCOPE_UNIVERSE;
	i->ifa_index = (uint32_t)index;
	mnl_attr_put(m, IFA_LOCAL, len, x->address);
	mnl_attr_put(m, IFA_ADDRESS, len, x->address);
	if (x->family == AF_INET && x->bits < 31 && !remove) {
		uint8_t broadcast[4];

		for (unsigned int k = 0; k < 4; k++) {
			unsigned int kept =
				x->bits > 8 * k ? MIN(x->bits - 8 * k, 8u) : 0;

			broadcast[k] = x->address[k] | (uint8_t)(0xff >> kept);
		}
		mnl_attr_put(m, IFA_BROADCAST, 4, broadcast);
	}
	/* Nobody else can have it yet: it may be used at once. */
	if (x->family == AF_INET6 && !remove)
		mnl_attr_put_u32(m, IFA_FLAGS, IFA_F_NODAD);
}

int link_set_addresses(const char *name, const struct net_prefix *addresses, size_t n,
		       struct vswitch_error *e)
{
	cleanup_batch struct netlink_batch *b = netlink_batch_new();
	struct present now = { 0 };
	struct link_info l;
	int r = b ? link_find(name, &l, e) : vswitch_fail(e, -ENOMEM, "no memory");

	if (r < 0)
		return r;
	now.index = l.index;
	r = netlink_dump(RTM_GETADDR, AF_UNSPEC, on_address, &now);
	if (r < 0)
		return vswitch_fail(e, r, "the addresses of %s: %s", name, strerror(-r));
	for (size_t i = 0; i < now.n; i++) {
		if (!has(addresses, n, &now.all[i]))
			add(b, true, l.index, &now.all[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (!has(now.all, now.n, &addresses[i]))
			add(b, false, l.index, &addresses[i]);
	}
	return netlink_send(b, e);
}
