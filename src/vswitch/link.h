/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces of the host: found, made, put on a bridge. Every step is idempotent: done again it changes nothing. What is made carries an
 * alias, in the same batch, so that nothing of ours is ever without its mark. Thread: any. Errors: 0 or -errno and a line.
 */
#ifndef VSWITCH_LINK_H
#define VSWITCH_LINK_H

#include "config/nic_port.h"
#include "vswitch/netlink.h"

#define LINK_NAME_SIZE 16 /* IFNAMSIZ */
#define LINK_MAC_BYTES 6

struct link_info {
	int index, master; /* master 0: none */
	char name[LINK_NAME_SIZE];
	char alias[256];
	char kind[16]; /* "bridge", "tun", "veth" …; "" for hardware */
	uint8_t mac[LINK_MAC_BYTES];
	unsigned int mtu;
	bool ethernet, loopback, up;
	bool filters_vlans; /* of a bridge */
};

/* -ENODEV when there is none. */
int link_find(const char *name, struct link_info *ret,
	      struct vswitch_error *e) __must_check;
/* All, until `fn` returns something else than 0. */
int link_each(int (*fn)(void *ctx, const struct link_info *l), void *ctx) __must_check;

struct bridge_spec {
	const char *name, *alias;
	uint8_t mac[LINK_MAC_BYTES];
	unsigned int mtu; /* of the host's side, whatever that of its ports */
};

/* Up, filtering VLANs where the kernel can. An interface of this name that has another alias: -EEXIST. */
int bridge_make(const struct bridge_spec *s, struct vswitch_error *e) __must_check;
/* Also when there is none. The caller has looked at its alias. */
int link_delete(const char *name, struct vswitch_error *e) __must_check;
/*
 * Makes an interface a port of a bridge, or changes it: its VLANs as the settings say, none being VLAN 1 untagged. One that is not on
 * the bridge is down until its VLANs are right. On a bridge that filters none: -EOPNOTSUPP if some are asked for. mtu 0: as it is.
 */
int bridge_set_port(const char *bridge, const char *port, unsigned int mtu,
		    const struct nic_port *p, struct vswitch_error *e) __must_check;
/* All VLANs with tags, VLAN 1 without: the way to the world. */
int bridge_trunk_all(const char *bridge, const char *port,
		     struct vswitch_error *e) __must_check;
/* Addresses of the host on it: those are there, and no others of global scope. */
int link_set_addresses(const char *name, const struct net_prefix *addresses, size_t n,
		       struct vswitch_error *e) __must_check;
/* For a batch of another file: RTM_NEWLINK for an interface that is there, to be up or down. */
struct nlmsghdr *link_message(struct netlink_batch *b, int index, bool up,
			      const char *what);

#endif
