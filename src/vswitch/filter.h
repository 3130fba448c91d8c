/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the ports' settings ask of packets, as one nftables ruleset: a table of the bridge family that each port's frames pass, one of the
 * netdev family that copies those of mirrored ports, one of the inet family that translates addresses. All of it replaces what was
 * there before in one transaction, so no frame ever meets a half of it.
 *
 * The library is libnftables: it takes the text that an administrator reads with nft(8), where libnftnl would have each rule put
 * together from registers and expressions by hand, ten times the code.
 *
 *   frame from the guest → bridge prerouting → chain from_<port>: source address, guards, ACLs, rate
 *   frame to the guest   → bridge postrouting → chain to_<port>: ACLs
 *
 * Thread: any. Errors: 0 or -errno and a line. Source: nft(8); docs of nftables.
 */
#ifndef VSWITCH_FILTER_H
#define VSWITCH_FILTER_H

#include "config/nic_port.h"
#include "vswitch/link.h"

struct filter_port {
	char name[LINK_NAME_SIZE]; /* the tap */
	char bridge[LINK_NAME_SIZE];
	uint8_t mac[LINK_MAC_BYTES];
	const struct nic_port *port;
};

struct filter_nat {
	char bridge[LINK_NAME_SIZE];
	struct net_prefix network;
};

struct filter {
	const char *table; /* of this vmms: letters, digits, '_' */
	const struct filter_port *ports;
	size_t port_count;
	const struct filter_nat *nats;
	size_t nat_count;
};

/* The text; malloc'ed, NULL without memory. Pure. With no ports and no NAT it removes what there was. */
char *filter_text(const struct filter *f);
/* In one transaction. Blocks for the kernel only. */
int filter_apply(const char *text, struct vswitch_error *e) __must_check;
/* The same, and the kernel forgets it: whether it would be taken. */
int filter_check(const char *text, struct vswitch_error *e) __must_check;

#endif
