/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings of guest and server together: full in either direction, wrap-around of every size, ranges, bad guest indices. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "loop/client.h"
#include "unit/test.h"

static struct machine m;
static struct echo echo[2];
static struct chan *ch;

static void setup(void)
{
	machine_init(&m, 1);
	for (unsigned int i = 0; i < 2; i++) {
		echo[i] = (struct echo){ .number = i };
		machine_on_loop(&m, echo_new, &echo[i]);
	}
	machine_connect(&m, 0);
	ch = client_find(&m, 0);
}

static void teardown(void)
{
	machine_disconnect(&m);
	for (unsigned int i = 0; i < 2; i++) {
		machine_on_loop(&m, echo_remove, &echo[i]);
		while (!echo[i].gone)
			machine_on_loop(&m, NULL, NULL);
	}
	machine_done(&m);
}

/* Each size meets each place of the ring's end. */
START_TEST(wrap_around)
{
	ck_assert_int_eq(chan_open(ch, 2, 2, 0, NULL), 0);
	for (size_t len = sizeof(struct echo_request); len < 3000; len += 11)
		client_echo(&m, ch, len);
	ck_assert_uint_eq(cring_out_free(&ch->ring), CORE_PAGE_SIZE);
}
END_TEST

/*
 * The server stands still until the guest's ring is full; then the guest waits for room by pending_send_size alone, while
 * completions come in.
 */
START_TEST(guest_waits_for_room)
{
	const struct echo_request req = { .op = ECHO_BACK };
	unsigned int sent = 0, back = 0, full = 0;
	const uint64_t all = 4000;
	struct vmbus_packet d;
	uint8_t buf[64];
	size_t len;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);

	ck_assert_int_ge(fd, 0);
	echo[0].block = fd;
	ck_assert_int_eq(chan_open(ch, 2, 2, 0, NULL), 0);
	while (back < all) {
		int r = sent < all ? chan_send(ch, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
					       sent, &req, sizeof(req))
				   : -EAGAIN;

		if (!r) {
			sent++;
			continue;
		}
		ck_assert_int_eq(r, -EAGAIN);
		if (!full++) {
			ck_assert_uint_gt(ch->ring.out.header->pending_send_size, 0);
			ck_assert_int_eq(write(fd, &all, sizeof(all)), sizeof(all));
		}
		while (!(r = chan_recv(ch, &d, buf, sizeof(buf), &len)))
			ck_assert_uint_eq(d.transaction_id, back++);
		ck_assert_int_eq(r, -EAGAIN);
		if (back < all && (sent == all || cring_out_free(&ch->ring) < 64))
			bus_wait(&m.bus, 0, 0);
	}
	ck_assert_uint_gt(full, 0);
	close(fd);
}
END_TEST

/* The server has more to send than the ring holds, and the guest reads only when the ring is full. */
START_TEST(server_waits_for_room)
{
	static const uint32_t sizes[] = { 4, 20, 100, 1000, 3000 };
	const uint32_t bytes = sizes[_i], count = 200000 / (bytes + 100);
	const struct echo_request req = { ECHO_FLOOD, count, bytes, 0 };
	struct vmbus_packet d;
	uint8_t buf[4096];
	uint32_t number;

	ck_assert_int_eq(chan_open(ch, 2, 2, 0, NULL), 0);
	ck_assert_int_eq(chan_send(ch, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED, 1, &req,
				   sizeof(req)),
			 0);
	for (uint32_t i = 0; i < count; i++) {
		size_t len = client_recv(&m, ch, &d, buf, sizeof(buf));

		ck_assert_uint_eq(len, (bytes + 7) / 8 * 8);
		ck_assert_uint_eq(d.type, VM_PKT_DATA_INBAND);
		memcpy(&number, buf, sizeof(number));
		ck_assert_uint_eq(number, i);
		for (uint32_t j = sizeof(number); j < bytes; j++)
			ck_assert_uint_eq(buf[j], i & 0xff);
	}
	ck_assert_uint_ge(client_recv(&m, ch, &d, buf, sizeof(buf)), 8);
	ck_assert_uint_eq(d.type, VM_PKT_COMP);
	ck_assert_uint_eq(cring_in_used(&ch->ring), 0);
}
END_TEST

