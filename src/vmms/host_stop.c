/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.stop_vms: each VM that has a worker is stopped as its automatic.stop says, all at the same time, and each within its time; then the
 * calls that asked for it are answered. Which VMs ran is on disk before the first is stopped, for the next boot.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "vmms/vm/automatic.h"
#include "vmms/vmms.h"
#include "vmms/worker/worker.h"

#define ASK_MS 10000
#define CALLS_MAX 8

/* One VM. */
struct stop {
	struct list link;
	struct vm *
		vm; /* outlives it: only a VM that is Off is deleted, and then this is gone */
	struct host_stop *all;
	struct event *late;
	bool turned_off;
};

/* owner: the event loop */
struct host_stop {
	struct vmms *v;
	struct list stops;
	json_t *done; /* what is answered */
	struct rpc_call *calls[CALLS_MAX];
	size_t call_count;
	bool beginning;
};

static void stop_free(struct stop *s)
{
	list_del(&s->link);
	if (s->late)
		event_free(s->late);
	free(s);
}

static void answer(struct host_stop *h)
{
	struct vmms *v = h->v;

	v->stop = NULL;
	for (size_t i = 0; i < h->call_count; i++)
		rpc_call_reply(h->calls[i], json_pack("{s:O}", "vms", h->done));
	log_info("stopped for the host's shutdown: %zu VMs", json_array_size(h->done));
	json_decref(h->done);
	free(h);
	automatic_resume(v);
}

static struct stop *find(const struct host_stop *h, const struct vm *vm)
{
	struct stop *s;

	list_for_each (s, &h->stops, link) {
		if (s->vm == vm)
			return s;
	}
	return NULL;
}

void host_stop_changed(struct vmms *v, struct vm *vm)
{
	struct stop *s = v->stop && vm->state == VM_OFF ? find(v->stop, vm) : NULL;

	if (!s)
		return;
	json_array_append_new(v->stop->done,
			      json_pack("{s:s, s:s, s:s}", "id", vm->id_text, "name",
					vm->config.name, "how",
					s->turned_off ? "turned_off" : "shutdown"));
	stop_free(s);
	if (list_empty(&v->stop->stops) && !v->stop->beginning)
		answer(v->stop);
}

static void turn_off(struct stop *s)
{
	if (s->turned_off)
		return;
	s->turned_off = true;
	worker_turn_off(s->vm->worker);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct stop *s = arg;

	log_warning("%s: its guest did not shut down in time; turned off",
		    s->vm->config.name);
	turn_off(s);
}

struct ask {
	struct vmms *v;
	struct vm *vm;
};

static void on_asked(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct ask *a = arg;
	struct stop *s = a->v->stop && a->vm->worker ? find(a->v->stop, a->vm) : NULL;

	if (s && e && e->err != -ECONNRESET && e->err != -ECONNABORTED) {
		log_warning("%s: %s; turned off", a->vm->config.name, e->message);
		turn_off(s);
	} else if (s && !e && a->vm->state == VM_RUNNING) {
		a->vm->state = VM_STOPPING;
		vmms_changed(a->v, a->vm, VM_CHANGED_STATE);
	}
	free(a);
}

/* False when its guest cannot be asked. */
static bool ask_guest(struct vmms *v, struct vm *vm)
{
	json_t *params = json_pack("{s:s, s:b, s:s}", "type", "shutdown", "force", 1,
				   "reason", "the host shuts down");
	struct ask *a = malloc(sizeof(*a));

	if (!a) {
		json_decref(params);
		return false;
	}
	*a = (struct ask){ v, vm };
	if (worker_call(vm->worker, "vm.shutdown", params, ASK_MS, on_asked, a) == 0)
		return true;
	free(a);
	return false;
}

/* A VM that was asked already has its time as well. */
static void begin_one(struct host_stop *h, struct stop *s, int64_t most_s)
{
	struct vm *vm = s->vm;
	bool ask = vm->config.automatic.stop == AUTO_STOP_SHUTDOWN;
	const struct timeval t = {
		.tv_sec = MIN((int64_t)vm->config.automatic.stop_timeout_s, most_s)
	};

	if (ask && vm->state == VM_RUNNING)
		ask = ask_guest(h->v, vm);
	else
		ask = ask && vm->state == VM_STOPPING;
	s->late = ask ? event_new(h->v->base, -1, 0, on_late, s) : NULL;
	if (!s->late || event_add(s->late, &t) < 0)
		turn_off(s);
}

static void begin(struct host_stop *h, int64_t most_s)
{
	struct stop *s, *next;
	struct vm *vm;

	list_for_each (vm, &h->v->registry.vms, link) {
		s = vm->worker ? calloc(1, sizeof(*s)) : NULL;
		if (!s)
			continue;
		s->vm = vm;
		s->all = h;
		list_add_tail(&h->stops, &s->link);
	}
	/* A start that has no process yet ends here and now. */
	list_for_each_safe (s, next, &h->stops, link)
		begin_one(h, s, most_s);
}

void host_stop_vms(struct rpc_call *call, void *ctx)
{
	int64_t most_s = rpc_call_integer(call, "timeout_s", CONFIG_SECONDS_MAX);
	struct vmms *v = ctx;
	struct host_stop *h = v->stop;

	if (h && h->call_count == CALLS_MAX) {
		rpc_call_fail(call, -EBUSY, "it is under way, and many wait for it");
		return;
	}
	if (h) {
		h->calls[h->call_count++] = call;
		return;
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		rpc_call_fail(call, -ENOMEM, "no memory");
		return;
	}
	list_init(&h->stops);
	h->v = v;
	h->done = json_array();
	h->calls[h->call_count++] = call;
	automatic_suspend(v);
	v->stop = h;
	h->beginning = true;
	begin(h, most_s);
	h->beginning = false;
	if (list_empty(&h->stops))
		answer(h);
}

void host_stop_drop(struct vmms *v)
{
	struct host_stop *h = v->stop;
	struct stop *s, *next;

	if (!h)
		return;
	list_for_each_safe (s, next, &h->stops, link)
		stop_free(s);
	for (size_t i = 0; i < h->call_count; i++)
		rpc_call_fail(h->calls[i], -ECONNABORTED, "vmms is stopping");
	json_decref(h->done);
	free(h);
	v->stop = NULL;
}
