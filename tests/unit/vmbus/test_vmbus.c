/* SPDX-License-Identifier: BSD-2-Clause */
/* The bus with its channels, against a guest's bus driver on a fake SynIC. What a VSP's thread does is in tests/unit/vsp. */
#include "vmbus/vmbus.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"
#include "unit/vmbus/bus_guest.h"

/* A device that does nothing by itself. */
struct device {
	struct vmbus_channel *primary, *last;
	unsigned int opens, closes, gones;
	bool defer_close;
	int result;
};

static int dev_open(void *opaque, struct vmbus_channel *ch)
{
	struct device *d = opaque;

	d->opens++;
	d->last = ch;
	return d->result;
}

static void dev_close(void *opaque, struct vmbus_channel *ch)
{
	struct device *d = opaque;

	d->closes++;
	if (!d->defer_close)
		channel_close_done(ch);
}

static void dev_gone(void *opaque)
{
	((struct device *)opaque)->gones++;
}

static const struct vmbus_channel_ops dev_ops = {
	.open = dev_open,
	.close = dev_close,
	.gone = dev_gone,
};

#define GPA 0x100000u
#define PAGES 3u

static struct bus_guest g;
static struct device d;
static struct guest_ring ring;
static uint32_t relid;

static int offer(uint8_t instance, struct device *dev)
{
	struct vmbus_offer_params p = {
		.type = { { 1 } },
		.instance = { { instance } },
		.name = "thing",
		.max_sub_channels = 3,
		.max_packet_bytes = 1024,
		.ops = &dev_ops,
		.dev = dev,
	};

	return vmbus_offer(g.bus, &p, &dev->primary);
}

static void setup(void)
{
	memset(&d, 0, sizeof(d));
	bus_guest_init(&g, 2);
	ck_assert_int_eq(offer(1, &d), 0);
	bus_guest_connect(&g);
	relid = g.offers[0].child_relid;
}

static void teardown(void)
{
	bus_guest_done(&g);
}

static void open_it(void)
{
	ck_assert_uint_eq(bus_guest_open(&g, relid, GPA, PAGES, 1, &ring, NULL), 0);
}

START_TEST(posts_that_are_none)
{
	uint8_t big[VMBUS_MESSAGE_MAX + 1] = { 0 };
	synic_message_fn fn = g.synic.ports[1].fn;

	ck_assert_ptr_nonnull(fn);
	ck_assert_ptr_eq(g.synic.ports[4].fn, fn);
	ck_assert_uint_eq(fn(g.bus, 0, 2, big, 8), HV_STATUS_INVALID_PARAMETER);
	ck_assert_uint_eq(fn(g.bus, 0, HVMSG_CHANNEL, big, sizeof(big)),
			  HV_STATUS_INVALID_PARAMETER);
	ck_assert_uint_eq(fn(g.bus, 0, HVMSG_CHANNEL, big, 0), HV_STATUS_SUCCESS);
	bus_guest_quiet(&g);
}
END_TEST

/* Many requests and no one takes the answers: the guest is told to wait, nothing grows, and all is answered in the end. */
START_TEST(flood)
{
	struct vmbus_modify_channel m = { .header.message_type = CHANNELMSG_MODIFYCHANNEL,
					  .child_relid = 99 };
	unsigned int accepted = 0, n;

	for (n = 0; n < 5000; n++) {
		accepted += fake_synic_post(&g.synic, 0, 1, &m, sizeof(m)) ==
			    HV_STATUS_SUCCESS;
		if (n % 10 == 0)
			bus_guest_poll(&g);
	}
	ck_assert_uint_lt(accepted, 200);
	for (n = 0; n < accepted; n++)
		bus_guest_expect(&g, CHANNELMSG_MODIFYCHANNEL_RESPONSE, NULL, 0);
	bus_guest_quiet(&g);
}
END_TEST

