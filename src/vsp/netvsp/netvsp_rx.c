/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames to the guest. The receive buffer is cut into equal parts; a frame is read from the back-end straight into a free one, behind the place of its
 * RNDIS head, which is written when the frame's length is known. A channel's thread reads one queue of the back-end; receive side
 * scaling may say that the frame is another channel's: it is put into that channel's inbox, and its thread is woken.
 *
 * At the end of a turn the inbox is sent, up to NETVSP_BATCH frames in one message; the guest gives all parts of a message back with one
 * completion. No room in the ring, or no free part: nothing is read any more until there is, and the back-end drops.
 */
#include "vsp/netvsp/netvsp_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/be.h"
#include "vsp/netvsp/frame.h"

#define PEEK_BYTES 64u /* of a frame, to know where it goes */
#define ETHERTYPE_VLAN 0x8100u

/* ---- the parts of the receive buffer ---- */

int netvsp_pool_new_locked(struct netvsp *s)
{
	uint16_t *pool = calloc(s->sub_count, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->sub_count; i++)
		pool[i] = (uint16_t)(s->sub_count - 1 - i);
	s->pool = pool;
	s->pool_free = s->sub_count;
	return 0;
}

void netvsp_pool_free_locked(struct netvsp *s)
{
	free(s->pool);
	s->pool = NULL;
	s->pool_free = 0;
}

static bool pool_take(struct netvsp *s, unsigned int reserved, uint16_t *ret)
{
	bool found;

	pthread_mutex_lock(&s->pool_lock);
	found = s->pool_free > reserved;
	if (found)
		*ret = s->pool[--s->pool_free];
	pthread_mutex_unlock(&s->pool_lock);
	return found;
}

static void pool_put(struct netvsp *s, const struct netvsp_frame *frames, unsigned int n)
{
	pthread_mutex_lock(&s->pool_lock);
	for (unsigned int i = 0; i < n && s->pool; i++)
		s->pool[s->pool_free++] = frames[i].sub;
	pthread_mutex_unlock(&s->pool_lock);
}

static bool pool_has_room(struct netvsp *s)
{
	bool room;

	pthread_mutex_lock(&s->pool_lock);
	room = s->pool_free > NETVSP_SUBS_RESERVED;
	pthread_mutex_unlock(&s->pool_lock);
	return room;
}

/* ---- messages ---- */

void netvsp_rx_init(struct netvsp_channel *ch)
{
	memset(ch->messages, 0, sizeof(ch->messages));
	for (unsigned int i = 0; i < NETVSP_MESSAGES; i++)
		ch->free[i] = (uint16_t)(NETVSP_MESSAGES - 1 - i);
	ch->free_count = NETVSP_MESSAGES;
	ch->waiting_head = ch->waiting_count = 0;
	ch->inbox_head = ch->inbox_count = 0;
}

static unsigned int take_inbox(struct netvsp_channel *ch, struct netvsp_frame *ret,
			       unsigned int max)
{
	unsigned int n;

	pthread_mutex_lock(&ch->inbox_lock);
	for (n = 0; n < max && ch->inbox_count; n++) {
		ret[n] = ch->inbox[ch->inbox_head];
		ch->inbox_head = (ch->inbox_head + 1) % NETVSP_INBOX;
		ch->inbox_count--;
	}
	pthread_mutex_unlock(&ch->inbox_lock);
	return n;
}

void netvsp_rx_forget_locked(struct netvsp_channel *ch)
{
	struct netvsp_frame f;

	while (take_inbox(ch, &f, 1))
		pool_put(ch->s, &f, 1);
	for (unsigned int i = 0; i < NETVSP_MESSAGES; i++)
		pool_put(ch->s, ch->messages[i].frame, ch->messages[i].frames);
	netvsp_rx_init(ch);
}

