/* SPDX-License-Identifier: BSD-2-Clause */
/* A port at one end, a pty, socket clients and a log at the other; the test turns the loop itself. */
#include "back/chardev.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include "unit/test.h"

static struct event_base *loop;
static struct chardev *cd;
static struct sockaddr_un addr;
static socklen_t addr_len;
static int pty_slave, log_copy;

/* The port: takes at most `room` bytes. */
static char typed[4096];
static size_t typed_len, room;
static unsigned int writables;

static size_t port_input(void *opaque, const uint8_t *buf, size_t len)
{
	size_t n = MIN(len, room);

	ck_assert_uint_le(typed_len + n, sizeof(typed));
	memcpy(typed + typed_len, buf, n);
	typed_len += n;
	room -= n;
	return n;
}

static void port_writable(void *opaque)
{
	writables++;
}

static const struct chardev_handler port = { .input = port_input,
					     .writable = port_writable };

static void setup(void)
{
	struct chardev_config c = { .pty_peer = -1 };

	typed_len = writables = 0;
	room = sizeof(typed);
	loop = event_base_new();
	c.pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_eq(grantpt(c.pty) | unlockpt(c.pty), 0);
	pty_slave = open(ptsname(c.pty), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(pty_slave, 0);
	/* An abstract name of the kernel's choice: no file is left behind. */
	c.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	addr.sun_family = AF_UNIX;
	addr_len = sizeof(addr);
	ck_assert_int_eq(bind(c.socket, (void *)&addr, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(c.socket, 32), 0);
	ck_assert_int_eq(getsockname(c.socket, (void *)&addr, &addr_len), 0);
	c.log = memfd_create("log", MFD_CLOEXEC);
	log_copy = dup(c.log);
	ck_assert_int_eq(chardev_new(loop, &c, &cd), 0);
	chardev_set_handler(cd, &port);
}

static void teardown(void)
{
	chardev_free(cd);
	event_base_free(loop);
	close(pty_slave);
	close(log_copy);
}

static int client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(connect(fd, (void *)&addr, addr_len), 0);
	return fd;
}

/* Turns the loop past the delay with which output is gathered; timers run in their order, so this one comes behind it. */
static void settle(void)
{
	struct timeval tick = { .tv_usec = 5000 };

	event_base_loopexit(loop, &tick);
	event_base_dispatch(loop);
}

static void say(const char *s)
{
	size_t n = strlen(s);

	ck_assert_uint_eq(chardev_output(cd, (const uint8_t *)s, n), n);
}

/* Reads what is there. */
static size_t drain_fd(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = 0;
	return len;
}

static void ck_reads(int fd, const char *want)
{
	char buf[4096];

	drain_fd(fd, buf, sizeof(buf));
	ck_assert_str_eq(buf, want);
}

START_TEST(everyone_sees_all_output)
{
	int a, b;
	char buf[64];

	say("early ");
	settle();
	a = client();
	settle();
	b = client();
	say("late");
	settle();
	ck_reads(a, "early late");
	ck_reads(b, "early late");
	ck_reads(pty_slave, "early late");
	ck_assert_int_eq(pread(log_copy, buf, sizeof(buf), 0), 10);
	ck_assert_mem_eq(buf, "early late", 10);
	close(a);
	close(b);
}
END_TEST

START_TEST(a_new_client_gets_the_last_of_it)
{
	static char block[1024], buf[1 << 16];
	int a;

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 40; i++) {
		chardev_output(cd, (uint8_t *)block, sizeof(block));
		settle();
	}
	a = client();
	settle();
	ck_assert_uint_eq(drain_fd(a, buf, sizeof(buf)), CHARDEV_SCROLLBACK_BYTES);
	close(a);
}
END_TEST

START_TEST(anyone_may_type)
{
	int a = client(), b = client();

	settle();
	ck_assert_int_eq(write(a, "from a, ", 8), 8);
	settle();
	ck_assert_int_eq(write(b, "from b, ", 8), 8);
	settle();
	ck_assert_int_eq(write(pty_slave, "from the pty\r", 13), 13);
	settle();
	ck_assert_mem_eq(typed, "from a, from b, from the pty\r", 29);
	close(a);
	close(b);
}
END_TEST

