/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual switch's configuration:
 *
 *   { "name": "lan",                   1 to 100 characters; what adapters name it by, so it does not change
 *     "type": "private" | "internal" | "external",
 *     "interface": "eth0" | null,      external: the host's, whose addresses become the switch's
 *     "addresses": [ "10.9.0.1/24" ],  internal: of the host, up to 8
 *     "nat": false,                    internal: guests reach the world as the host (IPv4)
 *     "dhcp": false,                   internal: guests are given addresses of its first IPv4 network
 *     "mtu": 1500 }                    private, internal: of the host's side, 576 to 9000
 *
 * Thread: any. Errors: 0 or -errno with a message.
 */
#ifndef CONFIG_SWITCH_H
#define CONFIG_SWITCH_H

#include "config/config.h"

#define CONFIG_SWITCH_ADDRESSES_MAX 8u

enum switch_type { SWITCH_PRIVATE, SWITCH_INTERNAL, SWITCH_EXTERNAL };

struct switch_config {
	char name[CONFIG_NAME_SIZE];
	enum switch_type type;
	char interface[16]; /* IFNAMSIZ; "" none */
	struct net_prefix addresses[CONFIG_SWITCH_ADDRESSES_MAX];
	size_t address_count;
	bool nat, dhcp;
	unsigned int mtu;
};

/* On an error *ret is untouched. Needs no end. */
int switch_config_from_json(const json_t *v, struct switch_config *ret,
			    struct config_error *e) __must_check;
/* Every member; a new reference, NULL without memory. */
json_t *switch_config_to_json(const struct switch_config *c);
/* With a merge patch (RFC 7396) applied; name, type and interface cannot change. */
int switch_config_patch(const struct switch_config *c, const json_t *patch,
			struct switch_config *ret, struct config_error *e) __must_check;
/* The first IPv4 address, or NULL. */
const struct net_prefix *switch_config_ipv4(const struct switch_config *c);

#endif
