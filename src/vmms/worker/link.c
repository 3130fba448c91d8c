/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a worker (docs/architecture.md), from vmms's side.
 *
 * While a worker starts, each answer leads to the next request: hello, setup (with the descriptors), start, status.
 * Any failure on the way ends it. Once it is up, a lost connection is made anew, first soon, then ever more
 * rarely; meanwhile the VM counts as Critical, but is left alone.
 */
#include "vmms/worker/worker_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/vm/meter.h"

#define HELLO_MS 10000
#define SETUP_MS 30000
#define START_MS 30000
#define STATUS_MS 10000
#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS 30000

static void retry_later(struct worker *w);

void link_close(struct worker *w)
{
	struct rpc_peer *peer = take_ptr(&w->peer);

	rpc_peer_free(peer);
}

/* ---- what the worker says of its VM ---- */

static void apply(struct worker *w, const json_t *status)
{
	int mask = vm_apply_status(w->vm, status);

	if (mask < 0)
		log_warning("%s: worker sent a status that is none: %s",
			    w->vm->config.name, strerror(-mask));
	else if (mask)
		vmms_changed(w->v, w->vm, mask);
}

static void on_notified(void *ctx, const char *method, const json_t *params)
{
	struct worker *w = ctx;

	if (strcmp(method, "vm.changed") == 0)
		apply(w, params);
	else if (strcmp(method, "vm.counters") == 0)
		meter_told(w->vm, params);
	else
		log_debug("%s: worker sent '%.64s', which is unknown here",
			  w->vm->config.name, method);
}

static void on_closed(void *ctx, int error)
{
	struct worker *w = ctx;

	link_close(w);
	if (w->end_reason[0])
		return; /* it is being ended */
	if (w->up)
		retry_later(w);
	else if (error == -EBADMSG || error == -EPROTO)
		worker_fail(w, error, "worker sent what is not JSON-RPC");
	else if (error == -EMSGSIZE)
		worker_fail(w, error, "worker sent a line that is too long");
	else
		worker_fail_soon(w, "worker closed its control socket while it started");
}

static const struct rpc_peer_ops link_ops = { .notified = on_notified,
					      .closed = on_closed };

/* ---- the chain of a start ---- */

/* A step that failed: by the end of the connection, of which the process's end says more, or by itself. */
static void step_failed(struct worker *w, const struct rpc_error *e)
{
	if (e->err == -ECONNRESET)
		return; /* on_closed() follows */
	if (e->err == -ECONNABORTED)
		return; /* it is being let go */
	worker_fail(w, e->err, "%s", e->message);
}

static void on_first_status(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct worker *w = arg;
	struct rpc_call *call = w->start_call;

	if (e) {
		step_failed(w, e);
		return;
	}
	worker_is_up(w);
	w->start_call = NULL;
	apply(w, result);
	if (call)
		rpc_call_reply(call, vm_summary(w->vm));
}

/* The next request of the chain. */
static void step(struct worker *w, const char *method, json_t *params, int *fds,
		 size_t nfds, unsigned int timeout_ms, rpc_peer_fn fn)
{
	int r = rpc_peer_call(w->peer, method, params, fds, nfds, timeout_ms, fn, w);

	if (r < 0)
		worker_fail(w, r, "worker cannot be told %s: %s", method, strerror(-r));
}

static void on_started(void *arg, const json_t *result, const struct rpc_error *e)
{
	if (e)
		step_failed(arg, e);
	else
		step(arg, "vm.status", NULL, NULL, 0, STATUS_MS, on_first_status);
}

static void on_set_up(void *arg, const json_t *result, const struct rpc_error *e)
{
	if (e)
		step_failed(arg, e);
	else
		step(arg, "vm.start", NULL, NULL, 0, START_MS, on_started);
}

