/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "unit/test.h"
#include "util/io.h"

/* A server with methods of its own: "echo" answers at once, "later" when the test says so, "fds" with what came. */
static const struct rpc_field any[] = {
	{ "text", RPC_STRING, .description = "t" },
	{ "fds", RPC_ARRAY, .description = "roles" },
	{ NULL },
};
static const int none[] = { 0 };
static const struct rpc_method table[] = {
	{ "echo", "E.", RPC_RIGHT_VIEW, any, any, none },
	{ "later", "L.", RPC_RIGHT_VIEW, any, any, none },
	{ "fds", "F.", RPC_RIGHT_ADMIN, any, any, none },
	{ "unserved", "U.", RPC_RIGHT_VIEW, any, any, none },
	{ "rpc.discover", "D.", RPC_RIGHT_VIEW, any, any, none },
};
static const struct rpc_methods methods = { "test", "d", table, ARRAY_SIZE(table) };

static struct {
	struct event_base *base;
	struct rpc_server *server;
	char dir[64];
	int client;
	char buf[1 << 20];
	size_t len;
	struct rpc_call *kept[300];
	int kept_count, gone;
	int fd;
} t;

static void echo(struct rpc_call *c, void *ctx)
{
	ck_assert_ptr_eq(ctx, &t);
	rpc_call_reply(c, json_incref(rpc_call_params(c)));
}

static void on_gone(struct rpc_call *c, void *arg)
{
	t.gone++;
	rpc_call_fail(c, -ECONNABORTED, "nobody reads this");
}

static void later(struct rpc_call *c, void *ctx)
{
	t.kept[t.kept_count++] = c;
	if (rpc_call_string(c, "text"))
		rpc_call_on_gone(c, on_gone, NULL);
}

static void fds(struct rpc_call *c, void *ctx)
{
	int fd = rpc_call_take_fd(c, "second");

	ck_assert_int_eq(rpc_call_take_fd(c, "nobody"), -1);
	t.fd = fd;
	rpc_call_reply(c, json_pack("{s:b}", "ok", fd >= 0));
}

static const struct rpc_handler handlers[] = {
	{ "echo", echo },
	{ "later", later },
	{ "fds", fds },
};

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", t.dir);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void setup_with(size_t conns_max, size_t pending_max)
{
	const struct rpc_server_config config = {
		.methods = &methods,
		.handlers = handlers,
		.handler_count = ARRAY_SIZE(handlers),
		.ctx = &t,
		.limits = { .line_max = 65536, .out_max = 1 << 20, .fds_max = 8 },
		.conns_max = conns_max,
		.pending_max = pending_max,
	};
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(&t, 0, sizeof(t));
	t.fd = -1;
	strcpy(t.dir, "/tmp/test_rpc.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t.dir));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", t.dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 300), 0);
	t.base = event_base_new();
	ck_assert_int_eq(rpc_server_new(t.base, fd, &config, &t.server), 0);
	t.client = dial();
}

static void setup(void)
{
	setup_with(0, 0);
}

static void teardown(void)
{
	char path[96];

	close(t.client);
	rpc_server_free(t.server);
	event_base_free(t.base);
	snprintf(path, sizeof(path), "%s/s", t.dir);
	unlink(path);
	rmdir(t.dir);
}

static void turn(void)
{
	for (int i = 0; i < 100; i++)
		event_base_loop(t.base, EVLOOP_NONBLOCK);
}

/* Sends, and gives all that comes back. */
static const char *ask(const char *text)
{
	ssize_t n;

	t.len = 0;
	ck_assert_int_eq(io_write_all(t.client, text, strlen(text)), 0);
	turn();
	while ((n = read(t.client, t.buf + t.len, sizeof(t.buf) - 1 - t.len)) > 0) {
		t.len += (size_t)n;
		turn();
	}
	t.buf[t.len] = 0;
	return t.buf;
}

#define REQ(id, method) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"}"
#define NOTE(method) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\"}"

