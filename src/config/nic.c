/* SPDX-License-Identifier: BSD-2-Clause */
/* One network adapter of a configuration: read, checked, written. */
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {
	[NIC_NONE] = "none",
	[NIC_USER] = "user",
	[NIC_TAP] = "tap",
	[NIC_SWITCH] = "switch",
};

static __printf(2, 3) int bad(struct config_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

const char *config_nic_kind(enum nic_kind kind)
{
	return kinds[kind];
}

/* ---- values ---- */

static int read_kind(struct nic_config *n, const json_t *v, struct config_error *e)
{
	for (size_t i = 0; json_is_string(v) && i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(json_string_value(v), kinds[i]) == 0) {
			n->kind = (enum nic_kind)i;
			return 0;
		}
	}
	return bad(e, "kind: must be \"user\", \"tap\", \"switch\" or \"none\"");
}

int config_parse_mac(const char *text, uint8_t ret[CONFIG_MAC_BYTES])
{
	unsigned int b[CONFIG_MAC_BYTES];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4],
		   &b[5], &end) != CONFIG_MAC_BYTES ||
	    text[end] || end != 17)
		return -EINVAL;
	for (unsigned int i = 0; i < CONFIG_MAC_BYTES; i++)
		ret[i] = (uint8_t)b[i];
	return 0;
}

static int read_mac(struct nic_config *n, const json_t *v, struct config_error *e)
{
	static const uint8_t zero[CONFIG_MAC_BYTES];

	n->has_mac = !json_is_null(v);
	if (!n->has_mac)
		return 0;
	if (!json_is_string(v) || config_parse_mac(json_string_value(v), n->mac) < 0)
		return bad(e, "mac: must be of the form \"00:15:5d:01:02:03\"");
	if (n->mac[0] & 1 || memcmp(n->mac, zero, sizeof(zero)) == 0)
		return bad(e, "mac: %s is no address of a single adapter",
			   json_string_value(v));
	return 0;
}

/* What Linux takes as an interface's name (dev_valid_name). */
static int read_tap(struct nic_config *n, const json_t *v, struct config_error *e)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return 0;
	if (!s || !*s || strlen(s) >= sizeof(n->tap) || strpbrk(s, "/: \t\n") ||
	    strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return bad(e, "tap: must be the name of a tap interface");
	strcpy(n->tap, s);
	return 0;
}

static int read_switch(struct nic_config *n, const json_t *v, struct config_error *e)
{
	const char *s = json_string_value(v);
	struct config_error inner;

	if (json_is_null(v))
		return 0;
	if (!s)
		return bad(e, "switch: must be the name of a virtual switch");
	if (config_check_name(s, &inner) < 0)
		return bad(e, "switch: %.300s", inner.message);
	strcpy(n->switch_name, s);
	return 0;
}

static int read_port_settings(struct nic_config *n, const json_t *v,
			      struct config_error *e)
{
	struct config_error inner;

	if (nic_port_from_json(v, &n->port, &inner) < 0)
		return bad(e, "port: %.300s", inner.message);
	return 0;
}

static int read_number(struct nic_config *n, const json_t *v, struct config_error *e)
{
	json_int_t i = json_integer_value(v);

	if (!json_is_integer(v) || i < 0 || i >= (json_int_t)CONFIG_NICS_MAX)
		return bad(e, "number: must be an integer from 0 to %u",
			   CONFIG_NICS_MAX - 1);
	n->number = (unsigned int)i;
	return 0;
}

static int read_link(struct nic_config *n, const json_t *v, struct config_error *e)
{
	if (!json_is_boolean(v))
		return bad(e, "link: must be true or false");
	n->unplugged = json_is_false(v);
	return 0;
}

static int read_loopback(struct nic_config *n, const json_t *v, struct config_error *e)
{
	if (!json_is_boolean(v))
		return bad(e, "host_loopback: must be true or false");
	n->host_loopback = json_is_true(v);
	return 0;
}

/* ---- forwards ---- */

static bool read_port(const json_t *v, uint16_t *ret)
{
	json_int_t n = json_integer_value(v);

	*ret = (uint16_t)n;
	return json_is_integer(v) && n > 0 && n < 65536;
}

static int read_forward(struct nic_forward *f, const json_t *v, struct config_error *e)
{
	const char *protocol = json_string_value(json_object_get(v, "protocol"));
	const char *address = json_string_value(json_object_get(v, "address"));

	if (!json_is_object(v) || json_object_size(v) != 4)
		return bad(e,
			   "must be an object with protocol, address, port, guest_port");
	if (!protocol || (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0))
		return bad(e, "protocol: must be \"tcp\" or \"udp\"");
	f->udp = *protocol == 'u';
	if (!address || inet_pton(AF_INET, address, &f->address) != 1)
		return bad(e, "address: must be an IPv4 address of the host");
	if (!read_port(json_object_get(v, "port"), &f->port) ||
	    !read_port(json_object_get(v, "guest_port"), &f->guest_port))
		return bad(e, "port and guest_port: must be integers from 1 to 65535");
	return 0;
}

