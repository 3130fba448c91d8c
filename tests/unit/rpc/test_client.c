/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "unit/test.h"
#include "util/io.h"

/* The daemon's end of the socket is the test's, which says in advance what the client will read. */
static struct rpc_client *client;
static int daemon_fd;

static void setup(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_int_eq(rpc_client_new(sv[0], &client), 0);
	daemon_fd = sv[1];
}

static void teardown(void)
{
	rpc_client_free(client);
	if (daemon_fd >= 0)
		close(daemon_fd);
}

static void say(const char *text)
{
	ck_assert_int_eq(io_write_all(daemon_fd, text, strlen(text)), 0);
}

#define ANSWER "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":7}}\n"
#define EVENT(n) "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":" n "}}\n"

START_TEST(calls)
{
	struct rpc_error e;
	char buf[200] = "";
	json_t *result;

	say(ANSWER);
	ck_assert_int_eq(rpc_client_call(client, "vm.show", json_pack("{s:s}", "vm", "x"),
					 1000, &result, &e),
			 0);
	ck_assert_int_eq(json_integer_value(json_object_get(result, "a")), 7);
	json_decref(result);
	ck_assert_int_gt(read(daemon_fd, buf, sizeof(buf) - 1), 0);
	ck_assert_str_eq(buf, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.show\","
			      "\"params\":{\"vm\":\"x\"}}\n");
}
END_TEST

/* `says` ends the connection when it has no newline at its end. */
static const struct {
	const char *says;
	int r;
	const char *message;
} rows[] = {
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32001,\"message\":\"no "
	  "VM\"}}\n",
	  -ENOENT, "no VM" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32003,\"message\":\"may "
	  "not\"}}\n",
	  -EACCES, "may not" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1}\n", -EPROTO, "neither result nor error" },
	{ "[]\n", -EPROTO, "what is no answer" },
	{ "{}\n", -EPROTO, "what is no answer" },
	{ "7\n", -EPROTO, "what is no answer" },
	{ "not json\n", -EBADMSG, "the connection failed" },
	{ "", -ECONNRESET, "closed the connection" },
	{ "{\"jsonrpc\"", -ECONNRESET, "closed the connection" },
};

START_TEST(failures)
{
	struct rpc_error e = { 0 };
	size_t len = strlen(rows[_i].says);
	json_t *result = NULL;

	say(rows[_i].says);
	if (!len || rows[_i].says[len - 1] != '\n')
		shutdown(daemon_fd, SHUT_WR);
	ck_assert_int_eq(rpc_client_call(client, "vm.list", NULL, 1000, &result, &e),
			 rows[_i].r);
	ck_assert_msg(strstr(e.message, rows[_i].message), "%s", e.message);
	ck_assert_ptr_null(result);
}
END_TEST

START_TEST(gives_up_in_time)
{
	struct rpc_error e;

	ck_assert_int_eq(rpc_client_call(client, "vm.list", NULL, 10, NULL, &e),
			 -ETIMEDOUT);
	ck_assert_int_eq(e.code, RPC_TIMEOUT);
	/* The answer to what was given up is not taken for the next one's. */
	say(ANSWER "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n");
	ck_assert_int_eq(rpc_client_call(client, "vm.list", NULL, 1000, NULL, &e), 0);
}
END_TEST

START_TEST(says_why_the_door_is_closed)
{
	struct rpc_error e;

	/* The daemon refused and closed before the client had said anything. */
	say("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32003,\"message\":"
	    "\"may not\"}}\n");
	close(daemon_fd);
	daemon_fd = -1;
	ck_assert_int_eq(rpc_client_call(client, "vm.list", NULL, 1000, NULL, &e),
			 -EACCES);
	ck_assert_str_eq(e.message, "may not");
}
END_TEST

START_TEST(keeps_notifications_in_order)
{
	struct rpc_error e;
	json_t *n;

	say(EVENT("1") EVENT("2") ANSWER EVENT("3"));
	ck_assert_int_eq(
		rpc_client_call(client, "events.subscribe", NULL, 1000, NULL, &e), 0);
	for (int i = 1; i <= 3; i++) {
		ck_assert_int_eq(rpc_client_next(client, 1000, &n, &e), 0);
		ck_assert_int_eq(json_integer_value(json_object_get(
					 json_object_get(n, "params"), "seq")),
				 i);
		json_decref(n);
	}
	ck_assert_int_eq(rpc_client_next(client, 0, &n, &e), -ETIMEDOUT);
	say(EVENT("4"));
	ck_assert_int_eq(rpc_client_next(client, 1000, &n, &e), 0);
	json_decref(n);
	close(daemon_fd);
	daemon_fd = -1;
	ck_assert_int_eq(rpc_client_next(client, 1000, &n, &e), -ECONNRESET);
}
END_TEST

START_TEST(nobody_there)
{
	struct rpc_error e;
	struct rpc_client *c;
	char longest[300];

	ck_assert_int_eq(rpc_client_connect("/nonexistent/vmms.sock", &c, &e), -ENOENT);
	ck_assert_ptr_nonnull(
		strstr(e.message, "vmms does not run at /nonexistent/vmms.sock"));
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	ck_assert_int_eq(rpc_client_connect(longest, &c, &e), -ENAMETOOLONG);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rpc");
	TCase *c = tcase_create("client");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, calls);
	tcase_add_loop_test(c, failures, 0, ARRAY_SIZE(rows));
	tcase_add_test(c, gives_up_in_time);
	tcase_add_test(c, says_why_the_door_is_closed);
	tcase_add_test(c, keeps_notifications_in_order);
	tcase_add_test(c, nobody_there);
	suite_add_tcase(s, c);
	return s;
}

TEST_MAIN(suite)
