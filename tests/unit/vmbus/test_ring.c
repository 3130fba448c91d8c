/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/ring.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "unit/test.h"
#include "unit/vmbus/guest_ring.h"

#define PAGES 3u /* header and two of data */
#define SIZE ((PAGES - 1) * 4096)

static struct ring r;
static struct guest_ring g;
static uint8_t *mem;
static void *pages[2 * PAGES];

static void setup(void)
{
	mem = aligned_alloc(4096, 2 * PAGES * 4096);
	guest_ring_init(&g, mem, PAGES, PAGES);
	for (unsigned int i = 0; i < 2 * PAGES; i++)
		pages[i] = mem + (size_t)i * 4096;
	ck_assert_int_eq(ring_init(&r, pages, PAGES, PAGES), 0);
}

static void teardown(void)
{
	ring_done(&r);
	free(mem);
	mem = NULL;
}

/* ---- hostile: indices ---- */

static const uint32_t bad_indices[] = {
	SIZE,     SIZE + 8,   1,          4,          7,
	SIZE - 1, 0x7fffffff, 0x80000000, UINT32_MAX, UINT32_MAX - 7,
};

START_TEST(init_with_bad_indices)
{
	uint32_t *fields[] = { &g.tx->write_index, &g.tx->read_index, &g.rx->write_index,
			       &g.rx->read_index };

	ring_done(&r);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		*fields[i] = bad_indices[_i];
		ck_assert_int_eq(ring_init(&r, pages, PAGES, PAGES), -EPROTO);
		*fields[i] = 0;
	}
	ck_assert_int_eq(ring_init(&r, pages, PAGES, PAGES), 0);
}
END_TEST

START_TEST(recv_with_a_bad_write_index)
{
	uint8_t buf[256];
	size_t len;

	g.tx->write_index = bad_indices[_i];
	ck_assert_int_eq(ring_recv(&r, buf, sizeof(buf), &len), -EPROTO);
	ck_assert(ring_recv_ready(&r)); /* so that someone comes and finds it */
}
END_TEST

START_TEST(send_with_a_bad_read_index)
{
	char bytes[4000] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };

	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	g.rx->read_index = bad_indices[_i];
	ck_assert_int_eq(ring_send(&r, &iov, 1), 0); /* there is room by what we know */
	ck_assert_int_eq(ring_send(&r, &iov, 1), -EPROTO);
	ck_assert(ring_send_wait(&r, sizeof(bytes)));
}
END_TEST

START_TEST(commit_with_a_bad_write_index)
{
	uint8_t buf[256];
	size_t len;
	bool signal;

	ck_assert(guest_ring_send(&g, VM_PKT_DATA_INBAND, 0, 1, "x", 1, &signal));
	ck_assert_int_eq(ring_recv(&r, buf, sizeof(buf), &len), 0);
	g.tx->pending_send_size = 64;
	g.tx->write_index = bad_indices[_i];
	ck_assert(!ring_recv_commit(&r));
}
END_TEST

static const struct {
	unsigned int in, out;
} bad_sizes[] = { { 0, 2 },
		  { 1, 2 },
		  { 2, 0 },
		  { 2, 1 },
		  { RING_PAGES_MAX + 1, 2 },
		  { 2, RING_PAGES_MAX + 1 },
		  { UINT32_MAX, 2 } };

START_TEST(init_with_bad_sizes)
{
	struct ring other;

	ck_assert_int_eq(ring_init(&other, pages, bad_sizes[_i].in, bad_sizes[_i].out),
			 -EINVAL);
	ring_done(&other);
}
END_TEST

/* ---- hostile: packets ---- */

static const struct {
	const char *what;
	uint16_t offset8, len8;
	uint32_t avail; /* what the write index claims */
	int result;
} bad_packets[] = {
	{ "no descriptor", 2, 2, 8, -EPROTO },
	{ "no trailer", 2, 2, 16, -EPROTO },
	{ "the smallest", 2, 2, 24, 0 },
	{ "length 0", 2, 0, 24, -EPROTO },
	{ "length 8", 2, 1, 24, -EPROTO },
	{ "longer than available", 2, 3, 24, -EPROTO },
	{ "trailer not available", 2, 3, 24 + 4, -EPROTO },
	{ "longer than the ring", 2, 65535, SIZE - 8, -EPROTO },
	{ "as long as fits", 2, (SIZE - 16) / 8, SIZE - 8, -EMSGSIZE },
	{ "longer than the device takes", 2, 33, 33 * 8 + 8, -EMSGSIZE },
	{ "as long as the device takes", 2, 32, 32 * 8 + 8, 0 },
};

