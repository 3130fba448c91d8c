/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vmbus/guest_ring.h"

#include <string.h>

static uint32_t load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static uint32_t used(uint32_t size, uint32_t w, uint32_t r)
{
	return (w + size - r) % size;
}

void guest_ring_init(struct guest_ring *g, void *mem, unsigned int tx_pages,
		     unsigned int rx_pages)
{
	uint8_t *p = mem;

	memset(mem, 0, (size_t)(tx_pages + rx_pages) * 4096);
	g->tx = (void *)p;
	g->tx_data = p + 4096;
	g->tx_size = (tx_pages - 1) * 4096;
	p += (size_t)tx_pages * 4096;
	g->rx = (void *)p;
	g->rx_data = p + 4096;
	g->rx_size = (rx_pages - 1) * 4096;
	g->tx->feature_bits = VMBUS_RING_FEATURE_PENDING_SEND_SIZE;
}

uint32_t guest_ring_room(const struct guest_ring *g)
{
	return g->tx_size -
	       used(g->tx_size, load(&g->tx->write_index), load(&g->tx->read_index));
}

static void put(struct guest_ring *g, uint32_t *at, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		g->tx_data[(*at + i) % g->tx_size] = ((const uint8_t *)bytes)[i];
	*at = (uint32_t)((*at + len) % g->tx_size);
}

bool guest_ring_send_raw(struct guest_ring *g, const void *bytes, size_t len,
			 bool *ret_signal)
{
	uint32_t old = load(&g->tx->write_index), at = old;
	uint64_t trailer = (uint64_t)old << 32;

	if (guest_ring_room(g) <= len + 8)
		return false;
	put(g, &at, bytes, len);
	put(g, &at, &trailer, sizeof(trailer));
	store(&g->tx->write_index, at);
	*ret_signal = !load(&g->tx->interrupt_mask) && load(&g->tx->read_index) == old;
	return true;
}

bool guest_ring_send(struct guest_ring *g, uint16_t type, uint16_t flags, uint64_t id,
		     const void *payload, size_t len, bool *ret_signal)
{
	static _Thread_local uint8_t buf[1 << 16];
	struct vmbus_packet d = { .type = type,
				  .flags = flags,
				  .offset8 = 2,
				  .len8 = (uint16_t)((len + 7) / 8 + 2),
				  .transaction_id = id };

	memset(buf, 0, d.len8 * 8u);
	memcpy(buf, &d, sizeof(d));
	memcpy(buf + sizeof(d), payload, len);
	return guest_ring_send_raw(g, buf, d.len8 * 8u, ret_signal);
}

static void get(const struct guest_ring *g, uint32_t at, void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)bytes)[i] = g->rx_data[(at + i) % g->rx_size];
}

/*
 * The index is stored before the wish is read, and one look at write_index serves both sides of the comparison: with an older one there
 * would seem to have been more room before than the host saw when it began to wait, and nobody would tell it.
 */
static bool room_awaited(const struct guest_ring *g, uint32_t old_read, uint32_t new_read)
{
	uint32_t pending = load(&g->rx->pending_send_size), w;

	if (!pending)
		return false;
	w = load(&g->rx->write_index);
	return g->rx_size - used(g->rx_size, w, old_read) <= pending &&
	       g->rx_size - used(g->rx_size, w, new_read) > pending;
}

bool guest_ring_recv(struct guest_ring *g, struct vmbus_packet *ret_desc, void *payload,
		     size_t max, size_t *ret_len, bool *ret_signal)
{
	uint32_t at = load(&g->rx->read_index), next;

	if (at == load(&g->rx->write_index))
		return false;
	get(g, at, ret_desc, sizeof(*ret_desc));
	*ret_len = (ret_desc->len8 - ret_desc->offset8) * 8u;
	get(g, (at + ret_desc->offset8 * 8u) % g->rx_size, payload, MIN(max, *ret_len));
	next = (at + ret_desc->len8 * 8u + 8) % g->rx_size;
	store(&g->rx->read_index, next);
	*ret_signal = room_awaited(g, at, next);
	return true;
}

bool guest_ring_host_waits(const struct guest_ring *g)
{
	return load(&g->rx->pending_send_size) != 0;
}

bool guest_ring_wait(struct guest_ring *g, size_t bytes)
{
	store(&g->tx->pending_send_size, (uint32_t)(bytes + 8));
	return guest_ring_room(g) > bytes + 8;
}