/* The crashed kernel took no answers and filled all queues; the next one, or its crash handler, is heard all the same. */
START_TEST(contact_after_a_flood)
{
	struct vmbus_modify_channel m = { .header.message_type =
						  CHANNELMSG_MODIFYCHANNEL };
	struct vmbus_header unload = { .message_type = CHANNELMSG_UNLOAD };
	struct hv_message old;

	open_it();
	for (unsigned int n = 0; n < 2000; n++) {
		(void)fake_synic_post(&g.synic, 0, 1, &m, sizeof(m));
		if (n % 10 == 0)
			bus_guest_poll(&g);
	}
	ck_assert_uint_eq(fake_synic_post(&g.synic, 1, 1, &unload, sizeof(unload)),
			  HV_STATUS_SUCCESS);
	bus_guest_poll(&g);
	ck_assert_uint_eq(d.closes, 1);
	/* It reads the slot of another VP, and its EOM goes to its own: the message comes by time. */
	ck_assert(fake_synic_take(&g.synic, 0, VMBUS_MESSAGE_SINT, &old));
	bus_guest_expect(&g, CHANNELMSG_UNLOAD_RESPONSE, NULL, 0);
	bus_guest_connect(&g);
	open_it();
}
END_TEST

START_TEST(slot_emptied_without_eom)
{
	struct vmbus_modify_channel m = { .header.message_type =
						  CHANNELMSG_MODIFYCHANNEL };

	bus_guest_post(&g, &m, sizeof(m));
	bus_guest_post(&g, &m, sizeof(m));
	bus_guest_poll(&g);
	g.synic.vp[0].slots[VMBUS_MESSAGE_SINT].message_type = HVMSG_NONE;
	g.synic.vp[0].refused[VMBUS_MESSAGE_SINT] = false;
	bus_guest_expect(&g, CHANNELMSG_MODIFYCHANNEL_RESPONSE, NULL, 0);
}
END_TEST

static const struct {
	const char *what;
	uint32_t pages, offset;
} bad_rings[] = {
	{ "offset 0", 6, 0 },        { "no data to us", 6, 1 },
	{ "no data from us", 6, 5 }, { "offset at the end", 6, 6 },
	{ "offset beyond", 6, 7 },   { "offset -1", 6, UINT32_MAX },
	{ "one page", 1, 0 },
};

START_TEST(open_with_a_bad_ring)
{
	struct vmbus_open_channel m = {
		.header.message_type = CHANNELMSG_OPENCHANNEL,
		.child_relid = relid,
		.downstream_page_offset = bad_rings[_i].offset,
	};
	struct vmbus_open_result rsp;

	m.ring_gpadl = bus_guest_gpadl(&g, relid, GPA, bad_rings[_i].pages);
	bus_guest_post(&g, &m, sizeof(m));
	bus_guest_expect(&g, CHANNELMSG_OPENCHANNEL_RESULT, &rsp, sizeof(rsp));
	ck_assert_msg(rsp.status != 0, "%s", bad_rings[_i].what);
	ck_assert_uint_eq(d.opens, 0);
	bus_guest_teardown(&g, relid, m.ring_gpadl); /* nothing holds it */
	open_it();
}
END_TEST

START_TEST(open_with_bad_indices)
{
	struct vmbus_open_channel m = {
		.header.message_type = CHANNELMSG_OPENCHANNEL,
		.child_relid = relid,
		.downstream_page_offset = PAGES,
	};
	struct vmbus_open_result rsp;

	guest_ring_init(&ring, g.ram + GPA, PAGES, PAGES);
	ring.tx->write_index = 3;
	m.ring_gpadl = bus_guest_gpadl(&g, relid, GPA, 2 * PAGES);
	bus_guest_post(&g, &m, sizeof(m));
	bus_guest_expect(&g, CHANNELMSG_OPENCHANNEL_RESULT, &rsp, sizeof(rsp));
	ck_assert_uint_ne(rsp.status, 0);
}
END_TEST

START_TEST(no_doorbell_to_be_had)
{
	g.synic.doorbell_count = FAKE_SYNIC_DOORBELLS;
	ck_assert_uint_ne(bus_guest_open(&g, relid, GPA, PAGES, 0, &ring, NULL), 0);
	g.synic.doorbell_count = 0;
	ck_assert_uint_eq(bus_guest_open(&g, relid, GPA, PAGES, 0, &ring, NULL), 0);
	ck_assert_uint_eq(g.synic.doorbell_count, 1);
	bus_guest_close(&g, relid);
	bus_guest_poll(&g);
	ck_assert_uint_eq(g.synic.doorbell_count, 0);
}
END_TEST

