/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/peer.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "unit/test.h"
#include "util/io.h"

/* A peer over a socket pair; the test is the worker at the other end. */
static struct {
	struct event_base *base;
	struct rpc_peer *peer;
	int worker;
	int answers, errors, last_err, notes, closed, error;
	char last[512];
	bool free_in_answer;
} t;

static void on_note(void *ctx, const char *method, const json_t *params)
{
	t.notes++;
	snprintf(t.last, sizeof(t.last), "%s", method);
}

static void on_closed(void *ctx, int error)
{
	t.closed++;
	t.error = error;
}

static const struct rpc_peer_ops ops = { on_note, on_closed };

static void on_answer(void *arg, const json_t *result, const struct rpc_error *e)
{
	ck_assert(!result == !!e);
	if (e) {
		t.errors++;
		t.last_err = e->err;
		snprintf(t.last, sizeof(t.last), "%s", e->message);
	} else {
		t.answers++;
	}
	if (t.free_in_answer) {
		rpc_peer_free(t.peer);
		t.peer = NULL;
	}
}

static void setup(void)
{
	int sv[2];

	memset(&t, 0, sizeof(t));
	t.base = event_base_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	t.worker = sv[1];
	fcntl(t.worker, F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(rpc_peer_new(t.base, sv[0], &ops, NULL, &t.peer), 0);
}

static void teardown(void)
{
	t.free_in_answer = false;
	rpc_peer_free(t.peer);
	event_base_free(t.base);
	close(t.worker);
}

static void turn(void)
{
	for (int i = 0; i < 100; i++)
		event_base_loop(t.base, EVLOOP_NONBLOCK);
}

static void call(unsigned int timeout_ms)
{
	ck_assert_int_eq(rpc_peer_call(t.peer, "vm.status", NULL, NULL, 0, timeout_ms,
				       on_answer, NULL),
			 0);
}

static void say(const char *text)
{
	ck_assert_int_eq(io_write_all(t.worker, text, strlen(text)), 0);
	turn();
}

START_TEST(answers_find_their_call)
{
	char buf[512] = "";

	call(0);
	call(0);
	turn();
	ck_assert_int_gt(read(t.worker, buf, sizeof(buf) - 1), 0);
	ck_assert_str_eq(buf,
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.status\"}\n"
			 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"vm.status\"}\n");
	say("{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32010,\"message\":\"no "
	    "IC\"}}\n");
	ck_assert_int_eq(t.last_err, -EOPNOTSUPP);
	ck_assert_str_eq(t.last, "no IC");
	say("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
	ck_assert_int_eq(t.answers, 1);
	ck_assert_int_eq(t.closed, 0);
}
END_TEST

/* Ignored: the call is still there, and the connection. */
static const char *const ignored[] = {
	"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{}}\n",
};

START_TEST(answers_to_nothing_are_ignored)
{
	call(0);
	say(ignored[_i]);
	ck_assert_int_eq(t.answers + t.errors + t.closed, 0);
}
END_TEST

/* The call ends with an error: the answer is of no use. */
static const char *const useless[] = {
	"{\"jsonrpc\":\"2.0\",\"id\":1}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":7}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":7}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}\n",
};

START_TEST(useless_answers_are_errors)
{
	call(0);
	say(useless[_i]);
	ck_assert_int_eq(t.errors, 1);
	ck_assert_int_lt(t.last_err, 0);
	ck_assert_int_eq(t.closed, 0);
}
END_TEST

/* The end of the connection, and of every call. */
static const struct {
	const char *text;
	int error;
} broken[] = {
	{ "nonsense\n", -EBADMSG },
	{ "7\n", -EPROTO },
	{ "[]\n", -EPROTO },
	{ "{}\n", -EPROTO },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.list\"}\n", -EPROTO },
};

