/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change of one drive. The configuration is written first; then, where the VM has a worker, that is told, and when it can not do it the
 * configuration is written back. So a vmms that ends anywhere in this leaves a configuration that is right at the next start, and no answer has
 * promised anything else; and the next vmms brings configuration and worker together again (disk_intent.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/disk/disks_priv.h"
#include "vmms/disk/reservations.h"
#include "vmms/vm/store.h"
#include "vmms/worker/worker.h"

#define NEWS_MS 2000

struct news {
	struct vmms *v;
	struct vm *vm; /* outlives it: a VM with a worker is not deleted */
};

/* A change that waits for the worker. */
struct change {
	struct vmms *v;
	struct vm *vm; /* outlives it: a VM with a worker is not deleted */
	struct rpc_call *call;
	const char *verb;
	struct place at;
	bool is_detach;
	json_t *before; /* the drive as it was; NULL: there was none */
};

/* What the worker last said of a drive; NULL when nothing. */
static const json_t *status_of(const struct vm *vm, const struct place *at)
{
	const json_t *all = json_object_get(vm->status, "drives");
	size_t i;
	json_t *d;

	json_array_foreach (all, i, d) {
		if (json_integer_value(json_object_get(d, "controller")) ==
			    (json_int_t)at->controller &&
		    json_integer_value(json_object_get(d, "lun")) == (json_int_t)at->lun)
			return d;
	}
	return NULL;
}

static json_t *number(const json_t *status, const char *name)
{
	const json_t *n = json_object_get(status, name);

	return json_is_integer(n) ? json_integer(json_integer_value(n)) : json_null();
}

json_t *disk_doc(const struct vm *vm, const struct place *at)
{
	const struct drive_config *d =
		config_drive_at(&vm->config, at->controller, at->lun);
	const json_t *status = status_of(vm, at);

	return json_pack(
		"{s:i, s:i, s:o, s:o, s:o, s:b}", "controller", (int)at->controller,
		"lun", (int)at->lun, "drive", d ? config_drive_to_json(d) : NULL, "bytes",
		number(status, "bytes"), "units", number(status, "units"),
		"below_minimum", json_is_true(json_object_get(status, "below_minimum")));
}

int disk_adopt(struct vmms *v, struct vm *vm, struct vm_config *next, struct rpc_error *e)
{
	int r = store_update(v->instance.state_fd, &vm->id, next, e);

	if (r < 0) {
		config_done(next);
		return r;
	}
	config_done(&vm->config);
	vm->config = *next;
	events_add(v->events, "changed", vm, "the drives of %s were changed",
		   vm->config.name);
	return 0;
}

/* Back to the drive as it was, or none; whatever else was changed meanwhile stays. */
static void undo(const struct change *c)
{
	const struct vm_config *now = &c->vm->config;
	struct vm_config next, without;
	struct config_error why;
	struct rpc_error e;
	int r = 0;

	if (!config_drive_at(now, c->at.controller, c->at.lun))
		r = config_drive_add(now, c->at.controller, c->before, &next, &why);
	else if (!c->before)
		r = config_drive_remove(now, c->at.controller, c->at.lun, &next, &why);
	else {
		r = config_drive_remove(now, c->at.controller, c->at.lun, &without, &why);
		if (r == 0) {
			r = config_drive_add(&without, c->at.controller, c->before, &next,
					     &why);
			config_done(&without);
		}
	}
	if (r < 0)
		rpc_error_set(&e, r, "%s", why.message);
	else
		r = disk_adopt(c->v, c->vm, &next, &e);
	if (r < 0)
		log_err("%s: its configuration could not be put back: %s",
			c->vm->config.name, e.message);
}

static void change_end(struct change *c)
{
	c->vm->drives_busy = false;
	reservations_sweep(&c->v->registry, c->v->instance.state_fd);
}

static void on_news(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct news *n = arg;
	int mask = result ? vm_apply_status(n->vm, result) : 0;

	if (mask > 0)
		vmms_changed(n->v, n->vm, mask);
	free(n);
}

/* What came while this change was under way was not looked at, and may be old: asked anew. */
static void ask_news(struct change *c)
{
	struct news *n;

	if (!c->vm->worker ||
	    !memcmp(&c->vm->drives, &c->vm->drives_told, sizeof(c->vm->drives)))
		return;
	n = malloc(sizeof(*n));
	if (!n)
		return;
	*n = (struct news){ c->v, c->vm };
	if (worker_call(c->vm->worker, "vm.status", NULL, NEWS_MS, on_news, n) < 0)
		free(n);
}

static void change_free(struct change *c)
{
	json_decref(c->before);
	free(c);
}

static void refuse(const struct vm *vm, struct rpc_call *call, const struct rpc_error *e)
{
	if (call)
		rpc_call_error(call, e);
	else
		log_warning("%s: %s", vm->config.name, e->message);
}

static void say_failed(struct change *c, const struct rpc_error *e)
{
	struct rpc_error said;

	if (e->err == -ECONNRESET || e->err == -ECONNABORTED)
		rpc_error_set(&said, -ECONNRESET, "cannot %s %s: its worker is gone",
			      c->verb, c->vm->config.name);
	else if (c->is_detach && e->err == -ETIMEDOUT)
		rpc_error_set(&said, -ETIMEDOUT,
			      "the drive is taken from %s, but commands of the guest are "
			      "still under way; its image is free when they have ended",
			      c->vm->config.name);
	else
		rpc_error_set_code(&said, e->code, "cannot %s %s: %s", c->verb,
				   c->vm->config.name, e->message);
	refuse(c->vm, c->call, &said);
}

static void on_changed(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct change *c = arg;

	/* A drive that the worker does not have, or the end of the worker, is what was asked for. */
	if (e && c->is_detach && (e->code == RPC_NOT_FOUND || e->err == -ECONNRESET))
		e = NULL;
	/* Where vmms itself ends the drive may be gone, and the next one sees to it. */
	if (e && !(c->is_detach && (e->err == -ETIMEDOUT || e->err == -ECONNABORTED)))
		undo(c);
	if (!e || e->err != -ECONNABORTED)
		disk_intent_clear(c->v, c->vm);
	change_end(c);
	ask_news(c);
	if (e)
		say_failed(c, e);
	else if (c->call)
		rpc_call_reply(c->call,
			       c->is_detach ? json_object() : disk_doc(c->vm, &c->at));
	change_free(c);
}

static struct change *change_new(struct vmms *v, struct vm *vm, struct rpc_call *call,
				 const struct disk_change *what)
{
	const struct drive_config *d =
		config_drive_at(&vm->config, what->at.controller, what->at.lun);
	struct change *c = malloc(sizeof(*c));
	json_t *before = d ? config_drive_to_json(d) : NULL;

	if (!c || (d && !before)) {
		free(c);
		json_decref(before);
		return NULL;
	}
	*c =
		(struct change){ v,     vm, call, what->verb, what->at, what->is_detach,
				 before };
	return c;
}

/* A call's params: the place, the drive as it is to be, a role for each descriptor. */
static json_t *params_of(const struct vm *vm, const struct disk_change *what)
{
	const struct drive_config *d =
		config_drive_at(&vm->config, what->at.controller, what->at.lun);
	json_t *params = json_pack("{s:i, s:i}", "controller", (int)what->at.controller,
				   "lun", (int)what->at.lun);

	if (what->has_drive && d)
		json_object_set_new(params, "drive", config_drive_to_json(d));
	if (what->force)
		json_object_set_new(params, "force", json_true());
	if (what->roles)
		json_object_set(params, "fds", what->roles);
	if (what->parents)
		json_object_set(params, "parents", what->parents);
	return params;
}

static void tell(struct change *c, struct disk_change *what)
{
	json_t *params = params_of(c->vm, what);
	size_t n = what->fd_count;
	struct rpc_error e;
	int r;

	c->vm->drives_busy = true;
	what->fd_count = 0; /* the call's */
	r = worker_call_fds(c->vm->worker, what->method, params, what->fds, n,
			    what->timeout_ms, on_changed, c);
	if (r == 0)
		return;
	rpc_error_set(&e, r, "its worker does not answer; turn it off with --force");
	on_changed(c, NULL, &e);
}

void disk_change_done(struct disk_change *what)
{
	while (what->fd_count)
		close(what->fds[--what->fd_count]);
	json_decref(what->roles);
	json_decref(what->parents);
	what->roles = what->parents = NULL;
}

/* On disk: what is under way, then the configuration. NULL after an error; `next` is taken over. */
static struct change *begin(struct vmms *v, struct vm *vm, struct rpc_call *call,
			    const struct disk_change *what, struct vm_config *next)
{
	struct change *c = change_new(v, vm, call, what);
	struct rpc_error e;
	int r = c ? disk_intent_write(v, vm, &what->at, &e)
		  : rpc_error_set(&e, -ENOMEM, "no memory");

	if (r < 0) {
		config_done(next);
	} else {
		r = disk_adopt(v, vm, next, &e);
		if (r < 0)
			disk_intent_clear(v, vm);
	}
	if (r == 0)
		return c;
	refuse(vm, call, &e);
	if (c)
		change_free(c);
	return NULL;
}

void disk_change_run(struct vmms *v, struct vm *vm, struct rpc_call *call,
		     struct disk_change *what, struct vm_config *next)
{
	struct rpc_error e;

	if (vm->worker) {
		struct change *c = begin(v, vm, call, what, next);

		if (c)
			tell(c, what);
	} else if (disk_adopt(v, vm, next, &e) < 0) {
		refuse(vm, call, &e);
	} else {
		reservations_sweep(&v->registry, v->instance.state_fd);
		if (call)
			rpc_call_reply(call, what->is_detach ? json_object()
							     : disk_doc(vm, &what->at));
	}
	disk_change_done(what);
}
