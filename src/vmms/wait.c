/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/wait.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/list.h"

struct wait {
	struct list link; /* in the VM's waits */
	struct vm *vm;
	struct rpc_call *call;
	enum wait_for what;
	int64_t resets; /* when it began */
	bool was_up;    /* the VM has been other than Off since it began */
	struct event *timeout;
	char late[256];
	void (*late_fn)(void *ctx, struct vm *vm);
	void *ctx;
};

static const char *const names[] = { "running", "paused", "off", "heartbeat", "reset" };

enum wait_for wait_parse(const char *name)
{
	enum wait_for what = WAIT_RUNNING;

	while (what < WAIT_RESET && strcmp(names[what], name) != 0)
		what++;
	return what;
}

/* Takes it off the VM; the caller answers the call. */
static struct rpc_call *take(struct wait *w)
{
	struct rpc_call *call = w->call;

	list_del(&w->link);
	if (w->timeout)
		event_free(w->timeout);
	free(w);
	return call;
}

static bool came_true(const struct wait *w)
{
	const struct vm *vm = w->vm;

	switch (w->what) {
	case WAIT_RUNNING:
		return vm->state == VM_RUNNING;
	case WAIT_PAUSED:
		return vm->state == VM_PAUSED;
	case WAIT_OFF:
		return vm->state == VM_OFF;
	case WAIT_HEARTBEAT:
		return vm->heartbeat && strcmp(vm->heartbeat, "Ok") == 0;
	case WAIT_RESET:
		return vm->resets > w->resets && vm->worker_state == VM_RUNNING;
	}
	return false;
}

/* What a VM that is Off will not do by itself. */
static bool cannot_come(const struct wait *w, struct rpc_error *e)
{
	const struct vm *vm = w->vm;

	if (vm->state != VM_OFF || (!w->was_up && w->what != WAIT_HEARTBEAT))
		return false;
	rpc_error_set(e, -EBUSY, "%s is Off%s%s; start it again", vm->config.name,
		      vm->reason[0] ? ": " : "", vm->reason);
	return true;
}

static void settle_one(struct wait *w)
{
	struct vm *vm = w->vm;
	struct rpc_error e;

	if (came_true(w))
		rpc_call_reply(take(w), vm_summary(vm));
	else if (cannot_come(w, &e))
		rpc_call_error(take(w), &e);
	else
		w->was_up |= vm->state != VM_OFF;
}

void wait_settle(struct vm *vm)
{
	struct wait *w, *next;

	list_for_each_safe (w, next, &vm->waits, link)
		settle_one(w);
}

void wait_fail_all(struct vm *vm, const struct rpc_error *e)
{
	struct wait *w, *next;

	list_for_each_safe (w, next, &vm->waits, link)
		rpc_call_error(take(w), e);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct wait *w = arg;
	struct rpc_error e;

	if (w->late_fn)
		w->late_fn(w->ctx, w->vm);
	rpc_error_set(&e, -ETIMEDOUT, "%s", w->late);
	rpc_call_error(take(w), &e);
}

static void on_gone(struct rpc_call *call, void *arg)
{
	struct rpc_error e;

	rpc_error_set(&e, -ECONNABORTED, "the client left");
	rpc_call_error(take(arg), &e);
}

void wait_add(struct event_base *base, struct vm *vm, enum wait_for what,
	      int64_t timeout_s, const char *late,
	      void (*late_fn)(void *ctx, struct vm *vm), void *ctx, struct rpc_call *call)
{
	const struct timeval t = { .tv_sec = timeout_s };
	struct wait *w = calloc(1, sizeof(*w));

	if (w)
		w->timeout = event_new(base, -1, 0, on_timeout, w);
	if (!w || !w->timeout || event_add(w->timeout, &t) < 0) {
		if (w && w->timeout)
			event_free(w->timeout);
		free(w);
		rpc_call_fail(call, -ENOMEM, "no memory");
		return;
	}
	w->vm = vm;
	w->call = call;
	w->what = what;
	w->resets = vm->resets;
	w->was_up = vm->state != VM_OFF;
	w->late_fn = late_fn;
	w->ctx = ctx;
	snprintf(w->late, sizeof(w->late), "%s", late);
	list_add_tail(&vm->waits, &w->link);
	rpc_call_on_gone(call, on_gone, w);
	settle_one(w);
}
