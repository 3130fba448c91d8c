/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring is a header page and data pages. The writer owns write_index, the reader read_index; both are byte offsets into the data, multiples
 * of 8. Equal indices mean empty, so at least 8 bytes stay unused. A packet is len8 * 8 bytes of descriptor and payload and an 8-byte
 * trailer with its own offset in the upper half; it may wrap anywhere.
 *
 * Interrupts from writer to reader: only when the ring was empty before (the old write index equals the read index) and the reader has
 * not set interrupt_mask. The reader masks while it drains, then unmasks and looks again.
 * Interrupts from reader to writer: a writer that finds no room puts the bytes it needs into pending_send_size; the reader, when a commit
 * takes the free bytes from "not more than that" to "more", interrupts it. Each side says by feature_bits in the ring that it writes that it
 * plays by this rule; without it the other side has to poll. Linux before 4.16 reads it as from "less" to "not less": it would tell when the free
 * bytes equal the packet's, which is no room yet, and be silent when there is some. So ours is the packet's bytes and one more: free
 * bytes come in eights, and by either rule the commit that makes room is the one that tells.
 *
 * What the indices publish needs order. The pairs, of which each half is ours in one ring and the guest's in the other:
 *   (1) payload, then write_index (release)  |  write_index (acquire), then payload
 *   (2) payload read, then read_index (release)  |  read_index (acquire), then overwrite
 *   (3) write_index, FENCE, interrupt_mask and read_index  |  interrupt_mask = 0, FENCE, write_index
 *   (4) read_index, FENCE, pending_send_size  |  pending_send_size, FENCE, read_index
 * Without (3) or (4) both sides could see the other's old value and sleep for ever.
 *
 * Every index of the guest is loaded once into a local and checked there. `peer` keeps the last one: while it says that there is something
 * to read or room enough, the guest's cache line is not touched.
 */
#include "vmbus/ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u

/* The header's fields as atomics: the guest writes them at any time. */
static _Atomic uint32_t *field(uint32_t *f)
{
	return (_Atomic uint32_t *)f;
}

static bool index_ok(const struct ring_half *h, uint32_t index)
{
	return index < h->size && is_aligned(index, 8);
}

static uint32_t distance(const struct ring_half *h, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : h->size - from + to;
}

static uint32_t advance(const struct ring_half *h, uint32_t index, uint32_t bytes)
{
	index += bytes;
	return index >= h->size ? index - h->size : index;
}

static int half_init(struct ring_half *h, void *const *pages, unsigned int n)
{
	h->header = pages[0];
	h->size = (n - 1) * PAGE;
	h->pages = calloc(n - 1, sizeof(*h->pages));
	if (!h->pages)
		return -ENOMEM;
	h->base = pages[1];
	for (unsigned int i = 0; i < n - 1; i++) {
		h->pages[i] = pages[i + 1];
		if (h->pages[i] != (uint8_t *)pages[1] + (size_t)i * PAGE)
			h->base = NULL;
	}
	return 0;
}

static int half_index(struct ring_half *h, uint32_t ours, uint32_t theirs)
{
	if (!index_ok(h, ours) || !index_ok(h, theirs))
		return -EPROTO;
	h->index = h->published = ours;
	h->peer = theirs;
	return 0;
}

static int half_indices(struct ring *r)
{
	struct vmbus_ring_header *in = r->in.header, *out = r->out.header;
	int e;

	e = half_index(&r->in, atomic_load(field(&in->read_index)),
		       atomic_load(field(&in->write_index)));
	if (e)
		return e;
	return half_index(&r->out, atomic_load(field(&out->write_index)),
			  atomic_load(field(&out->read_index)));
}

int ring_init(struct ring *r, void *const *pages, unsigned int in_pages,
	      unsigned int out_pages)
{
	int e;

	memset(r, 0, sizeof(*r));
	if (in_pages < 2 || out_pages < 2 || in_pages > RING_PAGES_MAX ||
	    out_pages > RING_PAGES_MAX)
		return -EINVAL;
	e = half_init(&r->in, pages, in_pages);
	if (!e)
		e = half_init(&r->out, pages + in_pages, out_pages);
	if (!e)
		e = half_indices(r);
	if (e) {
		ring_done(r);
		return e;
	}
	atomic_store(field(&r->out.header->pending_send_size), 0);
	atomic_store(field(&r->out.header->feature_bits),
		     VMBUS_RING_FEATURE_PENDING_SEND_SIZE);
	atomic_store(field(&r->in.header->interrupt_mask), 0);
	return 0;
}

