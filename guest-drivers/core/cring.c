/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One reader and one writer a ring, on different processors. Three pairs of barriers:
 *
 *   P1  writer: data, then write_index (release)        reader: write_index (acquire), then data
 *   P2  reader: data, then read_index (release)         writer: read_index (acquire), then overwrites data
 *   P3  each side stores its index and then reads the other's wish to be told (seq_cst), while the other stores its wish and then reads
 *       the index (seq_cst): one of the two sees the other, so no wake-up is lost. Wishes: interrupt_mask, pending_send_size.
 *
 * The writer tells the reader only when the ring was empty before its packet: a reader that still has packets will look again.
 * A ring is never quite full: equal indices mean empty.
 */
#include "core/cring.h"

#include <errno.h>
#include "core/mem.h"

#define VMBUS_PAGE 4096u

static uint32_t load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static void init_half(struct cring_half *h, uint8_t *page, unsigned int pages)
{
	h->header = (struct vmbus_ring_header *)(void *)page;
	h->data = page + VMBUS_PAGE;
	h->size = (pages - 1) * VMBUS_PAGE;
	/* this side rings when the other waits for room, and wants the same */
	h->header->feature_bits = VMBUS_RING_FEATURE_PENDING_SEND_SIZE;
}

void cring_init(struct cring *r, void *pages, unsigned int out_pages,
		unsigned int in_pages)
{
	uint8_t *p = pages;

	init_half(&r->out, p, out_pages);
	init_half(&r->in, p + (size_t)out_pages * VMBUS_PAGE, in_pages);
}

static uint32_t used(const struct cring_half *h, uint32_t write, uint32_t read)
{
	return write >= read ? write - read : write + h->size - read;
}

static uint32_t advance(const struct cring_half *h, uint32_t index, uint32_t n)
{
	index += n;
	return index >= h->size ? index - h->size : index;
}

static uint32_t copy_in(struct cring_half *h, uint32_t index, const void *from,
			uint32_t n)
{
	uint32_t first = h->size - index < n ? h->size - index : n;

	memcpy(h->data + index, from, first);
	memcpy(h->data, (const uint8_t *)from + first, n - first);
	return advance(h, index, n);
}

static void copy_out(const struct cring_half *h, uint32_t index, void *to, uint32_t n)
{
	uint32_t first = h->size - index < n ? h->size - index : n;

	memcpy(to, h->data + index, first);
	memcpy((uint8_t *)to + first, h->data, n - first);
}

uint32_t cring_out_free(const struct cring *r)
{
	const struct cring_half *h = &r->out;

	return h->size -
	       used(h, load(&h->header->write_index), load(&h->header->read_index));
}

uint32_t cring_in_used(const struct cring *r)
{
	const struct cring_half *h = &r->in;

	return used(h, load(&h->header->write_index), load(&h->header->read_index));
}

/* P3: the wish first, then the look. */
static bool room(struct cring *r, uint32_t need)
{
	if (cring_out_free(r) > need)
		return true;
	store(&r->out.header->pending_send_size, need);
	return cring_out_free(r) > need;
}

int cring_send(struct cring *r, const struct cring_piece *pieces, unsigned int n,
	       bool *ret_signal)
{
	static const uint8_t zeros[8];
	struct cring_half *h = &r->out;
	uint32_t begin = load(&h->header->write_index), at = begin, pad;
	uint64_t trailer = (uint64_t)begin << 32;
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		len += pieces[i].len;
	pad = (uint32_t)(-len & 7);
	if (len + pad + sizeof(trailer) >= h->size)
		return -EMSGSIZE;
	if (!room(r, (uint32_t)len + pad + sizeof(trailer)))
		return -EAGAIN;
	store(&h->header->pending_send_size, 0);
	for (i = 0; i < n; i++)
		at = copy_in(h, at, pieces[i].p, (uint32_t)pieces[i].len);
	at = copy_in(h, at, zeros, pad);
	at = copy_in(h, at, &trailer, sizeof(trailer));
	store(&h->header->write_index, at); /* P1, P3 */
	*ret_signal = !load(&h->header->interrupt_mask) &&
		      load(&h->header->read_index) == begin;
	return 0;
}

/*
 * P3: the host waits for `pending` bytes, had fewer before this packet was taken, and has them now. One look at write_index for
 * both: with an older one "before" could look roomier than it was when the host began to wait, and nobody would tell it.
 */
static bool room_awaited(const struct cring_half *h, uint32_t old_read, uint32_t new_read)
{
	uint32_t pending = load(&h->header->pending_send_size), write;

	if (!pending)
		return false;
	write = load(&h->header->write_index);
	return h->size - used(h, write, old_read) <= pending &&
	       h->size - used(h, write, new_read) > pending;
}

int cring_recv(struct cring *r, void *buf, size_t max, size_t *ret_len, bool *ret_signal)
{
	struct cring_half *h = &r->in;
	uint32_t write = load(&h->header->write_index); /* P1 */
	uint32_t read = load(&h->header->read_index), there, next;
	struct vmbus_packet d;
	size_t len;

	if (write >= h->size || read >= h->size || write % 8 || read % 8)
		return -EPROTO;
	there = used(h, write, read);
	if (!there)
		return -EAGAIN;
	if (there < sizeof(d) + VMBUS_PACKET_TRAILER_BYTES)
		return -EPROTO;
	copy_out(h, read, &d, sizeof(d));
	len = (size_t)d.len8 * 8;
	if (len < sizeof(d) || len + VMBUS_PACKET_TRAILER_BYTES > there)
		return -EPROTO;
	if (len > max)
		return -EMSGSIZE;
	copy_out(h, read, buf, (uint32_t)len);
	memcpy(buf, &d, sizeof(d)); /* what was checked is what is used */
	next = advance(h, read, (uint32_t)len + VMBUS_PACKET_TRAILER_BYTES);
	store(&h->header->read_index, next); /* P2, P3 */
	*ret_len = len;
	*ret_signal = room_awaited(h, read, next);
	return 0;
}

void cring_mask(struct cring *r)
{
	store(&r->in.header->interrupt_mask, 1);
}

bool cring_unmask(struct cring *r)
{
	store(&r->in.header->interrupt_mask, 0);
	return cring_in_used(r) != 0; /* P3 */
}
