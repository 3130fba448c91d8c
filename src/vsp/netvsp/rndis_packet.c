/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/netvsp/rndis_packet.h"

#include <errno.h>
#include <string.h>

#define HEADER sizeof(struct rndis_header)

bool rndis_copy(const struct iovec *iov, unsigned int n, size_t off, void *buf,
		size_t len)
{
	uint8_t *to = buf;

	for (unsigned int i = 0; i < n && len; i++) {
		size_t part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		part = MIN(iov[i].iov_len - off, len);
		memcpy(to, (const uint8_t *)iov[i].iov_base + off, part);
		to += part;
		len -= part;
		off = 0;
	}
	return len == 0;
}

bool rndis_slice(const struct iovec *iov, unsigned int n, size_t off, size_t len,
		 struct iovec *ret, unsigned int max, unsigned int *ret_n)
{
	unsigned int used = 0;

	for (unsigned int i = 0; i < n && len; i++) {
		size_t part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		if (used == max)
			return false;
		part = MIN(iov[i].iov_len - off, len);
		ret[used++] = (struct iovec){ (uint8_t *)iov[i].iov_base + off, part };
		len -= part;
		off = 0;
	}
	*ret_n = used;
	return len == 0;
}

static void take_value(struct rndis_tx *tx, uint32_t type, uint32_t value)
{
	switch (type) {
	case RNDIS_PPI_CHECKSUM:
		tx->has_csum = true;
		tx->csum = value;
		break;
	case RNDIS_PPI_LSO:
		tx->has_lso = true;
		tx->lso = value;
		break;
	case RNDIS_PPI_VLAN:
		tx->has_vlan = true;
		tx->vlan = value;
		break;
	default:
		break; /* hash, cancel id and others that say nothing to us */
	}
}

static int parse_ppis(const uint8_t *bytes, size_t len, struct rndis_tx *tx)
{
	while (len >= sizeof(struct rndis_ppi)) {
		struct rndis_ppi p;
		uint32_t value = 0;

		memcpy(&p, bytes, sizeof(p));
		if (p.bytes < sizeof(p) || p.bytes > len || p.value_offset > p.bytes)
			return -EPROTO;
		if (p.bytes - p.value_offset >= sizeof(value))
			memcpy(&value, bytes + p.value_offset, sizeof(value));
		else if (p.type <= RNDIS_PPI_VLAN)
			return -EPROTO;
		take_value(tx, p.type, value);
		bytes += p.bytes;
		len -= p.bytes;
	}
	return len ? -EPROTO : 0;
}

int rndis_packet_parse(const struct iovec *iov, unsigned int n, size_t off, size_t total,
		       struct rndis_tx *ret)
{
	struct {
		struct rndis_header h;
		struct rndis_packet p;
	} head;
	uint8_t ppis[RNDIS_PPI_MAX];
	struct rndis_tx tx = { 0 };
	size_t body;

	if (!range_ok(off, sizeof(head), total) ||
	    !rndis_copy(iov, n, off, &head, sizeof(head)))
		return -EPROTO;
	if (head.h.type != RNDIS_PACKET || head.h.length < sizeof(head) ||
	    !range_ok(off, head.h.length, total))
		return -EPROTO;
	body = head.h.length - HEADER;
	if (!range_ok(head.p.data_offset, head.p.data_bytes, body) ||
	    !range_ok(head.p.ppi_offset, head.p.ppi_bytes, body) ||
	    head.p.ppi_bytes > sizeof(ppis))
		return -EPROTO;
	if (!rndis_copy(iov, n, off + HEADER + head.p.ppi_offset, ppis,
			head.p.ppi_bytes) ||
	    parse_ppis(ppis, head.p.ppi_bytes, &tx) < 0)
		return -EPROTO;
	tx.message_bytes = head.h.length;
	tx.frame_at = off + HEADER + head.p.data_offset;
	tx.frame_bytes = head.p.data_bytes;
	*ret = tx;
	return 0;
}

/* ---- to the guest ---- */

static size_t put_ppi(uint8_t *to, uint32_t type, uint32_t value)
{
	const struct {
		struct rndis_ppi ppi;
		uint32_t value;
	} p = { { sizeof(p), type, sizeof(p.ppi) }, value };

	memcpy(to, &p, sizeof(p));
	return sizeof(p);
}

void rndis_packet_head(const struct rndis_rx *rx, uint8_t ret[RNDIS_RX_HEAD])
{
	struct {
		struct rndis_header h;
		struct rndis_packet p;
	} head = { .h = { RNDIS_PACKET, rx->frame_at + rx->frame_bytes },
		   .p = { .data_offset = (uint32_t)(rx->frame_at - HEADER),
			  .data_bytes = rx->frame_bytes } };
	size_t at = sizeof(head);

	memset(ret, 0, RNDIS_RX_HEAD);
	if (rx->has_csum)
		at += put_ppi(ret + at, RNDIS_PPI_CHECKSUM, rx->csum);
	if (rx->has_vlan)
		at += put_ppi(ret + at, RNDIS_PPI_VLAN, rx->vlan);
	if (rx->has_hash)
		at += put_ppi(ret + at, RNDIS_PPI_HASH, rx->hash);
	head.p.ppi_bytes = (uint32_t)(at - sizeof(head));
	head.p.ppi_offset = head.p.ppi_bytes ? sizeof(head.p) : 0;
	memcpy(ret, &head, sizeof(head));
}
