/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port of a virtual switch: what the switch does with the frames of one network adapter. The member "port" of an adapter:
 *
 *   { "vlan": 0,                    0: frames are untagged; 1 to 4094: the port is in this VLAN and sees no tag. With a trunk: of its untagged frames
 *     "trunk": "10,20-29" | null,   VLANs that come and go with their tags
 *     "mac_spoofing": false,        it may send from other addresses than its adapter's
 *     "dhcp_guard": false,          it may not answer as a DHCP server
 *     "router_guard": false,        it may not advertise or redirect as an IPv6 router
 *     "mirror": "none" | "source" | "destination",   frames of sources are copied to the destinations of their switch
 *     "max_bps": 0,                 bits a second that it may send at most; 0: no bound
 *     "acls": [ { "action": "allow" | "deny", "direction": "in" | "out" | "both",
 *                 "remote": "10.0.0.0/8" | "fd00::/8" | "any" } ] }   up to 32; the first that fits decides, none: allowed
 *
 * "in" is to the guest. Thread: any. Errors: 0 or -errno with a message.
 */
#ifndef CONFIG_NIC_PORT_H
#define CONFIG_NIC_PORT_H

#include <jansson.h>
#include "util/macros.h"

#define CONFIG_VLAN_MAX 4094u
#define CONFIG_TRUNK_RANGES_MAX 16u
#define CONFIG_ACLS_MAX 32u
#define CONFIG_RATE_MIN UINT64_C(64000)
#define CONFIG_RATE_MAX UINT64_C(1000000000000)

struct config_error {
	char message[400];
};

/* An address with the length of its prefix. */
struct net_prefix {
	int family; /* AF_INET, AF_INET6; AF_UNSPEC: any */
	uint8_t address[16];
	unsigned int bits;
};

enum port_mirror { MIRROR_NONE, MIRROR_SOURCE, MIRROR_DESTINATION };
enum acl_direction { ACL_IN = 1, ACL_OUT = 2, ACL_BOTH = 3 };

struct port_acl {
	bool deny;
	enum acl_direction direction;
	struct net_prefix remote;
};

struct vlan_range {
	uint16_t first, last;
};

struct nic_port {
	uint16_t vlan; /* 0: none */
	struct vlan_range trunk[CONFIG_TRUNK_RANGES_MAX];
	size_t trunk_count; /* 0: no trunk */
	bool mac_spoofing, dhcp_guard, router_guard;
	enum port_mirror mirror;
	uint64_t max_bps; /* 0: none */
	struct port_acl acls[CONFIG_ACLS_MAX];
	size_t acl_count;
};

#define NET_PREFIX_STR 52
/* "10.0.0.1/24", "fd00::1/64"; without a length that of the whole address. Bits beyond the length are kept. -EINVAL. */
int net_prefix_parse(const char *text, struct net_prefix *ret) __must_check;
/* "10.0.0.1/24"; "any" for AF_UNSPEC. */
void net_prefix_format(const struct net_prefix *p, char ret[NET_PREFIX_STR]);
/* The same network, bits beyond the length cleared. */
struct net_prefix net_prefix_network(const struct net_prefix *p);

/* From the member "port"; on an error *ret is untouched. */
int nic_port_from_json(const json_t *v, struct nic_port *ret,
		       struct config_error *e) __must_check;
/* Every member; a new reference, NULL without memory. */
json_t *nic_port_to_json(const struct nic_port *p);
/* Whether it asks for what only a bridge with VLAN filtering can do. */
bool nic_port_needs_vlans(const struct nic_port *p);

#endif