START_TEST(bad_packet)
{
	struct vmbus_packet d = { .type = VM_PKT_DATA_INBAND,
				  .offset8 = bad_packets[_i].offset8,
				  .len8 = bad_packets[_i].len8 };
	uint8_t buf[256];
	size_t len = 0;

	memcpy(g.tx_data, &d, sizeof(d));
	g.tx->write_index = bad_packets[_i].avail;
	ck_assert_msg(
		ring_recv(&r, buf, sizeof(buf), &len) ==
			(bad_packets[_i].avail % 8 ? -EPROTO : bad_packets[_i].result),
		"%s", bad_packets[_i].what);
	if (!bad_packets[_i].result)
		ck_assert_uint_eq(len, bad_packets[_i].len8 * 8u);
}
END_TEST

/* ---- data ---- */

static void fill(uint8_t *to, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(seed * 31 + i * 7);
}

/* Packets of all lengths, so that every part of one wraps somewhere. */
static void both_ways(void)
{
	uint8_t in[4096], out[4096], got[4096 + 64];
	struct vmbus_packet d = { .type = VM_PKT_COMP, .offset8 = 2 };
	struct iovec iov[3] = { { &d, sizeof(d) }, { in, 0 }, { in, 0 } };
	size_t len;
	bool signal;

	for (unsigned int n = 0; n < 3000; n++) {
		size_t bytes = n * 13 % 3000, padded = (bytes + 7) / 8 * 8,
		       half = bytes / 3;

		fill(out, bytes, n);
		ck_assert(guest_ring_send(&g, VM_PKT_DATA_INBAND, 1, n, out, bytes,
					  &signal));
		ck_assert_int_eq(ring_recv(&r, got, sizeof(got), &len), 0);
		ck_assert_uint_eq(len, padded + 16);
		ck_assert_mem_eq(got + 16, out, bytes);
		ck_assert_int_eq(ring_recv(&r, got, sizeof(got), &len), -EAGAIN);
		(void)!ring_recv_commit(&r);
		ck_assert_uint_eq(g.tx->read_index, g.tx->write_index);

		memcpy(in, out, bytes);
		d.len8 = (uint16_t)((padded + 16) / 8);
		d.transaction_id = n;
		iov[1].iov_len = half;
		iov[2] = (struct iovec){ in + half, bytes - half };
		ck_assert_int_eq(ring_send(&r, iov, 3), 0);
		ck_assert(ring_send_unread(&r) == false);
		ck_assert(ring_send_commit(&r));
		ck_assert(ring_send_unread(&r));
		ck_assert(guest_ring_recv(&g, &d, got, sizeof(got), &len, &signal));
		ck_assert_uint_eq(d.transaction_id, n);
		ck_assert_uint_eq(len, padded);
		ck_assert_mem_eq(got, out, bytes);
	}
}

START_TEST(every_length_wraps)
{
	both_ways();
}
END_TEST

/* The data pages of a ring change places: what the guest wrote to its first page lies in our second. */
static void swap_pages(unsigned int a)
{
	uint8_t page[4096];

	memcpy(page, mem + a * 4096, 4096);
	memcpy(mem + a * 4096, mem + (a + 1) * 4096, 4096);
	memcpy(mem + (a + 1) * 4096, page, 4096);
}

START_TEST(scattered_pages)
{
	uint8_t out[400], got[600];

	ring_done(&r);
	pages[1] = mem + 2 * 4096;
	pages[2] = mem + 1 * 4096;
	pages[4] = mem + 5 * 4096;
	pages[5] = mem + 4 * 4096;
	ck_assert_int_eq(ring_init(&r, pages, PAGES, PAGES), 0);
	ck_assert_ptr_null(r.in.base);
	ck_assert_ptr_null(r.out.base);
	for (unsigned int n = 0; n < 500; n++) {
		struct vmbus_packet d = { .type = VM_PKT_COMP, .offset8 = 2, .len8 = 52 };
		struct iovec iov[2] = { { &d, sizeof(d) }, { out, sizeof(out) } };
		size_t len;
		bool signal;

		fill(out, sizeof(out), n);
		ck_assert(guest_ring_send(&g, VM_PKT_DATA_INBAND, 0, n, out, sizeof(out),
					  &signal));
		swap_pages(1);
		ck_assert_int_eq(ring_recv(&r, got, sizeof(got), &len), 0);
		swap_pages(1);
		(void)!ring_recv_commit(&r);
		ck_assert_mem_eq(got + 16, out, sizeof(out));
		swap_pages(4);
		ck_assert_int_eq(ring_send(&r, iov, 2), 0);
		swap_pages(4);
		ck_assert(ring_send_commit(&r));
		ck_assert(guest_ring_recv(&g, &d, got, sizeof(got), &len, &signal));
		ck_assert_mem_eq(got, out, sizeof(out));
	}
}
END_TEST

