/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vmbus/bus_guest.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "unit/test.h"

static void on_interrupt(void *opaque, unsigned int vp, unsigned int sint)
{
	struct bus_guest *g = opaque;
	uint64_t one = 1;

	ck_assert_int_eq(write(g->irq, &one, sizeof(one)), sizeof(one));
}

static void on_irq(evutil_socket_t fd, short what, void *opaque)
{
	uint64_t n;

	ck_assert_int_eq(read(fd, &n, sizeof(n)), sizeof(n));
}

static void on_changed(void *opaque)
{
	((struct bus_guest *)opaque)->changes++;
}

void bus_guest_init(struct bus_guest *g, unsigned int vps)
{
	struct vmbus_env env = { 0 };

	memset(g, 0, sizeof(*g));
	fake_synic_init(&g->synic, vps);
	g->synic.interrupt = on_interrupt;
	g->synic.interrupt_opaque = g;
	g->next_gpadl = 0xe1e10;
	g->irq = eventfd(0, EFD_NONBLOCK);
	g->loop = event_base_new();
	g->ev_irq = event_new(g->loop, g->irq, EV_READ | EV_PERSIST, on_irq, g);
	event_add(g->ev_irq, NULL);
	ck_assert_int_eq(guestmem_new(BUS_GUEST_BYTES, &g->gm), 0);
	g->ram = guestmem_ptr(g->gm, 0, BUS_GUEST_BYTES);
	env = (struct vmbus_env){
		.synic_ops = &fake_synic_ops,
		.synic = &g->synic,
		.gm = g->gm,
		.loop = g->loop,
		.changed = on_changed,
		.opaque = g,
	};
	ck_assert_int_eq(vmbus_new(&env, &g->bus), 0);
}

static void on_reset(void *opaque)
{
	*(bool *)opaque = true;
}

void bus_guest_done(struct bus_guest *g)
{
	bool reset = false;

	vmbus_reset(g->bus, on_reset, &reset);
	while (!reset)
		bus_guest_wait(g);
	vmbus_free(g->bus);
	event_free(g->ev_irq);
	event_base_free(g->loop);
	guestmem_free(g->gm);
	close(g->irq);
	fake_synic_done(&g->synic);
}

void bus_guest_wait(struct bus_guest *g)
{
	event_base_loop(g->loop, EVLOOP_ONCE);
}

void bus_guest_poll(struct bus_guest *g)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(g->loop, EVLOOP_NONBLOCK);
}

void bus_guest_post(struct bus_guest *g, const void *msg, size_t len)
{
	uint16_t status;

	while ((status = fake_synic_post(&g->synic, 0, 1, msg, len)) ==
	       HV_STATUS_INSUFFICIENT_BUFFERS)
		bus_guest_poll(g);
	ck_assert_uint_eq(status, HV_STATUS_SUCCESS);
}

static void next_message(struct bus_guest *g, struct hv_message *ret)
{
	while (!fake_synic_take(&g->synic, g->vp, VMBUS_MESSAGE_SINT, ret))
		bus_guest_wait(g);
	ck_assert_uint_eq(ret->message_type, HVMSG_CHANNEL);
}

void bus_guest_expect(struct bus_guest *g, uint32_t type, void *msg, size_t len)
{
	struct hv_message m;
	struct vmbus_header h;

	next_message(g, &m);
	memcpy(&h, m.payload, sizeof(h));
	ck_assert_uint_eq(h.message_type, type);
	if (msg) {
		ck_assert_uint_eq(m.payload_size, len);
		memcpy(msg, m.payload, len);
	}
}

void bus_guest_quiet(struct bus_guest *g)
{
	struct hv_message m;

	bus_guest_poll(g);
	ck_assert(!fake_synic_take(&g->synic, g->vp, VMBUS_MESSAGE_SINT, &m));
}

