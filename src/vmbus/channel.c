/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "util/log.h"
#include "vmbus/channel_priv.h"

#define DEFAULT_PACKET_BYTES (16u << 10)
/* A guest without pending_send_size says nothing when it frees room. */
#define ROOM_POLL_US 1000
/* One that has it should say; Linux 4.11 to 4.15 keeps silent while it drains its ring with the interrupts of that masked. */
#define ROOM_LOOK_US 100000

/* One writer each: no locked addition is needed. */
static void count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter,
			      atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static size_t packet_max(const struct vmbus_channel *ch)
{
	size_t max = ch->primary->params.max_packet_bytes;

	return max ? max : DEFAULT_PACKET_BYTES;
}

int channel_new(struct vmbus *bus, struct vmbus_channel **ret)
{
	struct vmbus_channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return -ENOMEM;
	ch->bus = bus;
	ch->doorbell = -1;
	pthread_mutex_init(&ch->signal_lock, NULL);
	*ret = ch;
	return 0;
}

void channel_free(struct vmbus_channel *ch)
{
	if (ch->primary == ch)
		free(ch->name);
	pthread_mutex_destroy(&ch->signal_lock);
	free(ch);
}

static int map_ring(struct vmbus_channel *ch, const struct control_open *open,
		    const struct gpadl *g)
{
	unsigned int n;
	void **pages;
	int r = gpadl_ring_pages(g, &pages, &n);

	if (r)
		return r;
	if (open->downstream_page_offset < n)
		r = ring_init(&ch->ring, pages, open->downstream_page_offset,
			      n - open->downstream_page_offset);
	else
		r = -EINVAL;
	free(pages);
	return r;
}

static int make_doorbell(struct vmbus_channel *ch)
{
	const struct vmbus_env *env = &ch->bus->env;
	int r;

	ch->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ch->doorbell < 0)
		return -errno;
	r = env->synic_ops->doorbell_add(env->synic, ch->control.connection_id,
					 ch->doorbell);
	if (r) {
		close(ch->doorbell);
		ch->doorbell = -1;
	}
	return r;
}

int channel_open(struct vmbus_channel *ch, const struct control_open *open,
		 struct gpadl *ring)
{
	int r = map_ring(ch, open, ring);

	if (r)
		return r;
	atomic_store(&ch->fault, NULL);
	ch->target_vp = open->target_vp;
	memcpy(ch->open_data, open->user_data, sizeof(ch->open_data));
	ch->buf = malloc(packet_max(ch));
	r = ch->buf ? make_doorbell(ch) : -ENOMEM;
	if (!r)
		r = ch->primary->params.ops->open(ch->primary->params.dev, ch);
	if (r)
		channel_unmap(ch);
	else
		ch->ring_gpadl = ring;
	return r;
}

void channel_unmap(struct vmbus_channel *ch)
{
	const struct vmbus_env *env = &ch->bus->env;

	if (ch->doorbell >= 0) {
		env->synic_ops->doorbell_del(env->synic, ch->control.connection_id);
		close(ch->doorbell);
		ch->doorbell = -1;
	}
	ring_done(&ch->ring);
	free(ch->buf);
	ch->buf = NULL;
	if (ch->ring_gpadl)
		gpadl_unref(ch->ring_gpadl);
	ch->ring_gpadl = NULL;
	atomic_store(&ch->subs_wanted, 0);
}

void channel_set_target(struct vmbus_channel *ch, uint32_t vp)
{
	pthread_mutex_lock(&ch->signal_lock);
	ch->target_vp = vp;
	pthread_mutex_unlock(&ch->signal_lock);
}

const char *channel_name(const struct vmbus_channel *ch)
{
	return ch->primary->name;
}

unsigned int channel_sub_index(const struct vmbus_channel *ch)
{
	return ch->control.offer.sub_index;
}

const struct guestmem *channel_guestmem(const struct vmbus_channel *ch)
{
	return ch->bus->env.gm;
}