/* From the specification's examples (JSON-RPC 2.0, 7), and what it leaves open. `code` 0: a result. */
static const struct {
	const char *in;
	const char *id; /* NULL: no answer at all */
	int code;
} rows[] = {
	{ "{\"jsonrpc\":\"2.0\",\"method\":\"foobar,\"params\":\"bar\",\"baz]\n", "null",
	  RPC_PARSE_ERROR },
	{ "\n", "null", RPC_PARSE_ERROR },
	{ "{}\n", "null", RPC_INVALID_REQUEST },
	{ "null\n", "null", RPC_INVALID_REQUEST },
	{ "[]\n", "null", RPC_INVALID_REQUEST },
	{ "{\"jsonrpc\":\"2.0\",\"method\":1,\"params\":\"bar\"}\n", "null",
	  RPC_INVALID_REQUEST },
	{ "{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"echo\"}\n", "null",
	  RPC_INVALID_REQUEST },
	{ "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"echo\"}\n", "null",
	  RPC_INVALID_REQUEST },
	{ REQ("\"1\"", "foobar") "\n", "\"1\"", RPC_METHOD_NOT_FOUND },
	{ REQ("1.5", "unserved") "\n", "1.5", RPC_METHOD_NOT_FOUND },
	{ "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"echo\",\"params\":{\"x\":1}}\n",
	  "9", RPC_INVALID_PARAMS },
	{ "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"echo\",\"params\":null}\n", "9",
	  RPC_INVALID_PARAMS },
	{ NOTE("foobar") "\n", NULL, 0 },
	{ NOTE("echo") "\n", NULL, 0 },
	{ "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":7}\n", NULL, 0 },
	{ "[" NOTE("echo") "," NOTE("no") "]\n", NULL, 0 },
	{ REQ("null", "echo") "\n", "null", 0 },
	{ REQ("-7", "echo") "\n", "-7", 0 },
	{ REQ("\"\"", "rpc.discover") "\n", "\"\"", 0 },
};

START_TEST(answers_by_the_specification)
{
	const char *said = ask(rows[_i].in);
	json_t *m = json_loads(said, 0, NULL), *e = json_object_get(m, "error"), *id;

	if (!rows[_i].id) {
		ck_assert_str_eq(said, "");
		return;
	}
	ck_assert_ptr_nonnull(m);
	ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
	id = json_loads(rows[_i].id, JSON_DECODE_ANY, NULL);
	ck_assert(json_equal(json_object_get(m, "id"), id));
	ck_assert_int_eq(json_integer_value(json_object_get(e, "code")), rows[_i].code);
	ck_assert_int_eq(!e, !!json_object_get(m, "result"));
	ck_assert_str_eq(json_string_value(json_object_get(m, "jsonrpc")), "2.0");
	json_decref(m);
	json_decref(id);
}
END_TEST

START_TEST(a_batch_is_one_array)
{
	json_t *a = json_loads(ask("[" REQ("1", "echo") "," NOTE("echo") ",7," REQ(
				       "2", "later") "," REQ("3", "no") "]\n"),
			       0, NULL);

	ck_assert_ptr_null(a); /* it waits for the last */
	rpc_call_reply(t.kept[0], json_pack("{s:s}", "text", "at last"));
	a = json_loads(ask(""), 0, NULL);
	ck_assert_uint_eq(json_array_size(a), 4);
	json_decref(a);
}
END_TEST

START_TEST(a_batch_has_a_bound)
{
	char text[RPC_BATCH_MAX * 2 + 8] = "[0";

	for (size_t i = 0; i < RPC_BATCH_MAX; i++)
		strcat(text, ",0");
	strcat(text, "]\n");
	ck_assert_ptr_nonnull(strstr(ask(text), "a batch holds 1 to 256 requests"));
}
END_TEST

START_TEST(later_answers_come_in_any_order)
{
	ck_assert_str_eq(ask(REQ("1", "later") "\n" REQ("2", "later") "\n"), "");
	rpc_call_reply(t.kept[1], json_object());
	ck_assert_str_eq(ask(""), "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n");
	rpc_call_fail(t.kept[0], -EBUSY, "not %s", "now");
	ck_assert_ptr_nonnull(strstr(ask(""), "\"message\":\"not now\""));
}
END_TEST