START_TEST(the_pty_is_raw)
{
	struct termios t;

	say("no echo\n");
	settle();
	ck_assert_uint_eq(typed_len, 0);
	ck_assert_int_eq(tcgetattr(pty_slave, &t), 0);
	ck_assert_uint_eq(t.c_lflag & (ECHO | ICANON | ISIG), 0);
	ck_assert_uint_eq(t.c_oflag & OPOST, 0);
}
END_TEST

START_TEST(the_pty_outlives_its_users)
{
	char name[64];

	ck_assert_int_eq(ttyname_r(pty_slave, name, sizeof(name)), 0);
	close(pty_slave);
	settle();
	say("nobody there ");
	settle();
	pty_slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(pty_slave, 0);
	say("back");
	settle();
	ck_reads(pty_slave, "nobody there back");
}
END_TEST

START_TEST(input_waits_for_the_port)
{
	char big[2000];
	int a = client();

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)('a' + i % 26);
	room = 16;
	ck_assert_int_eq(write(a, big, sizeof(big)), sizeof(big));
	settle();
	ck_assert_uint_eq(typed_len, 16);
	settle();
	ck_assert_uint_eq(typed_len, 16);
	while (typed_len < sizeof(big)) {
		size_t before = typed_len;

		room = 100;
		chardev_input_ready(cd);
		settle();
		ck_assert_uint_gt(typed_len, before);
	}
	ck_assert_mem_eq(typed, big, sizeof(big));
	close(a);
}
END_TEST

START_TEST(input_without_a_port_stays)
{
	int a = client();

	chardev_set_handler(cd, NULL);
	settle();
	ck_assert_int_eq(write(a, "kept", 4), 4);
	settle();
	ck_assert_uint_eq(typed_len, 0);
	chardev_set_handler(cd, &port);
	settle();
	ck_assert_mem_eq(typed, "kept", 4);
	close(a);
}
END_TEST

START_TEST(what_a_client_typed_last_is_read)
{
	int a = client();

	settle();
	ck_assert_int_eq(write(a, "poweroff\n", 9), 9);
	close(a);
	settle();
	ck_assert_uint_eq(typed_len, 9);
}
END_TEST

START_TEST(a_slow_client_skips_and_costs_nobody)
{
	static char block[4096], buf[1 << 20];
	int slow = client(), quick = client();
	size_t quick_len = 0, len = 0;

	settle();
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 200; i++) {
		ck_assert_uint_eq(chardev_output(cd, (uint8_t *)block, sizeof(block)),
				  sizeof(block));
		settle();
		quick_len += drain_fd(quick, buf, sizeof(buf));
	}
	ck_assert_uint_eq(quick_len, 200 * sizeof(block));
	say("the end");
	for (int i = 0; i < 20; i++) {
		settle();
		len += drain_fd(slow, buf + len, sizeof(buf) - len);
	}
	ck_assert_uint_lt(len, 200 * sizeof(block));
	ck_assert_ptr_nonnull(memmem(buf, len, " bytes of output skipped]", 25));
	ck_assert_mem_eq(buf + len - 7, "the end", 7);
	close(slow);
	close(quick);
}
END_TEST

START_TEST(a_full_ring_is_told_and_drains)
{
	static uint8_t block[1 << 17];
	size_t n = chardev_output(cd, block, sizeof(block));

	ck_assert_uint_gt(n, 0);
	ck_assert_uint_lt(n, sizeof(block));
	ck_assert_uint_eq(chardev_output(cd, block, 1), 0);
	ck_assert_uint_eq(writables, 0);
	settle();
	ck_assert_uint_eq(writables, 1);
	ck_assert_uint_eq(chardev_output(cd, block, 1), 1);
	settle();
	ck_assert_uint_eq(writables, 1); /* asked for once, told once */
}
END_TEST

