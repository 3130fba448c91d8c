/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmvhd/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "sandbox/sandbox.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmvhd/ops.h"

#define LINE_MAX_BYTES (1u << 20)
#define TELL_MS 100

/* ---- to vmms ---- */

/* Takes `message`. A vmms that is gone is the reader's affair. */
static void send_message(struct session *s, json_t *message)
{
	cleanup_free char *line = NULL;
	size_t len = 0;

	line = message ? frame_format(message, &len) : NULL;
	json_decref(message);
	pthread_mutex_lock(&s->lock);
	if (!line || io_write_all(s->sock, line, len) < 0)
		_exit(EXIT_FAILURE); /* half a line is of no use to anybody */
	pthread_mutex_unlock(&s->lock);
}

static void notify(struct session *s, const char *method, json_t *params)
{
	send_message(s, json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method,
				  "params", params));
}

static void answer(struct session *s, json_t *id, json_t *result)
{
	send_message(s, json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result",
				  result));
}

static void answer_error(struct session *s, json_t *id, const struct rpc_error *e)
{
	send_message(s, json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "error",
				  rpc_error_to_json(e)));
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool session_step(void *session, uint64_t done, uint64_t total)
{
	struct session *s = session;
	uint64_t now = now_ms();

	if (now - s->told_ms >= TELL_MS || done == total) {
		s->told_ms = now;
		notify(s, "progress",
		       json_pack("{s:I, s:I}", "done", (json_int_t)done, "total",
				 (json_int_t)total));
	}
	return !atomic_load(&s->cancelled);
}

/* ---- parents ---- */

static json_t *names_of(const struct image_parent *parent)
{
	json_t *names = json_array();

	for (unsigned int i = 0; i < parent->path_n; i++)
		json_array_append_new(names, json_string(parent->paths[i]));
	return names;
}

int session_ask_parent(struct session *s, unsigned int child,
		       const struct image_parent *names, unsigned int *ret,
		       struct rpc_error *e)
{
	struct session_file file;

	if (s->file_count >= SESSION_FILES_MAX)
		return rpc_error_set(e, -ENOBUFS, "%s: its chain is too long",
				     s->files[child].path);
	pthread_mutex_lock(&s->lock);
	s->parent_wanted = true;
	s->parent_came = false;
	pthread_mutex_unlock(&s->lock);
	notify(s, "parent",
	       json_pack("{s:i, s:o}", "file", (int)child, "names", names_of(names)));
	pthread_mutex_lock(&s->lock);
	while (!s->parent_came)
		pthread_cond_wait(&s->changed, &s->lock);
	file = s->parent;
	s->parent = (struct session_file){ .fd = -1 };
	pthread_mutex_unlock(&s->lock);
	if (!file.path)
		return rpc_error_set(e, -ENOKEY, "%s", s->parent_error);
	s->files[s->file_count] = file;
	*ret = s->file_count++;
	return 0;
}

/* ---- from vmms ---- */

/* What the reader has, until the operation has begun. owner: the reader */
struct reader {
	struct session *s;
	struct frame_reader frame;
	int fds[IO_FDS_MAX + 1];
	size_t nfds;
	pthread_t thread;
	bool begun;
};

/* The oldest descriptor that no line has taken. -1: there is none. */
static int take_received(struct reader *r)
{
	int fd;

	if (!r->nfds)
		return -1;
	fd = r->fds[0];
	memmove(r->fds, r->fds + 1, --r->nfds * sizeof(*r->fds));
	return fd;
}

static void *operate(void *arg)
{
	struct session *s = arg;
	struct rpc_error e = { 0 };
	json_t *result = NULL;
	int r;

	sandbox_thread(SANDBOX_VSP);
	r = ops_run(s, &result, &e);

	if (r < 0)
		answer_error(s, s->id, &e);
	else
		answer(s, s->id, result);
	return NULL;
}

/* The one operation. Its files are `files` and the descriptors that came with it. */
static int begin(struct reader *r, const struct rpc_method *m, json_t *id, json_t *params)
{
	const json_t *paths = json_object_get(params, "files");
	struct session *s = r->s;

	if (r->begun || json_array_size(paths) >= SESSION_FILES_MAX)
		return -EPROTO;
	for (size_t i = 0; i < json_array_size(paths); i++) {
		const char *path = json_string_value(json_array_get(paths, i));
		struct session_file *f = &s->files[s->file_count];

		f->fd = take_received(r);
		f->path = path ? strdup(path) : NULL;
		s->file_count++;
		if (f->fd < 0 || !f->path)
			return -EPROTO;
	}
	s->method = m;
	s->id = json_incref(id);
	s->params = json_incref(params);
	r->begun = true;
	return -pthread_create(&r->thread, NULL, operate, s);
}

