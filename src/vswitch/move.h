/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interface of the host becomes a port of a bridge, and back: its addresses and routes go with it.
 *
 * A snapshot has them as the kernel gave them (whole messages, so that nothing of a route is lost that this code does not know). To move
 * is one batch of rtnetlink: routes and addresses leave the one, it joins or leaves the bridge, they come to the other. The kernel does
 * a batch within one system call, so a crash is before it or after it, and in both the host is on line (netlink.h).
 *
 * Link-local addresses and what the kernel makes by itself (connected and local routes) are not in it. Thread: any. Errors: 0 or -errno and a line.
 */
#ifndef VSWITCH_MOVE_H
#define VSWITCH_MOVE_H

#include <jansson.h>
#include "vswitch/link.h"

#define MOVE_MESSAGES_MAX 200u

struct snapshot {
	struct nlmsghdr *addresses[MOVE_MESSAGES_MAX]; /* each from malloc */
	struct nlmsghdr *routes[MOVE_MESSAGES_MAX];
	size_t address_count, route_count;
};

/* What an interface has now. A route over several interfaces at once, which cannot be moved: -EOPNOTSUPP. *ret needs snapshot_done(). */
int snapshot_take(const char *name, struct snapshot *ret,
		  struct vswitch_error *e) __must_check;
void snapshot_done(struct snapshot *s);
/* For a record: {"addresses": [hex …], "routes": [hex …]}; NULL without memory. */
json_t *snapshot_to_json(const struct snapshot *s);
/* -EINVAL for what snapshot_to_json() did not write. */
int snapshot_from_json(const json_t *v, struct snapshot *ret) __must_check;

/*
 * `uplink` becomes a port of `bridge`, and the snapshot's addresses and routes the bridge's; or with `back` the interface leaves the bridge and
 * has them again. What is there already is no error, so it may be repeated, and may follow a crash.
 */
int move_uplink(const char *uplink, const char *bridge, bool back,
		const struct snapshot *s, struct vswitch_error *e) __must_check;

#endif
