/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests leave to the adapter (NDIS, "Offloading checksum tasks", "Offloading the segmentation of large TCP packets"): the TCP or UDP sum, with
 * that of the pseudo header in its place; the IPv4 header's; for large sends also the IP lengths, and then the pseudo header's sum is without
 * length. Back-ends take virtio's form: everything right but the sum over the payload, the pseudo header with its length. So all
 * that is in headers is made anew from the copy.
 */
#include "vsp/netvsp/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "proto/be.h"

#define ETHERTYPE_VLAN 0x8100u
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define PROTO_TCP 6u
#define PROTO_UDP 17u
#define ETHER_BYTES 14u
#define MACS_BYTES 12u
#define TAG_BYTES 4u

/* In the host's byte order, four bytes at a time, which compilers make vectors of; the order is put right at the end (RFC 1071, 2 B). */
uint32_t frame_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	uint64_t s = 0;

	for (; len >= sizeof(uint32_t); p += sizeof(uint32_t), len -= sizeof(uint32_t)) {
		uint32_t v;

		memcpy(&v, p, sizeof(v));
		s += v;
	}
	if (len >= sizeof(uint16_t)) {
		uint16_t v;

		memcpy(&v, p, sizeof(v));
		s += v;
		p += sizeof(v);
		len -= sizeof(v);
	}
	if (len)
		s += *p;
	while (s >> 16)
		s = (s & 0xffffu) + (s >> 16);
	s = (uint64_t)be16toh((uint16_t)s) + sum;
	return (uint32_t)(s & 0xffffffffu) + (uint32_t)(s >> 32);
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t frame_fold(uint32_t sum)
{
	return (uint16_t)~fold(sum);
}

static uint8_t *byte_at(const struct iovec *iov, unsigned int n, size_t at)
{
	for (unsigned int i = 0; i < n; at -= iov[i++].iov_len) {
		if (at < iov[i].iov_len)
			return (uint8_t *)iov[i].iov_base + at;
	}
	return NULL;
}

