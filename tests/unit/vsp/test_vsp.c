/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/vsp.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vmbus/bus_guest.h"

/*
 * A device that answers each packet by its payload. Its behaviour is steered by what the packet begins with: 'h' holds it until the "I/O"
 * ends (an eventfd of the test's), 'b' is a breach of protocol, 'f' answers fourfold.
 */
struct echo {
	struct vsp *vsp;
	struct vsp_channel *vc; /* the last opened */
	int io;                 /* eventfd of the fake I/O engine */
	_Atomic unsigned int opens, closes, packets, flushes, timers, kicks, outstanding;
	_Atomic bool busy; /* no resources: -EAGAIN */
	_Atomic bool refuse_open;
	uint64_t held_id;
	uint64_t timer_in_ns;
	bool removed;
};

static int echo_open(void *dev, struct vsp_channel *vc, void **ret_state)
{
	struct echo *e = dev;

	if (e->refuse_open)
		return -EIO;
	e->opens++;
	e->vc = vc;
	*ret_state = e;
	vsp_watch(vc, e->io);
	return 0;
}

static int echo_packet(void *state, const struct packet *p)
{
	struct echo *e = state;
	const char *kind = p->payload;

	if (e->busy)
		return -EAGAIN;
	e->packets++;
	if (kind[0] == 'b')
		return -EPROTO;
	if (kind[0] == 'h') {
		e->held_id = p->transaction_id;
		e->outstanding++;
		return 0;
	}
	if (kind[0] == 't')
		vsp_timer(e->vc, 1); /* long ago: at once */
	for (int i = 0; i < (kind[0] == 'f' ? 4 : 1); i++)
		vsp_complete(e->vc, p->transaction_id, p->payload, p->payload_bytes);
	return 0;
}

static void echo_io(void *state)
{
	struct echo *e = state;
	uint64_t n;

	ck_assert_int_eq(read(e->io, &n, sizeof(n)), sizeof(n));
	e->busy = false;
	if (e->outstanding) {
		vsp_complete(e->vc, e->held_id, "done", 4);
		e->outstanding--;
	}
}

static void echo_flush(void *state)
{
	((struct echo *)state)->flushes++;
}

static void echo_timer(void *state)
{
	struct echo *e = state;

	e->timers++;
	vsp_send(e->vc, 0, 77, "timer", 5);
}

static void echo_kicked(void *state)
{
	struct echo *e = state;

	e->kicks++;
	vsp_send(e->vc, 0, 78, "kick", 4);
}

static unsigned int echo_outstanding(void *state)
{
	return ((struct echo *)state)->outstanding;
}

static void echo_close(void *state)
{
	((struct echo *)state)->closes++;
}

static const struct vsp_ops echo_ops = {
	.open = echo_open,
	.packet = echo_packet,
	.flush = echo_flush,
	.io = echo_io,
	.timer = echo_timer,
	.kicked = echo_kicked,
	.outstanding = echo_outstanding,
	.close = echo_close,
};

#define RING_GPA 0x100000u
#define RING_PAGES 3u

struct fixture {
	struct bus_guest g;
	struct echo e;
	struct guest_ring ring;
	uint32_t relid, gpadl;
};

static void begin(struct fixture *f, unsigned int flags)
{
	struct vmbus_offer_params p = {
		.type = { { 1 } },
		.instance = { { 2 } },
		.name = "echo",
		.max_sub_channels = 3,
	};

	memset(f, 0, sizeof(*f));
	bus_guest_init(&f->g, 2);
	f->e.io = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_eq(
		vsp_new(f->g.bus, f->g.loop, &p, flags, &echo_ops, &f->e, &f->e.vsp), 0);
	bus_guest_connect(&f->g);
	ck_assert_uint_eq(f->g.offer_count, 1);
	f->relid = f->g.offers[0].child_relid;
}

static void begin_open(struct fixture *f, unsigned int flags)
{
	begin(f, flags);
	ck_assert_uint_eq(bus_guest_open(&f->g, f->relid, RING_GPA, RING_PAGES, 1,
					 &f->ring, &f->gpadl),
			  0);
}