static int send_message(struct netvsp_channel *ch, unsigned int slot)
{
	const struct netvsp_message *m = &ch->messages[slot];
	struct netvsp *s = ch->s;
	struct vmbus_xfer_range ranges[NETVSP_BATCH];
	struct nvsp_message nvsp;
	size_t len = nvsp_rndis_to_guest(&s->nvsp, m->channel_type, &nvsp);

	for (unsigned int i = 0; i < m->frames; i++)
		ranges[i] = (struct vmbus_xfer_range){ m->frame[i].bytes,
						       m->frame[i].sub * s->sub_bytes };
	return channel_send_xfer(vsp_channel_vmbus(ch->vc),
				 VMBUS_PACKET_FLAG_COMPLETION_REQUESTED, slot + 1u,
				 s->recv_id, ranges, m->frames, &nvsp, len);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The oldest first. False while the ring is full. */
static bool send_waiting(struct netvsp_channel *ch)
{
	struct vmbus_channel *vmbus = vsp_channel_vmbus(ch->vc);

	while (ch->waiting_count) {
		int r = vsp_send_room(ch->vc)
				? send_message(ch, ch->waiting[ch->waiting_head])
				: -EAGAIN;

		if (r == -EAGAIN) {
			if (!ch->tx_held) /* its timer is the shorter one */
				vsp_timer(ch->vc, now_ns() + channel_room_poll_us(vmbus) *
								     1000ull);
			return false;
		}
		if (r == -EMSGSIZE)
			channel_fault(vmbus, "the guest's ring is too small for frames");
		ch->waiting_head = (ch->waiting_head + 1) % NETVSP_MESSAGES;
		ch->waiting_count--;
	}
	return true;
}

static struct netvsp_message *queue_message(struct netvsp_channel *ch)
{
	unsigned int at = (ch->waiting_head + ch->waiting_count) % NETVSP_MESSAGES;
	uint16_t slot = ch->free[--ch->free_count];

	ch->waiting[at] = slot;
	ch->waiting_count++;
	return &ch->messages[slot];
}

int netvsp_send_control_locked(struct netvsp_channel *ch, const uint8_t *message,
			       size_t len)
{
	struct netvsp *s = ch->s;
	struct netvsp_message *m;
	uint16_t sub;

	if (!s->recv || len > s->sub_bytes || !ch->free_count || !pool_take(s, 0, &sub))
		return -ENOSPC;
	m = queue_message(ch);
	m->channel_type = NVSP_CHANNEL_CONTROL;
	m->frames = 1;
	m->frame[0] = (struct netvsp_frame){ sub, (uint32_t)len };
	return gpadl_write(s->recv, (uint64_t)sub * s->sub_bytes, message, len);
}

static void send_inbox(struct netvsp_channel *ch)
{
	while (ch->free_count) {
		struct netvsp_frame frames[NETVSP_BATCH];
		unsigned int n = take_inbox(ch, frames, NETVSP_BATCH);
		struct netvsp_message *m;

		if (!n)
			return;
		m = queue_message(ch);
		m->channel_type = NVSP_CHANNEL_DATA;
		m->frames = n;
		memcpy(m->frame, frames, n * sizeof(*frames));
		if (!send_waiting(ch))
			return;
	}
}

static void watch(struct netvsp_channel *ch, bool on)
{
	const struct nic *nic = ch->s->nic;
	int fd = ch->index < nic->queues ? nic->fds[ch->index] : -1;

	if (on == ch->watching || fd < 0)
		return;
	vsp_watch(ch->vc, on ? fd : -1);
	ch->watching = on;
}

void netvsp_deliver(struct netvsp_channel *ch)
{
	struct netvsp *s = ch->s;
	bool room;

	pthread_rwlock_rdlock(&s->lock);
	if (send_waiting(ch))
		send_inbox(ch);
	room = !s->recv || (!ch->waiting_count && ch->free_count && pool_has_room(s));
	pthread_rwlock_unlock(&s->lock);
	watch(ch, room && !atomic_load(&s->nic_gone));
}

/* Channels that read stopped for want of what has just become free. */
static void wake_starved_locked(struct netvsp_channel *ch)
{
	struct netvsp *s = ch->s;

	if (!atomic_load_explicit(&s->starved, memory_order_relaxed) ||
	    !atomic_exchange(&s->starved, false))
		return;
	for (unsigned int i = 0; i < MIN(s->nic->queues, ARRAY_SIZE(s->channels)); i++) {
		if (s->channels[i] && s->channels[i] != ch)
			vsp_channel_kick(s->channels[i]->vc);
	}
}

int netvsp_given_back(struct netvsp_channel *ch, uint64_t transaction_id)
{
	struct netvsp_message *m;

	if (!transaction_id || transaction_id > NETVSP_MESSAGES)
		return -EPROTO;
	pthread_rwlock_rdlock(&ch->s->lock);
	m = &ch->messages[transaction_id - 1];
	/* Free: the buffer was revoked, and the guest's completion was already on its way. */
	if (m->frames) {
		pool_put(ch->s, m->frame, m->frames);
		m->frames = 0;
		ch->free[ch->free_count++] = (uint16_t)(transaction_id - 1);
		wake_starved_locked(ch);
	}
	pthread_rwlock_unlock(&ch->s->lock);
	return 0;
}

/* ---- one frame ---- */

/* Puts the tag beside the frame: the addresses move over the place where it stood. */
static void take_tag(struct netvsp *s, uint64_t at, const uint8_t *peek,
		     struct rndis_rx *rx)
{
	uint16_t tci = be16_get(peek + 14);

	if (gpadl_write(s->recv, at + RNDIS_RX_HEAD + 4, peek, 12) < 0)
		return;
	rx->has_vlan = true;
	rx->vlan = RNDIS_VLAN((uint32_t)tci >> 13, tci >> 12 & 1u, tci & 0xfffu);
	rx->frame_at += 4;
	rx->frame_bytes -= 4;
}

/*
 * A frame that never left the host has no sum yet. It is made even where the guest may be told that it is good: Linux looks at what it is told
 * only while its rx-checksumming is on, and an adapter does not hear of that.
 */
static bool make_csum(const struct nic_meta *meta, const struct iovec *iov,
		      unsigned int n, size_t bytes)
{
	return !(meta->flags & NIC_CSUM_NEEDED) ||
	       frame_complete_sum(iov, n, bytes, meta->csum_start, meta->csum_offset);
}

/* A sum that the host's network has checked, or that was made just now. */
static void tell_csum(const struct netvsp *s, const struct nic_meta *meta,
		      const uint8_t *peek, size_t len, struct rndis_rx *rx)
{
	size_t at = len >= 18 && be16_get(peek + 12) == ETHERTYPE_VLAN ? 16 : 12;
	bool v6 = len >= at + 2 && be16_get(peek + at) == 0x86ddu;
	size_t proto_at = at + 2 + (v6 ? 6 : 9);
	uint8_t proto = len > proto_at ? peek[proto_at] : 0;

	if (!(meta->flags & (NIC_CSUM_NEEDED | NIC_CSUM_GOOD)) ||
	    !(v6 ? s->rndis.offload.receive6 : s->rndis.offload.receive4))
		return;
	rx->has_csum = true;
	rx->csum = proto == 6    ? RNDIS_CSUM_TCP_GOOD
		   : proto == 17 ? RNDIS_CSUM_UDP_GOOD
				 : 0;
}

static void hand_over(struct netvsp_channel *from, struct netvsp_channel *to,
		      struct netvsp_frame frame)
{
	bool full;

	pthread_mutex_lock(&to->inbox_lock);
	full = to->inbox_count == NETVSP_INBOX;
	if (!full)
		to->inbox[(to->inbox_head + to->inbox_count++) % NETVSP_INBOX] = frame;
	pthread_mutex_unlock(&to->inbox_lock);
	if (full) {
		pool_put(from->s, &frame, 1);
		atomic_fetch_add(&from->s->counters.no_buffer, 1);
	} else if (to != from) {
		vsp_channel_kick(to->vc);
	}
}

/* A frame of `bytes` lies in a part of the buffer. False: it is none for this guest. */
static bool take_frame(struct netvsp_channel *ch, uint16_t sub, size_t bytes,
		       const struct nic_meta *meta)
{
	struct netvsp *s = ch->s;
	uint64_t at = (uint64_t)sub * s->sub_bytes;
	struct rndis_rx rx = { .frame_at = RNDIS_RX_HEAD,
			       .frame_bytes = (uint32_t)bytes };
	uint8_t peek[PEEK_BYTES], head[RNDIS_RX_HEAD];
	size_t peeked = MIN(bytes, sizeof(peek));
	struct netvsp_channel *to = ch;

	if (bytes < 14 || gpadl_read(s->recv, at + RNDIS_RX_HEAD, peek, peeked) < 0 ||
	    !rndis_wants(&s->rndis, peek) || !netvsp_link(s))
		return false;
	tell_csum(s, meta, peek, peeked, &rx);
	if (s->rndis.rss.enabled &&
	    rss_frame_hash(&s->rndis.rss, peek, peeked, &rx.hash)) {
		rx.has_hash = true;
		to = s->channels[rss_channel(&s->rndis.rss, rx.hash)];
	}
	if (bytes >= 18 && be16_get(peek + 12) == ETHERTYPE_VLAN)
		take_tag(s, at, peek, &rx);
	rndis_packet_head(&rx, head);
	if (gpadl_write(s->recv, at, head, sizeof(head)) < 0)
		return false;
	atomic_fetch_add_explicit(&s->counters.received, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->counters.received_bytes, bytes,
				  memory_order_relaxed);
	hand_over(ch, to ? to : ch,
		  (struct netvsp_frame){ sub, rx.frame_at + rx.frame_bytes });
	return true;
}

/* ---- a turn ---- */

/* Reads a frame that nobody wants yet. */
static ssize_t drop_one(struct netvsp_channel *ch)
{
	uint8_t scratch[64];
	const struct iovec iov = { scratch, sizeof(scratch) };
	struct nic_meta meta;
	ssize_t n = nic_recv(ch->s->nic, ch->index, &meta, &iov, 1);

	return n == -EMSGSIZE ? 0 : n;
}

static ssize_t read_one_locked(struct netvsp_channel *ch)
{
	struct netvsp *s = ch->s;
	struct netvsp_frame frame = { 0 };
	struct iovec iov[NIC_IOVS_MAX - 1];
	struct nic_meta meta = { 0 };
	unsigned int n;
	ssize_t got;

	if (!s->recv || !s->rndis.ready)
		return drop_one(ch);
	if (ch->waiting_count || !ch->free_count)
		return -ENOSPC;
	if (!pool_take(s, NETVSP_SUBS_RESERVED, &frame.sub)) {
		atomic_store(&s->starved, true);
		return -ENOSPC;
	}
	got = gpadl_iov(s->recv, (uint64_t)frame.sub * s->sub_bytes + RNDIS_RX_HEAD,
			s->sub_bytes - RNDIS_RX_HEAD, iov, ARRAY_SIZE(iov), &n);
	if (got == 0)
		got = nic_recv(s->nic, ch->index, &meta, iov, n);
	if (got < 0 || !make_csum(&meta, iov, n, (size_t)got) ||
	    !take_frame(ch, frame.sub, (size_t)got, &meta))
		pool_put(s, &frame, 1);
	if (got == -EMSGSIZE) {
		atomic_fetch_add(&s->counters.no_buffer, 1);
		return 0;
	}
	return got;
}

void netvsp_receive(struct netvsp_channel *ch)
{
	struct netvsp *s = ch->s;
	ssize_t got = 0;

	for (unsigned int i = 0; got >= 0 && i < NETVSP_TURN; i++) {
		pthread_rwlock_rdlock(&s->lock);
		got = read_one_locked(ch);
		if (got == -EPIPE) {
			atomic_store(&s->nic_gone, true);
			if (s->channels[0])
				vsp_channel_kick(s->channels[0]->vc);
		}
		pthread_rwlock_unlock(&s->lock);
	}
}