bool frame_complete_sum(const struct iovec *iov, unsigned int n, size_t bytes,
			size_t start, size_t offset)
{
	uint8_t *high = byte_at(iov, n, start + offset);
	uint8_t *low = byte_at(iov, n, start + offset + 1);
	size_t skip = start, left = bytes - start;
	bool odd = false;
	uint32_t sum = 0;
	uint16_t v;

	if (start + offset + 2 > bytes || !high || !low)
		return false;
	for (unsigned int i = 0; i < n && left; i++) {
		size_t from = MIN(skip, iov[i].iov_len);
		size_t len = MIN(iov[i].iov_len - from, left);
		uint16_t part =
			fold(frame_sum((const uint8_t *)iov[i].iov_base + from, len, 0));

		/* What begins in the middle of a word counts with its bytes swapped. */
		sum += odd ? (uint16_t)(part << 8 | part >> 8) : part;
		odd ^= len & 1u;
		skip -= from;
		left -= len;
	}
	v = frame_fold(sum);
	if (!v) /* UDP knows zero as "none"; to TCP both are the same */
		v = 0xffffu;
	*high = (uint8_t)(v >> 8);
	*low = (uint8_t)v;
	return true;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* What is being made of one frame. */
struct work {
	uint8_t *head;
	size_t head_bytes;  /* copied */
	size_t total_bytes; /* of the frame, with its tag */
	size_t l3, l4;
	bool v6;
	uint8_t proto;
};

/* ---- the copy ---- */

static int copy_head(struct frame *f, const struct iovec *iov, unsigned int n,
		     const struct rndis_tx *tx, size_t want, struct work *w)
{
	size_t from = tx->has_vlan ? MACS_BYTES : 0, at = 0;
	size_t room = FRAME_HEAD_MAX - (tx->has_vlan ? TAG_BYTES : 0);
	size_t copied = MIN(want, room), bytes = MIN(copied, tx->frame_bytes);
	uint16_t tci =
		(uint16_t)(RNDIS_VLAN_PRIORITY(tx->vlan) << 13 |
			   RNDIS_VLAN_DEI(tx->vlan) << 12 | RNDIS_VLAN_ID(tx->vlan));

	if (tx->has_vlan) {
		if (!rndis_copy(iov, n, tx->frame_at, f->head, MACS_BYTES))
			return -EINVAL;
		put16(f->head + MACS_BYTES, ETHERTYPE_VLAN);
		put16(f->head + MACS_BYTES + 2, tci);
		at = MACS_BYTES + TAG_BYTES;
	}
	if (!rndis_copy(iov, n, tx->frame_at + from, f->head + at, bytes - from))
		return -EINVAL;
	w->head = f->head;
	w->head_bytes = at + bytes - from;
	w->total_bytes = tx->frame_bytes + (tx->has_vlan ? TAG_BYTES : 0);
	f->iov[0] = (struct iovec){ f->head, w->head_bytes };
	if (!rndis_slice(iov, n, tx->frame_at + bytes, tx->frame_bytes - bytes,
			 f->iov + 1, RNDIS_IOVS_MAX, &f->n))
		return -EINVAL;
	f->n++;
	return 0;
}

/* ---- headers ---- */

static int find_l3(struct work *w)
{
	size_t at = MACS_BYTES;
	uint16_t type = be16_get(w->head + at);

	if (type == ETHERTYPE_VLAN) {
		at += TAG_BYTES;
		if (w->head_bytes < at + 2)
			return -EINVAL;
		type = be16_get(w->head + at);
	}
	if (type != ETHERTYPE_IPV4 && type != ETHERTYPE_IPV6)
		return -EINVAL;
	w->l3 = at + 2;
	w->v6 = type == ETHERTYPE_IPV6;
	return w->head_bytes < w->l3 + (w->v6 ? 40 : 20) ? -EINVAL : 0;
}

/* `hint`: where the guest says that the TCP or UDP header is; only needed behind IPv6's extension headers. */
static int find_l4(struct work *w, size_t hint, uint8_t proto)
{
	const uint8_t *ip = w->head + w->l3;
	size_t header = w->v6 ? 40 : (size_t)(ip[0] & 15u) * 4;

	if (header < 20)
		return -EINVAL;
	w->proto = proto;
	w->l4 = w->l3 + header;
	if ((w->v6 ? ip[6] : ip[9]) != proto) {
		if (!w->v6 || hint <= w->l4)
			return -EINVAL;
		w->l4 = hint;
	}
	return w->l4 + (proto == PROTO_TCP ? 20 : 8) > w->head_bytes ? -EINVAL : 0;
}

static void sum_ipv4_header(struct work *w)
{
	uint8_t *ip = w->head + w->l3;

	put16(ip + 10, 0);
	put16(ip + 10, frame_fold(frame_sum(ip, w->l4 - w->l3, 0)));
}

static void begin_l4_sum(struct frame *f, struct work *w)
{
	const uint8_t *ip = w->head + w->l3;
	size_t bytes = w->total_bytes - w->l4;
	uint32_t sum = (uint32_t)bytes + w->proto;

	sum = w->v6 ? frame_sum(ip + 8, 32, sum) : frame_sum(ip + 12, 8, sum);
	f->meta.flags = NIC_CSUM_NEEDED;
	f->meta.csum_start = (uint16_t)w->l4;
	f->meta.csum_offset = w->proto == PROTO_TCP ? 16 : 6;
	put16(w->head + w->l4 + f->meta.csum_offset, fold(sum));
}

static int large_send(struct frame *f, struct work *w, uint32_t lso)
{
	uint8_t *ip = w->head + w->l3, *tcp = w->head + w->l4;
	size_t tcp_bytes = (size_t)(tcp[12] >> 4) * 4, ip_bytes;
	uint32_t mss = RNDIS_LSO_MSS(lso);

	if (tcp_bytes < 20 || w->l4 + tcp_bytes > w->head_bytes || !mss ||
	    mss > UINT16_MAX)
		return -EINVAL;
	ip_bytes = w->total_bytes - w->l3 - (w->v6 ? 40 : 0);
	if (ip_bytes > UINT16_MAX)
		return -EINVAL;
	put16(w->v6 ? ip + 4 : ip + 2, (uint16_t)ip_bytes);
	/* What fits into one segment needs no cutting. */
	if (w->total_bytes - w->l4 - tcp_bytes > mss) {
		f->meta.gso = w->v6 ? NIC_GSO_TCP6 : NIC_GSO_TCP4;
		f->meta.gso_bytes = (uint16_t)mss;
		f->meta.header_bytes = (uint16_t)(w->l4 + tcp_bytes);
	}
	return 0;
}

static int offload(struct frame *f, struct work *w, const struct rndis_tx *tx)
{
	bool udp = !tx->has_lso && tx->csum & RNDIS_CSUM_UDP;
	bool tcp = tx->has_lso || tx->csum & RNDIS_CSUM_TCP;
	size_t hint = tx->has_lso ? RNDIS_LSO_L4_OFFSET(tx->lso)
				  : RNDIS_CSUM_L4_OFFSET(tx->csum);
	int r = find_l3(w);

	if (r == 0 && (tcp || udp))
		r = find_l4(w, hint + (tx->has_vlan ? TAG_BYTES : 0),
			    tcp ? PROTO_TCP : PROTO_UDP);
	else if (r == 0)
		w->l4 = w->l3 + (size_t)(w->head[w->l3] & 15u) * 4;
	if (r == 0 && tx->has_lso)
		r = large_send(f, w, tx->lso);
	if (r < 0)
		return r;
	if (!w->v6 && (tx->has_lso || tx->csum & RNDIS_CSUM_IP_HEADER)) {
		if (w->l4 > w->head_bytes || w->l4 < w->l3 + 20)
			return -EINVAL;
		sum_ipv4_header(w);
	}
	if (tcp || udp)
		begin_l4_sum(f, w);
	return 0;
}

int frame_build(struct frame *f, const struct iovec *iov, unsigned int n,
		const struct rndis_tx *tx, unsigned int features)
{
	bool l4 = tx->has_csum && tx->csum & (RNDIS_CSUM_TCP | RNDIS_CSUM_UDP);
	bool work =
		tx->has_lso || l4 || (tx->has_csum && tx->csum & RNDIS_CSUM_IP_HEADER);
	struct work w = { 0 };
	int r;

	if (tx->frame_bytes < ETHER_BYTES || tx->frame_bytes > NIC_FRAME_MAX - TAG_BYTES)
		return -EINVAL;
	if ((tx->has_lso && !(features & NIC_FEATURE_TSO)) ||
	    (l4 && !(features & NIC_FEATURE_CSUM)))
		return -EOPNOTSUPP;
	f->meta = (struct nic_meta){ 0 };
	if (!work && !tx->has_vlan)
		return rndis_slice(iov, n, tx->frame_at, tx->frame_bytes, f->iov,
				   RNDIS_IOVS_MAX, &f->n)
			       ? 0
			       : -EINVAL;
	r = copy_head(f, iov, n, tx, work ? FRAME_HEAD_MAX : ETHER_BYTES, &w);
	return r < 0 || !work ? r : offload(f, &w, tx);
}