START_TEST(clients_are_bounded_and_make_room)
{
	int fds[CHARDEV_CLIENTS_MAX], extra;
	char c;

	for (size_t i = 0; i < CHARDEV_CLIENTS_MAX; i++)
		fds[i] = client();
	settle();
	extra = client();
	settle();
	ck_assert_int_eq(read(extra, &c, 1), 0);
	close(extra);
	close(fds[0]);
	settle();
	fds[0] = client();
	say("hi");
	settle();
	ck_assert_uint_eq(typed_len, 0);
	ck_reads(fds[0], "hi");
	ck_assert_uint_eq(writables, 0);
	/* The same while the port takes no input, so that nobody is read from. */
	room = 0;
	ck_assert_int_eq(write(fds[0], "x", 1), 1);
	settle();
	close(fds[1]);
	settle();
	fds[1] = client();
	settle();
	ck_reads(fds[1], "hi");
	for (size_t i = 0; i < CHARDEV_CLIENTS_MAX; i++)
		close(fds[i]);
}
END_TEST

START_TEST(a_client_that_hangs_up_is_forgotten)
{
	int a = client();

	settle();
	close(a);
	say("to nobody");
	settle();
	say(" again");
	settle();
	ck_reads(pty_slave, "to nobody again");
}
END_TEST

#define STREAM_BYTES 300000u

static void *writer(void *arg)
{
	for (uint32_t i = 0; i < STREAM_BYTES;) {
		uint8_t c = (uint8_t)i;

		if (chardev_output(cd, &c, 1))
			i++;
		else
			sched_yield();
	}
	return NULL;
}

START_TEST(threads_lose_nothing)
{
	static uint8_t buf[STREAM_BYTES];
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, writer, NULL), 0);
	while (pread(log_copy, buf, 1, sizeof(buf) - 1) != 1)
		event_base_loop(loop, EVLOOP_ONCE);
	pthread_join(thread, NULL);
	ck_assert_int_eq(pread(log_copy, buf, sizeof(buf), 0), sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		ck_assert_uint_eq(buf[i], (uint8_t)i);
}
END_TEST

START_TEST(the_end_flushes_the_log)
{
	char buf[8];

	say("last");
	chardev_free(cd);
	cd = NULL;
	ck_assert_int_eq(pread(log_copy, buf, sizeof(buf), 0), 4);
	ck_assert_mem_eq(buf, "last", 4);
}
END_TEST

START_TEST(bad_descriptors_stay_the_callers)
{
	struct chardev_config c = { .pty = -1, .pty_peer = -1, .socket = -1 };
	struct chardev *other = NULL;
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	c.log = p[1];
	ck_assert_int_eq(chardev_new(loop, &c, &other), -EINVAL);
	c.pty = p[0]; /* no pty */
	c.log = -1;
	ck_assert_int_lt(chardev_new(loop, &c, &other), 0);
	ck_assert_ptr_null(other);
	ck_assert_int_ge(fcntl(p[0], F_GETFD), 0);
	ck_assert_int_ge(fcntl(p[1], F_GETFD), 0);
	close(p[0]);
	close(p[1]);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("chardev");
	TCase *t = tcase_create("chardev");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, everyone_sees_all_output);
	tcase_add_test(t, a_new_client_gets_the_last_of_it);
	tcase_add_test(t, anyone_may_type);
	tcase_add_test(t, the_pty_is_raw);
	tcase_add_test(t, the_pty_outlives_its_users);
	tcase_add_test(t, input_waits_for_the_port);
	tcase_add_test(t, input_without_a_port_stays);
	tcase_add_test(t, what_a_client_typed_last_is_read);
	tcase_add_test(t, a_slow_client_skips_and_costs_nobody);
	tcase_add_test(t, a_full_ring_is_told_and_drains);
	tcase_add_test(t, clients_are_bounded_and_make_room);
	tcase_add_test(t, a_client_that_hangs_up_is_forgotten);
	tcase_add_test(t, threads_lose_nothing);
	tcase_add_test(t, the_end_flushes_the_log);
	tcase_add_test(t, bad_descriptors_stay_the_callers);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
