/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Begin, version, properties, sub-channels, end: each a packet on the primary channel that is answered by a completion. After that a command
 * is a packet with the pages of its data beside it, on any channel, and its completion comes on the same.
 *
 * A request's transaction id is its slot in the queue, and one more: the host's answer is an index that is checked, not a pointer.
 */
#include "core/storvsc.h"

#include <errno.h>
#include "core/mem.h"

#define RING_PAGES 16u

const uint8_t storvsc_type[16] = { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d,
				   0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f };

static size_t packet_bytes(const struct storvsc *s)
{
	return s->version && s->version < VSTOR_VERSION_WIN8 ? VSTOR_PACKET_BYTES_WIN7
							     : VSTOR_PACKET_BYTES;
}

/* A packet of the negotiation and its completion. *p becomes the answer. */
static int exchange(struct storvsc *s, struct vstor_packet *p)
{
	const struct core_env *env = s->bus->hv->env;
	uint64_t until = env->now_us(env->opaque) + BUS_REPLY_TIMEOUT_US;
	struct chan *ch = s->queue[0].ch;
	struct vmbus_packet d;
	size_t len;
	int r;

	p->flags = VSTOR_PACKET_FLAG_COMPLETION;
	r = chan_send(ch, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED, UINT64_MAX, p,
		      packet_bytes(s));
	if (r)
		return r;
	for (;;) {
		r = chan_recv(ch, &d, p, sizeof(*p), &len);
		if (!r && d.type == VM_PKT_COMP && d.transaction_id == UINT64_MAX)
			break;
		if (r && r != -EAGAIN)
			return r;
		if (env->now_us(env->opaque) >= until)
			return -ETIMEDOUT;
		if (r)
			bus_wait(s->bus, 0, BUS_REPLY_TIMEOUT_US / 10);
	}
	return len >= VSTOR_PACKET_BYTES_WIN7 && p->operation == VSTOR_COMPLETE_IO
		       ? 0
		       : -EPROTO;
}

static int simple(struct storvsc *s, uint32_t operation, struct vstor_packet *p)
{
	int r;

	p->operation = operation;
	r = exchange(s, p);
	if (!r && p->status)
		r = -EPROTO;
	return r;
}

static int negotiate_version(struct storvsc *s, uint16_t max_version)
{
	static const uint16_t versions[] = {
		VSTOR_VERSION_WIN10, VSTOR_VERSION_WIN8_1, VSTOR_VERSION_WIN8,
		VSTOR_VERSION_WIN7,  VSTOR_VERSION_WIN6,
	};
	size_t i;
	int r;

	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct vstor_packet p = { .operation = VSTOR_QUERY_PROTOCOL_VERSION };

		if (max_version && versions[i] > max_version)
			continue;
		p.version.major_minor = versions[i];
		r = exchange(s, &p);
		if (r)
			return r;
		if (!p.status) {
			s->version = versions[i];
			return 0;
		}
	}
	return -EPROTONOSUPPORT;
}

/* The host answers before it offers them, so each is waited for. */
static int open_subs(struct storvsc *s, unsigned int n, unsigned int vps)
{
	const struct core_env *env = s->bus->hv->env;
	uint64_t until = env->now_us(env->opaque) + BUS_REPLY_TIMEOUT_US;
	unsigned int i;
	int r;

	for (i = 1; i <= n; i++) {
		struct chan *ch;

		while (!(ch = bus_find_sub(s->bus, s->queue[0].ch, i))) {
			if (env->now_us(env->opaque) >= until)
				return -ETIMEDOUT;
			bus_wait(s->bus, 0, BUS_REPLY_TIMEOUT_US / 10);
		}
		r = chan_open(ch, RING_PAGES, RING_PAGES, i % vps, NULL);
		if (r)
			return r;
		s->queue[i].ch = ch;
		s->queues = i + 1;
	}
	return 0;
}

static int create_subs(struct storvsc *s, unsigned int subs, unsigned int vps)
{
	struct vstor_packet p = { .sub_channel_count = (uint16_t)subs };
	int r;

	if (!subs)
		return 0;
	r = simple(s, VSTOR_CREATE_SUB_CHANNELS, &p);
	return r ? r : open_subs(s, subs, vps);
}

static int negotiate(struct storvsc *s, uint16_t max_version, unsigned int subs,
		     unsigned int vps)
{
	struct vstor_packet begin = { 0 }, properties = { 0 }, end = { 0 };
	int r;

	r = simple(s, VSTOR_BEGIN_INITIALIZATION, &begin);
	if (!r)
		r = negotiate_version(s, max_version);
	if (!r)
		r = simple(s, VSTOR_QUERY_PROPERTIES, &properties);
	if (r)
		return r;
	if (properties.properties.flags & VSTOR_PROPERTIES_MULTI_CHANNEL &&
	    s->version >= VSTOR_VERSION_WIN8)
		s->max_sub_channels = properties.properties.max_channel_count;
	s->max_transfer_bytes = properties.properties.max_transfer_bytes;
	if (subs > s->max_sub_channels)
		subs = s->max_sub_channels;
	if (subs > STORVSC_QUEUES_MAX - 1)
		subs = STORVSC_QUEUES_MAX - 1;
	/* in Linux' order: the sub-channels are asked for when the controller is up */
	r = simple(s, VSTOR_END_INITIALIZATION, &end);
	return r ? r : create_subs(s, subs, vps);
}

