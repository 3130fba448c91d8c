/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "rpc/frame.h"
#include "util/cleanup.h"
#include "util/io.h"

struct rpc_client {
	int fd;
	json_int_t next_id;
	struct frame_reader frame;
	json_t *kept; /* notifications that came during a call */
	size_t kept_first;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A point in time, or -1 for never. */
static int64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = deadline < 0 ? -1 : MAX(deadline - now_ms(), (int64_t)0);
		int n = poll(&p, 1, (int)MIN(left, (int64_t)INT32_MAX));

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int lost(int r, struct rpc_error *e)
{
	if (r == -ETIMEDOUT)
		return rpc_error_set(e, r, "no answer in time");
	if (r == -ECONNRESET || r == -EPIPE)
		return rpc_error_set(
			e, r, "the daemon closed the connection without an answer");
	if (r == -EPROTO)
		return rpc_error_set(e, r, "the daemon sent what is no answer");
	return rpc_error_set(e, r, "the connection failed: %s", strerror(-r));
}

int rpc_client_new(int fd, struct rpc_client **ret)
{
	struct rpc_client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->kept = json_array();
	if (!c->kept) {
		free(c);
		return -ENOMEM;
	}
	c->fd = fd;
	frame_init(&c->frame, RPC_CLIENT_LINE_MAX);
	*ret = c;
	return 0;
}

int rpc_client_connect(const char *path, struct rpc_client **ret, struct rpc_error *e)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int r;

	if (fd < 0)
		return rpc_error_set(e, -errno, "no socket: %s", strerror(errno));
	if (strlen(path) >= sizeof(a.sun_path))
		return rpc_error_set(e, -ENAMETOOLONG,
				     "%s: a socket's path has at most %zu bytes; use a "
				     "shorter one",
				     path, sizeof(a.sun_path) - 1);
	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		r = -errno;
		if (r == -ENOENT || r == -ECONNREFUSED)
			return rpc_error_set(
				e, r,
				"vmms does not run at %s; start it, or name its "
				"socket with --socket",
				path);
		if (r == -EACCES)
			return rpc_error_set(
				e, r,
				"%s: permission denied; be root or a member of "
				"its group",
				path);
		return rpc_error_set(e, r, "%s: %s", path, strerror(-r));
	}
	r = rpc_client_new(fd, ret);
	if (r < 0)
		return rpc_error_set(e, r, "no memory");
	take_fd(&fd);
	return 0;
}

void rpc_client_free(struct rpc_client *c)
{
	if (!c)
		return;
	close(c->fd);
	frame_done(&c->frame);
	json_decref(c->kept);
	free(c);
}

int rpc_client_fd(const struct rpc_client *c)
{
	return c->fd;
}

/* The next message of the server, whatever it is. */
static int receive(struct rpc_client *c, int64_t deadline, json_t **ret)
{
	char buf[16384], why[160], *line;
	size_t len;
	int r;

	for (;;) {
		ssize_t n;

		r = frame_next(&c->frame, &line, &len);
		if (r < 0)
			return r;
		if (r == 1)
			return frame_parse(line, len, ret, why, sizeof(why));
		r = wait_for(c->fd, POLLIN, deadline);
		if (r < 0)
			return r;
		n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		r = frame_append(&c->frame, buf, (size_t)n);
		if (r < 0)
			return r;
	}
}

static int send_all(struct rpc_client *c, const char *line, size_t len, int64_t deadline)
{
	while (len) {
		ssize_t n = send(c->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r;

		if (n < 0 && errno == EAGAIN) {
			r = wait_for(c->fd, POLLOUT, deadline);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			line += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int send_request(struct rpc_client *c, const char *method, json_t *params,
			int64_t deadline)
{
	json_t *m = json_pack("{s:s, s:I, s:s}", "jsonrpc", "2.0", "id", ++c->next_id,
			      "method", method);
	cleanup_free char *line = NULL;
	size_t len;

	if (params && json_object_set_new(m, "params", params) < 0) {
		json_decref(m);
		return -ENOMEM;
	}
	line = m ? frame_format(m, &len) : NULL;
	json_decref(m);
	return line ? send_all(c, line, len, deadline) : -ENOMEM;
}

/* Whether a message is the answer; one with a null id is a complaint about the connection as a whole. */
static bool is_answer(const struct rpc_client *c, const json_t *m)
{
	const json_t *id = json_object_get(m, "id");

	if (json_object_get(m, "method"))
		return false;
	return json_is_null(id) ||
	       (json_is_integer(id) && json_integer_value(id) == c->next_id);
}

static int keep(struct rpc_client *c, json_t *m)
{
	/* Neither a notification nor an answer to anything: waiting for better would be waiting for ever. */
	if (!json_object_get(m, "method") && !json_object_get(m, "id"))
		return -EPROTO;
	if (!json_object_get(m, "method"))
		return 0; /* the late answer to a call that was given up */
	if (json_array_size(c->kept) - c->kept_first >= RPC_CLIENT_KEEP)
		return -ENOBUFS;
	return json_array_append(c->kept, m) < 0 ? -ENOMEM : 0;
}

static int open_answer(const json_t *m, json_t **ret_result, struct rpc_error *e)
{
	struct rpc_error said;
	json_t *error = json_object_get(m, "error"),
	       *result = json_object_get(m, "result");

	if (error) {
		rpc_error_from_json(error, &said);
		if (e)
			*e = said;
		return said.err;
	}
	if (!result)
		return rpc_error_set(e, -EPROTO,
				     "the daemon's answer has neither result nor error");
	if (ret_result)
		*ret_result = json_incref(result);
	return 0;
}

int rpc_client_call(struct rpc_client *c, const char *method, json_t *params,
		    int timeout_ms, json_t **ret_result, struct rpc_error *e)
{
	int64_t deadline = deadline_of(timeout_ms);
	json_t *m = NULL;
	int r = send_request(c, method, params, deadline);

	/* Who was refused at the door finds the reason in what was sent before the door closed. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return lost(r, e);
	for (;;) {
		r = receive(c, deadline, &m);
		if (r < 0)
			return lost(r, e);
		if (is_answer(c, m))
			break;
		r = keep(c, m);
		json_decref(m);
		if (r < 0)
			return lost(r, e);
	}
	r = open_answer(m, ret_result, e);
	json_decref(m);
	return r;
}

int rpc_client_next(struct rpc_client *c, int timeout_ms, json_t **ret,
		    struct rpc_error *e)
{
	int64_t deadline = deadline_of(timeout_ms);

	if (c->kept_first < json_array_size(c->kept)) {
		*ret = json_incref(json_array_get(c->kept, c->kept_first++));
		if (c->kept_first == json_array_size(c->kept)) {
			json_array_clear(c->kept);
			c->kept_first = 0;
		}
		return 0;
	}
	for (;;) {
		json_t *m;
		int r = receive(c, deadline, &m);

		if (r < 0)
			return lost(r, e);
		if (json_object_get(m, "method")) {
			*ret = m;
			return 0;
		}
		json_decref(m);
	}
}