START_TEST(no_memory_for_a_result_is_an_error)
{
	ask(REQ("1", "later") "\n");
	rpc_call_reply(t.kept[0], NULL);
	ck_assert_ptr_nonnull(strstr(ask(""), "no memory for the answer"));
}
END_TEST

START_TEST(a_client_that_leaves_is_told_to_the_call)
{
	ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"later\",\"params\":{\"text\":"
	    "\"x\"}}\n"
	    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"later\"}\n"
	    "[{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"later\",\"params\":{\"text\":"
	    "\"y\"}}]\n");
	ck_assert_int_eq(t.kept_count, 3);
	shutdown(t.client, SHUT_RDWR);
	turn();
	ck_assert_int_eq(t.gone, 2);
	ck_assert_uint_eq(rpc_server_connections(t.server), 0);
	ck_assert_ptr_null(rpc_call_session(t.kept[1]));
	rpc_call_reply(t.kept[1], json_object()); /* goes nowhere */
}
END_TEST

START_TEST(calls_outlive_the_server)
{
	ask(REQ("1", "later") "\n[" REQ("2", "later") "]\n");
	rpc_server_free(t.server);
	t.server = NULL;
	rpc_call_reply(t.kept[0], json_object());
	rpc_call_fail(t.kept[1], -EIO, "x");
}
END_TEST

START_TEST(pending_calls_are_bounded)
{
	char line[64];

	teardown();
	setup_with(0, 4);
	for (int i = 0; i < 10; i++) {
		snprintf(line, sizeof(line), REQ("%d", "later") "\n", i);
		ask(line);
	}
	ck_assert_int_eq(t.kept_count, 4);
	/* Others are not held up by it. */
	close(t.client);
	t.client = dial();
	ck_assert_ptr_nonnull(strstr(ask(REQ("1", "echo") "\n"), "result"));
	for (int i = 0; i < 4; i++)
		rpc_call_reply(t.kept[i], json_object());
}
END_TEST

START_TEST(goes_on_once_calls_are_answered)
{
	teardown();
	setup_with(0, 2);
	ask(REQ("1", "later") "\n" REQ("2", "later") "\n" REQ("3", "later") "\n");
	ck_assert_int_eq(t.kept_count, 2);
	rpc_call_reply(t.kept[0], json_object());
	ask("");
	ck_assert_int_eq(t.kept_count, 3);
	rpc_call_reply(t.kept[1], json_object());
	rpc_call_reply(t.kept[2], json_object());
}
END_TEST

START_TEST(connections_are_bounded)
{
	int more;
	char buf[512] = "";

	teardown();
	setup_with(1, 0);
	ask(REQ("1", "echo") "\n");
	more = dial();
	turn();
	ck_assert_int_gt(read(more, buf, sizeof(buf) - 1), 0);
	ck_assert_ptr_nonnull(strstr(buf, "too many connections"));
	ck_assert_int_eq(read(more, buf, sizeof(buf)), 0);
	close(more);
	ck_assert_ptr_nonnull(strstr(ask(REQ("1", "echo") "\n"), "result"));
}
END_TEST

START_TEST(a_line_too_long_is_named)
{
	char *big = malloc(70000);

	memset(big, ' ', 70000);
	big[69999] = 0;
	ck_assert_ptr_nonnull(strstr(ask(big), "larger than the limit"));
	ck_assert_int_eq(read(t.client, t.buf, 1), 0);
	free(big);
}
END_TEST

START_TEST(an_unread_client_is_not_read_from)
{
	static const char line[] = REQ("1", "rpc.discover") "\n";
	size_t sent = 0;

	for (int i = 0; i < 100000; i++) {
		ssize_t n = write(t.client, line, strlen(line));

		if (n < 0)
			break;
		sent += (size_t)n;
		event_base_loop(t.base, EVLOOP_NONBLOCK);
	}
	ck_assert_uint_lt(sent, 4 << 20);
	ck_assert_uint_eq(rpc_server_connections(t.server), 1);
}
END_TEST