static const struct {
	const char *what;
	uint16_t type, offset8, len8;
} bad_packets[] = {
	{ "type", 99, 2, 4 },
	{ "offset", VM_PKT_DATA_INBAND, 5, 4 },
	{ "ranges", VM_PKT_DATA_USING_GPA_DIRECT, 3, 4 },
	{ "size", VM_PKT_DATA_INBAND, 2, 129 },
};

START_TEST(a_bad_packet_stops_the_channel)
{
	uint64_t raw[129] = { 0 };
	struct vmbus_packet desc = { .type = bad_packets[_i].type,
				     .offset8 = bad_packets[_i].offset8,
				     .len8 = bad_packets[_i].len8 };
	struct channel_stats st;
	struct packet p;
	bool doorbell;

	open_it();
	bus_guest_send(&g, &ring, relid, 0, 1, "good", 4);
	memcpy(raw, &desc, sizeof(desc));
	ck_assert(guest_ring_send_raw(&ring, raw, desc.len8 * 8u, &doorbell));
	ck_assert_int_eq(channel_recv(d.last, &p), 0);
	ck_assert_int_eq(channel_recv(d.last, &p), -ESHUTDOWN);
	ck_assert_int_eq(channel_recv(d.last, &p), -ESHUTDOWN);
	ck_assert_int_eq(channel_complete(d.last, 1, "x", 1), -ESHUTDOWN);
	channel_flush(d.last);
	channel_stats(d.last, &st);
	ck_assert_msg(st.faults == 1 && st.packets_in == 1, "%s", bad_packets[_i].what);
	ck_assert_uint_eq(ring.tx->read_index, 0); /* the guest sees nothing */
	ck_assert_ptr_nonnull(channel_fault_reason(d.last));
	bus_guest_close(&g, relid);
	open_it();
	ck_assert_ptr_null(channel_fault_reason(d.last));
}
END_TEST

START_TEST(send_and_statistics)
{
	struct vmbus_xfer_range ranges[2] = { { 64, 0 }, { 128, 4096 } };
	struct vmbus_packet_xfer_pages x;
	struct channel_stats st;
	struct vmbus_packet desc;
	char buf[64];
	size_t len;

	open_it();
	ck_assert_int_eq(channel_complete(d.last, 5, "answer", 6), 0);
	ck_assert_int_eq(channel_send_xfer(d.last, 1, 6, 0xcafe, ranges, 2, "pay", 3), 0);
	channel_stats(d.last, &st);
	ck_assert_uint_eq(st.interrupts, 0);
	channel_flush(d.last);
	channel_flush(d.last);
	channel_stats(d.last, &st);
	ck_assert_uint_eq(st.interrupts, 1);
	ck_assert_uint_eq(st.packets_out, 2);
	bus_guest_recv(&g, &ring, relid, &desc, buf, sizeof(buf), &len);
	ck_assert_uint_eq(g.flag_vp, 1);
	ck_assert_uint_eq(desc.type, VM_PKT_COMP);
	ck_assert_uint_eq(len, 8);
	ck_assert_mem_eq(buf, "answer", 6);
	memcpy(&x, ring.rx_data + ring.rx->read_index, sizeof(x));
	bus_guest_recv(&g, &ring, relid, &desc, buf, sizeof(buf), &len);
	ck_assert_uint_eq(desc.type, VM_PKT_DATA_USING_XFER_PAGES);
	ck_assert_uint_eq(desc.offset8, (24 + 16) / 8);
	ck_assert_uint_eq(x.xfer_pageset_id, 0xcafe);
	ck_assert_uint_eq(x.range_count, 2);
	ck_assert_mem_eq(buf, "pay", 3);
}
END_TEST

