/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/nic_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const mirrors[] = {
	[MIRROR_NONE] = "none",
	[MIRROR_SOURCE] = "source",
	[MIRROR_DESTINATION] = "destination",
};
static const char *const directions[] = {
	[ACL_IN] = "in",
	[ACL_OUT] = "out",
	[ACL_BOTH] = "both",
};

static __printf(2, 3) int bad(struct config_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- prefixes ---- */

int net_prefix_parse(const char *text, struct net_prefix *ret)
{
	struct net_prefix p = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };
	const unsigned int most = p.family == AF_INET ? 32 : 128;
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char *end;
	long bits = most;

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = 0;
	if (slash) {
		bits = strtol(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end || bits < 0 ||
		    bits > (long)most)
			return -EINVAL;
	}
	if (inet_pton(p.family, address, p.address) != 1)
		return -EINVAL;
	p.bits = (unsigned int)bits;
	*ret = p;
	return 0;
}

void net_prefix_format(const struct net_prefix *p, char ret[NET_PREFIX_STR])
{
	char address[INET6_ADDRSTRLEN];

	if (p->family == AF_UNSPEC) {
		strcpy(ret, "any");
		return;
	}
	inet_ntop(p->family, p->address, address, sizeof(address));
	snprintf(ret, NET_PREFIX_STR, "%s/%u", address, p->bits);
}

struct net_prefix net_prefix_network(const struct net_prefix *p)
{
	struct net_prefix n = *p;

	for (unsigned int i = 0; i < sizeof(n.address); i++) {
		unsigned int kept = n.bits > 8 * i ? MIN(n.bits - 8 * i, 8u) : 0;

		n.address[i] &= (uint8_t)(0xff00 >> kept);
	}
	return n;
}

/* ---- values ---- */

static int read_vlan(struct nic_port *p, const json_t *v, struct config_error *e)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > (json_int_t)CONFIG_VLAN_MAX)
		return bad(e, "vlan: must be 1 to %u, or 0 for none", CONFIG_VLAN_MAX);
	p->vlan = (uint16_t)n;
	return 0;
}

/* "N" or "N-M"; what is behind it. */
static const char *read_range(const char *s, struct vlan_range *ret)
{
	unsigned long first, last;
	char *end;

	if (*s < '0' || *s > '9')
		return NULL;
	first = last = strtoul(s, &end, 10);
	if (*end == '-') {
		if (end[1] < '0' || end[1] > '9')
			return NULL;
		last = strtoul(end + 1, &end, 10);
	}
	if (first < 1 || last < first || last > CONFIG_VLAN_MAX)
		return NULL;
	*ret = (struct vlan_range){ (uint16_t)first, (uint16_t)last };
	return end;
}

static int read_trunk(struct nic_port *p, const json_t *v, struct config_error *e)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return 0;
	while (s && p->trunk_count < CONFIG_TRUNK_RANGES_MAX) {
		s = read_range(s, &p->trunk[p->trunk_count]);
		if (!s)
			break;
		p->trunk_count++;
		if (!*s)
			return 0;
		if (*s++ != ',')
			break;
	}
	return bad(e,
		   "trunk: must be up to %u VLANs and ranges from 1 to %u, as "
		   "\"10,20-29\"",
		   CONFIG_TRUNK_RANGES_MAX, CONFIG_VLAN_MAX);
}

static int read_bool(bool *ret, const char *name, const json_t *v, struct config_error *e)
{
	if (!json_is_boolean(v))
		return bad(e, "%s: must be true or false", name);
	*ret = json_is_true(v);
	return 0;
}

static int read_spoofing(struct nic_port *p, const json_t *v, struct config_error *e)
{
	return read_bool(&p->mac_spoofing, "mac_spoofing", v, e);
}

static int read_dhcp_guard(struct nic_port *p, const json_t *v, struct config_error *e)
{
	return read_bool(&p->dhcp_guard, "dhcp_guard", v, e);
}

static int read_router_guard(struct nic_port *p, const json_t *v, struct config_error *e)
{
	return read_bool(&p->router_guard, "router_guard", v, e);
}

/* The index of a word, or -EINVAL. */
static int find_word(const char *const *words, size_t n, const json_t *v)
{
	for (size_t i = 0; json_is_string(v) && i < n; i++) {
		if (words[i] && strcmp(words[i], json_string_value(v)) == 0)
			return (int)i;
	}
	return -EINVAL;
}

static int read_mirror(struct nic_port *p, const json_t *v, struct config_error *e)
{
	int i = find_word(mirrors, ARRAY_SIZE(mirrors), v);

	if (i < 0)
		return bad(e, "mirror: must be \"none\", \"source\" or \"destination\"");
	p->mirror = (enum port_mirror)i;
	return 0;
}