START_TEST(subscribers_get_notifications)
{
	json_t *params = json_pack("{s:i}", "n", 1);

	ask(REQ("1", "later") "\n");
	rpc_server_notify(t.server, "event", params);
	ck_assert_str_eq(ask(""), "");
	rpc_session_subscribe(rpc_call_session(t.kept[0]));
	ck_assert(rpc_session_subscribed(rpc_call_session(t.kept[0])));
	ck_assert_int_eq(rpc_session_pid(rpc_call_session(t.kept[0])), getpid());
	ck_assert_uint_eq(rpc_session_uid(rpc_call_session(t.kept[0])), getuid());
	rpc_server_notify(t.server, "event", params);
	ck_assert_str_eq(
		ask(""),
		"{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"n\":1}}\n");
	/* One who does not read is let go, without harm to others. */
	for (int i = 0; i < 100000; i++)
		rpc_server_notify(t.server, "event", params);
	turn();
	ck_assert_uint_eq(rpc_server_connections(t.server), 0);
	rpc_call_reply(t.kept[0], json_object());
	json_decref(params);
}
END_TEST

/* ---- descriptors ---- */

static const char *send_fds(const char *text, int *pipe_fds, size_t n)
{
	ck_assert_int_eq(io_send_fds(t.client, text, strlen(text), pipe_fds, n),
			 (ssize_t)strlen(text));
	return ask("");
}

START_TEST(descriptors_by_role)
{
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ck_assert_ptr_nonnull(strstr(send_fds("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
					      "\"fds\",\"params\":{\"fds\":"
					      "[\"first\",\"second\"]}}\n",
					      p, 2),
				     "\"ok\":true"));
	ck_assert_int_eq(write(t.fd, "x", 1), 1);
	close(t.fd);
	close(p[1]);
	/* The one that the handler did not take is closed too: the pipe's reader was the last end but ours. */
	close(p[0]);
}
END_TEST

static const struct {
	const char *params, *message;
} bad_fds[] = {
	{ "{\"fds\":[\"second\",\"b\",\"c\"]}", "names 3 descriptors, but fewer came" },
	{ "{\"fds\":[7]}", "'fds' must hold strings" },
	{ "{\"fds\":{}}", "must be of type array" },
	{ "{}", "\"ok\":false" },
};

START_TEST(descriptors_that_do_not_fit)
{
	size_t before = 0, after = 0;
	char text[200];
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ask("");
	for (int fd = 0; fd < 512; fd++)
		before += fcntl(fd, F_GETFD) >= 0;
	snprintf(text, sizeof(text),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"fds\",\"params\":%s}\n",
		 bad_fds[_i].params);
	ck_assert_ptr_nonnull(strstr(send_fds(text, p, 2), bad_fds[_i].message));
	for (int fd = 0; fd < 512; fd++)
		after += fcntl(fd, F_GETFD) >= 0;
	ck_assert_uint_eq(after, before);
	close(p[0]);
	close(p[1]);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rpc");
	TCase *c = tcase_create("server");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, answers_by_the_specification, 0, ARRAY_SIZE(rows));
	tcase_add_test(c, a_batch_is_one_array);
	tcase_add_test(c, a_batch_has_a_bound);
	tcase_add_test(c, later_answers_come_in_any_order);
	tcase_add_test(c, no_memory_for_a_result_is_an_error);
	tcase_add_test(c, a_client_that_leaves_is_told_to_the_call);
	tcase_add_test(c, calls_outlive_the_server);
	tcase_add_test(c, pending_calls_are_bounded);
	tcase_add_test(c, goes_on_once_calls_are_answered);
	tcase_add_test(c, connections_are_bounded);
	tcase_add_test(c, a_line_too_long_is_named);
	tcase_add_test(c, an_unread_client_is_not_read_from);
	tcase_add_test(c, subscribers_get_notifications);
	tcase_add_test(c, descriptors_by_role);
	tcase_add_loop_test(c, descriptors_that_do_not_fit, 0, ARRAY_SIZE(bad_fds));
	suite_add_tcase(s, c);
	return s;
}

TEST_MAIN(suite)