START_TEST(sends_that_cannot_be)
{
	static char big[UINT16_MAX * 8];
	struct iovec iov[9] = { { big, sizeof(big) } };

	open_it();
	ck_assert_int_eq(channel_complete(d.last, 1, big, sizeof(big)), -EMSGSIZE);
	ck_assert_int_eq(channel_complete(d.last, 1, big, 8192), -EMSGSIZE);
	ck_assert_int_eq(channel_send(d.last, VM_PKT_COMP, 0, 1, iov, 9), -EMSGSIZE);
	ck_assert_int_eq(channel_send_xfer(d.last, 0, 1, 1, NULL, 70000, big, 1),
			 -EMSGSIZE);
	ck_assert_int_eq(channel_complete(d.last, 1, big, 8000), 0);
}
END_TEST

START_TEST(modify_moves_interrupts)
{
	struct vmbus_modify_channel m = { .header.message_type = CHANNELMSG_MODIFYCHANNEL,
					  .child_relid = relid,
					  .target_vp = 0 };

	open_it();
	bus_guest_post(&g, &m, sizeof(m));
	bus_guest_expect(&g, CHANNELMSG_MODIFYCHANNEL_RESPONSE, NULL, 0);
	ck_assert_int_eq(channel_complete(d.last, 5, "x", 1), 0);
	channel_flush(d.last);
	ck_assert(!fake_synic_take_flag(&g.synic, 1, VMBUS_MESSAGE_SINT, relid));
	ck_assert(fake_synic_take_flag(&g.synic, 0, VMBUS_MESSAGE_SINT, relid));
	ck_assert_uint_eq(channel_target_vp(d.last), 0);
}
END_TEST

START_TEST(no_interrupts_wanted)
{
	ck_assert_uint_eq(
		bus_guest_open(&g, relid, GPA, PAGES, VMBUS_VP_NONE, &ring, NULL), 0);
	ck_assert_int_eq(channel_complete(d.last, 5, "x", 1), 0);
	channel_flush(d.last);
	ck_assert_uint_eq(g.synic.signals, 0);
}
END_TEST

/* A guest that lost the interrupt that came before OPENCHANNEL_RESULT is interrupted once more. */
START_TEST(nudge_after_open)
{
	open_it();
	ck_assert_int_eq(channel_complete(d.last, 5, "early", 5), 0);
	channel_flush(d.last);
	ck_assert(fake_synic_take_flag(&g.synic, 1, VMBUS_MESSAGE_SINT, relid));
	while (!fake_synic_take_flag(&g.synic, 1, VMBUS_MESSAGE_SINT, relid))
		bus_guest_wait(&g);
}
END_TEST

START_TEST(gpadls_of_a_device)
{
	uint32_t id = bus_guest_gpadl(&g, relid, 0x200000, 100);
	struct vmbus_gpadl_teardown m = { .header.message_type =
						  CHANNELMSG_GPADL_TEARDOWN,
					  .child_relid = relid,
					  .gpadl = id };
	struct gpadl *gp;

	open_it();
	ck_assert_int_eq(channel_gpadl(d.last, id + 77, &gp), -ENOENT);
	ck_assert_int_eq(channel_gpadl(d.last, id, &gp), 0);
	ck_assert_uint_eq(gpadl_bytes(gp), 100 * 4096);
	bus_guest_post(&g, &m, sizeof(m));
	bus_guest_quiet(&g);
	gpadl_unref(gp);
	bus_guest_expect(&g, CHANNELMSG_GPADL_TORNDOWN, NULL, 0);
	ck_assert_int_eq(channel_gpadl(d.last, id, &gp), -ENOENT);
}
END_TEST

START_TEST(sub_channels_on_request)
{
	struct vmbus_offer_channel o;
	struct vmbus_channel *primary;

	open_it();
	primary = d.last;
	ck_assert_int_eq(channel_request_subs(primary, 7), 3);
	for (unsigned int i = 1; i <= 3; i++) {
		bus_guest_expect(&g, CHANNELMSG_OFFERCHANNEL, &o, sizeof(o));
		ck_assert_uint_eq(o.sub_channel_index, i);
	}
	ck_assert_uint_eq(
		bus_guest_open(&g, o.child_relid, GPA + 0x10000, PAGES, 0, &ring, NULL),
		0);
	ck_assert_uint_eq(channel_sub_index(d.last), 3);
	ck_assert_str_eq(channel_name(d.last), "thing");
	ck_assert_int_eq(channel_request_subs(d.last, 1), -EINVAL);
	ck_assert_int_eq(channel_request_subs(primary, 3), 3); /* they are there */
	bus_guest_quiet(&g);
	bus_guest_close(&g, o.child_relid);
	bus_guest_release(&g, o.child_relid);
	bus_guest_poll(&g);
	ck_assert_int_eq(channel_request_subs(primary, 3), 3);
	bus_guest_expect(&g, CHANNELMSG_OFFERCHANNEL, &o, sizeof(o));
	ck_assert_uint_eq(o.sub_channel_index, 3);
}
END_TEST

