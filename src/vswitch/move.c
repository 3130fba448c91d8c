/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitch/move.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 2048u /* of an address or a route */

/* ---- what there is ---- */

struct taking {
	int index;
	struct snapshot *s;
};

static int keep(struct nlmsghdr **list, size_t *n, const struct nlmsghdr *m)
{
	struct nlmsghdr *copy;

	if (*n == MOVE_MESSAGES_MAX || m->nlmsg_len > MESSAGE_MAX)
		return -E2BIG;
	copy = malloc(m->nlmsg_len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, m, m->nlmsg_len);
	list[(*n)++] = copy;
	return 0;
}

static int on_address(void *ctx, const struct nlmsghdr *m)
{
	const struct ifaddrmsg *i = mnl_nlmsg_get_payload(m);
	struct taking *t = ctx;

	if (m->nlmsg_type != RTM_NEWADDR || (int)i->ifa_index != t->index ||
	    (i->ifa_family == AF_INET6 && i->ifa_scope == RT_SCOPE_LINK))
		return 0;
	return keep(t->s->addresses, &t->s->address_count, m);
}

struct route {
	uint32_t oif;
	bool several;    /* over several interfaces, or a nexthop object's */
	bool link_local; /* fe80::/10 */
	bool gateway;
};

static struct route read_route(const struct nlmsghdr *m)
{
	const struct rtmsg *i = mnl_nlmsg_get_payload(m);
	struct route r = { 0 };
	const struct nlattr *a;

	netlink_for_each (a, m, sizeof(*i)) {
		const uint8_t *bytes = mnl_attr_get_payload(a);

		switch (mnl_attr_get_type(a)) {
		case RTA_OIF:
			r.oif = mnl_attr_get_u32(a);
			break;
		case RTA_MULTIPATH:
		case RTA_NH_ID:
			r.several = true;
			break;
		case RTA_GATEWAY:
		case RTA_VIA:
			r.gateway = true;
			break;
		case RTA_DST:
			r.link_local = i->rtm_family == AF_INET6 && bytes[0] == 0xfe &&
				       (bytes[1] & 0xc0) == 0x80;
			break;
		default:
			break;
		}
	}
	return r;
}

static bool names_interface(const struct nlmsghdr *m, int index)
{
	const struct nlattr *a;
	const struct rtnexthop *h;
	size_t left;

	netlink_for_each (a, m, sizeof(struct rtmsg)) {
		if (mnl_attr_get_type(a) != RTA_MULTIPATH)
			continue;
		h = mnl_attr_get_payload(a);
		left = mnl_attr_get_payload_len(a);
		while (left >= sizeof(*h) && h->rtnh_len >= sizeof(*h) &&
		       h->rtnh_len <= left) {
			if (h->rtnh_ifindex == index)
				return true;
			left -= MIN(left, (size_t)MNL_ALIGN(h->rtnh_len));
			h = (const void *)((const char *)h + MNL_ALIGN(h->rtnh_len));
		}
	}
	return false;
}

static int on_route(void *ctx, const struct nlmsghdr *m)
{
	const struct rtmsg *i = mnl_nlmsg_get_payload(m);
	struct taking *t = ctx;
	struct route r;

	if (m->nlmsg_type != RTM_NEWROUTE || i->rtm_type != RTN_UNICAST ||
	    (i->rtm_flags & RTM_F_CLONED) || i->rtm_protocol == RTPROT_KERNEL)
		return 0;
	r = read_route(m);
	if (r.several && ((int)r.oif == t->index || names_interface(m, t->index)))
		return -EOPNOTSUPP;
	if ((int)r.oif != t->index || r.link_local)
		return 0;
	return keep(t->s->routes, &t->s->route_count, m);
}

