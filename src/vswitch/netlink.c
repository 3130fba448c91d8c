/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitch/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER_BYTES (1u << 20)
#define RECEIVE_BYTES (64u << 10)
#define SOCKET_BYTES (4 << 20)

int vswitch_fail(struct vswitch_error *e, int err, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return err;
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return err;
}

/* ---- batches ---- */

struct netlink_batch *netlink_batch_new(void)
{
	struct netlink_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->buffer = calloc(1, BUFFER_BYTES);
	if (b->buffer)
		return b;
	free(b);
	return NULL;
}

void netlink_batch_free(struct netlink_batch *b)
{
	if (!b)
		return;
	free(b->buffer);
	free(b);
}

/* The last message has its length only now that its attributes are in. */
static void settle(struct netlink_batch *b)
{
	const struct nlmsghdr *last = (const void *)(b->buffer + b->len);

	if (b->count)
		b->len += MNL_ALIGN(last->nlmsg_len);
}

struct nlmsghdr *netlink_add(struct netlink_batch *b, uint16_t type, uint16_t flags,
			     int tolerated, const char *fmt, ...)
{
	struct nlmsghdr *m;
	va_list ap;

	settle(b);
	/* What is added to a full batch goes over its last message, and nowhere. */
	if (b->count == NETLINK_MESSAGES_MAX ||
	    b->len + MNL_NLMSG_HDRLEN + NETLINK_MESSAGE_MAX > BUFFER_BYTES) {
		b->full = true;
		b->len = 0;
		b->count = 0;
	}
	memset(b->buffer + b->len, 0, MNL_NLMSG_HDRLEN);
	m = mnl_nlmsg_put_header(b->buffer + b->len);
	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	m->nlmsg_seq = b->count + 1;
	va_start(ap, fmt);
	vsnprintf(b->messages[b->count].what, sizeof(b->messages[0].what), fmt, ap);
	va_end(ap);
	b->messages[b->count++].tolerated = tolerated;
	return m;
}

/* ---- sockets ---- */

static void close_socket(struct mnl_socket **s)
{
	if (*s)
		mnl_socket_close(*s);
}

static struct mnl_socket *open_socket(void)
{
	__attribute__((cleanup(close_socket))) struct mnl_socket *s =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	const int on = 1, size = SOCKET_BYTES;
	struct mnl_socket *ret;
	int fd;

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		return NULL;
	fd = mnl_socket_get_fd(s);
	/* Best effort: without them a batch has less room and an error no text. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	ret = s;
	s = NULL;
	return ret;
}

/* What the kernel says beside the number; "" for nothing. The attributes follow the header of what was asked, its payload capped. */
static const char *extended_text(const struct nlmsghdr *m)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(m);
	const struct nlattr *a;
	size_t skip = sizeof(*err);

	if (!(m->nlmsg_flags & NLM_F_ACK_TLVS))
		return "";
	if (!(m->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - MNL_NLMSG_HDRLEN;
	netlink_for_each (a, m, skip) {
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			return mnl_attr_get_str(a);
	}
	return "";
}

static int judge(const struct netlink_batch *b, const struct nlmsghdr *m,
		 struct vswitch_error *e)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(m);
	unsigned int i = m->nlmsg_seq - 1;
	const char *text;

	if (m->nlmsg_type != NLMSG_ERROR || i >= b->count ||
	    mnl_nlmsg_get_payload_len(m) < sizeof(*err))
		return -EPROTO;
	if (!err->error || -err->error == b->messages[i].tolerated)
		return 0;
	text = extended_text(m);
	return vswitch_fail(e, err->error, "%s: %s%s%s", b->messages[i].what,
			    err->error == -EPERM
				    ? "only root, or who has CAP_NET_ADMIN, may do it"
				    : strerror(-err->error),
			    *text ? ": " : "", text);
}

static int receive(struct mnl_socket *s, const struct netlink_batch *b,
		   unsigned int *ret_left, struct vswitch_error *e)
{
	char buffer[RECEIVE_BYTES];
	ssize_t got = mnl_socket_recvfrom(s, buffer, sizeof(buffer));
	const struct nlmsghdr *m = (const void *)buffer;
	int left = (int)got, r = 0;

	if (got < 0)
		return vswitch_fail(e, -errno, "the kernel's answer: %s",
				    strerror(errno));
	for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		int one = judge(b, m, r == 0 ? e : NULL);

		if (r == 0)
			r = one;
		if (*ret_left)
			--*ret_left;
	}
	return r;
}

int netlink_send(struct netlink_batch *b, struct vswitch_error *e)
{
	__attribute__((cleanup(close_socket))) struct mnl_socket *s = NULL;
	unsigned int left = b->count;
	int r = 0;

	settle(b);
	if (b->full)
		return vswitch_fail(e, -E2BIG, "too many changes at once");
	if (!b->count)
		return 0;
	s = open_socket();
	if (!s || mnl_socket_sendto(s, b->buffer, b->len) < 0)
		return vswitch_fail(e, -errno, "netlink: %s", strerror(errno));
	while (left) {
		unsigned int before = left;
		int one = receive(s, b, &left, r == 0 ? e : NULL);

		if (r == 0)
			r = one;
		if (left == before)
			return r < 0 ? r : -EPROTO;
	}
	return r;
}

/* ---- dumps ---- */

struct dump {
	int (*fn)(void *ctx, const struct nlmsghdr *m);
	void *ctx;
	int r;
};

static int on_message(const struct nlmsghdr *m, void *arg)
{
	struct dump *d = arg;

	d->r = d->fn(d->ctx, m);
	return d->r ? MNL_CB_STOP : MNL_CB_OK;
}

int netlink_dump(uint16_t type, uint8_t family,
		 int (*fn)(void *ctx, const struct nlmsghdr *m), void *ctx)
{
	__attribute__((cleanup(close_socket))) struct mnl_socket *s = open_socket();
	struct dump d = { fn, ctx, 0 };
	char buffer[RECEIVE_BYTES];
	struct nlmsghdr *m = mnl_nlmsg_put_header(buffer);
	struct rtgenmsg *g;
	ssize_t got;
	int r = MNL_CB_OK;

	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(
		m, sizeof(struct ifinfomsg)); /* the longest of them, zeroed */
	g->rtgen_family = family;
	if (!s || mnl_socket_sendto(s, m, m->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		got = mnl_socket_recvfrom(s, buffer, sizeof(buffer));
		if (got < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)got, 1, mnl_socket_get_portid(s),
			       on_message, &d);
	}
	return d.r ? d.r : r < 0 ? -errno : 0;
}
