/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The methods that change a VM's state. Each checks that the state allows it, asks the worker, and answers when the
 * worker has done it; where the guest must do something first, the call becomes a wait (wait.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/log.h"
#include "vmms/vm/automatic.h"
#include "vmms/vmms.h"
#include "vmms/wait.h"
#include "vmms/worker/worker.h"

#define ASK_MS 10000
#define STOP_SECONDS 60
#define TURN_OFF_WAIT_SECONDS 30

/* A call that waits for answers of the worker. */
struct ask {
	struct vmms *v;
	struct vm *vm; /* outlives it: a VM with a worker is not deleted */
	struct rpc_call *call;
	const char *verb;
	enum wait_for then; /* for what the guest is to do after the worker's answer */
	int64_t timeout_s;
};

static void ask_failed(struct ask *a, const struct rpc_error *e)
{
	struct rpc_error said = *e;

	if (e->err == -ECONNRESET || e->err == -ECONNABORTED)
		rpc_error_set(&said, -ECONNRESET, "cannot %s %s: its worker is gone%s%s",
			      a->verb, a->vm->config.name, a->vm->reason[0] ? ": " : "",
			      a->vm->reason);
	else
		rpc_error_set_code(&said, e->code, "cannot %s %s: %s", a->verb,
				   a->vm->config.name, e->message);
	rpc_call_error(a->call, &said);
	free(a);
}

/* The VM for a call, if its state allows the operation; otherwise the call is answered. */
static struct vm *allowed(struct vmms *v, struct rpc_call *call, enum vm_op op)
{
	struct vm *vm = vmms_find(v, call);
	struct rpc_error e;

	if (!vm)
		return NULL;
	if (state_check(op, vm->state, vm->config.name, &e) < 0) {
		rpc_call_error(call, &e);
		return NULL;
	}
	return vm;
}

/* Sends a request to the worker; `fn` gets the ask as its argument and ends it. */
static void ask(struct vmms *v, struct vm *vm, struct rpc_call *call,
		const struct ask *what, const char *method, json_t *params,
		rpc_peer_fn fn)
{
	struct ask *a = malloc(sizeof(*a));
	struct rpc_error e;
	int r;

	if (!a) {
		json_decref(params);
		rpc_call_fail(call, -ENOMEM, "no memory");
		return;
	}
	*a = *what;
	a->v = v;
	a->vm = vm;
	a->call = call;
	r = worker_call(vm->worker, method, params, ASK_MS, fn, a);
	if (r < 0) {
		rpc_error_set(&e, r,
			      "its worker does not answer; turn it off with --force");
		ask_failed(a, &e);
	}
}

/* ---- pause, resume, reset: done when the worker says so ---- */

static void on_status(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct ask *a = arg;
	int mask;

	if (e) {
		ask_failed(a, e);
		return;
	}
	mask = vm_apply_status(a->vm, result);
	if (mask > 0)
		vmms_changed(a->v, a->vm, mask);
	rpc_call_reply(a->call, vm_summary(a->vm));
	free(a);
}

/* The state that the client gets is that after what it asked for. */
static void on_done(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct ask *a = arg;

	if (e) {
		ask_failed(a, e);
		return;
	}
	ask(a->v, a->vm, a->call, a, "vm.status", NULL, on_status);
	free(a);
}

static void simple(struct rpc_call *call, void *ctx, enum vm_op op, const char *verb,
		   const char *method)
{
	const struct ask what = { .verb = verb };
	struct vm *vm = allowed(ctx, call, op);

	if (vm)
		ask(ctx, vm, call, &what, method, NULL, on_done);
}

void power_pause(struct rpc_call *call, void *ctx)
{
	simple(call, ctx, VM_OP_PAUSE, "pause", "vm.pause");
}

void power_resume(struct rpc_call *call, void *ctx)
{
	simple(call, ctx, VM_OP_RESUME, "resume", "vm.resume");
}

void power_reset(struct rpc_call *call, void *ctx)
{
	simple(call, ctx, VM_OP_RESET, "reset", "vm.reset");
}

/* ---- start ---- */

void power_start(struct rpc_call *call, void *ctx)
{
	struct vm *vm = allowed(ctx, call, VM_OP_START);
	struct rpc_error e;

	if (!vm)
		return;
	if (automatic_suspended(ctx)) {
		rpc_call_fail(call, -EBUSY, "cannot start %s: the host is shutting down",
			      vm->config.name);
		return;
	}
	if (worker_start(ctx, vm, call, &e) < 0) {
		log_info("%s", e.message);
		rpc_call_error(call, &e);
		return;
	}
	automatic_forget(ctx, vm);
}

/* ---- stop and restart: the guest has the last word ---- */

/* The guest took too long: the VM is again what it is. */
static void not_stopped(void *ctx, struct vm *vm)
{
	if (vm->state != VM_STOPPING || vm->worker_state == VM_STOPPING)
		return;
	vm->state = vm->worker_state;
	vmms_changed(ctx, vm, VM_CHANGED_STATE);
}

static void wait_for_guest(struct ask *a)
{
	char late[CONFIG_NAME_SIZE + 160];

	if (a->then == WAIT_OFF)
		snprintf(late, sizeof(late),
			 "the guest of %s did not shut down within %lld s; try again, or "
			 "turn it off with --force",
			 a->vm->config.name, (long long)a->timeout_s);
	else
		snprintf(late, sizeof(late),
			 "the guest of %s did not restart within %lld s; try again, or "
			 "reset "
			 "it with --force",
			 a->vm->config.name, (long long)a->timeout_s);
	wait_add(a->v->base, a->vm, a->then, a->timeout_s, late,
		 a->then == WAIT_OFF ? not_stopped : NULL, a->v, a->call);
	free(a);
}

static void on_asked(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct ask *a = arg;

	if (e) {
		ask_failed(a, e);
		return;
	}
	if (a->then == WAIT_OFF && a->vm->state == VM_RUNNING) {
		a->vm->state = VM_STOPPING;
		vmms_changed(a->v, a->vm, VM_CHANGED_STATE);
	}
	wait_for_guest(a);
}

static json_t *shutdown_params(const char *type)
{
	return json_pack("{s:s, s:b, s:s}", "type", type, "force", 0, "reason",
			 "asked for by the host's administrator");
}

static void turn_off(struct vmms *v, struct rpc_call *call)
{
	struct vm *vm = allowed(v, call, VM_OP_TURN_OFF);
	char late[CONFIG_NAME_SIZE + 64];

	if (!vm)
		return;
	snprintf(late, sizeof(late), "the worker of %s does not end", vm->config.name);
	worker_turn_off(vm->worker);
	wait_add(v->base, vm, WAIT_OFF, TURN_OFF_WAIT_SECONDS, late, NULL, NULL, call);
}

/* A stop of a VM that is Off, but is to be started: it stays Off. True when the call is answered. */
static bool called_off(struct vmms *v, struct rpc_call *call)
{
	struct rpc_error e;
	struct vm *vm = registry_find(&v->registry, rpc_call_string(call, "vm"), &e);

	if (!vm || !automatic_waits(vm))
		return false;
	if (automatic_cancel(v, vm, &e) < 0)
		rpc_call_error(call, &e);
	else
		rpc_call_reply(call, vm_summary(vm));
	return true;
}

void power_stop(struct rpc_call *call, void *ctx)
{
	struct ask what = { .verb = "stop",
			    .then = WAIT_OFF,
			    .timeout_s =
				    rpc_call_integer(call, "timeout_s", STOP_SECONDS) };
	struct vm *vm;

	if (called_off(ctx, call))
		return;
	if (rpc_call_bool(call, "force")) {
		turn_off(ctx, call);
		return;
	}
	vm = allowed(ctx, call, VM_OP_STOP);
	if (vm)
		ask(ctx, vm, call, &what, "vm.shutdown", shutdown_params("shutdown"),
		    on_asked);
}

void power_restart(struct rpc_call *call, void *ctx)
{
	struct ask what = { .verb = "restart",
			    .then = WAIT_RESET,
			    .timeout_s =
				    rpc_call_integer(call, "timeout_s", STOP_SECONDS) };
	struct vm *vm;

	if (rpc_call_bool(call, "force")) {
		power_reset(call, ctx);
		return;
	}
	vm = allowed(ctx, call, VM_OP_RESTART);
	if (vm)
		ask(ctx, vm, call, &what, "vm.shutdown", shutdown_params("restart"),
		    on_asked);
}

/* ---- wait, console ---- */

void power_wait(struct rpc_call *call, void *ctx)
{
	const char *what = rpc_call_string(call, "for");
	int64_t timeout_s = rpc_call_integer(call, "timeout_s", STOP_SECONDS);
	struct vm *vm = vmms_find(ctx, call);
	struct vmms *v = ctx;
	char late[CONFIG_NAME_SIZE + 160];

	if (!vm)
		return;
	snprintf(late, sizeof(late),
		 "%s did not become %s within %lld s; 'vmctl show' and 'vmctl console' "
		 "say "
		 "more",
		 vm->config.name, what, (long long)timeout_s);
	wait_add(v->base, vm, wait_parse(what), timeout_s, late, NULL, NULL, call);
}

void power_console(struct rpc_call *call, void *ctx)
{
	struct vm *vm = allowed(ctx, call, VM_OP_CONSOLE);

	if (vm)
		rpc_call_reply(call, json_pack("{s:s, s:s}", "socket",
					       worker_console_socket(vm->worker), "pty",
					       worker_console_pty(vm->worker)));
}