bool bus_guest_contact(struct bus_guest *g, uint32_t version)
{
	struct vmbus_initiate_contact m = {
		.header.message_type = CHANNELMSG_INITIATE_CONTACT,
		.version_requested = version,
		.target_vp = g->vp,
	};
	struct vmbus_version_response rsp;

	if (version >= VMBUS_VERSION_WIN10_V5)
		m.msg_sint = VMBUS_MESSAGE_SINT;
	ck_assert_uint_eq(fake_synic_post(&g->synic, 0,
					  version >= VMBUS_VERSION_WIN10_V5 ? 4 : 1, &m,
					  sizeof(m)),
			  HV_STATUS_SUCCESS);
	bus_guest_expect(g, CHANNELMSG_VERSION_RESPONSE, &rsp, sizeof(rsp));
	if (rsp.version_supported && version >= VMBUS_VERSION_WIN10_V5)
		ck_assert_uint_eq(rsp.msg_connection_id, 1);
	return rsp.version_supported;
}

void bus_guest_offers(struct bus_guest *g)
{
	struct vmbus_header h = { .message_type = CHANNELMSG_REQUESTOFFERS };
	struct hv_message m;

	bus_guest_post(g, &h, sizeof(h));
	g->offer_count = 0;
	for (;;) {
		next_message(g, &m);
		memcpy(&h, m.payload, sizeof(h));
		if (h.message_type == CHANNELMSG_ALLOFFERS_DELIVERED)
			return;
		ck_assert_uint_eq(h.message_type, CHANNELMSG_OFFERCHANNEL);
		ck_assert_uint_eq(m.payload_size, sizeof(g->offers[0]));
		ck_assert_uint_lt(g->offer_count, BUS_GUEST_OFFERS);
		memcpy(&g->offers[g->offer_count++], m.payload, sizeof(g->offers[0]));
	}
}

void bus_guest_connect(struct bus_guest *g)
{
	ck_assert(bus_guest_contact(g, VMBUS_VERSION_WIN10_V5_3));
	bus_guest_offers(g);
}

/* Words that go into the ranges of a message, from `first` on; returns their bytes. */
static size_t put_words(uint8_t *to, size_t room, uint64_t gpa, unsigned int pages,
			unsigned int first)
{
	struct vmbus_gpa_range range = { .byte_count = pages * 4096 };
	size_t n = 0;

	for (unsigned int w = first; w < pages + 1 && n + 8 <= room; w++, n += 8) {
		uint64_t pfn = gpa / 4096 + w - 1;

		memcpy(to + n, w ? (void *)&pfn : (void *)&range, 8);
	}
	return n;
}

uint32_t bus_guest_gpadl(struct bus_guest *g, uint32_t relid, uint64_t gpa,
			 unsigned int pages)
{
	union {
		struct vmbus_gpadl_header head;
		struct vmbus_gpadl_body body;
		uint8_t bytes[VMBUS_MESSAGE_MAX];
	} m = { .head = { .header.message_type = CHANNELMSG_GPADL_HEADER,
			  .child_relid = relid,
			  .gpadl = g->next_gpadl++,
			  .range_buflen = (uint16_t)((pages + 1) * 8),
			  .range_count = 1 } };
	uint32_t id = m.head.gpadl;
	struct vmbus_gpadl_created rsp;
	size_t n, sent;

	n = put_words(m.bytes + sizeof(m.head), sizeof(m) - sizeof(m.head), gpa, pages,
		      0);
	bus_guest_post(g, &m, sizeof(m.head) + n);
	for (sent = n / 8; sent < pages + 1; sent += n / 8) {
		memset(&m, 0, sizeof(m));
		m.body.header.message_type = CHANNELMSG_GPADL_BODY;
		m.body.gpadl = id;
		n = put_words(m.bytes + sizeof(m.body), sizeof(m) - sizeof(m.body), gpa,
			      pages, (unsigned int)sent);
		bus_guest_post(g, &m, sizeof(m.body) + n);
	}
	bus_guest_expect(g, CHANNELMSG_GPADL_CREATED, &rsp, sizeof(rsp));
	ck_assert_uint_eq(rsp.gpadl, id);
	return rsp.status ? 0 : id;
}