START_TEST(hot_add_and_remove)
{
	struct vmbus_relid_message m;
	struct vmbus_offer_channel o;
	struct device e = { 0 };

	ck_assert_int_eq(offer(1, &e), -EEXIST);
	ck_assert_int_eq(offer(2, &e), 0);
	bus_guest_expect(&g, CHANNELMSG_OFFERCHANNEL, &o, sizeof(o));
	vmbus_rescind(e.primary);
	bus_guest_quiet(&g); /* not on its heels */
	bus_guest_expect(&g, CHANNELMSG_RESCIND_CHANNELOFFER, &m, sizeof(m));
	ck_assert_uint_eq(m.child_relid, o.child_relid);
	ck_assert_uint_eq(e.gones, 0);
	bus_guest_release(&g, o.child_relid);
	bus_guest_poll(&g);
	ck_assert_uint_eq(e.gones, 1);
}
END_TEST

static void on_each(void *opaque, const struct vmbus_channel_info *info)
{
	*(struct vmbus_channel_info *)opaque = *info;
}

static void on_done(void *opaque)
{
	*(bool *)opaque = true;
}

START_TEST(pause_and_reset)
{
	struct vmbus_modify_channel m = { .header.message_type =
						  CHANNELMSG_MODIFYCHANNEL };
	struct vmbus_channel_info info;
	bool done = false;

	open_it();
	vmbus_pause(g.bus);
	bus_guest_post(&g, &m, sizeof(m));
	bus_guest_quiet(&g);
	vmbus_resume(g.bus);
	bus_guest_expect(&g, CHANNELMSG_MODIFYCHANNEL_RESPONSE, NULL, 0);
	ck_assert_uint_eq(vmbus_version(g.bus), VMBUS_VERSION_WIN10_V5_3);
	vmbus_each(g.bus, on_each, &info);
	ck_assert_int_eq(info.state, VMBUS_OPEN);
	ck_assert_uint_eq(info.target_vp, 1);
	d.defer_close = true;
	vmbus_reset(g.bus, on_done, &done);
	ck_assert(!done);
	channel_close_done(d.last);
	ck_assert(done);
	ck_assert_uint_eq(vmbus_version(g.bus), 0);
	vmbus_each(g.bus, on_each, &info);
	ck_assert_int_eq(info.state, VMBUS_OFFERED);
	ck_assert_str_eq(info.name, "thing");
	ck_assert_uint_gt(g.changes, 0);
	bus_guest_quiet(&g);
	d.defer_close = false;
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmbus");
	TCase *t = tcase_create("vmbus");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, posts_that_are_none);
	tcase_add_test(t, flood);
	tcase_add_test(t, contact_after_a_flood);
	tcase_add_test(t, slot_emptied_without_eom);
	tcase_add_loop_test(t, open_with_a_bad_ring, 0, ARRAY_SIZE(bad_rings));
	tcase_add_test(t, open_with_bad_indices);
	tcase_add_test(t, no_doorbell_to_be_had);
	tcase_add_loop_test(t, a_bad_packet_stops_the_channel, 0,
			    ARRAY_SIZE(bad_packets));
	tcase_add_test(t, send_and_statistics);
	tcase_add_test(t, sends_that_cannot_be);
	tcase_add_test(t, modify_moves_interrupts);
	tcase_add_test(t, no_interrupts_wanted);
	tcase_add_test(t, nudge_after_open);
	tcase_add_test(t, gpadls_of_a_device);
	tcase_add_test(t, sub_channels_on_request);
	tcase_add_test(t, hot_add_and_remove);
	tcase_add_test(t, pause_and_reset);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