int snapshot_take(const char *name, struct snapshot *ret, struct vswitch_error *e)
{
	struct snapshot s = { .address_count = 0 };
	struct taking t = { .s = &s };
	struct link_info l;
	int r = link_find(name, &l, e);

	if (r < 0)
		return r;
	t.index = l.index;
	r = netlink_dump(RTM_GETADDR, AF_UNSPEC, on_address, &t);
	if (r == 0)
		r = netlink_dump(RTM_GETROUTE, AF_INET, on_route, &t);
	if (r == 0)
		r = netlink_dump(RTM_GETROUTE, AF_INET6, on_route, &t);
	if (r < 0) {
		snapshot_done(&s);
		return vswitch_fail(e, r, "%s: %s", name,
				    r == -EOPNOTSUPP
					    ? "a route leads over it and others at "
					      "once, which cannot be moved"
				    : r == -E2BIG ? "it has too many addresses or routes"
						  : strerror(-r));
	}
	*ret = s;
	return 0;
}

void snapshot_done(struct snapshot *s)
{
	for (size_t i = 0; i < s->address_count; i++)
		free(s->addresses[i]);
	for (size_t i = 0; i < s->route_count; i++)
		free(s->routes[i]);
	s->address_count = s->route_count = 0;
}

/* ---- records ---- */

static json_t *list_to_json(struct nlmsghdr *const *list, size_t n)
{
	json_t *v = json_array();
	char text[2 * MESSAGE_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		const uint8_t *bytes = (const void *)list[i];

		for (uint32_t k = 0; k < list[i]->nlmsg_len; k++)
			snprintf(text + (size_t)2 * k, 3, "%02x", bytes[k]);
		if (json_array_append_new(v, json_string(text)) < 0) {
			json_decref(v);
			return NULL;
		}
	}
	return v;
}

