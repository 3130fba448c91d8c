/* SPDX-License-Identifier: BSD-2-Clause */
/* Network back-ends over socket pairs: a tap's descriptor behaves as one, a message a frame. */
#include "back/nic.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/test.h"

static struct nic *nic;
static int wire;

static void open_pair(int fds[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

static void open_socket(void)
{
	int fds[2];

	open_pair(fds);
	wire = fds[0];
	ck_assert_int_eq(nic_socket_new(fds[1], &nic), 0);
}

static void open_tap(void)
{
	int fds[2];

	open_pair(fds);
	wire = fds[0];
	ck_assert_int_eq(nic_tap_new(&fds[1], 1, true, &nic), 0);
}

static void end(void)
{
	nic_free(nic);
	close(wire);
}

/* Sends a frame of two pieces. */
static int put(const struct nic_meta *meta, size_t len)
{
	static uint8_t bytes[70000];
	const struct iovec iov[] = { { bytes, len / 2 },
				     { bytes + len / 2, len - len / 2 } };

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 3);
	return nic_send(nic, 0, meta, iov, 2);
}

static ssize_t get(struct nic_meta *meta, uint8_t *buf, size_t room)
{
	const struct iovec iov[] = { { buf, room / 2 },
				     { buf + room / 2, room - room / 2 } };

	return nic_recv(nic, 0, meta, iov, 2);
}

START_TEST(none)
{
	const struct nic_meta meta = { 0 };
	struct nic_meta got;
	uint8_t buf[64];

	ck_assert_int_eq(nic_null_new(&nic), 0);
	ck_assert_int_eq(put(&meta, 60), 0);
	ck_assert_int_eq(get(&got, buf, sizeof(buf)), -EAGAIN);
	ck_assert_int_eq(nic->fds[0], -1);
	nic_free(nic);
	nic_free(NULL);
}
END_TEST

START_TEST(socket_frames)
{
	const struct nic_meta meta = { 0 };
	struct nic_meta got = { .flags = 9 };
	uint8_t buf[2000];

	open_socket();
	ck_assert_int_eq(get(&got, buf, sizeof(buf)), -EAGAIN);
	ck_assert_int_eq(put(&meta, 1514), 0);
	ck_assert_int_eq(recv(wire, buf, sizeof(buf), 0), 1514);
	ck_assert_uint_eq(buf[1513], (uint8_t)(1513 * 3));
	ck_assert_int_eq(send(wire, buf, 1514, 0), 1514);
	memset(buf, 0, sizeof(buf));
	ck_assert_int_eq(get(&got, buf, sizeof(buf)), 1514);
	ck_assert_uint_eq(buf[1513], (uint8_t)(1513 * 3));
	ck_assert_uint_eq(got.flags, 0);
	/* one that does not fit is gone, the next is whole */
	ck_assert_int_eq(send(wire, buf, 1514, 0), 1514);
	ck_assert_int_eq(send(wire, buf, 60, 0), 60);
	ck_assert_int_eq(get(&got, buf, 100), -EMSGSIZE);
	ck_assert_int_eq(get(&got, buf, 100), 60);
	end();
}
END_TEST

START_TEST(socket_full_and_gone)
{
	const struct nic_meta meta = { 0 };
	struct nic_meta got;
	uint8_t buf[64];
	int r;

	open_socket();
	while ((r = put(&meta, 1500)) == 0)
		;
	ck_assert_int_eq(r, -EAGAIN);
	while (recv(wire, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(put(&meta, 1500), 0);
	shutdown(wire, SHUT_RDWR);
	ck_assert_int_eq(put(&meta, 60), -EPIPE);
	ck_assert_int_eq(get(&got, buf, sizeof(buf)), -EPIPE);
	end();
}
END_TEST

START_TEST(socket_of_another_kind)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(nic_socket_new(fds[0], &nic), -EINVAL);
	ck_assert_int_lt(fcntl(fds[0], F_GETFD), 0); /* was taken over */
	close(fds[1]);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(nic_socket_new(fds[0], &nic), -EINVAL);
	close(fds[1]);
}
END_TEST

START_TEST(tap_frames)
{
	const struct nic_meta meta = { .flags = NIC_CSUM_NEEDED,
				       .gso = NIC_GSO_TCP4,
				       .header_bytes = 54,
				       .gso_bytes = 1460,
				       .csum_start = 34,
				       .csum_offset = 16 };
	struct nic_meta got = { 0 };
	uint8_t buf[2000];

	open_tap();
	ck_assert_uint_eq(nic->features, NIC_FEATURE_CSUM | NIC_FEATURE_TSO);
	ck_assert_int_eq(get(&got, buf, sizeof(buf)), -EAGAIN);
	ck_assert_int_eq(put(&meta, 1514), 0);
	ck_assert_int_eq(recv(wire, buf, sizeof(buf), 0), 1524);
	ck_assert_mem_eq(buf, &meta, sizeof(meta));
	ck_assert_uint_eq(buf[10 + 1513], (uint8_t)(1513 * 3));
	ck_assert_int_eq(send(wire, buf, 1524, 0), 1524);
	ck_assert_int_eq(get(&got, buf, sizeof(buf)), 1514);
	ck_assert_mem_eq(&got, &meta, sizeof(meta));
	ck_assert_uint_eq(buf[1513], (uint8_t)(1513 * 3));
	/* a tap cuts: what fills all the room was longer */
	ck_assert_int_eq(send(wire, buf, 1524, 0), 1524);
	ck_assert_int_eq(get(&got, buf, 1514), -EMSGSIZE);
	/* no more than a header */
	ck_assert_int_eq(send(wire, buf, 10, 0), 10);
	ck_assert_int_eq(get(&got, buf, sizeof(buf)), -EMSGSIZE);
	end();
}
END_TEST

START_TEST(tap_queues)
{
	int fds[NIC_QUEUES_MAX + 1] = { 0 };

	ck_assert_int_eq(nic_tap_new(fds, 0, false, &nic), -EINVAL);
	for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = dup(0);
	ck_assert_int_eq(nic_tap_new(fds, ARRAY_SIZE(fds), false, &nic), -EINVAL);
	ck_assert_int_lt(fcntl(fds[0], F_GETFD), 0);
}
END_TEST

/* More pieces than a call takes are dropped, not cut. */
START_TEST(tap_pieces)
{
	const struct nic_meta meta = { 0 };
	struct iovec iov[NIC_IOVS_MAX + 1];
	uint8_t buf[200];

	memset(buf, 7, sizeof(buf));
	for (unsigned int i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec){ buf, 1 };
	open_tap();
	ck_assert_int_eq(nic_send(nic, 0, &meta, iov, ARRAY_SIZE(iov)), 0);
	ck_assert_int_eq(nic_send(nic, 0, &meta, iov, NIC_IOVS_MAX), 0);
	ck_assert_int_eq(recv(wire, buf, sizeof(buf), 0), 10 + NIC_IOVS_MAX);
	ck_assert_int_lt(recv(wire, buf, sizeof(buf), MSG_DONTWAIT), 0);
	end();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("nic");
	TCase *tc = tcase_create("nic");

	tcase_add_test(tc, none);
	tcase_add_test(tc, socket_frames);
	tcase_add_test(tc, socket_full_and_gone);
	tcase_add_test(tc, socket_of_another_kind);
	tcase_add_test(tc, tap_frames);
	tcase_add_test(tc, tap_queues);
	tcase_add_test(tc, tap_pieces);
	suite_add_tcase(s, tc);
	return s;
}

TEST_MAIN(suite)