static void on_flag(void *opaque)
{
	*(bool *)opaque = true;
}

static void reset(struct fixture *f)
{
	bool done = false;

	vmbus_reset(f->g.bus, on_flag, &done);
	while (!done)
		bus_guest_wait(&f->g);
}

static void end(struct fixture *f)
{
	reset(f);
	ck_assert_uint_eq(f->e.opens, f->e.closes);
	vsp_remove(f->e.vsp, on_flag, &f->e.removed);
	ck_assert(f->e.removed);
	bus_guest_done(&f->g);
	close(f->e.io);
}

static void io_ends(struct fixture *f)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(f->e.io, &one, sizeof(one)), sizeof(one));
}

static void expect(struct fixture *f, uint16_t type, uint64_t id, const char *payload)
{
	struct vmbus_packet d;
	char buf[64] = "";
	size_t len;

	bus_guest_recv(&f->g, &f->ring, f->relid, &d, buf, sizeof(buf), &len);
	ck_assert_uint_eq(d.type, type);
	ck_assert_uint_eq(d.transaction_id, id);
	ck_assert_mem_eq(buf, payload, strlen(payload));
}

static void send_text(struct fixture *f, uint64_t id, const char *text)
{
	bus_guest_send(&f->g, &f->ring, f->relid, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		       id, text, strlen(text));
}

static const unsigned int modes[] = { 0, VSP_ON_LOOP };

START_TEST(requests_are_answered)
{
	struct fixture f;

	begin_open(&f, modes[_i]);
	for (uint64_t id = 1; id < 2000; id++) {
		send_text(&f, id, "ping, and again");
		expect(&f, VM_PKT_COMP, id, "ping, and again");
	}
	ck_assert_uint_eq(f.g.flag_vp, 1);
	ck_assert_uint_eq(f.e.packets, 1999);
	end(&f);
}
END_TEST

START_TEST(refused_open_is_told)
{
	struct fixture f;

	begin(&f, modes[_i]);
	f.e.refuse_open = true;
	ck_assert_uint_ne(
		bus_guest_open(&f.g, f.relid, RING_GPA, RING_PAGES, 0, &f.ring, &f.gpadl),
		0);
	f.e.refuse_open = false;
	bus_guest_teardown(&f.g, f.relid, f.gpadl);
	ck_assert_uint_eq(
		bus_guest_open(&f.g, f.relid, RING_GPA, RING_PAGES, 0, &f.ring, &f.gpadl),
		0);
	end(&f);
}
END_TEST

/* The guest sends as long as there is room and reads nothing: all answers arrive, in order, once it reads. */
START_TEST(full_ring_of_answers)
{
	struct fixture f;
	uint64_t sent = 0, got = 0;
	bool doorbell, waits;
	char buf[200];

	begin_open(&f, modes[_i]);
	memset(buf, 'x', sizeof(buf));
	for (;;) {
		waits = guest_ring_host_waits(&f.ring); /* before the look for room */
		if (guest_ring_send(&f.ring, VM_PKT_DATA_INBAND, 1, sent, buf,
				    sizeof(buf), &doorbell)) {
			sent++;
			if (doorbell)
				fake_synic_signal(&f.g.synic,
						  bus_guest_connection(&f.g, f.relid));
		} else if (waits) {
			break;
		} else {
			bus_guest_poll(&f.g);
		}
	}
	ck_assert_uint_ge(sent, 2 * (8192 / 224)); /* both rings are full */
	for (; got < sent; got++)
		expect(&f, VM_PKT_COMP, got, "x");
	send_text(&f, 5, "still there");
	expect(&f, VM_PKT_COMP, 5, "still there");
	end(&f);
}
END_TEST