static void send_setup(struct worker *w)
{
	struct resources *res = &w->res;
	json_t *config = config_to_json(&w->vm->config), *params;
	size_t n = res->fd_count;

	/* What was set since the start began waits for the next: the record says so. */
	json_object_update(config, w->vm->at_start);
	params = json_pack("{s:o, s:O}", "config", config, "fds", res->roles);
	if (!params) {
		worker_fail(w, -ENOMEM, "no memory");
		return;
	}
	if (res->parents)
		json_object_set(params, "parents", res->parents);
	res->fd_count = 0; /* they are the connection's from here */
	step(w, "worker.setup", params, res->fds, n, SETUP_MS, on_set_up);
	resources_done(res);
	w->have_res = false;
}

/* ---- hello ---- */

static bool hello_is_ours(const struct worker *w, const json_t *result)
{
	const char *id = json_string_value(json_object_get(result, "id"));

	return id && strcmp(id, w->vm->id_text) == 0;
}

/* A worker that an earlier vmms did not get as far as starting: nobody was told that it runs. */
static bool half_started(const json_t *hello)
{
	const char *state = json_string_value(
		json_object_get(json_object_get(hello, "status"), "state"));

	return !json_is_true(json_object_get(hello, "configured")) || !state ||
	       strcmp(state, "Off") == 0;
}

static void on_hello(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct worker *w = arg;

	if (e && !w->up) {
		step_failed(w, e);
	} else if (e) {
		if (e->err == -ECONNRESET || e->err == -ECONNABORTED)
			return;
		link_close(w);
		retry_later(w);
	} else if (!hello_is_ours(w, result)) {
		worker_fail(w, -EPROTO, "the worker says that it is another VM's");
	} else if (!w->up) {
		send_setup(w);
	} else if (half_started(result)) {
		worker_fail(w, -EPROTO, "its start was cut short by the end of vmms");
	} else {
		w->tries = 0;
		w->heard =
			true; /* one that is being ended instead is heard when it is gone */
		apply(w, json_object_get(result, "status"));
		if (w->adopted)
			disk_intent_settle(w->v, w->vm);
	}
}

static int connect_worker(struct worker *w, int *ret)
{
	cleanup_fd int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s/%s",
		 w->v->instance.run_fd, w->vm->id_text, RESOURCES_WORKER_SOCKET);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}

void link_open(struct worker *w)
{
	cleanup_fd int fd = -1;
	int r = connect_worker(w, &fd);

	if (r == 0)
		r = rpc_peer_new(w->v->base, fd, &link_ops, w, &w->peer);
	if (r == 0) {
		take_fd(&fd);
		r = rpc_peer_call(w->peer, "worker.hello", NULL, NULL, 0, HELLO_MS,
				  on_hello, w);
	}
	if (r == 0)
		return;
	link_close(w);
	if (w->up)
		retry_later(w);
	else
		worker_fail(w, r, "worker cannot be reached: %s", strerror(-r));
}

/* ---- again ---- */

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct vm *vm = w->vm;

	if (w->tries == 2) { /* the first time it may just have been ending */
		vm->health = VM_CRITICAL;
		snprintf(vm->reason, sizeof(vm->reason),
			 "its worker (pid %d) does not answer", (int)w->process.pid);
		vmms_changed(w->v, vm, VM_CHANGED_HEALTH);
	}
	link_open(w);
}

static void retry_later(struct worker *w)
{
	unsigned int ms = RETRY_FIRST_MS << MIN(w->tries, 8u);
	struct timeval t;

	ms = MIN(ms, (unsigned int)RETRY_MOST_MS);
	t = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	/* The first time it may just have been ending, and that is worth waiting for. */
	w->heard |= w->tries++ > 0;
	if (!w->retry_ev)
		w->retry_ev = event_new(w->v->base, -1, 0, on_retry, w);
	if (!w->retry_ev || event_add(w->retry_ev, &t) < 0)
		log_warning("%s: no memory to reach its worker again",
			    w->vm->config.name);
}