void bus_guest_teardown(struct bus_guest *g, uint32_t relid, uint32_t gpadl)
{
	struct vmbus_gpadl_teardown m = {
		.header.message_type = CHANNELMSG_GPADL_TEARDOWN,
		.child_relid = relid,
		.gpadl = gpadl,
	};
	struct vmbus_gpadl_torndown rsp;

	bus_guest_post(g, &m, sizeof(m));
	bus_guest_expect(g, CHANNELMSG_GPADL_TORNDOWN, &rsp, sizeof(rsp));
	ck_assert_uint_eq(rsp.gpadl, gpadl);
}

uint32_t bus_guest_open(struct bus_guest *g, uint32_t relid, uint64_t gpa,
			unsigned int pages, unsigned int vp, struct guest_ring *ring,
			uint32_t *ret_gpadl)
{
	struct vmbus_open_channel m = {
		.header.message_type = CHANNELMSG_OPENCHANNEL,
		.child_relid = relid,
		.open_id = relid + 1000,
		.target_vp = vp,
		.downstream_page_offset = pages,
	};
	struct vmbus_open_result rsp;

	guest_ring_init(ring, g->ram + gpa, pages, pages);
	m.ring_gpadl = bus_guest_gpadl(g, relid, gpa, 2 * pages);
	ck_assert_uint_ne(m.ring_gpadl, 0);
	bus_guest_post(g, &m, sizeof(m));
	bus_guest_expect(g, CHANNELMSG_OPENCHANNEL_RESULT, &rsp, sizeof(rsp));
	ck_assert_uint_eq(rsp.child_relid, relid);
	ck_assert_uint_eq(rsp.open_id, m.open_id);
	if (ret_gpadl)
		*ret_gpadl = m.ring_gpadl;
	return rsp.status;
}

static void post_relid(struct bus_guest *g, uint32_t type, uint32_t relid)
{
	struct vmbus_relid_message m = { .header.message_type = type,
					 .child_relid = relid };

	bus_guest_post(g, &m, sizeof(m));
}

void bus_guest_close(struct bus_guest *g, uint32_t relid)
{
	post_relid(g, CHANNELMSG_CLOSECHANNEL, relid);
}

void bus_guest_release(struct bus_guest *g, uint32_t relid)
{
	post_relid(g, CHANNELMSG_RELID_RELEASED, relid);
}

uint32_t bus_guest_connection(const struct bus_guest *g, uint32_t relid)
{
	for (unsigned int i = 0; i < g->offer_count; i++) {
		if (g->offers[i].child_relid == relid)
			return g->offers[i].connection_id;
	}
	return 0;
}

void bus_guest_send(struct bus_guest *g, struct guest_ring *ring, uint32_t relid,
		    uint16_t flags, uint64_t id, const void *payload, size_t len)
{
	bool doorbell;

	ck_assert(guest_ring_send(ring, VM_PKT_DATA_INBAND, flags, id, payload, len,
				  &doorbell));
	if (doorbell)
		ck_assert_uint_eq(
			fake_synic_signal(&g->synic, bus_guest_connection(g, relid)),
			HV_STATUS_SUCCESS);
}

void bus_guest_recv(struct bus_guest *g, struct guest_ring *ring, uint32_t relid,
		    struct vmbus_packet *ret_desc, void *payload, size_t max,
		    size_t *ret_len)
{
	bool room;

	/* A flag interrupts only when it was clear: first the flag, then the ring. */
	for (;;) {
		for (unsigned int vp = 0; vp < g->synic.vps; vp++) {
			if (fake_synic_take_flag(&g->synic, vp, VMBUS_MESSAGE_SINT,
						 relid))
				g->flag_vp = vp;
		}
		if (guest_ring_recv(ring, ret_desc, payload, max, ret_len, &room))
			break;
		bus_guest_wait(g);
	}
	if (room)
		fake_synic_signal(&g->synic, bus_guest_connection(g, relid));
}