void ring_done(struct ring *r)
{
	free(r->in.pages);
	free(r->out.pages);
	memset(r, 0, sizeof(*r));
}

/* One run of neighbouring bytes at `off`: its address and how many of `len` bytes it has. */
static uint8_t *run(const struct ring_half *h, uint32_t off, size_t len, size_t *ret_n)
{
	if (h->base) {
		*ret_n = MIN(len, (size_t)(h->size - off));
		return h->base + off;
	}
	*ret_n = MIN(len, (size_t)(PAGE - off % PAGE));
	return h->pages[off / PAGE] + off % PAGE;
}

static void copy_out(const struct ring_half *h, uint32_t off, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t n;

	for (; len; len -= n, to += n, off = advance(h, off, (uint32_t)n)) {
		const uint8_t *from = run(h, off, len, &n);

		memcpy(to, from, n);
	}
}

static void copy_in(const struct ring_half *h, uint32_t off, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	size_t n;

	for (; len; len -= n, from += n, off = advance(h, off, (uint32_t)n)) {
		uint8_t *to = run(h, off, len, &n);

		memcpy(to, from, n);
	}
}

/* Bytes there to read, from the guest's write index. */
static int available(struct ring_half *h, uint32_t *ret)
{
	if (h->index == h->peer) {
		/* (1) */
		uint32_t w = atomic_load_explicit(field(&h->header->write_index),
						  memory_order_acquire);

		if (!index_ok(h, w))
			return -EPROTO;
		h->peer = w;
	}
	*ret = distance(h, h->index, h->peer);
	return *ret ? 0 : -EAGAIN;
}

int ring_recv(struct ring *r, void *buf, size_t max, size_t *ret_len)
{
	struct ring_half *h = &r->in;
	struct vmbus_packet desc;
	uint32_t avail, len;
	int e = available(h, &avail);

	if (e)
		return e;
	if (avail < sizeof(desc) + VMBUS_PACKET_TRAILER_BYTES)
		return -EPROTO;
	copy_out(h, h->index, &desc, sizeof(desc));
	len = desc.len8 * 8u;
	if (len < sizeof(desc) || len > avail - VMBUS_PACKET_TRAILER_BYTES)
		return -EPROTO;
	if (len > max || max < sizeof(desc))
		return -EMSGSIZE;
	memcpy(buf, &desc, sizeof(desc));
	copy_out(h, advance(h, h->index, sizeof(desc)), (uint8_t *)buf + sizeof(desc),
		 len - sizeof(desc));
	h->index = advance(h, h->index, len + VMBUS_PACKET_TRAILER_BYTES);
	*ret_len = len;
	return 0;
}