START_TEST(what_is_not_json_rpc_ends_it)
{
	call(0);
	call(60000);
	say(broken[_i].text);
	ck_assert_int_eq(t.errors, 2);
	ck_assert_int_eq(t.last_err, -ECONNRESET);
	ck_assert_int_eq(t.closed, 1);
	ck_assert_int_eq(t.error, broken[_i].error);
	ck_assert_int_eq(
		rpc_peer_call(t.peer, "x", json_object(), NULL, 0, 0, on_answer, NULL),
		-EPIPE);
	say("{\"jsonrpc\":\"2.0\",\"method\":\"more\"}\n");
	ck_assert_int_eq(t.notes, 0);
}
END_TEST

START_TEST(a_closed_connection_ends_calls)
{
	call(60000);
	shutdown(t.worker, SHUT_RDWR);
	turn();
	ck_assert_int_eq(t.errors, 1);
	ck_assert_int_eq(t.last_err, -ECONNRESET);
	ck_assert_int_eq(t.closed, 1);
}
END_TEST

START_TEST(a_deadline_ends_one_call)
{
	call(0);
	call(1);
	while (!t.errors)
		event_base_loop(t.base, EVLOOP_ONCE);
	ck_assert_int_eq(t.last_err, -ETIMEDOUT);
	/* Its answer comes too late; the other's does not. */
	say("{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n"
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
	ck_assert_int_eq(t.answers, 1);
	ck_assert_int_eq(t.errors, 1);
}
END_TEST

START_TEST(freeing_ends_calls)
{
	call(0);
	call(60000);
	rpc_peer_free(t.peer);
	t.peer = NULL;
	ck_assert_int_eq(t.errors, 2);
	ck_assert_int_eq(t.last_err, -ECONNABORTED);
	ck_assert_int_eq(t.closed, 0);
}
END_TEST

START_TEST(may_be_freed_in_a_callback)
{
	call(0);
	call(0);
	call(0);
	t.free_in_answer = true;
	say("{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n");
	ck_assert_int_eq(t.answers, 1);
	ck_assert_int_eq(t.errors, 2);
}
END_TEST

START_TEST(calls_are_bounded)
{
	for (unsigned int i = 0; i < RPC_PEER_CALLS_MAX; i++)
		call(0);
	ck_assert_int_eq(
		rpc_peer_call(t.peer, "x", json_object(), NULL, 0, 0, on_answer, NULL),
		-ENOBUFS);
	ck_assert_int_eq(t.errors, 0);
}
END_TEST

START_TEST(a_talker_is_held_back)
{
	static const char note[] = "{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n";
	char many[1000 * sizeof(note)] = "";
	size_t len = 0;

	for (int i = 0; i < 1000; i++) {
		memcpy(many + len, note, strlen(note));
		len += strlen(note);
	}
	ck_assert_int_eq(io_write_all(t.worker, many, len), 0);
	turn();
	ck_assert_int_eq(t.notes, 200);
	while (t.notes < 400) /* a second later it is heard again */
		event_base_loop(t.base, EVLOOP_ONCE);
	ck_assert_int_eq(t.closed, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rpc");
	TCase *c = tcase_create("peer");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, answers_find_their_call);
	tcase_add_loop_test(c, answers_to_nothing_are_ignored, 0, ARRAY_SIZE(ignored));
	tcase_add_loop_test(c, useless_answers_are_errors, 0, ARRAY_SIZE(useless));
	tcase_add_loop_test(c, what_is_not_json_rpc_ends_it, 0, ARRAY_SIZE(broken));
	tcase_add_test(c, a_closed_connection_ends_calls);
	tcase_add_test(c, a_deadline_ends_one_call);
	tcase_add_test(c, freeing_ends_calls);
	tcase_add_test(c, may_be_freed_in_a_callback);
	tcase_add_test(c, calls_are_bounded);
	tcase_add_test(c, a_talker_is_held_back);
	suite_add_tcase(s, c);
	return s;
}

TEST_MAIN(suite)