json_t *snapshot_to_json(const struct snapshot *s)
{
	return json_pack("{s:o, s:o}", "addresses",
			 list_to_json(s->addresses, s->address_count), "routes",
			 list_to_json(s->routes, s->route_count));
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_message(const char *text, uint16_t type, size_t header,
			struct nlmsghdr **list, size_t *n)
{
	uint32_t aligned[MESSAGE_MAX / 4];
	struct nlmsghdr *m = (void *)aligned;
	uint8_t *bytes = (void *)aligned;
	size_t len = text ? strlen(text) / 2 : 0;

	if (len < MNL_NLMSG_HDRLEN + header || len > MESSAGE_MAX || strlen(text) % 2)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return m->nlmsg_len == len && m->nlmsg_type == type ? keep(list, n, m) : -EINVAL;
}

int snapshot_from_json(const json_t *v, struct snapshot *ret)
{
	const json_t *addresses = json_object_get(v, "addresses");
	const json_t *routes = json_object_get(v, "routes");
	struct snapshot s = { .address_count = 0 };
	int r = json_is_array(addresses) && json_is_array(routes) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < json_array_size(addresses); i++)
		r = read_message(json_string_value(json_array_get(addresses, i)),
				 RTM_NEWADDR, sizeof(struct ifaddrmsg), s.addresses,
				 &s.address_count);
	for (size_t i = 0; r == 0 && i < json_array_size(routes); i++)
		r = read_message(json_string_value(json_array_get(routes, i)),
				 RTM_NEWROUTE, sizeof(struct rtmsg), s.routes,
				 &s.route_count);
	if (r < 0) {
		snapshot_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

/* ---- moving ---- */

/* The attributes of a kernel's message, for another interface. */
static void copy_attributes(struct nlmsghdr *to, const struct nlmsghdr *from,
			    size_t header, const uint16_t *left_out, size_t n)
{
	const struct nlattr *a;

	netlink_for_each (a, from, (unsigned int)header) {
		uint16_t type = mnl_attr_get_type(a);
		bool skip = false;

		for (size_t i = 0; i < n; i++)
			skip |= type == left_out[i];
		if (!skip)
			mnl_attr_put(to, type, mnl_attr_get_payload_len(a),
				     mnl_attr_get_payload(a));
	}
}

static void put_address(struct netlink_batch *b, const struct nlmsghdr *m, bool remove,
			int index)
{
	static const uint16_t left_out[] = { IFA_LABEL, IFA_FLAGS };
	const struct ifaddrmsg *was = mnl_nlmsg_get_payload(m);
	struct nlmsghdr *x = netlink_add(b, remove ? RTM_DELADDR : RTM_NEWADDR,
					 remove ? 0 : NLM_F_CREATE | NLM_F_REPLACE,
					 remove ? EADDRNOTAVAIL : EEXIST,
					 "an address of the interface");
	struct ifaddrmsg *i = mnl_nlmsg_put_extra_header(x, sizeof(*i));
	uint32_t flags = was->ifa_flags;
	const struct nlattr *a;

	*i = *was;
	i->ifa_index = (uint32_t)index;
	copy_attributes(x, m, sizeof(*i), left_out, ARRAY_SIZE(left_out));
	if (remove)
		return;
	netlink_for_each (a, m, sizeof(*i)) {
		if (mnl_attr_get_type(a) == IFA_FLAGS)
			flags = mnl_attr_get_u32(a);
	}
	flags &= IFA_F_NOPREFIXROUTE | IFA_F_MANAGETEMPADDR | IFA_F_HOMEADDRESS;
	/* The host had it a moment ago: nobody else has. */
	i->ifa_flags = 0;
	mnl_attr_put_u32(x, IFA_FLAGS,
			 flags | (i->ifa_family == AF_INET6 ? IFA_F_NODAD : 0));
}

static void put_route(struct netlink_batch *b, const struct nlmsghdr *m, bool remove,
		      int index)
{
	static const uint16_t left_out[] = { RTA_OIF, RTA_CACHEINFO };
	struct nlmsghdr *x =
		netlink_add(b, remove ? RTM_DELROUTE : RTM_NEWROUTE,
			    remove ? 0 : NLM_F_CREATE | NLM_F_REPLACE,
			    remove ? ESRCH : EEXIST, "a route of the interface");
	struct rtmsg *i = mnl_nlmsg_put_extra_header(x, sizeof(*i));

	memcpy(i, mnl_nlmsg_get_payload(m), sizeof(*i));
	/* What the kernel says of a route's state is no wish. */
	i->rtm_flags &= RTNH_F_ONLINK;
	copy_attributes(x, m, sizeof(*i), left_out, ARRAY_SIZE(left_out));
	mnl_attr_put_u32(x, RTA_OIF, (uint32_t)index);
}

/* A gateway must be reachable when its route comes: those without one are first. */
static void put_routes(struct netlink_batch *b, const struct snapshot *s, bool remove,
		       int index)
{
	for (int gateway = 0; gateway <= 1; gateway++) {
		for (size_t i = 0; i < s->route_count; i++) {
			if (read_route(s->routes[i]).gateway == (gateway == 1))
				put_route(b, s->routes[i], remove, index);
		}
	}
}

int move_uplink(const char *uplink, const char *bridge, bool back,
		const struct snapshot *s, struct vswitch_error *e)
{
	cleanup_batch struct netlink_batch *b = netlink_batch_new();
	struct link_info l, br;
	int from, to, r;

	if (!b)
		return vswitch_fail(e, -ENOMEM, "no memory");
	r = link_find(uplink, &l, e);
	if (r == 0)
		r = link_find(bridge, &br, e);
	/* Back from a bridge that is gone: the interface has them still, or again. */
	if (r == -ENODEV && back && link_find(uplink, &l, NULL) == 0)
		br.index = 0;
	else if (r < 0)
		return r;
	from = back ? br.index : l.index;
	to = back ? l.index : br.index;
	if (from) {
		put_routes(b, s, true, from);
		for (size_t i = 0; i < s->address_count; i++)
			put_address(b, s->addresses[i], true, from);
	}
	mnl_attr_put_u32(link_message(b, l.index, true, uplink), IFLA_MASTER,
			 back ? 0 : (uint32_t)br.index);
	for (size_t i = 0; i < s->address_count; i++)
		put_address(b, s->addresses[i], false, to);
	put_routes(b, s, false, to);
	return netlink_send(b, e);
}
