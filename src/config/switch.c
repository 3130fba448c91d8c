/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/switch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/parse_priv.h"

#define MTU_DEFAULT 1500u
#define MTU_MIN 576
#define MTU_MAX 9000
/* DHCP needs room for some addresses, and is not for the world. */
#define DHCP_BITS_MIN 8u
#define DHCP_BITS_MAX 29u

static const char *const types[] = {
	[SWITCH_PRIVATE] = "private",
	[SWITCH_INTERNAL] = "internal",
	[SWITCH_EXTERNAL] = "external",
};

static __printf(2, 3) int bad(struct config_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int read_name(struct switch_config *c, const json_t *v, struct config_error *e)
{
	const char *s = json_string_value(v);

	if (!s)
		return bad(e, "name: must be a text");
	if (config_check_name(s, e) < 0)
		return -EINVAL;
	strcpy(c->name, s);
	return 0;
}

static int read_type(struct switch_config *c, const json_t *v, struct config_error *e)
{
	for (size_t i = 0; json_is_string(v) && i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i], json_string_value(v)) == 0) {
			c->type = (enum switch_type)i;
			return 0;
		}
	}
	return bad(e, "type: must be \"private\", \"internal\" or \"external\"");
}

static int read_interface(struct switch_config *c, const json_t *v,
			  struct config_error *e)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return 0;
	if (!s || !*s || strlen(s) >= sizeof(c->interface) || strpbrk(s, "/: \t\n"))
		return bad(e, "interface: must be the name of an interface of the host");
	strcpy(c->interface, s);
	return 0;
}

static int read_addresses(struct switch_config *c, const json_t *v,
			  struct config_error *e)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > CONFIG_SWITCH_ADDRESSES_MAX)
		return bad(e, "addresses: must be an array of at most %u",
			   CONFIG_SWITCH_ADDRESSES_MAX);
	json_array_foreach (v, i, item) {
		const char *s = json_string_value(item);

		if (!s || !strchr(s, '/') || net_prefix_parse(s, &c->addresses[i]) < 0 ||
		    !c->addresses[i].bits)
			return bad(e,
				   "addresses[%zu]: must be an address and the "
				   "length of its network, such as 10.9.0.1/24",
				   i);
		c->address_count = i + 1;
	}
	return 0;
}

static int read_flag(bool *ret, const char *name, const json_t *v, struct config_error *e)
{
	if (!json_is_boolean(v))
		return bad(e, "%s: must be true or false", name);
	*ret = json_is_true(v);
	return 0;
}

static int read_nat(struct switch_config *c, const json_t *v, struct config_error *e)
{
	return read_flag(&c->nat, "nat", v, e);
}

static int read_dhcp(struct switch_config *c, const json_t *v, struct config_error *e)
{
	return read_flag(&c->dhcp, "dhcp", v, e);
}

static int read_mtu(struct switch_config *c, const json_t *v, struct config_error *e)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < MTU_MIN || n > MTU_MAX)
		return bad(e, "mtu: must be %d to %d", MTU_MIN, MTU_MAX);
	c->mtu = (unsigned int)n;
	return 0;
}

static const struct {
	const char *name;
	int (*read)(struct switch_config *c, const json_t *v, struct config_error *e);
} members[] = {
	{ "name", read_name }, { "type", read_type },
	{ "mtu", read_mtu },   { "interface", read_interface },
	{ "nat", read_nat },   { "addresses", read_addresses },
	{ "dhcp", read_dhcp },
};

static int read_member(struct switch_config *c, const char *key, const json_t *v,
		       struct config_error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (strcmp(members[i].name, key) == 0)
			return members[i].read(c, v, e);
	}
	return bad(e, "%.64s: there is no such member", key);
}

const struct net_prefix *switch_config_ipv4(const struct switch_config *c)
{
	for (size_t i = 0; i < c->address_count; i++) {
		if (c->addresses[i].family == AF_INET)
			return &c->addresses[i];
	}
	return NULL;
}

static int check(const struct switch_config *c, struct config_error *e)
{
	const struct net_prefix *own = switch_config_ipv4(c);

	if ((c->type == SWITCH_EXTERNAL) != (c->interface[0] != 0))
		return bad(e, "interface: %s",
			   c->interface[0] ? "is for a switch of type \"external\""
					   : "is missing");
	if (c->type != SWITCH_INTERNAL && (c->address_count || c->nat || c->dhcp))
		return bad(e, "%s: is for a switch of type \"internal\"",
			   c->address_count ? "addresses"
			   : c->nat         ? "nat"
					    : "dhcp");
	if ((c->nat || c->dhcp) && !own)
		return bad(e, "%s: needs an IPv4 address among addresses",
			   c->nat ? "nat" : "dhcp");
	if (c->dhcp && (own->bits < DHCP_BITS_MIN || own->bits > DHCP_BITS_MAX))
		return bad(e, "dhcp: needs a network with a length of %u to %u",
			   DHCP_BITS_MIN, DHCP_BITS_MAX);
	return 0;
}

int switch_config_from_json(const json_t *v, struct switch_config *ret,
			    struct config_error *e)
{
	struct switch_config c = { .mtu = MTU_DEFAULT };
	const char *key;
	json_t *member;
	int r;

	if (!json_is_object(v))
		return bad(e, "must be an object");
	json_object_foreach ((json_t *)(uintptr_t)v, key, member) {
		r = read_member(&c, key, member, e);
		if (r < 0)
			return r;
	}
	if (!c.name[0] || !json_object_get(v, "type"))
		return bad(e, "%s: is missing", c.name[0] ? "type" : "name");
	r = check(&c, e);
	if (r == 0)
		*ret = c;
	return r;
}

json_t *switch_config_to_json(const struct switch_config *c)
{
	json_t *addresses = json_array();

	for (size_t i = 0; i < c->address_count; i++) {
		char text[NET_PREFIX_STR];

		net_prefix_format(&c->addresses[i], text);
		json_array_append_new(addresses, json_string(text));
	}
	return json_pack("{s:s, s:s, s:s?, s:o, s:b, s:b, s:i}", "name", c->name, "type",
			 types[c->type], "interface",
			 c->interface[0] ? c->interface : NULL, "addresses", addresses,
			 "nat", c->nat, "dhcp", c->dhcp, "mtu", (int)c->mtu);
}

int switch_config_patch(const struct switch_config *c, const json_t *patch,
			struct switch_config *ret, struct config_error *e)
{
	static const char *const fixed[] = { "name", "type", "interface" };
	json_auto_t *text = switch_config_to_json(c);

	if (!json_is_object(patch))
		return bad(e, "the patch must be an object");
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (json_object_get(patch, fixed[i]))
			return bad(e, "%s: cannot change; make another switch", fixed[i]);
	}
	if (!text || config_merge(text, patch) < 0) {
		snprintf(e->message, sizeof(e->message), "no memory");
		return -ENOMEM;
	}
	return switch_config_from_json(text, ret, e);
}
