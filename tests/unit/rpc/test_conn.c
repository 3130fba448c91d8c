/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "unit/test.h"
#include "util/io.h"

/* One connection over a socket pair; the other end is the test's. */
static struct {
	struct event_base *base;
	struct conn *conn;
	int peer;
	char lines[4096];
	int line_count, closed, error, ended, drained;
	bool free_in_line, finish_on_end, take_in_line;
	size_t fds_wanted;
	int fds[CONN_FDS_MAX];
	int take_result;
} t;

static void on_line(void *ctx, const char *text, size_t len)
{
	t.line_count++;
	if (strlen(t.lines) + len + 2 < sizeof(t.lines)) {
		strcat(t.lines, text);
		strcat(t.lines, "|");
	}
	if (t.take_in_line)
		t.take_result = conn_take_fds(t.conn, t.fds, t.fds_wanted);
	if (t.free_in_line) {
		conn_free(t.conn);
		t.conn = NULL;
	}
}

static void on_closed(void *ctx, int error)
{
	t.closed++;
	t.error = error;
}

static void on_ended(void *ctx)
{
	t.ended++;
	if (t.finish_on_end)
		conn_finish(t.conn);
}

static void on_drained(void *ctx)
{
	t.drained++;
}

static const struct conn_ops ops = { on_line, on_closed, on_ended, on_drained };

