/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's private network behind address translation: libslirp on one side, a packet socket with a frame a message (back/nic.h) on the
 * other. The network is 10.0.2.0/24 and fec0::/64, the gateway .2, the name server .3, the guest's first address .15, as users of
 * QEMU know them.
 *
 * Thread: one.
 */
#ifndef VMNAT_NAT_H
#define VMNAT_NAT_H

#include <netinet/in.h>
#include "util/macros.h"

struct nat;

struct nat_forward {
	bool udp;
	struct in_addr address; /* of the host */
	uint16_t port, guest_port;
};

/*
 * `fd` becomes the nat's on success. `host_loopback`: the gateway's address leads to what listens on the host's 127.0.0.1. -ENOMEM, -EINVAL when fd is no
 * such socket.
 */
int nat_new(int fd, bool host_loopback, struct nat **ret) __must_check;
void nat_free(struct nat *n);
/* The host's port leads to the guest's first address. -errno of bind(2). */
int nat_forward(struct nat *n, const struct nat_forward *f) __must_check;
/* Serves until the other end of the socket is closed: 0; else -errno. */
int nat_run(struct nat *n) __must_check;

#endif