/* Full rings of a guest that frees room and never says so. */
static void silent_guest(unsigned int mode, uint32_t feature_bits)
{
	struct fixture f;
	struct vmbus_packet d;
	char buf[2000];
	size_t len;
	bool room;

	begin_open(&f, mode);
	f.ring.tx->feature_bits = feature_bits;
	memset(buf, 'f', sizeof(buf)); /* four answers to each */
	for (uint64_t id = 0; id < 3; id++)
		bus_guest_send(&f.g, &f.ring, f.relid, 1, id, buf, sizeof(buf));
	for (uint64_t n = 0; n < 12; n++) {
		while (!guest_ring_recv(&f.ring, &d, buf, sizeof(buf), &len, &room))
			bus_guest_poll(&f.g); /* no signal for the room */
		ck_assert_uint_eq(d.transaction_id, n / 4);
	}
	end(&f);
}

START_TEST(guest_without_pending_size)
{
	silent_guest(modes[_i], 0);
}
END_TEST

START_TEST(guest_that_forgets_to_tell)
{
	silent_guest(modes[_i], VMBUS_RING_FEATURE_PENDING_SEND_SIZE);
}
END_TEST

START_TEST(held_packet_comes_again)
{
	struct fixture f;

	begin_open(&f, modes[_i]);
	f.e.busy = true;
	send_text(&f, 1, "one");
	send_text(&f, 2, "two");
	bus_guest_poll(&f.g);
	ck_assert_uint_eq(f.e.packets, 0);
	io_ends(&f);
	expect(&f, VM_PKT_COMP, 1, "one");
	expect(&f, VM_PKT_COMP, 2, "two");
	end(&f);
}
END_TEST

START_TEST(timer_and_kick)
{
	struct fixture f;

	begin_open(&f, modes[_i]);
	send_text(&f, 1, "t");
	expect(&f, VM_PKT_COMP, 1, "t");
	expect(&f, VM_PKT_DATA_INBAND, 77, "timer");
	vsp_kick(f.e.vsp);
	expect(&f, VM_PKT_DATA_INBAND, 78, "kick");
	ck_assert_uint_eq(f.e.timers, 1);
	end(&f);
}
END_TEST

/* The ring's GPADL is not given back, nor the channel closed, before the I/O has ended. */
START_TEST(close_waits_for_io)
{
	struct fixture f;
	struct vmbus_gpadl_teardown m = {
		.header.message_type = CHANNELMSG_GPADL_TEARDOWN,
	};

	begin_open(&f, modes[_i]);
	send_text(&f, 1, "h");
	while (!f.e.outstanding)
		bus_guest_poll(&f.g);
	bus_guest_close(&f.g, f.relid);
	m.child_relid = f.relid;
	m.gpadl = f.gpadl;
	bus_guest_post(&f.g, &m, sizeof(m));
	bus_guest_quiet(&f.g);
	ck_assert_uint_eq(f.e.closes, 0);
	io_ends(&f);
	bus_guest_expect(&f.g, CHANNELMSG_GPADL_TORNDOWN, NULL, 0);
	ck_assert_uint_eq(f.e.closes, 1);
	end(&f);
}
END_TEST

/* No message tells the guest that a close has ended, so it may open again before. */
START_TEST(reopen_during_close)
{
	struct fixture f;
	struct guest_ring second;
	struct vmbus_open_channel m = {
		.header.message_type = CHANNELMSG_OPENCHANNEL,
		.downstream_page_offset = RING_PAGES,
	};

	begin_open(&f, modes[_i]);
	send_text(&f, 1, "h");
	while (!f.e.outstanding)
		bus_guest_poll(&f.g);
	bus_guest_close(&f.g, f.relid);
	guest_ring_init(&second, f.g.ram + 0x200000, RING_PAGES, RING_PAGES);
	m.child_relid = f.relid;
	m.ring_gpadl = bus_guest_gpadl(&f.g, f.relid, 0x200000, 2 * RING_PAGES);
	bus_guest_post(&f.g, &m, sizeof(m));
	bus_guest_quiet(&f.g);
	io_ends(&f);
	bus_guest_expect(&f.g, CHANNELMSG_OPENCHANNEL_RESULT, NULL, 0);
	ck_assert_uint_eq(f.e.opens, 2);
	f.ring = second;
	send_text(&f, 9, "again");
	expect(&f, VM_PKT_COMP, 9, "again");
	end(&f);
}
END_TEST