static void open_with(size_t line_max, size_t out_max, size_t fds_max)
{
	const struct conn_limits limits = { line_max, out_max, fds_max };
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	t.peer = sv[1];
	fcntl(t.peer, F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(conn_new(t.base, sv[0], &limits, &ops, NULL, &t.conn), 0);
}

static void setup(void)
{
	memset(&t, 0, sizeof(t));
	t.base = event_base_new();
}

static void teardown(void)
{
	conn_free(t.conn);
	event_base_free(t.base);
	if (t.peer >= 0)
		close(t.peer);
}

/* Lets the loop do all that there is to do. */
static void turn(void)
{
	for (int i = 0; i < 200; i++)
		event_base_loop(t.base, EVLOOP_NONBLOCK);
}

static void say(const char *text)
{
	ck_assert_int_eq(io_write_all(t.peer, text, strlen(text)), 0);
	turn();
}

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 2048; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(lines_arrive_whole)
{
	open_with(100, 100, 0);
	say("one\ntw");
	ck_assert_str_eq(t.lines, "one|");
	say("o\n");
	ck_assert_str_eq(t.lines, "one|two|");
	for (int i = 0; i < 100; i++)
		say("x\n");
	ck_assert_int_eq(t.line_count, 102);
	close(t.peer);
	t.peer = -1;
	turn();
	ck_assert_int_eq(t.closed, 1);
	ck_assert_int_eq(t.error, 0);
}
END_TEST

START_TEST(a_line_too_long_ends_it)
{
	open_with(8, 100, 0);
	say("fine\n");
	say("123456789");
	ck_assert_int_eq(t.closed, 1);
	ck_assert_int_eq(t.error, -EMSGSIZE);
	say("more\n");
	ck_assert_int_eq(t.line_count, 1);
	ck_assert_int_eq(t.closed, 1);
}
END_TEST

START_TEST(may_be_freed_in_its_callback)
{
	open_with(100, 100, 0);
	t.free_in_line = true;
	say("a\nb\nc\n");
	ck_assert_int_eq(t.line_count, 1);
	ck_assert_int_eq(t.closed, 0);
}
END_TEST

START_TEST(paused_hands_out_nothing)
{
	open_with(100, 100, 0);
	conn_pause(t.conn);
	say("a\nb\n");
	ck_assert_int_eq(t.line_count, 0);
	conn_resume(t.conn);
	turn();
	ck_assert_str_eq(t.lines, "a|b|");
}
END_TEST

START_TEST(half_closed_still_answers)
{
	char buf[16];

	open_with(100, 100, 0);
	t.finish_on_end = true;
	say("ask\n");
	shutdown(t.peer, SHUT_WR);
	ck_assert_int_eq(conn_send(t.conn, "ok\n", 3, NULL, 0), 0);
	turn();
	ck_assert_int_eq(t.ended, 1);
	ck_assert_int_eq(t.closed, 1);
	ck_assert_int_eq(t.error, 0);
	ck_assert_int_eq(read(t.peer, buf, sizeof(buf)), 3);
	ck_assert_int_eq(conn_send(t.conn, "x\n", 2, NULL, 0), -EPIPE);
}
END_TEST

/* Sends until the socket is full and something waits. */
static void fill(size_t len)
{
	char *line = malloc(len);

	memset(line, 'x', len);
	line[len - 1] = '\n';
	while (!conn_unsent(t.conn))
		ck_assert_int_eq(conn_send(t.conn, line, len, NULL, 0), 0);
	free(line);
}

START_TEST(unsent_is_bounded)
{
	char line[1000];
	int r = 0, count = 0;

	open_with(100, 100000, 0);
	fill(4096);
	memset(line, 'x', sizeof(line));
	while (r == 0 && count++ < 1000)
		r = conn_send(t.conn, line, sizeof(line), NULL, 0);
	ck_assert_int_eq(r, -ENOBUFS);
	ck_assert_int_le(count, 101);
	ck_assert_int_eq(t.closed, 0); /* never from within conn_send() */
	turn();
	ck_assert_int_eq(t.closed, 1);
	ck_assert_int_eq(t.error, -ENOBUFS);
}
END_TEST

START_TEST(drained_is_told_once_all_is_sent)
{
	char buf[65536];

	open_with(100, 100000, 0);
	fill(4096);
	turn();
	ck_assert_int_eq(t.drained, 0);
	while (conn_unsent(t.conn)) {
		while (read(t.peer, buf, sizeof(buf)) > 0)
			;
		turn();
	}
	ck_assert_int_eq(t.drained, 1);
}
END_TEST

START_TEST(finish_sends_all_first)
{
	char buf[65536];
	ssize_t n, got = 0;

	open_with(100, 1 << 20, 0);
	fill(4096);
	conn_finish(t.conn);
	turn();
	ck_assert_int_eq(t.closed, 0);
	ck_assert_int_eq(conn_send(t.conn, "x\n", 2, NULL, 0), -EPIPE);
	while (!t.closed) {
		while ((n = read(t.peer, buf, sizeof(buf))) > 0)
			got += n;
		turn();
	}
	ck_assert_int_eq(t.error, 0);
	while ((n = read(t.peer, buf, sizeof(buf))) > 0)
		got += n;
	ck_assert_int_eq(got % 4096, 0);
	ck_assert_int_gt(got, 4096);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(descriptors_come_with_their_line)
{
	int p[2];

	open_with(100, 100, 8);
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	t.take_in_line = true;
	t.fds_wanted = 2;
	ck_assert_int_eq(io_send_fds(t.peer, "half ", 5, p, 2), 5);
	turn();
	say("a line\n");
	ck_assert_int_eq(t.take_result, 0);
	ck_assert_int_eq(write(t.fds[1], "x", 1), 1);
	ck_assert_int_eq(conn_take_fds(t.conn, t.fds, 1), -EPROTO);
	close(t.fds[0]);
	close(t.fds[1]);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(descriptors_nobody_takes_are_closed)
{
	size_t before;
	int p[2];

	open_with(100, 100, 8);
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	before = open_fds();
	ck_assert_int_eq(io_send_fds(t.peer, "line\n", 5, p, 2), 5);
	turn();
	ck_assert_uint_eq(open_fds(), before);
	/* They wait as long as their line is not whole, but go with the connection. */
	ck_assert_int_eq(io_send_fds(t.peer, "li", 2, p, 2), 2);
	turn();
	ck_assert_uint_eq(open_fds(), before + 2);
	conn_free(t.conn);
	t.conn = NULL;
	ck_assert_uint_eq(open_fds(), before - 1);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(too_many_descriptors_end_it)
{
	size_t before;
	int p[2];

	open_with(100, 100, 3);
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	before = open_fds();
	ck_assert_int_eq(io_send_fds(t.peer, "a", 1, p, 2), 1);
	turn();
	ck_assert_int_eq(io_send_fds(t.peer, "b", 1, p, 2), 1);
	turn();
	ck_assert_int_eq(t.error, -EMSGSIZE);
	conn_free(t.conn);
	t.conn = NULL;
	ck_assert_uint_eq(open_fds(), before - 1);
	close(p[0]);
	close(p[1]);
}
END_TEST

/* More than one sendmsg carries (SCM_MAX_FD is 253): a full machine has 263. */
START_TEST(many_descriptors_travel_both_ways)
{
	const struct conn_limits limits = { 100, 100, CONN_FDS_MAX };
	int fds[300], got[300], first;
	struct conn *other;
	size_t before;

	open_with(100, 100, CONN_FDS_MAX);
	ck_assert_int_eq(conn_new(t.base, t.peer, &limits, &ops, NULL, &other), 0);
	t.peer = -1;
	before = open_fds();
	first = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fds[0] = first;
	for (size_t i = 1; i < ARRAY_SIZE(fds); i++)
		fds[i] = fcntl(first, F_DUPFD_CLOEXEC, 0);
	t.take_in_line = true;
	t.fds_wanted = 0;
	conn_pause(t.conn);
	ck_assert_int_eq(conn_send(other, "take these\n", 11, fds, 300), 0);
	turn();
	ck_assert_uint_eq(open_fds(),
			  before); /* all are on their way, none is left here */
	t.fds_wanted = 300;
	conn_resume(t.conn);
	turn();
	ck_assert_str_eq(t.lines, "take these|");
	ck_assert_int_eq(t.take_result, 0);
	memcpy(got, t.fds, sizeof(got));
	for (size_t i = 0; i < ARRAY_SIZE(got); i++)
		ck_assert_int_eq(close(got[i]), 0);
	ck_assert_uint_eq(open_fds(), before);
	conn_free(other);
}
END_TEST

START_TEST(descriptors_of_a_failed_send_are_closed)
{
	size_t before;
	int fd;

	open_with(100, 100, 0);
	close(t.peer);
	t.peer = -1;
	turn();
	before = open_fds();
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(conn_send(t.conn, "x\n", 2, &fd, 1), -EPIPE);
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rpc");
	TCase *c = tcase_create("conn");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, lines_arrive_whole);
	tcase_add_test(c, a_line_too_long_ends_it);
	tcase_add_test(c, may_be_freed_in_its_callback);
	tcase_add_test(c, paused_hands_out_nothing);
	tcase_add_test(c, half_closed_still_answers);
	tcase_add_test(c, unsent_is_bounded);
	tcase_add_test(c, drained_is_told_once_all_is_sent);
	tcase_add_test(c, finish_sends_all_first);
	tcase_add_test(c, descriptors_come_with_their_line);
	tcase_add_test(c, descriptors_nobody_takes_are_closed);
	tcase_add_test(c, too_many_descriptors_end_it);
	tcase_add_test(c, many_descriptors_travel_both_ways);
	tcase_add_test(c, descriptors_of_a_failed_send_are_closed);
	suite_add_tcase(s, c);
	return s;
}

TEST_MAIN(suite)
