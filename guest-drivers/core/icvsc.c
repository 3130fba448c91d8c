/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each message is sent back as it came, changed in place, with IC_FLAG_RESPONSE. The first is the negotiation: the host lists its framework
 * versions and then its message versions; we answer with the newest of each that we know, as a list of one and one; or with counts
 * of 0, when there is none.
 */
#include "core/icvsc.h"

#include <errno.h>
#include "core/mem.h"

#define RING_PAGES 4u
#define VERSIONS_MAX 16u
#define MESSAGE_MAX                                          \
	(sizeof(struct ic_pipe) + sizeof(struct ic_header) + \
	 sizeof(struct ic_shutdown) + 64)

const uint8_t icvsc_types[ICVSC_SERVICES][16] = {
	[ICVSC_HEARTBEAT] = IC_HEARTBEAT_TYPE,
	[ICVSC_SHUTDOWN] = IC_SHUTDOWN_TYPE,
	[ICVSC_TIMESYNC] = IC_TIMESYNC_TYPE,
};

/* Newest first; 0.0 ends. */
static const struct ic_version frameworks[] = { { 3, 0 }, { 1, 0 }, { 0, 0 } };
static const struct ic_version versions[ICVSC_SERVICES][4] = {
	[ICVSC_HEARTBEAT] = { { 3, 0 }, { 1, 0 } },
	[ICVSC_SHUTDOWN] = { { 3, 2 }, { 3, 1 }, { 3, 0 } },
	[ICVSC_TIMESYNC] = { { 4, 0 }, { 3, 0 }, { 1, 0 } },
};

const char *icvsc_name(enum icvsc_service service)
{
	static const char *const names[] = { "heartbeat", "shutdown", "timesync" };

	return names[service];
}

int icvsc_start(struct icvsc *ic, struct chan *ch, enum icvsc_service service,
		const struct icvsc_hooks *hooks)
{
	memset(ic, 0, sizeof(*ic));
	ic->ch = ch;
	ic->service = service;
	ic->hooks = *hooks;
	return chan_open(ch, RING_PAGES, RING_PAGES, 0, NULL);
}

int icvsc_stop(struct icvsc *ic)
{
	return chan_close(ic->ch);
}

/* The newest of ours that the host has too. */
static struct ic_version choose(const struct ic_version *ours,
				const struct ic_version *theirs, unsigned int n)
{
	unsigned int i;

	for (; ours->major; ours++) {
		for (i = 0; i < n; i++) {
			if (theirs[i].major == ours->major &&
			    theirs[i].minor == ours->minor)
				return *ours;
		}
	}
	return (struct ic_version){ 0, 0 };
}

/* Gives the bytes of the answer's body, or -EPROTO. */
static int answer_negotiate(struct icvsc *ic, uint8_t *body, size_t len)
{
	struct ic_version theirs[VERSIONS_MAX];
	struct ic_negotiate n;
	size_t count;

	if (len < sizeof(n))
		return -EPROTO;
	memcpy(&n, body, sizeof(n));
	count = (size_t)n.framework_count + n.message_count;
	if (count > VERSIONS_MAX || len < sizeof(n) + count * sizeof(theirs[0]))
		return -EPROTO;
	memcpy(theirs, body + sizeof(n), count * sizeof(theirs[0]));
	ic->framework = choose(frameworks, theirs, n.framework_count);
	ic->message = choose(versions[ic->service], theirs + n.framework_count,
			     n.message_count);
	n.framework_count = ic->framework.major && ic->message.major;
	n.message_count = n.framework_count;
	theirs[0] = ic->framework;
	theirs[1] = ic->message;
	memcpy(body, &n, sizeof(n));
	memcpy(body + sizeof(n), theirs, sizeof(theirs[0]) * 2);
	return (int)(sizeof(n) + (n.framework_count ? sizeof(theirs[0]) * 2 : 0));
}

static int answer_heartbeat(struct icvsc *ic, uint8_t *body, size_t len)
{
	struct ic_heartbeat h;

	if (len < sizeof(h.sequence))
		return -EPROTO;
	memset(&h, 0, sizeof(h));
	memcpy(&h, body, len < sizeof(h) ? len : sizeof(h));
	h.sequence++;
	h.application_state = IC_HEARTBEAT_STATE_HEALTHY;
	ic->sequence = h.sequence;
	memcpy(body, &h, len < sizeof(h) ? len : sizeof(h));
	return (int)len;
}

static int answer_timesync(struct icvsc *ic, const uint8_t *body, size_t len)
{
	struct ic_timesync_ref ref;
	struct ic_timesync old;

	if (ic->message.major >= 4) {
		if (len < sizeof(ref))
			return -EPROTO;
		memcpy(&ref, body, sizeof(ref));
		ic->hooks.time(ic->hooks.opaque, ref.parent_time, ref.vm_reference_time,
			       ref.flags);
		return (int)len;
	}
	if (len < sizeof(old))
		return -EPROTO;
	memcpy(&old, body, sizeof(old));
	ic->hooks.time(ic->hooks.opaque, old.parent_time, 0, old.flags);
	return (int)len;
}

/* Changes the body into the answer's and gives its bytes, or -EPROTO. */
static int answer(struct icvsc *ic, struct ic_header *h, uint8_t *body, size_t len)
{
	struct ic_shutdown s;

	h->status = IC_STATUS_OK;
	if (h->message_type == ICMSGTYPE_NEGOTIATE)
		return answer_negotiate(ic, body, len);
	ic->answered++;
	if (h->message_type == ICMSGTYPE_HEARTBEAT && ic->service == ICVSC_HEARTBEAT)
		return answer_heartbeat(ic, body, len);
	if (h->message_type == ICMSGTYPE_TIMESYNC && ic->service == ICVSC_TIMESYNC)
		return answer_timesync(ic, body, len);
	if (h->message_type == ICMSGTYPE_SHUTDOWN && ic->service == ICVSC_SHUTDOWN) {
		if (len < sizeof(s))
			return -EPROTO;
		memcpy(&s, body, sizeof(s));
		h->status = ic->hooks.shutdown(ic->hooks.opaque, s.flags);
		return (int)len;
	}
	h->status = IC_STATUS_NOT_SUPPORTED;
	return (int)len;
}

static int handle(struct icvsc *ic, const struct vmbus_packet *d, uint8_t *msg,
		  size_t len)
{
	struct ic_pipe pipe;
	struct ic_header h;
	const size_t head = sizeof(pipe) + sizeof(h);
	int n;

	if (len < head)
		return -EPROTO;
	memcpy(&pipe, msg, sizeof(pipe));
	memcpy(&h, msg + sizeof(pipe), sizeof(h));
	if (h.message_size > len - head)
		return -EPROTO;
	n = answer(ic, &h, msg + head, h.message_size);
	if (n < 0)
		return n;
	h.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	h.message_size = (uint16_t)n;
	pipe.msgsize = (uint32_t)(sizeof(h) + (size_t)n);
	memcpy(msg, &pipe, sizeof(pipe));
	memcpy(msg + sizeof(pipe), &h, sizeof(h));
	return chan_send(ic->ch, 0, d->transaction_id, msg, head + (size_t)n);
}

int icvsc_poll(struct icvsc *ic)
{
	uint8_t msg[MESSAGE_MAX] __attribute__((aligned(8)));
	struct vmbus_packet d;
	size_t len;
	int n = 0, r;

	while (!(r = chan_recv(ic->ch, &d, msg, sizeof(msg), &len))) {
		r = handle(ic, &d, msg, len);
		if (r)
			return r;
		n++;
	}
	return r == -EAGAIN ? n : r;
}