START_TEST(ranges_of_every_shape)
{
	static const struct {
		uint32_t offset, len;
	} shapes[] = {
		{ 0, 1 },       { 4095, 1 },       { 4095, 2 },
		{ 0, 4096 },    { 1, 4096 },       { 100, 8192 },
		{ 4000, 9000 }, { 0, 256 * 4096 }, { 5, 256 * 4096 },
	};
	struct echo_request req = { .op = ECHO_DIRECT_SUM };
	uint8_t *buf = m.env.pages_alloc(&m, 258);
	struct echo_answer answer;
	struct vmbus_packet d;
	int64_t want = 0;

	ck_assert_int_eq(chan_open(ch, 4, 2, 0, NULL), 0);
	for (uint32_t i = 0; i < 258 * CORE_PAGE_SIZE; i++)
		buf[i] = (uint8_t)(i ^ i >> 12);
	for (uint32_t i = 0; i < shapes[_i].len; i++)
		want += buf[shapes[_i].offset + i];
	ck_assert_int_eq(chan_send_data(ch, 5, buf + shapes[_i].offset, shapes[_i].len,
					&req, sizeof(req)),
			 0);
	client_recv(&m, ch, &d, &answer, sizeof(answer));
	ck_assert_int_eq(answer.result, want);
	m.env.pages_free(&m, buf, 258);
}
END_TEST

START_TEST(too_long_for_the_ring)
{
	static uint8_t big[8192];

	ck_assert_int_eq(chan_open(ch, 2, 2, 0, NULL), 0);
	ck_assert_int_eq(chan_send(ch, 0, 1, big, sizeof(big)), -EMSGSIZE);
	ck_assert_int_eq(chan_send(ch, 0, 1, big, CORE_PAGE_SIZE - 24), -EMSGSIZE);
	client_echo(&m, ch, 2000);
}
END_TEST

/* What a guest may do to its own ring; the other channel goes on, and a reopen mends this one. */
static const struct {
	const char *what;
	uint32_t write, read; /* indices to set; UINT32_MAX: leave */
	uint16_t offset8, len8;
} bad[] = {
	{ "write index beyond the ring", 4096, UINT32_MAX, 2, 3 },
	{ "write index huge", 0xfffffff8, UINT32_MAX, 2, 3 },
	{ "write index odd", 13, UINT32_MAX, 2, 3 },
	{ "half a descriptor", 8, UINT32_MAX, 2, 3 },
	{ "no trailer", 16, UINT32_MAX, 2, 2 },
	{ "longer than what is there", 40, UINT32_MAX, 2, 500 },
	{ "length 0", 40, UINT32_MAX, 2, 0 },
	{ "length 1", 40, UINT32_MAX, 2, 1 },
	{ "payload before the descriptor's end", 40, UINT32_MAX, 1, 3 },
	{ "payload behind the packet", 40, UINT32_MAX, 4, 3 },
	{ "payload far off", 40, UINT32_MAX, 0xffff, 3 },
	{ "length huge", 40, UINT32_MAX, 2, 0xffff },
};

static bool is_faulted(void *arg)
{
	struct channel_stats stats;

	channel_stats(vsp_primary(((struct echo *)arg)->vsp), &stats);
	return stats.faults > 0;
}

START_TEST(bad_guest)
{
	struct vmbus_packet d = {
		.type = VM_PKT_DATA_INBAND,
		.offset8 = bad[_i].offset8,
		.len8 = bad[_i].len8,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.transaction_id = 9,
	};
	struct chan *other = client_find(&m, 1);

	client_open(&m, other, 0);
	ck_assert_int_eq(chan_open(ch, 2, 2, 0, NULL), 0);
	memcpy(ch->ring.out.data, &d, sizeof(d));
	__atomic_store_n(&ch->ring.out.header->write_index, bad[_i].write,
			 __ATOMIC_SEQ_CST);
	ck_assert_uint_eq(hv_signal(&m.hv, ch->offer.connection_id), 0);
	machine_until(&m, is_faulted, &echo[0]);
	client_echo(&m, other, 100);
	ck_assert_int_eq(chan_close(ch), 0);
	ck_assert_uint_eq(cring_in_used(&other->ring), 0);
	client_open(&m, ch, 0);
	client_echo(&m, ch, 100);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("loop/ring");
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, wrap_around);
	tcase_add_test(t, guest_waits_for_room);
	tcase_add_loop_test(t, server_waits_for_room, 0, 5);
	tcase_add_loop_test(t, ranges_of_every_shape, 0, 9);
	tcase_add_test(t, too_long_for_the_ring);
	tcase_add_loop_test(t, bad_guest, 0, ARRAY_SIZE(bad));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