START_TEST(pause_stands_still)
{
	struct fixture f;
	bool paused = false;

	begin_open(&f, modes[_i]);
	send_text(&f, 1, "h");
	while (!f.e.outstanding)
		bus_guest_poll(&f.g);
	vsp_pause(f.e.vsp, on_flag, &paused);
	bus_guest_poll(&f.g);
	ck_assert(!paused);
	io_ends(&f);
	while (!paused)
		bus_guest_wait(&f.g);
	expect(&f, VM_PKT_COMP, 1, "done");
	send_text(&f, 2, "later");
	vsp_kick(f.e.vsp);
	bus_guest_poll(&f.g);
	ck_assert_uint_eq(f.e.packets, 1);
	ck_assert_uint_eq(f.e.kicks, 0);
	vsp_resume(f.e.vsp);
	expect(&f, VM_PKT_DATA_INBAND, 78, "kick");
	expect(&f, VM_PKT_COMP, 2, "later");
	paused = false;
	vsp_pause(f.e.vsp, on_flag, &paused);
	vsp_resume(f.e.vsp);
	paused = false;
	vsp_pause(f.e.vsp, on_flag, &paused);
	while (!paused)
		bus_guest_wait(&f.g);
	end(&f); /* a reset ends a paused channel */
}
END_TEST

START_TEST(breach_stops_this_channel_only)
{
	struct fixture f;
	struct channel_stats st;

	begin_open(&f, modes[_i]);
	send_text(&f, 1, "b");
	send_text(&f, 2, "not any more");
	do {
		bus_guest_poll(&f.g);
		channel_stats(vsp_primary(f.e.vsp), &st);
	} while (!st.faults);
	bus_guest_poll(&f.g);
	ck_assert_uint_eq(f.e.packets, 1);
	ck_assert_uint_eq(f.ring.rx->write_index, 0);
	/* Closing and opening mends it. */
	bus_guest_close(&f.g, f.relid);
	bus_guest_teardown(&f.g, f.relid, f.gpadl);
	ck_assert_uint_eq(
		bus_guest_open(&f.g, f.relid, RING_GPA, RING_PAGES, 0, &f.ring, &f.gpadl),
		0);
	send_text(&f, 3, "well again");
	expect(&f, VM_PKT_COMP, 3, "well again");
	end(&f);
}
END_TEST

START_TEST(hot_remove)
{
	struct fixture f;
	struct vmbus_relid_message m;

	begin_open(&f, modes[_i]);
	vsp_remove(f.e.vsp, on_flag, &f.e.removed);
	bus_guest_expect(&f.g, CHANNELMSG_RESCIND_CHANNELOFFER, &m, sizeof(m));
	ck_assert_uint_eq(m.child_relid, f.relid);
	while (!f.e.closes)
		bus_guest_wait(&f.g);
	bus_guest_teardown(&f.g, f.relid, f.gpadl);
	ck_assert(!f.e.removed);
	bus_guest_release(&f.g, f.relid);
	while (!f.e.removed)
		bus_guest_wait(&f.g);
	bus_guest_done(&f.g);
	close(f.e.io);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vsp");
	TCase *t = tcase_create("vsp");
	const int n = ARRAY_SIZE(modes);

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, requests_are_answered, 0, n);
	tcase_add_loop_test(t, refused_open_is_told, 0, n);
	tcase_add_loop_test(t, full_ring_of_answers, 0, n);
	tcase_add_loop_test(t, guest_without_pending_size, 0, n);
	tcase_add_loop_test(t, guest_that_forgets_to_tell, 0, n);
	tcase_add_loop_test(t, held_packet_comes_again, 0, n);
	tcase_add_loop_test(t, timer_and_kick, 0, n);
	tcase_add_loop_test(t, close_waits_for_io, 0, n);
	tcase_add_loop_test(t, reopen_during_close, 0, n);
	tcase_add_loop_test(t, pause_stands_still, 0, n);
	tcase_add_loop_test(t, breach_stops_this_channel_only, 0, n);
	tcase_add_loop_test(t, hot_remove, 0, n);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
