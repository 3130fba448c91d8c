/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet is a descriptor, what its type adds to the descriptor, and from offset8 on the payload. GPA_DIRECT adds a count and that many
 * ranges; a range is a byte count, an offset into its first page, and as many page frame numbers as those span.
 */
#include "vmbus/packet.h"

#include <errno.h>
#include <string.h>
#include "vid/guestmem.h"

#define PAGE_SHIFT 12
#define PAGE_MASK ((1u << PAGE_SHIFT) - 1)

/* The range at *pos, which goes on to the next. False when it does not lie inside the bytes. */
static bool next_range(const uint8_t *bytes, size_t len, size_t *pos,
		       struct vmbus_gpa_range *ret, const uint8_t **ret_pfns,
		       uint64_t *ret_pages)
{
	uint64_t pages;

	if (len - *pos < sizeof(*ret))
		return false;
	memcpy(ret, bytes + *pos, sizeof(*ret));
	*pos += sizeof(*ret);
	if (ret->byte_offset > PAGE_MASK)
		return false;
	pages = ((uint64_t)ret->byte_count + ret->byte_offset + PAGE_MASK) >> PAGE_SHIFT;
	if (pages > (len - *pos) / sizeof(uint64_t))
		return false;
	*ret_pfns = bytes + *pos;
	*ret_pages = pages;
	*pos += pages * sizeof(uint64_t);
	return true;
}

static bool ranges_ok(const struct packet *p)
{
	struct vmbus_gpa_range range;
	const uint8_t *pfns;
	uint64_t pages;
	size_t pos = 0;

	for (unsigned int i = 0; i < p->range_count; i++) {
		if (!next_range(p->ranges, p->ranges_bytes, &pos, &range, &pfns, &pages))
			return false;
	}
	return true;
}

static int parse_gpa_direct(const uint8_t *bytes, size_t desc_bytes, struct packet *p)
{
	struct vmbus_packet_gpa_direct d;

	if (desc_bytes < sizeof(d))
		return -EPROTO;
	memcpy(&d, bytes, sizeof(d));
	if (!d.range_count || d.range_count > PACKET_RANGES_MAX)
		return -EPROTO;
	p->ranges = bytes + sizeof(d);
	p->ranges_bytes = desc_bytes - sizeof(d);
	p->range_count = d.range_count;
	return ranges_ok(p) ? 0 : -EPROTO;
}

int packet_parse(const void *buf, size_t len, struct packet *ret)
{
	const uint8_t *bytes = buf;
	struct vmbus_packet d;
	struct packet p = { 0 };
	size_t offset, end;

	if (len < sizeof(d))
		return -EPROTO;
	memcpy(&d, bytes, sizeof(d));
	offset = d.offset8 * 8u;
	end = d.len8 * 8u;
	if (offset < sizeof(d) || offset > end || end > len)
		return -EPROTO;
	p.type = d.type;
	p.flags = d.flags;
	p.transaction_id = d.transaction_id;
	p.payload = bytes + offset;
	p.payload_bytes = end - offset;
	switch (d.type) {
	case VM_PKT_DATA_INBAND:
	case VM_PKT_COMP:
	case VM_PKT_CANCEL_REQUEST:
		break;
	case VM_PKT_DATA_USING_GPA_DIRECT:
		if (parse_gpa_direct(bytes, offset, &p))
			return -EPROTO;
		break;
	default: /* no device here takes transfer pages or GPADL packets from a guest */
		return -EPROTO;
	}
	*ret = p;
	return 0;
}

uint64_t packet_range_bytes(const struct packet *p)
{
	struct vmbus_gpa_range range;
	const uint8_t *pfns;
	uint64_t pages, sum = 0;
	size_t pos = 0;

	for (unsigned int i = 0; i < p->range_count; i++) {
		if (!next_range(p->ranges, p->ranges_bytes, &pos, &range, &pfns, &pages))
			break;
		sum += range.byte_count;
	}
	return sum;
}

struct iov_out {
	struct iovec *iov;
	unsigned int n, max;
};

static int iov_add(struct iov_out *o, void *ptr, size_t len)
{
	struct iovec *last = o->n ? &o->iov[o->n - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == ptr) {
		last->iov_len += len;
		return 0;
	}
	if (o->n == o->max)
		return -E2BIG;
	o->iov[o->n++] = (struct iovec){ ptr, len };
	return 0;
}

static int iov_range(struct iov_out *o, const struct guestmem *gm,
		     const struct vmbus_gpa_range *range, const uint8_t *pfns,
		     uint64_t pages)
{
	uint64_t off = range->byte_offset, left = range->byte_count, pfn;
	int r;

	for (uint64_t i = 0; i < pages; i++) {
		size_t n = MIN(left, (uint64_t)PAGE_MASK + 1 - off);
		void *ptr;

		memcpy(&pfn, pfns + i * sizeof(pfn), sizeof(pfn));
		if (pfn >> (64 - PAGE_SHIFT))
			return -EFAULT;
		ptr = guestmem_ptr(gm, (pfn << PAGE_SHIFT) + off, n);
		if (!ptr)
			return -EFAULT;
		r = iov_add(o, ptr, n);
		if (r)
			return r;
		left -= n;
		off = 0;
	}
	return 0;
}

int packet_iov(const struct packet *p, const struct guestmem *gm, struct iovec *iov,
	       unsigned int max, unsigned int *ret_n)
{
	struct iov_out o = { .iov = iov, .max = max };
	struct vmbus_gpa_range range;
	const uint8_t *pfns;
	uint64_t pages;
	size_t pos = 0;
	int r;

	for (unsigned int i = 0; i < p->range_count; i++) {
		if (!next_range(p->ranges, p->ranges_bytes, &pos, &range, &pfns, &pages))
			return -EFAULT;
		if (!range.byte_count)
			continue;
		r = iov_range(&o, gm, &range, pfns, pages);
		if (r)
			return r;
	}
	*ret_n = o.n;
	return 0;
}
