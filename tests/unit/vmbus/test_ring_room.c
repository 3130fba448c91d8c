/* SPDX-License-Identifier: BSD-2-Clause */
/* A full ring: who waits for room is told when there is, whichever rule the guest's kernel goes by, and no wake-up is lost. */
#include "vmbus/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vmbus/guest_ring.h"

#define PAGES 3u /* header and two of data */
#define SIZE ((PAGES - 1) * 4096)

static struct ring r;
static struct guest_ring g;
static uint8_t *mem;
static int to_host, to_guest; /* eventfds */

static void setup(void)
{
	void *pages[2 * PAGES];

	mem = aligned_alloc(4096, 2 * PAGES * 4096);
	guest_ring_init(&g, mem, PAGES, PAGES);
	for (unsigned int i = 0; i < 2 * PAGES; i++)
		pages[i] = mem + (size_t)i * 4096;
	ck_assert_int_eq(ring_init(&r, pages, PAGES, PAGES), 0);
	to_host = eventfd(0, 0);
	to_guest = eventfd(0, 0);
}

static void teardown(void)
{
	ring_done(&r);
	free(mem);
	close(to_host);
	close(to_guest);
}

/* ---- the rules of several guests ---- */

/* Free bytes by the indices before and after the guest took packets. */
static bool linux_3_9(uint32_t before, uint32_t after, uint32_t pending)
{
	return pending && before < pending && after >= pending;
}

static bool linux_4_11(uint32_t before, uint32_t after, uint32_t pending)
{
	return before <= pending && after >= pending; /* tells without need as well */
}

static bool linux_4_16(uint32_t before, uint32_t after, uint32_t pending)
{
	return pending && before <= pending && after > pending;
}

/* Counts as free what may be written, and bytes in eights. */
static bool openvmm(uint32_t before, uint32_t after, uint32_t pending)
{
	pending &= ~7u;
	return pending && before - 8 < pending && after - 8 >= pending;
}

static const struct {
	const char *guest;
	bool (*tells)(uint32_t before, uint32_t after, uint32_t pending);
	unsigned int batch; /* packets it takes before it looks */
} rules[] = {
	{ "Linux 3.9", linux_3_9, 1 },   { "Linux 3.9", linux_3_9, 5 },
	{ "Linux 4.11", linux_4_11, 1 }, { "Linux 4.11", linux_4_11, 5 },
	{ "Linux 4.16", linux_4_16, 1 }, { "Linux 4.16", linux_4_16, 5 },
	{ "OpenVMM", openvmm, 1 },       { "OpenVMM", openvmm, 5 },
};

#define SMALL 24u /* the smallest packet, with its trailer */

static void fill_up(void)
{
	char bytes[SMALL - 8] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };

	while (!ring_send(&r, &iov, 1))
		;
	(void)!ring_send_commit(&r);
}

/* Bytes free at the time of the signal that let the packet through; 0: none did. */
static uint32_t room_at_success(const struct iovec *iov, unsigned int rule)
{
	uint32_t left = g.rx->write_index, free_now = SIZE - left, before;

	while (left) {
		uint32_t take = MIN(left, SMALL * rules[rule].batch);

		left -= take;
		before = free_now;
		free_now += take;
		g.rx->read_index += take;
		if (!rules[rule].tells(before, free_now, g.rx->pending_send_size))
			continue;
		if (!ring_send(&r, iov, 1))
			return free_now;
		if (ring_send_wait(&r, iov->iov_len))
			return 0;
	}
	return 0;
}

START_TEST(every_guest_tells)
{
	static char bytes[SIZE];

	for (uint32_t total = SMALL; total < SIZE; total += 8) {
		struct iovec iov = { bytes, total - 8 };
		uint32_t room, step = SMALL * rules[_i].batch;

		fill_up();
		ck_assert(!ring_send_wait(&r, iov.iov_len));
		room = room_at_success(&iov, _i);
		/* as soon as it fits, not a batch later */
		ck_assert_msg(room > total && (room <= total + step || room == SIZE),
			      "%s: %u bytes, told at %u", rules[_i].guest, total, room);
		teardown();
		setup();
	}
}
END_TEST

/* ---- two threads that sleep ---- */

#define PACKETS 20000u
#define ANSWER_MORE 64u /* so that the ring to the guest is full first */

static unsigned int host_waited, guest_waited;

static void ring_bell(int fd)
{
	const uint64_t one = 1;

	ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
}

static void sleep_on(int fd)
{
	uint64_t n;

	ck_assert_int_eq(read(fd, &n, sizeof(n)), sizeof(n));
}

static size_t question_bytes(uint64_t n)
{
	return 8 + n % 8 * 8;
}

/* True when it sent or took something. */
static bool guest_step(uint64_t *sent, uint64_t *got)
{
	static const uint64_t payload[8];
	struct vmbus_packet d;
	uint64_t back[64];
	size_t len;
	bool signal;

	if (*sent < PACKETS && guest_ring_send(&g, VM_PKT_DATA_INBAND, 1, *sent, payload,
					       question_bytes(*sent), &signal))
		++*sent;
	else if (guest_ring_recv(&g, &d, back, sizeof(back), &len, &signal))
		ck_assert_uint_eq(d.transaction_id, (*got)++);
	else
		return false;
	if (signal)
		ring_bell(to_host);
	return true;
}

static void *guest_thread(void *arg)
{
	uint64_t sent = 0, got = 0;

	while (got < PACKETS) {
		if (guest_step(&sent, &got))
			continue;
		if (sent < PACKETS && guest_ring_wait(&g, 16 + question_bytes(sent)))
			continue;
		guest_waited += sent < PACKETS;
		sleep_on(to_guest);
	}
	return NULL;
}

static void flush(void)
{
	bool room = ring_recv_commit(&r), data = ring_send_commit(&r);

	if (room || data)
		ring_bell(to_guest);
}

static void next_question(uint8_t *buf, size_t max, size_t *ret_len)
{
	int e;

	ring_recv_mask(&r);
	while ((e = ring_recv(&r, buf, max, ret_len)) == -EAGAIN) {
		flush();
		if (!ring_recv_unmask(&r))
			sleep_on(to_host);
		ring_recv_mask(&r);
	}
	ck_assert_int_eq(e, 0);
}

static void answer(uint8_t *buf, size_t len)
{
	struct iovec iov = { buf, len };
	struct vmbus_packet d;
	int e;

	memcpy(&d, buf, sizeof(d));
	d.len8 = (uint16_t)(len / 8);
	memcpy(buf, &d, sizeof(d));
	while ((e = ring_send(&r, &iov, 1)) == -EAGAIN) {
		flush();
		if (ring_send_wait(&r, len))
			continue;
		host_waited++;
		sleep_on(to_host);
	}
	ck_assert_int_eq(e, 0);
}

/* No look by time anywhere: each lost wake-up is a hang. */
START_TEST(no_wake_up_is_lost)
{
	uint8_t buf[512] = { 0 };
	pthread_t t;
	size_t len;

	ck_assert_int_eq(pthread_create(&t, NULL, guest_thread, NULL), 0);
	for (uint64_t n = 0; n < PACKETS; n++) {
		next_question(buf, sizeof(buf) - ANSWER_MORE, &len);
		answer(buf, len + ANSWER_MORE);
	}
	flush();
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	ck_assert_uint_gt(host_waited, 0);
	ck_assert_uint_gt(guest_waited, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ring_room");
	TCase *t = tcase_create("ring_room");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, every_guest_tells, 0, ARRAY_SIZE(rules));
	tcase_add_test(t, no_wake_up_is_lost);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
