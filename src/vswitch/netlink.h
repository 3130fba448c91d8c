/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches of rtnetlink messages. The kernel works off all messages of one send(2) inside that call, one after the other, so a process that
 * is killed leaves a batch undone or done, never half (netlink_rcv_skb(); tests/unit/vswitch kills at each system call). One that the
 * kernel refuses does not stop those behind it: who sends several things that belong together undoes them by another batch.
 * Each call opens a socket of its own and blocks for the kernel only. Thread: any. Errors: 0 or -errno and a line.
 * Source: rtnetlink(7), netlink(7), Linux Documentation/userspace-api/netlink.
 */
#ifndef VSWITCH_NETLINK_H
#define VSWITCH_NETLINK_H

#include <libmnl/libmnl.h>
#include "util/macros.h"

#define NETLINK_MESSAGES_MAX 1024u

struct vswitch_error {
	char message[300];
};

/* Returns `err`, so that a failing function ends with it. `e` may be NULL. */
int vswitch_fail(struct vswitch_error *e, int err, const char *fmt, ...) __printf(3, 4);

struct netlink_batch {
	char *buffer;
	size_t len;
	unsigned int count;
	bool full;
	struct {
		char what[80]; /* for the line of an error */
		int tolerated; /* an errno that is no error; 0: none */
	} messages[NETLINK_MESSAGES_MAX];
};

/* NULL without memory. */
struct netlink_batch *netlink_batch_new(void);
void netlink_batch_free(struct netlink_batch *b);
static inline void netlink_batch_cleanup(struct netlink_batch **b)
{
	netlink_batch_free(*b);
}
#define cleanup_batch __attribute__((cleanup(netlink_batch_cleanup)))

/*
 * The next message: up to NETLINK_MESSAGE_MAX bytes may be put behind its header, before the next is begun. Never NULL; a batch that is
 * full is refused as a whole by netlink_send().
 */
#define NETLINK_MESSAGE_MAX 4096u
struct nlmsghdr *netlink_add(struct netlink_batch *b, uint16_t type, uint16_t flags,
			     int tolerated, const char *fmt, ...) __printf(5, 6);
/* Sends all; the first error that is not tolerated. An empty batch is 0. */
int netlink_send(struct netlink_batch *b, struct vswitch_error *e) __must_check;
/* The attributes behind a header of so many bytes, and those inside one: libmnl's own macros cast const away. */
#define netlink_for_each(a, m, offset)                                          \
	for ((a) = mnl_nlmsg_get_payload_offset(m, offset);                     \
	     mnl_attr_ok(a, (int)((const char *)mnl_nlmsg_get_payload_tail(m) - \
				  (const char *)(a)));                          \
	     (a) = mnl_attr_next(a))
#define netlink_for_each_nested(a, nest)                                                \
	for ((a) = mnl_attr_get_payload(nest);                                          \
	     mnl_attr_ok(a, (int)((const char *)mnl_attr_get_payload(nest) +            \
				  mnl_attr_get_payload_len(nest) - (const char *)(a))); \
	     (a) = mnl_attr_next(a))

/* Calls `fn` for each message of a dump, until it returns something else than 0, which is returned. */
int netlink_dump(uint16_t type, uint8_t family,
		 int (*fn)(void *ctx, const struct nlmsghdr *m), void *ctx) __must_check;

#endif