START_TEST(goes_on_where_the_indices_stand)
{
	bool signal;
	size_t len;
	uint8_t buf[64];

	ring_done(&r);
	g.tx->write_index = g.tx->read_index = SIZE - 8;
	g.rx->write_index = g.rx->read_index = 4096;
	ck_assert_int_eq(ring_init(&r, pages, PAGES, PAGES), 0);
	ck_assert(guest_ring_send(&g, VM_PKT_DATA_INBAND, 0, 9, "over the end", 12,
				  &signal));
	ck_assert_int_eq(ring_recv(&r, buf, sizeof(buf), &len), 0);
	ck_assert_mem_eq(buf + 16, "over the end", 12);
	ck_assert_uint_eq(g.rx->feature_bits, VMBUS_RING_FEATURE_PENDING_SEND_SIZE);
}
END_TEST

/* The trailer carries the packet's own offset: some guests look at it. */
START_TEST(trailer)
{
	char bytes[24] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };
	uint64_t t;

	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	memcpy(&t, g.rx_data + 32 + 24, sizeof(t));
	ck_assert_uint_eq(t, 32ull << 32);
}
END_TEST

/* ---- flow control ---- */

START_TEST(too_large_ever)
{
	static char bytes[SIZE + 8];
	struct iovec iov = { bytes, SIZE - 8 };

	ck_assert_int_eq(ring_send(&r, &iov, 1), -EMSGSIZE);
	iov.iov_len = SIZE - 16;
	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	iov.iov_len = SIZE + 8;
	ck_assert_int_eq(ring_send(&r, &iov, 1), -EMSGSIZE);
	iov.iov_len = SIZE_MAX;
	ck_assert_int_eq(ring_send(&r, &iov, 1), -EMSGSIZE);
}
END_TEST

/* Interrupts to the guest: only from empty, only unmasked, one a batch. */
START_TEST(interrupt_rule)
{
	char bytes[16] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };

	ck_assert(!ring_send_commit(&r)); /* nothing sent */
	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	ck_assert_uint_eq(g.rx->write_index, 0); /* not yet */
	ck_assert(ring_send_commit(&r));
	ck_assert_uint_eq(g.rx->write_index, 48);
	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	ck_assert(!ring_send_commit(&r)); /* it was not empty */
	g.rx->read_index = 72;
	g.rx->interrupt_mask = 1;
	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	ck_assert(!ring_send_commit(&r));
	g.rx->read_index = 96;
	g.rx->interrupt_mask = 0;
	ck_assert_int_eq(ring_send(&r, &iov, 1), 0);
	ck_assert(ring_send_commit(&r));
}
END_TEST

START_TEST(mask_and_unmask)
{
	bool signal;
	uint8_t buf[64];
	size_t len;

	ring_recv_mask(&r);
	ck_assert(guest_ring_send(&g, VM_PKT_DATA_INBAND, 0, 1, "x", 1, &signal));
	ck_assert(!signal);
	ck_assert(ring_recv_unmask(&r)); /* it came while masked */
	ck_assert_int_eq(ring_recv(&r, buf, sizeof(buf), &len), 0);
	ck_assert(!ring_recv_commit(&r));
	ck_assert(!ring_recv_unmask(&r));
	ck_assert(guest_ring_send(&g, VM_PKT_DATA_INBAND, 0, 1, "x", 1, &signal));
	ck_assert(signal);
}
END_TEST

/* We wait for room: the guest is told how much and rings when it is there, not before. */
START_TEST(host_waits_for_room)
{
	char bytes[1000] = { 0 };
	struct vmbus_packet d = { .offset8 = 2, .len8 = 127 };
	struct iovec iov[2] = { { &d, sizeof(d) }, { bytes, sizeof(bytes) } };
	unsigned int n = 0, taken = 0;
	bool signal = false;
	size_t len;

	while (!ring_send(&r, iov, 2))
		n++;
	ck_assert_uint_eq(n, (SIZE - 1) / 1024);
	(void)!ring_send_commit(&r);
	ck_assert(!ring_send_wait(&r, 3000)); /* for three of them */
	ck_assert_uint_eq(g.rx->pending_send_size, 3008 + 1);
	ck_assert(ring_send_notifies(&r));
	while (!signal) {
		ck_assert(guest_ring_recv(&g, &d, bytes, sizeof(bytes), &len, &signal));
		taken++;
	}
	ck_assert_uint_eq(taken, 2); /* 1024 were free before */
	ck_assert_int_eq(ring_send(&r, iov, 2), 0);
	ck_assert_uint_eq(g.rx->pending_send_size, 0);
	ck_assert(ring_send_wait(&r, 16)); /* there is room already */
	g.tx->feature_bits = 0;
	ck_assert(!ring_send_notifies(&r));
}
END_TEST

