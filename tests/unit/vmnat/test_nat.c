/* SPDX-License-Identifier: BSD-2-Clause */
/* vmnat's network as a guest sees it, over its socket: ARP and DHCP are answered, junk is not fatal, and it ends with the other end. */
#include "vmnat/nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/test.h"

static struct nat *nat;
static int wire;
static pthread_t thread;
static int ended;

static void *run(void *arg)
{
	ended = nat_run(nat);
	return NULL;
}

static void begin(void)
{
	const struct timeval limit = { .tv_sec = 25 };
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	wire = fds[0];
	setsockopt(wire, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ck_assert_int_eq(nat_new(fds[1], false, &nat), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

static void finish(void)
{
	close(wire);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(ended, 0);
	nat_free(nat);
}

static const uint8_t mac[6] = { 0, 0x15, 0x5d, 1, 2, 3 };

/* Who has 10.0.2.2? */
static void ask(void)
{
	uint8_t f[60] = { 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0,
			  0,   8,   6,   0,   1,   8,   0, 6, 4, 0, 1 };

	memcpy(f + 6, mac, 6);
	memcpy(f + 22, mac, 6);
	memcpy(f + 28, (uint8_t[]){ 10, 0, 2, 15 }, 4);
	memcpy(f + 38, (uint8_t[]){ 10, 0, 2, 2 }, 4);
	ck_assert_int_eq(send(wire, f, sizeof(f), 0), sizeof(f));
}

/* The next frame of that type; what else the network says of its own (router advertisements) is passed over. */
static size_t next(uint16_t type, uint8_t *f, size_t max)
{
	for (;;) {
		ssize_t n = recv(wire, f, max, 0);

		ck_assert_int_ge(n, 14);
		if (f[12] == type >> 8 && f[13] == (type & 255))
			return (size_t)n;
	}
}

static void expect_answer(void)
{
	uint8_t f[2048];

	ck_assert_uint_ge(next(0x0806, f, sizeof(f)), 42);
	ck_assert_mem_eq(f, mac, 6);
	ck_assert_uint_eq(f[21], 2);
	ck_assert_mem_eq(f + 28, ((uint8_t[]){ 10, 0, 2, 2 }), 4);
}

START_TEST(arp)
{
	begin();
	ask();
	expect_answer();
	finish();
}
END_TEST

START_TEST(dhcp)
{
	uint8_t f[14 + 20 + 8 + 300] = { 255, 255, 255, 255, 255, 255 }, *ip = f + 14,
				*udp = ip + 20, *d = udp + 8;
	uint32_t sum = 0;

	begin();
	memcpy(f + 6, mac, 6);
	f[12] = 8;
	memcpy(ip, (uint8_t[]){ 0x45, 0, 328 >> 8, 328 & 255, 0, 0, 0, 0, 64, 17 }, 10);
	memset(ip + 16, 255, 4);
	for (unsigned int i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	memcpy(udp, (uint8_t[]){ 0, 68, 0, 67, 308 >> 8, 308 & 255 }, 6);
	memcpy(d, (uint8_t[]){ 1, 1, 6, 0, 1, 2, 3, 4 }, 8);
	memcpy(d + 28, mac, 6);
	memcpy(d + 236, (uint8_t[]){ 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 }, 8);
	ck_assert_int_eq(send(wire, f, sizeof(f), 0), sizeof(f));
	ck_assert_uint_ge(next(0x0800, f, sizeof(f)), sizeof(f) - 300 + 240);
	ck_assert_mem_eq(d + 4, ((uint8_t[]){ 1, 2, 3, 4 }), 4);
	ck_assert_mem_eq(d + 16, ((uint8_t[]){ 10, 0, 2, 15 }), 4);
	finish();
}
END_TEST

START_TEST(junk)
{
	uint8_t f[3000];

	begin();
	for (unsigned int i = 0; i < 500; i++) {
		size_t len = 1 + i * 37 % sizeof(f);

		for (size_t k = 0; k < len; k++)
			f[k] = (uint8_t)((k * 31 + i * 7) ^ (k >> 3));
		f[12 % len] = (uint8_t)(i & 1 ? 8 : 0x86);
		f[13 % len] = (uint8_t)(i & 1 ? (i & 2 ? 6 : 0) : 0xdd);
		if (len > 14)
			f[14] = (uint8_t)(i & 1 ? 0x45 : 0x60);
		ck_assert_int_eq(send(wire, f, len, 0), (ssize_t)len);
	}
	ask();
	expect_answer();
	finish();
}
END_TEST

START_TEST(forwards)
{
	struct nat_forward f = { .port = 0, .guest_port = 80 };
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM, 0), fds[2];

	inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(s, 1), 0);
	ck_assert_int_eq(getsockname(s, (struct sockaddr *)&a, &len), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	ck_assert_int_eq(nat_new(fds[1], false, &nat), 0);
	f.address = a.sin_addr;
	f.port = ntohs(a.sin_port);
	ck_assert_int_lt(nat_forward(nat, &f), 0); /* somebody else's */
	close(s);
	ck_assert_int_eq(nat_forward(nat, &f), 0);
	nat_free(nat);
	close(fds[0]);
}
END_TEST

START_TEST(no_packet_socket)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(nat_new(fds[0], false, &nat), -EINVAL);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("nat");
	TCase *tc = tcase_create("nat");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, arp);
	tcase_add_test(tc, dhcp);
	tcase_add_test(tc, junk);
	tcase_add_test(tc, forwards);
	tcase_add_test(tc, no_packet_socket);
	suite_add_tcase(s, tc);
	return s;
}

TEST_MAIN(suite)