void channel_stats(const struct vmbus_channel *ch, struct channel_stats *ret)
{
	*ret = (struct channel_stats){
		.packets_in = atomic_load_explicit(&ch->packets_in, memory_order_relaxed),
		.packets_out =
			atomic_load_explicit(&ch->packets_out, memory_order_relaxed),
		.interrupts = atomic_load_explicit(&ch->interrupts, memory_order_relaxed),
		.bells = atomic_load_explicit(&ch->bells, memory_order_relaxed),
		.throttles = atomic_load_explicit(&ch->throttles, memory_order_relaxed),
		.faults = atomic_load_explicit(&ch->faults, memory_order_relaxed),
	};
}

int channel_gpadl(struct vmbus_channel *ch, uint32_t id, struct gpadl **ret)
{
	uint32_t relids[] = { ch->control.relid, ch->primary->control.relid };

	return gpadl_table_get(&ch->bus->control.gpadls, id, relids, ARRAY_SIZE(relids),
			       ret);
}

int channel_request_subs(struct vmbus_channel *ch, unsigned int count_)
{
	unsigned int n = MIN(count_, ch->params.max_sub_channels);

	if (ch->primary != ch)
		return -EINVAL;
	atomic_store(&ch->subs_wanted, n);
	vmbus_kick(ch->bus);
	return (int)n;
}

int channel_doorbell(const struct vmbus_channel *ch)
{
	return ch->doorbell;
}

const uint8_t *channel_open_data(const struct vmbus_channel *ch)
{
	return ch->open_data;
}

const char *channel_fault_reason(const struct vmbus_channel *ch)
{
	return atomic_load_explicit(&ch->fault, memory_order_relaxed);
}

void channel_fault(struct vmbus_channel *ch, const char *why)
{
	const char *none = NULL;

	if (!atomic_compare_exchange_strong(&ch->fault, &none, why))
		return;
	atomic_fetch_add_explicit(&ch->faults, 1, memory_order_relaxed);
	log_debug("%s, channel %u: stopped: %s", channel_name(ch), ch->control.relid,
		  why);
}

static void count_packet(struct vmbus_channel *ch)
{
	count(&ch->packets_in);
	if (ch->rung)
		count(&ch->bells);
	ch->rung = false;
}

int channel_recv(struct vmbus_channel *ch, struct packet *ret)
{
	size_t len;
	int r;

	if (channel_fault_reason(ch))
		return -ESHUTDOWN;
	r = ring_recv(&ch->ring, ch->buf, packet_max(ch), &len);
	if (r == -EAGAIN)
		return r;
	if (r == -EMSGSIZE)
		channel_fault(ch, "a packet is larger than this device takes");
	else if (r)
		channel_fault(ch, "the ring's indices or a packet's sizes are broken");
	else if (packet_parse(ch->buf, len, ret))
		channel_fault(ch, "a packet's descriptor or ranges are broken");
	else
		count_packet(ch);
	return channel_fault_reason(ch) ? -ESHUTDOWN : 0;
}

void channel_mask(struct vmbus_channel *ch)
{
	ring_recv_mask(&ch->ring);
	ch->rung = true;
}

bool channel_unmask(struct vmbus_channel *ch)
{
	return ring_recv_unmask(&ch->ring);
}

/* Whole packet in iov. Whoever finds no room publishes what is there, so that the guest can make some. */
static int send_iov(struct vmbus_channel *ch, const struct iovec *iov, unsigned int n,
		    size_t bytes)
{
	int r;

	if (channel_fault_reason(ch))
		return -ESHUTDOWN;
	r = ring_send(&ch->ring, iov, n);
	if (r == -EAGAIN) {
		count(&ch->throttles);
		channel_flush(ch);
		if (ring_send_wait(&ch->ring, bytes))
			r = ring_send(&ch->ring, iov, n);
	}
	if (r == -EPROTO) {
		channel_fault(ch, "the ring's read index is broken");
		return -ESHUTDOWN;
	}
	if (!r)
		count(&ch->packets_out);
	return r;
}

#define SEND_IOV_MAX 8