int storvsc_start(struct storvsc *s, struct bus *bus, struct chan *primary,
		  uint16_t max_version, unsigned int subs, unsigned int vps)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->bus = bus;
	r = chan_open(primary, RING_PAGES, RING_PAGES, 0, NULL);
	if (r)
		return r;
	s->queue[0].ch = primary;
	s->queues = 1;
	r = negotiate(s, max_version, subs, vps);
	if (r)
		storvsc_stop(s);
	return r;
}

int storvsc_stop(struct storvsc *s)
{
	int r = 0, one;

	while (s->queues) {
		s->queues--;
		one = chan_close(s->queue[s->queues].ch);
		r = r ? r : one;
	}
	return r;
}

static void fill_srb(const struct storvsc *s, const struct storvsc_request *req,
		     struct vstor_packet *p)
{
	struct vstor_srb *srb = &p->srb;

	p->operation = VSTOR_EXECUTE_SRB;
	p->flags = VSTOR_PACKET_FLAG_COMPLETION;
	srb->length = (uint16_t)(packet_bytes(s) - offsetof(struct vstor_packet, srb));
	srb->lun = req->lun;
	srb->cdb_length = req->cdb_length;
	srb->sense_info_length = s->version < VSTOR_VERSION_WIN7 ? VSTOR_SENSE_BYTES_WIN6
								 : VSTOR_SENSE_BYTES;
	srb->data_in = req->data_in;
	srb->data_transfer_length = req->data_len;
	memcpy(srb->cdb, req->cdb, sizeof(srb->cdb));
	if (req->data_in == VSTOR_DATA_IN)
		srb->srb_flags = VSTOR_SRB_FLAG_DATA_IN;
	else if (req->data_in == VSTOR_DATA_OUT)
		srb->srb_flags = VSTOR_SRB_FLAG_DATA_OUT;
}

int storvsc_submit(struct storvsc *s, unsigned int queue, struct storvsc_request *req)
{
	struct storvsc_queue *q = &s->queue[queue];
	struct vstor_packet p = { 0 };
	unsigned int slot;
	int r;

	if (queue >= s->queues || req->cdb_length > VSTOR_CDB_BYTES)
		return -EINVAL;
	for (slot = 0; slot < STORVSC_DEPTH && q->slots[slot]; slot++)
		;
	if (slot == STORVSC_DEPTH)
		return -EAGAIN;
	fill_srb(s, req, &p);
	req->done = false;
	if (req->data)
		r = chan_send_data(q->ch, slot + 1, req->data, req->data_len, &p,
				   packet_bytes(s));
	else
		r = chan_send(q->ch, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED, slot + 1, &p,
			      packet_bytes(s));
	if (r)
		return r;
	q->slots[slot] = req;
	q->outstanding++;
	return 0;
}

static void finish(struct storvsc_request *req, const struct vstor_packet *p)
{
	req->status = p->status;
	req->srb_status = p->srb.srb_status & (uint8_t)~VSTOR_SRB_AUTOSENSE_VALID;
	req->scsi_status = p->srb.scsi_status;
	req->transferred = p->srb.data_transfer_length;
	req->sense_len = 0;
	if (p->srb.srb_status & VSTOR_SRB_AUTOSENSE_VALID) {
		req->sense_len = p->srb.sense_info_length < VSTOR_SENSE_BYTES
					 ? p->srb.sense_info_length
					 : VSTOR_SENSE_BYTES;
		memcpy(req->sense, p->srb.sense_data, req->sense_len);
	}
	req->done = true;
}

int storvsc_poll(struct storvsc *s, unsigned int queue)
{
	struct storvsc_queue *q = &s->queue[queue];
	struct vstor_packet p = { 0 };
	struct vmbus_packet d;
	size_t len;
	int n = 0, r;

	while (!(r = chan_recv(q->ch, &d, &p, sizeof(p), &len))) {
		uint64_t slot = d.transaction_id - 1;

		if (d.type != VM_PKT_COMP) {
			s->bus_changes += p.operation == VSTOR_ENUMERATE_BUS ||
					  p.operation == VSTOR_REMOVE_DEVICE;
			continue;
		}
		if (slot >= STORVSC_DEPTH || !q->slots[slot] ||
		    len < VSTOR_PACKET_BYTES_WIN7 || p.operation != VSTOR_COMPLETE_IO)
			return -EPROTO;
		finish(q->slots[slot], &p);
		q->slots[slot] = NULL;
		q->outstanding--;
		n++;
	}
	return r == -EAGAIN ? n : r;
}

int storvsc_exec(struct storvsc *s, unsigned int queue, struct storvsc_request *req)
{
	const struct core_env *env = s->bus->hv->env;
	uint64_t until = env->now_us(env->opaque) + STORVSC_TIMEOUT_US;
	int r;

	r = storvsc_submit(s, queue, req);
	while (!r && !req->done) {
		r = storvsc_poll(s, queue);
		if (r < 0 || req->done)
			break;
		if (!r && env->now_us(env->opaque) >= until)
			return -ETIMEDOUT;
		if (!r)
			bus_wait(s->bus, s->queue[queue].ch->vp,
				 BUS_REPLY_TIMEOUT_US / 10);
		r = 0;
	}
	return r < 0 ? r : 0;
}