static bool same_port(const struct nic_forward *a, const struct nic_forward *b)
{
	return a->udp == b->udp && a->port == b->port &&
	       (a->address == b->address || !a->address || !b->address);
}

static int read_forwards(struct nic_config *n, const json_t *v, struct config_error *e)
{
	struct config_error inner;
	const json_t *item;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > CONFIG_FORWARDS_MAX)
		return bad(e, "forwards: must be an array of at most %u",
			   CONFIG_FORWARDS_MAX);
	json_array_foreach (v, i, item) {
		struct nic_forward *f = &n->forwards[i];

		if (read_forward(f, item, &inner) < 0)
			return bad(e, "forwards[%zu]: %.200s", i, inner.message);
		for (size_t k = 0; k < i; k++) {
			if (same_port(f, &n->forwards[k]))
				return bad(e,
					   "forwards[%zu]: port %u is taken by another",
					   i, f->port);
		}
		n->forward_count = i + 1;
	}
	return 0;
}

/* ---- the whole ---- */

static const struct {
	const char *name;
	int (*read)(struct nic_config *n, const json_t *v, struct config_error *e);
} members[] = {
	{ "kind", read_kind },
	{ "mac", read_mac },
	{ "tap", read_tap },
	{ "host_loopback", read_loopback },
	{ "forwards", read_forwards },
	{ "switch", read_switch },
	{ "port", read_port_settings },
	{ "number", read_number },
	{ "link", read_link },
};

static int read_member(struct nic_config *n, const char *key, const json_t *v,
		       struct config_error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (strcmp(members[i].name, key) == 0)
			return members[i].read(n, v, e);
	}
	return bad(e, "%.64s: there is no such member", key);
}

int config_nic_from_json(const json_t *text, struct nic_config *ret,
			 struct config_error *e)
{
	struct nic_config n = { .kind = NIC_NONE, .number = CONFIG_NICS_MAX };
	const char *key;
	json_t *v;
	int r = 0;

	if (!json_is_object(text))
		return bad(e, "must be an object");
	if (!json_object_get(text, "kind"))
		return bad(e, "kind: is missing");
	json_object_foreach ((json_t *)(uintptr_t)text, key, v) {
		r = read_member(&n, key, v, e);
		if (r < 0)
			return r;
	}
	if ((n.kind == NIC_TAP) != (n.tap[0] != 0))
		return bad(e, "tap: %s",
			   n.kind == NIC_TAP ? "is missing"
					     : "is for an adapter of kind \"tap\"");
	if ((n.kind == NIC_SWITCH) != (n.switch_name[0] != 0))
		return bad(e, "switch: %s",
			   n.kind == NIC_SWITCH ? "is missing"
						: "is for an adapter of kind \"switch\"");
	if (n.kind != NIC_SWITCH && json_object_get(text, "port"))
		return bad(e, "port: is for an adapter of kind \"switch\"");
	if (n.kind != NIC_USER && (n.forward_count || n.host_loopback))
		return bad(e, "%s: is for an adapter of kind \"user\"",
			   n.forward_count ? "forwards" : "host_loopback");
	*ret = n;
	return 0;
}

static json_t *mac_to_json(const struct nic_config *n)
{
	const uint8_t *m = n->mac;

	return n->has_mac ? json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1],
					 m[2], m[3], m[4], m[5])
			  : json_null();
}

void config_nic_mac(const struct guid *vm, unsigned int index, const struct nic_config *n,
		    uint8_t ret[CONFIG_MAC_BYTES])
{
	struct guid instance;
	char place[16];

	if (n->has_mac) {
		memcpy(ret, n->mac, CONFIG_MAC_BYTES);
		return;
	}
	snprintf(place, sizeof(place), "nic/%u", index);
	guid_derive(vm, place, &instance);
	memcpy(ret, (uint8_t[]){ 0x00, 0x15, 0x5d }, 3);
	memcpy(ret + 3, instance.b + sizeof(instance.b) - 3, 3);
}

json_t *config_nic_to_json(const struct nic_config *n)
{
	json_t *forwards = json_array(), *all;

	for (size_t i = 0; i < n->forward_count; i++) {
		const struct nic_forward *f = &n->forwards[i];
		char address[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &f->address, address, sizeof(address));
		json_array_append_new(forwards,
				      json_pack("{s:s, s:s, s:i, s:i}", "protocol",
						f->udp ? "udp" : "tcp", "address",
						address, "port", (int)f->port,
						"guest_port", (int)f->guest_port));
	}
	all = json_pack("{s:i, s:s, s:o, s:s?, s:b, s:b, s:o}", "number", (int)n->number,
			"kind", kinds[n->kind], "mac", mac_to_json(n), "tap",
			n->tap[0] ? n->tap : NULL, "link", !n->unplugged, "host_loopback",
			n->host_loopback, "forwards", forwards);
	if (n->number == CONFIG_NICS_MAX)
		json_object_del(all, "number");
	if (n->kind == NIC_SWITCH) {
		json_object_set_new(all, "switch", json_string(n->switch_name));
		json_object_set_new(all, "port", nic_port_to_json(&n->port));
	}
	return all;
}