static int take_parent(struct reader *r, const json_t *params)
{
	const char *path = json_string_value(json_object_get(params, "path"));
	const char *error = json_string_value(json_object_get(params, "error"));
	struct session *s = r->s;
	int fd = -1;

	if (path) {
		fd = take_received(r);
		if (fd < 0)
			return -EPROTO;
	}
	pthread_mutex_lock(&s->lock);
	if (!s->parent_wanted || s->parent_came) {
		pthread_mutex_unlock(&s->lock);
		if (fd >= 0)
			close(fd);
		return -EPROTO;
	}
	s->parent = (struct session_file){ .fd = fd, .path = path ? strdup(path) : NULL };
	snprintf(s->parent_error, sizeof(s->parent_error), "%s",
		 error ? error : "vmms gave no parent");
	s->parent_came = true;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int handle(struct reader *r, json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "method"));
	const struct rpc_method *m =
		name ? rpc_method_find(&rpc_vhd_methods, name) : NULL;
	json_t *id = json_object_get(line, "id"), *params = NULL;
	struct rpc_error e;
	int n;

	if (!m || !id)
		return -EPROTO;
	n = rpc_params_check(m, json_object_get(line, "params"), &params, &e);
	if (n < 0) {
		answer_error(r->s, id, &e);
		return 0;
	}
	if (strcmp(name, "cancel") == 0)
		atomic_store(&r->s->cancelled, true);
	else if (strcmp(name, "parent") == 0)
		n = take_parent(r, params);
	else
		n = begin(r, m, id, params);
	if (n == 0 && (strcmp(name, "cancel") == 0 || strcmp(name, "parent") == 0))
		answer(r->s, id, json_object());
	json_decref(params);
	return n;
}

static int handle_lines(struct reader *r)
{
	char *text, why[160];
	size_t len;
	json_t *line;
	int n;

	while ((n = frame_next(&r->frame, &text, &len)) == 1) {
		n = frame_parse(text, len, &line, why, sizeof(why));
		if (n < 0)
			return n;
		n = handle(r, line);
		json_decref(line);
		if (n < 0)
			return n;
	}
	return n;
}

/* Until vmms closes the socket (0), or says what it should not. */
static int read_all(struct reader *r)
{
	char buf[16384];

	for (;;) {
		size_t got = 0;
		ssize_t n = io_recv_fds(r->s->sock, buf, sizeof(buf), r->fds + r->nfds,
					ARRAY_SIZE(r->fds) - r->nfds, &got);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n == -ECONNRESET ? 0 : (int)n;
		r->nfds += got;
		n = frame_append(&r->frame, buf, (size_t)n);
		if (n == 0)
			n = handle_lines(r);
		if (n < 0)
			return (int)n;
	}
}

static void session_done(struct session *s)
{
	for (unsigned int i = 0; i < s->file_count; i++) {
		if (s->files[i].fd >= 0)
			close(s->files[i].fd);
		free(s->files[i].path);
	}
	json_decref(s->id);
	json_decref(s->params);
	close(s->sock);
}

int session_run(int sock)
{
	static struct session s;
	struct reader r = { .s = &s };
	int n;

	s.sock = sock;
	s.parent.fd = -1;
	pthread_mutex_init(&s.lock, NULL);
	pthread_cond_init(&s.changed, NULL);
	frame_init(&r.frame, LINE_MAX_BYTES);
	n = read_all(&r);
	/*
	 * vmms is gone, or wants no more. What the operation would yet do nobody would hear of, and images are safe from being cut off at any
	 * point: the process ends here, unless the operation is over.
	 */
	if (r.begun && pthread_tryjoin_np(r.thread, NULL) != 0)
		_exit(EXIT_FAILURE);
	frame_done(&r.frame);
	session_done(&s);
	return n < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- params ---- */

const char *session_string(const struct session *s, const char *name)
{
	return json_string_value(json_object_get(s->params, name));
}

uint64_t session_number(const struct session *s, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(s->params, name));

	return n > 0 ? (uint64_t)n : 0;
}

bool session_bool(const struct session *s, const char *name)
{
	return json_is_true(json_object_get(s->params, name));
}