int channel_send(struct vmbus_channel *ch, uint16_t type, uint16_t flags,
		 uint64_t transaction_id, const struct iovec *iov, unsigned int n)
{
	struct vmbus_packet d = { .type = type,
				  .flags = flags,
				  .offset8 = sizeof(d) / 8,
				  .transaction_id = transaction_id };
	struct iovec all[SEND_IOV_MAX + 1] = { { &d, sizeof(d) } };
	size_t bytes = sizeof(d);

	if (n > SEND_IOV_MAX)
		return -EMSGSIZE;
	for (unsigned int i = 0; i < n; i++) {
		all[i + 1] = iov[i];
		if (add_overflow(bytes, iov[i].iov_len, &bytes))
			return -EMSGSIZE;
	}
	if (bytes > UINT16_MAX * 8u)
		return -EMSGSIZE;
	d.len8 = (uint16_t)(align_up(bytes, 8) / 8);
	return send_iov(ch, all, n + 1, bytes);
}

int channel_complete(struct vmbus_channel *ch, uint64_t transaction_id,
		     const void *payload, size_t len)
{
	struct iovec iov;

	/* An iovec has no const; the send only reads. */
	memcpy(&iov.iov_base, &payload, sizeof(payload));
	iov.iov_len = len;
	return channel_send(ch, VM_PKT_COMP, 0, transaction_id, &iov, 1);
}

int channel_send_xfer(struct vmbus_channel *ch, uint16_t flags, uint64_t transaction_id,
		      uint16_t pageset_id, const struct vmbus_xfer_range *ranges,
		      unsigned int range_count, const void *payload, size_t len)
{
	struct vmbus_packet_xfer_pages d = { .packet.type = VM_PKT_DATA_USING_XFER_PAGES,
					     .packet.flags = flags,
					     .packet.transaction_id = transaction_id,
					     .xfer_pageset_id = pageset_id,
					     .range_count = range_count };
	size_t desc = sizeof(d) + (size_t)range_count * sizeof(*ranges);
	struct iovec iov[3] = { { &d, sizeof(d) } };

	if (range_count > UINT16_MAX || len > UINT16_MAX * 8u ||
	    desc + len > UINT16_MAX * 8u)
		return -EMSGSIZE;
	memcpy(&iov[1].iov_base, &ranges, sizeof(ranges));
	iov[1].iov_len = desc - sizeof(d);
	memcpy(&iov[2].iov_base, &payload, sizeof(payload));
	iov[2].iov_len = len;
	d.packet.offset8 = (uint16_t)(desc / 8);
	d.packet.len8 = (uint16_t)(align_up(desc + len, 8) / 8);
	return send_iov(ch, iov, 3, desc + len);
}

static void interrupt(struct vmbus_channel *ch)
{
	const struct vmbus_env *env = &ch->bus->env;

	pthread_mutex_lock(&ch->signal_lock);
	if (ch->target_vp != VMBUS_VP_NONE &&
	    !env->synic_ops->signal(env->synic, ch->target_vp, VMBUS_MESSAGE_SINT,
				    ch->control.relid))
		count(&ch->interrupts);
	pthread_mutex_unlock(&ch->signal_lock);
}

void channel_nudge(struct vmbus_channel *ch)
{
	if (!channel_fault_reason(ch) && ring_send_unread(&ch->ring))
		interrupt(ch);
}

unsigned int channel_target_vp(const struct vmbus_channel *ch)
{
	return atomic_load_explicit(&ch->target_vp, memory_order_relaxed);
}

void channel_flush(struct vmbus_channel *ch)
{
	bool room, data;

	if (channel_fault_reason(ch))
		return;
	room = ring_recv_commit(&ch->ring);
	data = ring_send_commit(&ch->ring);
	if (room || data)
		interrupt(ch);
}

unsigned int channel_room_poll_us(const struct vmbus_channel *ch)
{
	return ring_send_notifies(&ch->ring) ? ROOM_LOOK_US : ROOM_POLL_US;
}