static int read_max(struct nic_port *p, const json_t *v, struct config_error *e)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 ||
	    (n && ((uint64_t)n < CONFIG_RATE_MIN || (uint64_t)n > CONFIG_RATE_MAX)))
		return bad(e,
			   "max_bps: must be 64000 to 1000000000000 bits a second, or 0 "
			   "for no bound");
	p->max_bps = (uint64_t)n;
	return 0;
}

static int read_acl(struct port_acl *a, const json_t *v, struct config_error *e)
{
	const char *action = json_string_value(json_object_get(v, "action"));
	const char *remote = json_string_value(json_object_get(v, "remote"));
	int d = find_word(directions, ARRAY_SIZE(directions),
			  json_object_get(v, "direction"));
	struct port_acl acl = { 0 };

	if (!json_is_object(v) || json_object_size(v) != 3)
		return bad(e, "must be an object with action, direction, remote");
	if (!action || (strcmp(action, "allow") != 0 && strcmp(action, "deny") != 0))
		return bad(e, "action: must be \"allow\" or \"deny\"");
	acl.deny = *action == 'd';
	if (d < 0)
		return bad(e, "direction: must be \"in\", \"out\" or \"both\"");
	acl.direction = (enum acl_direction)d;
	if (!remote ||
	    (strcmp(remote, "any") != 0 && net_prefix_parse(remote, &acl.remote) < 0))
		return bad(e, "remote: must be an address such as 10.1.2.3, a prefix "
			      "such as fd00::/8, or \"any\"");
	acl.remote = net_prefix_network(&acl.remote);
	*a = acl;
	return 0;
}

static int read_acls(struct nic_port *p, const json_t *v, struct config_error *e)
{
	struct config_error inner;
	const json_t *item;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > CONFIG_ACLS_MAX)
		return bad(e, "acls: must be an array of at most %u", CONFIG_ACLS_MAX);
	json_array_foreach (v, i, item) {
		if (read_acl(&p->acls[i], item, &inner) < 0)
			return bad(e, "acls[%zu]: %.200s", i, inner.message);
		p->acl_count = i + 1;
	}
	return 0;
}

/* ---- the whole ---- */

static const struct {
	const char *name;
	int (*read)(struct nic_port *p, const json_t *v, struct config_error *e);
} members[] = {
	{ "vlan", read_vlan },
	{ "trunk", read_trunk },
	{ "mac_spoofing", read_spoofing },
	{ "dhcp_guard", read_dhcp_guard },
	{ "router_guard", read_router_guard },
	{ "mirror", read_mirror },
	{ "max_bps", read_max },
	{ "acls", read_acls },
};

static int read_member(struct nic_port *p, const char *key, const json_t *v,
		       struct config_error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (strcmp(members[i].name, key) == 0)
			return members[i].read(p, v, e);
	}
	return bad(e, "%.64s: there is no such member", key);
}

int nic_port_from_json(const json_t *text, struct nic_port *ret, struct config_error *e)
{
	struct nic_port p = { 0 };
	const char *key;
	json_t *v;
	int r;

	if (!json_is_object(text))
		return bad(e, "must be an object");
	json_object_foreach ((json_t *)(uintptr_t)text, key, v) {
		r = read_member(&p, key, v, e);
		if (r < 0)
			return r;
	}
	*ret = p;
	return 0;
}

static json_t *trunk_to_json(const struct nic_port *p)
{
	char text[CONFIG_TRUNK_RANGES_MAX * 10 + 1];
	size_t n = 0;

	for (size_t i = 0; i < p->trunk_count; i++) {
		const struct vlan_range *t = &p->trunk[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", n ? "," : "",
				      t->first);
		if (t->last != t->first)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "-%u", t->last);
	}
	return n ? json_string(text) : json_null();
}

static json_t *acls_to_json(const struct nic_port *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->acl_count; i++) {
		const struct port_acl *a = &p->acls[i];
		char remote[NET_PREFIX_STR];

		net_prefix_format(&a->remote, remote);
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s}", "action",
					a->deny ? "deny" : "allow", "direction",
					directions[a->direction], "remote", remote));
	}
	return list;
}

json_t *nic_port_to_json(const struct nic_port *p)
{
	return json_pack("{s:i, s:o, s:b, s:b, s:b, s:s, s:I, s:o}", "vlan", (int)p->vlan,
			 "trunk", trunk_to_json(p), "mac_spoofing", p->mac_spoofing,
			 "dhcp_guard", p->dhcp_guard, "router_guard", p->router_guard,
			 "mirror", mirrors[p->mirror], "max_bps", (json_int_t)p->max_bps,
			 "acls", acls_to_json(p));
}

bool nic_port_needs_vlans(const struct nic_port *p)
{
	return p->vlan || p->trunk_count;
}