static const struct {
	uint32_t pending;
	unsigned int at; /* the packet whose return frees enough; 0: never a signal */
} pending_rows[] = {
	{ 0, 0 },        { 8, 0 },    { 1000, 0 },       { 1024, 1 },
	{ 2048 - 8, 1 }, { 2048, 2 }, { 4096, 4 },       { SIZE - 8, 7 },
	{ SIZE - 1, 7 }, { SIZE, 0 }, { UINT32_MAX, 0 },
};

/* The guest waits for room: it is interrupted by the commit that makes it, once. Seven packets of 1 KiB leave 1 KiB. */
START_TEST(guest_waits_for_room)
{
	static char bytes[1000];
	uint8_t buf[1100];
	bool signal;
	size_t len;

	for (int i = 0; i < 7; i++)
		ck_assert(guest_ring_send(&g, VM_PKT_DATA_INBAND, 0, 1, bytes, 1000,
					  &signal));
	g.tx->pending_send_size = pending_rows[_i].pending;
	for (unsigned int i = 1; i <= 7; i++) {
		ck_assert(!ring_recv_commit(&r));
		ck_assert_int_eq(ring_recv(&r, buf, sizeof(buf), &len), 0);
		ck_assert_msg(ring_recv_commit(&r) == (i == pending_rows[_i].at),
			      "pending %u, packet %u", pending_rows[_i].pending, i);
	}
}
END_TEST

/* ---- two threads ---- */

#define PACKETS 50000u

static void *guest_thread(void *arg)
{
	uint64_t sent = 0, got = 0, payload[8];
	struct vmbus_packet d;
	size_t len;
	bool signal;

	while (got < PACKETS) {
		for (int i = 0; i < 8; i++)
			payload[i] = sent * 8 + (uint64_t)i;
		if (sent < PACKETS && guest_ring_send(&g, VM_PKT_DATA_INBAND, 1, sent,
						      payload, 8 + sent % 8 * 8, &signal))
			sent++;
		else if (!guest_ring_recv(&g, &d, payload, sizeof(payload), &len,
					  &signal))
			sched_yield();
		else if (d.transaction_id != got || payload[0] != got * 8)
			return (void *)"an answer is broken";
		else
			got++;
	}
	return NULL;
}

START_TEST(two_threads)
{
	uint64_t buf[64];
	pthread_t t;
	void *wrong;
	size_t len;

	ck_assert_int_eq(pthread_create(&t, NULL, guest_thread, NULL), 0);
	for (uint64_t n = 0; n < PACKETS;) {
		struct iovec iov = { buf, 0 };
		int e = ring_recv(&r, buf, sizeof(buf), &len);

		if (e == -EAGAIN) {
			(void)!ring_recv_commit(&r);
			(void)!ring_send_commit(&r);
			sched_yield();
			continue;
		}
		ck_assert_int_eq(e, 0);
		ck_assert_uint_eq(len, 16 + 8 + n % 8 * 8);
		ck_assert_uint_eq(buf[2], n * 8);
		ck_assert_uint_eq(buf[len / 8 - 1], n * 8 + n % 8);
		iov.iov_len = len;
		while ((e = ring_send(&r, &iov, 1)) == -EAGAIN) {
			(void)!ring_send_commit(&r);
			(void)!ring_recv_commit(&r);
			sched_yield();
		}
		ck_assert_int_eq(e, 0);
		n++;
	}
	(void)!ring_send_commit(&r);
	(void)!ring_recv_commit(&r);
	pthread_join(t, &wrong);
	ck_assert_msg(!wrong, "%s", (char *)wrong);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, init_with_bad_indices, 0, ARRAY_SIZE(bad_indices));
	tcase_add_loop_test(t, recv_with_a_bad_write_index, 0, ARRAY_SIZE(bad_indices));
	tcase_add_loop_test(t, send_with_a_bad_read_index, 0, ARRAY_SIZE(bad_indices));
	tcase_add_loop_test(t, commit_with_a_bad_write_index, 0, ARRAY_SIZE(bad_indices));
	tcase_add_loop_test(t, init_with_bad_sizes, 0, ARRAY_SIZE(bad_sizes));
	tcase_add_loop_test(t, bad_packet, 0, ARRAY_SIZE(bad_packets));
	tcase_add_test(t, every_length_wraps);
	tcase_add_test(t, scattered_pages);
	tcase_add_test(t, goes_on_where_the_indices_stand);
	tcase_add_test(t, trailer);
	tcase_add_test(t, too_large_ever);
	tcase_add_test(t, interrupt_rule);
	tcase_add_test(t, mask_and_unmask);
	tcase_add_test(t, host_waits_for_room);
	tcase_add_loop_test(t, guest_waits_for_room, 0, ARRAY_SIZE(pending_rows));
	tcase_add_test(t, two_threads);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
