/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vmbus/control_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without Check, as the fuzz targets use it: what must not be ends the process with a line. */
#define MUST(cond)                                                                      \
	do {                                                                            \
		if (!(cond)) {                                                          \
			fprintf(stderr, "%s:%d: not: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                        \
		}                                                                       \
	} while (0)

static void act_post(void *opaque, unsigned int vp, unsigned int sint, const void *msg,
		     size_t len)
{
	struct host *h = opaque;
	struct host_post *p;

	MUST(len >= sizeof(struct vmbus_header) && len <= VMBUS_MESSAGE_MAX);
	if (h->post_count == HOST_POSTS)
		h->post_count = h->taken = 0; /* the fuzzer reads none */
	p = &h->posts[h->post_count++];
	memset(p, 0, sizeof(*p));
	p->vp = vp;
	p->sint = sint;
	p->len = (unsigned int)len;
	memcpy(p->bytes, msg, len);
}

static void act_discard(void *opaque)
{
	((struct host *)opaque)->discards++;
}

static struct host_channel *to_host(struct control_channel *c)
{
	return container_of(c, struct host_channel, control);
}

static int act_open(void *opaque, struct control_channel *c,
		    const struct control_open *open, struct gpadl *ring)
{
	struct host *h = opaque;

	h->opens++;
	if (h->open_result)
		return h->open_result;
	MUST(!to_host(c)->ring);
	to_host(c)->ring = ring;
	return 0;
}

void host_closed(struct host *h, struct host_channel *ch)
{
	MUST(ch->ring);
	gpadl_unref(ch->ring);
	ch->ring = NULL;
	control_closed(&ch->control);
}

static void act_close(void *opaque, struct control_channel *c)
{
	struct host *h = opaque;

	h->closes++;
	if (!h->defer_close)
		host_closed(h, to_host(c));
}

static void act_modify(void *opaque, struct control_channel *c)
{
	((struct host *)opaque)->modifies++;
}

static void act_gone(void *opaque, struct control_channel *c)
{
	struct host *h = opaque;

	MUST(to_host(c)->used && !to_host(c)->ring);
	to_host(c)->used = false;
	h->gones++;
}

static void act_reset_done(void *opaque)
{
	((struct host *)opaque)->resets++;
}

static void act_changed(void *opaque)
{
}

static void notify(void *opaque)
{
	((struct host *)opaque)->notifies++;
}

static const struct control_actions actions = {
	.post = act_post,
	.discard = act_discard,
	.open = act_open,
	.close = act_close,
	.modify = act_modify,
	.gone = act_gone,
	.reset_done = act_reset_done,
	.changed = act_changed,
};

void host_init(struct host *h)
{
	memset(h, 0, sizeof(*h));
	MUST(!guestmem_new(32u << 20, &h->gm));
	control_init(&h->control, &actions, h, 2, h->gm, notify);
}

void host_done(struct host *h)
{
	unsigned int resets;

	h->defer_close = false;
	for (unsigned int i = 0; i < HOST_CHANNELS; i++) {
		struct host_channel *ch = &h->channels[i];

		if (ch->used && ch->control.state == CONTROL_CLOSING)
			host_closed(h, ch);
	}
	resets = h->resets; /* one of before may have ended just now */
	control_reset(&h->control);
	MUST(h->resets == resets + 1);
	MUST(!h->control.gpadls.count && !h->control.gpadls.words);
	for (unsigned int i = 0; i < HOST_CHANNELS; i++) {
		if (h->channels[i].used)
			control_rescind(&h->channels[i].control);
		MUST(!h->channels[i].used);
	}
	MUST(list_empty(&h->control.channels));
	control_done(&h->control);
	guestmem_free(h->gm);
}

static struct host_channel *alloc_channel(struct host *h)
{
	for (unsigned int i = 0; i < HOST_CHANNELS; i++) {
		struct host_channel *ch = &h->channels[i];

		if (ch->used)
			continue;
		memset(ch, 0, sizeof(*ch));
		ch->used = true;
		return ch;
	}
	return NULL;
}

static struct host_channel *offer(struct host *h, uint8_t instance,
				  struct control_channel *primary, unsigned int index)
{
	struct host_channel *ch = alloc_channel(h);

	if (!ch)
		return NULL;
	ch->control.offer.type.b[0] = 0x77;
	ch->control.offer.instance.b[0] = instance;
	ch->control.offer.sub_index = (uint16_t)index;
	if (control_offer(&h->control, &ch->control, primary)) {
		ch->used = false;
		return NULL;
	}
	return ch;
}

struct host_channel *host_offer(struct host *h, uint8_t instance)
{
	return offer(h, instance, NULL, 0);
}

struct host_channel *host_offer_sub(struct host *h, struct host_channel *primary,
				    unsigned int index)
{
	return offer(h, primary->control.offer.instance.b[0], &primary->control, index);
}

const struct host_post *host_expect(struct host *h, uint32_t type)
{
	const struct host_post *p = &h->posts[h->taken];

	MUST(h->taken < h->post_count);
	h->taken++;
	if (p->header.message_type != type)
		fprintf(stderr, "a message %u instead of %u\n", p->header.message_type,
			type);
	MUST(p->header.message_type == type);
	return p;
}

void host_expect_nothing(const struct host *h)
{
	MUST(h->taken == h->post_count);
}

void host_forget(struct host *h)
{
	h->taken = h->post_count;
}

void host_send(struct host *h, const void *msg, size_t len)
{
	control_message(&h->control, msg, len);
}

void host_contact(struct host *h, uint32_t version)
{
	struct vmbus_initiate_contact m = {
		.header.message_type = CHANNELMSG_INITIATE_CONTACT,
		.version_requested = version,
		.target_vp = 1,
	};

	if (version >= VMBUS_VERSION_WIN10_V5)
		m.msg_sint = VMBUS_MESSAGE_SINT;
	host_send(h, &m, sizeof(m));
}

void host_connect(struct host *h, uint32_t version)
{
	host_contact(h, version);
	host_simple(h, CHANNELMSG_REQUESTOFFERS);
	MUST(h->control.connection == CONTROL_CONNECTED);
	host_forget(h);
}

void host_simple(struct host *h, uint32_t type)
{
	struct vmbus_header m = { .message_type = type };

	host_send(h, &m, sizeof(m));
}

void host_relid(struct host *h, uint32_t type, uint32_t relid)
{
	struct vmbus_relid_message m = { .header.message_type = type,
					 .child_relid = relid };

	host_send(h, &m, sizeof(m));
}

static size_t put_words(uint8_t *to, size_t room, unsigned int pages, unsigned int first)
{
	struct vmbus_gpa_range range = { .byte_count = pages * 4096 };
	size_t n = 0;

	for (unsigned int w = first; w < pages + 1 && n + 8 <= room; w++, n += 8) {
		uint64_t pfn = w - 1;

		memcpy(to + n, w ? (void *)&pfn : (void *)&range, 8);
	}
	return n;
}

void host_gpadl(struct host *h, uint32_t relid, uint32_t id, unsigned int pages)
{
	union {
		struct vmbus_gpadl_header head;
		struct vmbus_gpadl_body body;
		uint8_t bytes[VMBUS_MESSAGE_MAX];
	} m = { .head = { .header.message_type = CHANNELMSG_GPADL_HEADER,
			  .child_relid = relid,
			  .gpadl = id,
			  .range_buflen = (uint16_t)((pages + 1) * 8),
			  .range_count = 1 } };
	size_t n, sent;

	n = put_words(m.bytes + sizeof(m.head), sizeof(m) - sizeof(m.head), pages, 0);
	host_send(h, &m, sizeof(m.head) + n);
	for (sent = n / 8; sent < pages + 1; sent += n / 8) {
		memset(&m, 0, sizeof(m));
		m.body.header.message_type = CHANNELMSG_GPADL_BODY;
		m.body.gpadl = id;
		n = put_words(m.bytes + sizeof(m.body), sizeof(m) - sizeof(m.body), pages,
			      (unsigned int)sent);
		host_send(h, &m, sizeof(m.body) + n);
	}
}

void host_teardown(struct host *h, uint32_t relid, uint32_t id)
{
	struct vmbus_gpadl_teardown m = {
		.header.message_type = CHANNELMSG_GPADL_TEARDOWN,
		.child_relid = relid,
		.gpadl = id,
	};

	host_send(h, &m, sizeof(m));
}

void host_open(struct host *h, uint32_t relid, uint32_t gpadl, uint32_t vp)
{
	struct vmbus_open_channel m = {
		.header.message_type = CHANNELMSG_OPENCHANNEL,
		.child_relid = relid,
		.open_id = 0x0be0 + relid,
		.ring_gpadl = gpadl,
		.target_vp = vp,
		.downstream_page_offset = 2,
	};

	host_send(h, &m, sizeof(m));
}

void host_modify(struct host *h, uint32_t relid, uint32_t vp)
{
	struct vmbus_modify_channel m = {
		.header.message_type = CHANNELMSG_MODIFYCHANNEL,
		.child_relid = relid,
		.target_vp = vp,
	};

	host_send(h, &m, sizeof(m));
}

static const char *check_channel(const struct host *h, struct control_channel *ch)
{
	const struct host_channel *hc = to_host(ch);

	if (!hc->used)
		return "a channel that is gone is still listed";
	if (h->control.by_relid[ch->relid] != ch)
		return "a relid leads elsewhere";
	if ((ch->state == CONTROL_OPEN || ch->state == CONTROL_CLOSING) != !!hc->ring)
		return "open without ring, or ring without open";
	if (ch->primary && ch->primary->state == CONTROL_HELD && !ch->rescinded &&
	    ch->state != CONTROL_CLOSING)
		return "a sub-channel of a held primary";
	if (h->control.connection == CONTROL_DISCONNECTED && ch->state != CONTROL_HELD)
		return "a channel that is not held without a connection";
	return NULL;
}

const char *host_fault(const struct host *h)
{
	struct control_channel *ch;
	const char *wrong = NULL;
	unsigned int closing = 0, count = 0;

	list_for_each (ch, &h->control.channels, link) {
		closing += ch->state == CONTROL_CLOSING;
		if (!wrong)
			wrong = check_channel(h, ch);
		count++;
	}
	for (uint32_t relid = 0; relid <= CONTROL_RELID_MAX; relid++)
		count -= h->control.by_relid[relid] != NULL;
	if (count)
		wrong = "relids and channels differ";
	if (closing != h->control.closing)
		wrong = "the count of closing channels";
	if (h->control.gpadls.count > GPADL_COUNT_MAX ||
	    h->control.gpadls.words > GPADL_PAGES_TOTAL_MAX)
		wrong = "GPADLs beyond their bounds";
	if (h->control.connection == CONTROL_DISCONNECTED && h->control.gpadls.count)
		wrong = "GPADLs without a connection";
	return wrong;
}