bool ring_recv_commit(struct ring *r)
{
	struct ring_half *h = &r->in;
	uint32_t before = h->published, pending, w;

	if (h->index == before)
		return false;
	h->published = h->index;
	/* (2) and, by its fence, (4) */
	atomic_store_explicit(field(&h->header->read_index), h->index,
			      memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	/* Some guests ask for "size - 1"; free bytes come in eights. */
	pending = atomic_load_explicit(field(&h->header->pending_send_size),
				       memory_order_relaxed) &
		  ~7u;
	if (!pending)
		return false;
	w = atomic_load_explicit(field(&h->header->write_index), memory_order_relaxed);
	if (!index_ok(h, w))
		return false; /* the next receive finds it and says so */
	return h->size - distance(h, before, w) <= pending &&
	       h->size - distance(h, h->index, w) > pending;
}

bool ring_recv_ready(struct ring *r)
{
	uint32_t avail;

	return available(&r->in, &avail) != -EAGAIN;
}

void ring_recv_mask(struct ring *r)
{
	atomic_store_explicit(field(&r->in.header->interrupt_mask), 1,
			      memory_order_relaxed);
}

bool ring_recv_unmask(struct ring *r)
{
	atomic_store_explicit(field(&r->in.header->interrupt_mask), 0,
			      memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* (3) */
	return ring_recv_ready(r);
}

/* True when more than `total` bytes are free; reads the guest's index only when the known one is not enough. */
static int has_room(struct ring_half *h, uint32_t total, bool *ret)
{
	if (h->size - distance(h, h->peer, h->index) <= total) {
		/* (2) */
		uint32_t rd = atomic_load_explicit(field(&h->header->read_index),
						   memory_order_acquire);

		if (!index_ok(h, rd))
			return -EPROTO;
		h->peer = rd;
	}
	*ret = h->size - distance(h, h->peer, h->index) > total;
	return 0;
}

/* A packet's bytes in the ring, 0 when it can never fit. */
static uint32_t packet_bytes(const struct ring_half *h, size_t bytes)
{
	size_t total;

	if (bytes > h->size)
		return 0;
	total = align_up(bytes, 8) + VMBUS_PACKET_TRAILER_BYTES;
	return total < h->size ? (uint32_t)total : 0;
}

static void put_packet(struct ring_half *h, const struct iovec *iov, unsigned int n,
		       uint32_t total)
{
	static const uint8_t zero[8];
	uint64_t trailer = (uint64_t)h->index << 32;
	uint32_t at = h->index, bytes = 0, pad;

	for (unsigned int i = 0; i < n; i++) {
		copy_in(h, at, iov[i].iov_base, iov[i].iov_len);
		at = advance(h, at, (uint32_t)iov[i].iov_len);
		bytes += (uint32_t)iov[i].iov_len;
	}
	pad = total - VMBUS_PACKET_TRAILER_BYTES - bytes;
	copy_in(h, at, zero, pad);
	at = advance(h, at, pad);
	copy_in(h, at, &trailer, sizeof(trailer));
	h->index = advance(h, at, sizeof(trailer));
}

int ring_send(struct ring *r, const struct iovec *iov, unsigned int n)
{
	struct ring_half *h = &r->out;
	size_t bytes = 0;
	uint32_t total;
	bool room;
	int e;

	for (unsigned int i = 0; i < n; i++) {
		if (add_overflow(bytes, iov[i].iov_len, &bytes))
			return -EMSGSIZE;
	}
	total = packet_bytes(h, bytes);
	if (!total)
		return -EMSGSIZE;
	e = has_room(h, total, &room);
	if (e)
		return e;
	if (!room)
		return -EAGAIN;
	put_packet(h, iov, n, total);
	if (r->waiting) {
		r->waiting = false;
		atomic_store_explicit(field(&h->header->pending_send_size), 0,
				      memory_order_relaxed);
	}
	return 0;
}

bool ring_send_commit(struct ring *r)
{
	struct ring_half *h = &r->out;
	uint32_t before = h->published;

	if (h->index == before)
		return false;
	h->published = h->index;
	/* (1) and, by its fence, (3) */
	atomic_store_explicit(field(&h->header->write_index), h->index,
			      memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(field(&h->header->interrupt_mask), memory_order_acquire))
		return false;
	return atomic_load_explicit(field(&h->header->read_index),
				    memory_order_relaxed) == before;
}

bool ring_send_wait(struct ring *r, size_t bytes)
{
	struct ring_half *h = &r->out;
	uint32_t total = packet_bytes(h, bytes);
	bool room;

	if (!total)
		return true; /* the send says what is wrong */
	r->waiting = true;
	atomic_store_explicit(field(&h->header->pending_send_size), total + 1,
			      memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* (4) */
	return has_room(h, total, &room) || room;
}

bool ring_send_unread(const struct ring *r)
{
	struct vmbus_ring_header *h = r->out.header;

	return atomic_load_explicit(field(&h->write_index), memory_order_relaxed) !=
	       atomic_load_explicit(field(&h->read_index), memory_order_relaxed);
}

bool ring_send_notifies(const struct ring *r)
{
	return (atomic_load_explicit(field(&r->in.header->feature_bits),
				     memory_order_relaxed) &
		VMBUS_RING_FEATURE_PENDING_SEND_SIZE) != 0;
}
