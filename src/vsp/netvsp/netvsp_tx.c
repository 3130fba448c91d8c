/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RNDIS messages from the guest: in a section of the send buffer, in pages beside the packet, or the first part there and the rest here. On the data
 * channel up to RNDIS_PACKETS_MAX frames one behind the other, each of which goes to the back-end from where it lies. A back-end without
 * room stops this channel for a while; the frames of the message that are sent already are not sent again.
 */
#include "vsp/netvsp/netvsp_priv.h"

#include <errno.h>
#include <time.h>

#define ROOM_POLL_NS 200000ull

/* The memory of one message. */
struct message {
	struct iovec iov[RNDIS_IOVS_MAX];
	unsigned int n;
	size_t bytes;
};

static int find_memory_locked(const struct netvsp_channel *ch, const struct packet *p,
			      const struct nvsp_rndis_packet *rndis, struct message *m)
{
	const struct netvsp *s = ch->s;
	uint64_t at = (uint64_t)rndis->section_index * s->section_bytes;
	unsigned int n = 0;
	int r;

	m->n = 0;
	if (rndis->section_index != NVSP_NO_SECTION) {
		if (!s->send || rndis->section_bytes > s->section_bytes)
			return -EPROTO;
		r = gpadl_iov(s->send, at, rndis->section_bytes, m->iov, RNDIS_IOVS_MAX,
			      &m->n);
		if (r < 0)
			return r;
	}
	if (p->range_count) {
		r = packet_iov(p, ch->gm, m->iov + m->n, RNDIS_IOVS_MAX - m->n, &n);
		if (r < 0)
			return r;
	}
	m->n += n;
	m->bytes = 0;
	for (unsigned int i = 0; i < m->n; i++)
		m->bytes += m->iov[i].iov_len;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* 0, sent or dropped; -EAGAIN; -EPROTO. */
static int send_frame_locked(struct netvsp_channel *ch, const struct message *m,
			     const struct rndis_tx *tx)
{
	struct netvsp *s = ch->s;
	struct nic *nic = s->nic;
	struct frame f;
	int r = frame_build(&f, m->iov, m->n, tx, nic->features);

	if (r < 0) {
		atomic_fetch_add(&s->counters.send_errors, 1);
		return -EPROTO;
	}
	if (!netvsp_link(s))
		return 0;
	/* The first queue is always there. */
	r = nic_send(nic, ch->index < nic->queues ? ch->index : 0, &f.meta, f.iov, f.n);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		atomic_store(&s->nic_gone, true);
		if (s->channels[0])
			vsp_channel_kick(s->channels[0]->vc);
		return 0;
	}
	atomic_fetch_add_explicit(&s->counters.sent, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->counters.sent_bytes, tx->frame_bytes,
				  memory_order_relaxed);
	return 0;
}

static int on_data_locked(struct netvsp_channel *ch, const struct message *m)
{
	struct rndis_tx tx;
	int r;

	if (!ch->s->rndis.ready)
		return -EPROTO;
	for (unsigned int i = 0; ch->tx_done < m->bytes; i++) {
		if (i == RNDIS_PACKETS_MAX)
			return -EPROTO;
		r = rndis_packet_parse(m->iov, m->n, ch->tx_done, m->bytes, &tx);
		if (r == 0)
			r = send_frame_locked(ch, m, &tx);
		if (r < 0)
			return r;
		ch->tx_done += tx.message_bytes;
	}
	return 0;
}

/* The back-end may leave sums to the guest if it checks none itself: if it lets us check for it. */
static void tell_nic_locked(struct netvsp *s)
{
	bool allowed = s->rndis.offload.receive4 && s->rndis.offload.receive6;

	if (!s->nic->ops->receive_csum || allowed == s->receive_csum)
		return;
	if (s->nic->ops->receive_csum(s->nic, allowed) == 0)
		s->receive_csum = allowed;
}

/* Those that an OID tells. */
static void load_stats(struct netvsp *s)
{
	const struct netvsp_counters *c = &s->counters;

	s->rndis.stats = (struct rndis_stats){
		.sent = atomic_load(&c->sent),
		.received = atomic_load(&c->received),
		.send_errors = atomic_load(&c->send_errors),
		.no_buffer = atomic_load(&c->no_buffer),
	};
}

static int on_control_locked(struct netvsp_channel *ch, const struct message *m)
{
	struct netvsp *s = ch->s;
	uint8_t message[RNDIS_CONTROL_MAX], reply[RNDIS_CONTROL_MAX];
	size_t bytes = 0;
	bool was_ready = s->rndis.ready;

	if (ch->index || m->bytes > sizeof(message) ||
	    !rndis_copy(m->iov, m->n, 0, message, m->bytes))
		return -EPROTO;
	s->rndis.link_up = netvsp_link(s);
	load_stats(s);
	if (rndis_control(&s->rndis, message, m->bytes, reply, &bytes) < 0)
		return -EPROTO;
	if (!was_ready && s->rndis.ready)
		ch->link_told = s->rndis.link_up;
	tell_nic_locked(s);
	return bytes ? netvsp_send_control_locked(ch, reply, bytes) : 0;
}

int netvsp_on_rndis(struct netvsp_channel *ch, const struct packet *p,
		    const struct nvsp_rndis_packet *rndis)
{
	struct netvsp *s = ch->s;
	bool control = rndis->channel_type == NVSP_CHANNEL_CONTROL;
	struct nvsp_message answer;
	struct message m;
	size_t len;
	int r;

	if (control)
		pthread_rwlock_wrlock(&s->lock);
	else
		pthread_rwlock_rdlock(&s->lock);
	r = find_memory_locked(ch, p, rndis, &m);
	if (r == 0)
		r = control ? on_control_locked(ch, &m) : on_data_locked(ch, &m);
	len = nvsp_rndis_done(
		&s->nvsp, r < 0 ? NVSP_STATUS_INVALID_RNDIS_PACKET : NVSP_STATUS_SUCCESS,
		&answer);
	pthread_rwlock_unlock(&s->lock);
	ch->tx_held = r == -EAGAIN;
	if (ch->tx_held) {
		vsp_timer(ch->vc, now_ns() + ROOM_POLL_NS);
		return r;
	}
	ch->tx_done = 0;
	if (r == -ENOSPC)
		return -ENOSPC; /* answers that the guest does not take: the channel faults */
	if (packet_wants_completion(p))
		vsp_complete(ch->vc, p->transaction_id, &answer, len);
	return 0;
}
