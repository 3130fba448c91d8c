/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The methods on the network adapters of one VM. As with drives (disk_change.c) the configuration is written first; then, where the VM has a worker, that is told,
 * and when it can not do it the configuration is written back. So a vmms that ends anywhere in this leaves a configuration that is right
 * at the next start, and no answer has promised anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/net/nic.h"
#include "vmms/vm/store.h"
#include "vmms/vmms.h"
#include "vmms/worker/worker.h"

#define CHANGE_MS 10000

/* What is asked of the worker, and what became of it. */
struct change {
	struct vmms *v;
	struct vm *vm; /* outlives it: a VM with a worker is not deleted */
	struct rpc_call *call;
	const char *verb; /* "add a network adapter to": what failed, for people */
	const char *method;
	unsigned int number;
	bool is_remove;
	json_t *before; /* the adapter as it was; NULL: there was none */
};

/* The VM for a call, if its state allows a change; otherwise the call is answered. */
static struct vm *allowed(struct vmms *v, struct rpc_call *call)
{
	struct vm *vm = vmms_find(v, call);
	struct rpc_error e;

	if (!vm)
		return NULL;
	if (state_check(VM_OP_NICS, vm->state, vm->config.name, &e) < 0) {
		rpc_call_error(call, &e);
		return NULL;
	}
	if (vm->nics_busy) {
		rpc_call_fail(call, -EBUSY,
			      "another change of the network adapters of %s is under "
			      "way; try again",
			      vm->config.name);
		return NULL;
	}
	return vm;
}

static json_t *nic_doc(const struct vm *vm, unsigned int number)
{
	const struct nic_config *n = config_nic_at(&vm->config, number);
	uint8_t m[CONFIG_MAC_BYTES];

	if (!n)
		return json_object();
	config_nic_mac(&vm->id, number, n, m);
	return json_pack("{s:i, s:o, s:o}", "number", (int)number, "mac",
			 json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
				      m[3], m[4], m[5]),
			 "nic", config_nic_to_json(n));
}

/* Puts a configuration, which is taken over in any case, on disk and in force. */
static int adopt(struct vmms *v, struct vm *vm, struct vm_config *next,
		 struct rpc_error *e)
{
	int r = store_update(v->instance.state_fd, &vm->id, next, e);

	if (r < 0) {
		config_done(next);
		return r;
	}
	config_done(&vm->config);
	vm->config = *next;
	events_add(v->events, "changed", vm, "the network adapters of %s were changed",
		   vm->config.name);
	return 0;
}

/* ---- the worker's part ---- */

/* Back to the adapter as it was, or none; whatever else was changed meanwhile stays. */
static int without(const struct change *c, struct vm_config *ret,
		   struct config_error *why)
{
	const struct vm_config *now = &c->vm->config;
	struct vm_config less;
	unsigned int number;
	int r;

	if (!config_nic_at(now, c->number))
		return config_nic_add(now, c->before, &number, ret, why);
	if (!c->before)
		return config_nic_remove(now, c->number, ret, why);
	r = config_nic_remove(now, c->number, &less, why);
	if (r == 0) {
		r = config_nic_add(&less, c->before, &number, ret, why);
		config_done(&less);
	}
	return r;
}

/* The adapter's port of a switch is what the configuration says, after one that came to nothing. */
static void restore_port(const struct change *c)
{
	const struct nic_config *n = config_nic_at(&c->vm->config, c->number);
	struct rpc_error e;

	if (!n)
		switches_close_port(c->v->switches, &c->vm->id, c->number);
	else if (switches_change_port(c->v->switches, &c->vm->id, n, &e) < 0)
		log_err("%s: network adapter %u: %s", c->vm->config.name, c->number,
			e.message);
}

static void undo(const struct change *c)
{
	struct vm_config next;
	struct config_error why;
	struct rpc_error e;
	int r = without(c, &next, &why);

	if (r < 0)
		rpc_error_set(&e, r, "%s", why.message);
	else
		r = adopt(c->v, c->vm, &next, &e);
	if (r < 0)
		log_err("%s: its configuration could not be put back: %s",
			c->vm->config.name, e.message);
	restore_port(c);
}

static void say_failed(struct change *c, const struct rpc_error *e)
{
	struct rpc_error said;

	if (e->err == -ECONNRESET || e->err == -ECONNABORTED)
		rpc_error_set(&said, -ECONNRESET, "cannot %s %s: its worker is gone",
			      c->verb, c->vm->config.name);
	else if (c->is_remove && e->err == -ETIMEDOUT)
		rpc_error_set(&said, -ETIMEDOUT,
			      "the network adapter is taken from %s, but its worker has "
			      "not let go of it yet",
			      c->vm->config.name);
	else
		rpc_error_set_code(&said, e->code, "cannot %s %s: %s", c->verb,
				   c->vm->config.name, e->message);
	rpc_call_error(c->call, &said);
}

static void change_end(struct change *c)
{
	c->vm->nics_busy = false;
	json_decref(c->before);
	free(c);
}

static void on_changed(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct change *c = arg;

	/* An adapter that the worker does not have, or the end of the worker, is what was asked for. */
	if (e && c->is_remove && (e->code == RPC_NOT_FOUND || e->err == -ECONNRESET))
		e = NULL;
	if (e && !(c->is_remove && e->err == -ETIMEDOUT))
		undo(c);
	/* Its filters are needed until the worker has let go of the tap. */
	if (!e && c->is_remove)
		switches_close_port(c->v->switches, &c->vm->id, c->number);
	if (e)
		say_failed(c, e);
	else
		rpc_call_reply(c->call, nic_doc(c->vm, c->number));
	change_end(c);
}

/* A call's params: the number, the adapter as it is to be, a role for each descriptor. */
static json_t *params_of(const struct change *c, const struct nic_fds *fds)
{
	const struct nic_config *n = config_nic_at(&c->vm->config, c->number);
	json_t *params = json_pack("{s:i}", "index", (int)c->number);
	json_t *roles;

	if (n && strcmp(c->method, "nic.link") == 0)
		json_object_set_new(params, "up", json_boolean(!n->unplugged));
	if (!n || strcmp(c->method, "nic.attach") != 0)
		return params;
	roles = json_array();
	for (unsigned int i = 0; i < fds->n; i++) {
		char role[NIC_ROLE_SIZE];

		nic_role(c->number, i, role);
		json_array_append_new(roles, json_string(role));
	}
	json_object_set_new(params, "nic", config_nic_to_json(n));
	json_object_set_new(params, "fds", roles);
	return params;
}

static void tell(struct change *c, struct nic_fds *fds)
{
	json_t *params = params_of(c, fds);
	unsigned int n = fds->n;
	struct rpc_error e;
	int r;

	c->vm->nics_busy = true;
	fds->n = 0; /* the call's */
	r = worker_call_fds(c->vm->worker, c->method, params, fds->v, n, CHANGE_MS,
			    on_changed, c);
	if (r == 0)
		return;
	rpc_error_set(&e, r, "its worker does not answer; turn it off with --force");
	on_changed(c, NULL, &e);
}

/*
 * Makes `next` the VM's configuration, tells the worker if `what` has a method, answers the call. Takes over `next` and the
 * descriptors.
 */
static void run(const struct change *what, struct nic_fds *fds, struct vm_config *next)
{
	const struct nic_config *n = config_nic_at(&what->vm->config, what->number);
	struct change *c = malloc(sizeof(*c));
	struct rpc_error e;

	if (!c) {
		config_done(next);
		rpc_call_fail(what->call, -ENOMEM, "no memory");
	} else {
		*c = *what;
		c->before = n ? config_nic_to_json(n) : NULL;
		if (adopt(c->v, c->vm, next, &e) < 0) {
			restore_port(c);
			rpc_call_error(c->call, &e);
			change_end(c);
		} else if (c->vm->worker && c->method) {
			tell(c, fds);
		} else {
			rpc_call_reply(c->call, nic_doc(c->vm, c->number));
			change_end(c);
		}
	}
	nic_close(fds);
}

/* ---- methods ---- */

static int check_next(struct vmms *v, const struct vm *vm, const struct vm_config *next,
		      struct rpc_error *e)
{
	int r = nic_check_macs(&v->registry, &vm->id, next, e);

	return r < 0 ? r : switches_check(v->switches, next, e);
}

/* The end of an adapter for a worker that runs. */
static int open_fds(struct vmms *v, const struct vm *vm, const struct nic_config *nic,
		    struct nic_fds *ret, struct rpc_error *e)
{
	struct nic_env env = { v->base,     &v->settings, &v->confine, &v->nats,
			       v->switches, &vm->id,      &vm->config, -1 };
	cleanup_fd int dir = -1, log = -1;

	if (store_open(v->instance.state_fd, &vm->id, &dir) == 0)
		log = openat(dir, STORE_LOG,
			     O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	env.log_fd = log;
	return nic_open(&env, nic, ret, e);
}

void nics_add(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct change what = { .v = v,
			       .call = call,
			       .verb = "add a network adapter to",
			       .method = "nic.attach" };
	struct nic_fds fds = { .n = 0 };
	struct config_error why;
	struct vm_config next;
	struct rpc_error e;
	int r;

	what.vm = allowed(v, call);
	if (!what.vm)
		return;
	r = config_nic_add(&what.vm->config,
			   json_object_get(rpc_call_params(call), "nic"), &what.number,
			   &next, &why);
	if (r < 0) {
		rpc_call_fail(call, r, "%s: %s", what.vm->config.name, why.message);
		return;
	}
	r = check_next(v, what.vm, &next, &e);
	if (r == 0 && what.vm->worker)
		r = open_fds(v, what.vm, config_nic_at(&next, what.number), &fds, &e);
	if (r == 0) {
		run(&what, &fds, &next);
		return;
	}
	config_done(&next);
	rpc_call_error(call, &e);
}

void nics_remove(struct rpc_call *call, void *ctx)
{
	struct change what = { .v = ctx,
			       .call = call,
			       .verb = "take a network adapter from",
			       .method = "nic.detach",
			       .is_remove = true };
	struct nic_fds fds = { .n = 0 };
	struct config_error why;
	struct vm_config next;
	int r;

	what.vm = allowed(ctx, call);
	if (!what.vm)
		return;
	what.number = (unsigned int)rpc_call_integer(call, "number", 0);
	r = config_nic_remove(&what.vm->config, what.number, &next, &why);
	if (r < 0)
		rpc_call_fail(call, r, "%s: %s", what.vm->config.name, why.message);
	else
		run(&what, &fds, &next);
}

/* Whether two configurations of an adapter are the same but for what can change while its VM runs. */
static bool same_but_link(const struct nic_config *a, const struct nic_config *b)
{
	static const char *const live[] = { "link", "port", "switch" };
	json_auto_t *x = config_nic_to_json(a), *y = config_nic_to_json(b);

	for (size_t i = 0; i < ARRAY_SIZE(live); i++) {
		json_object_del(x, live[i]);
		json_object_del(y, live[i]);
	}
	return x && y && json_equal(x, y);
}

static int check_set(struct vmms *v, const struct vm *vm, unsigned int number,
		     const struct vm_config *next, struct rpc_error *e)
{
	const struct nic_config *now = config_nic_at(&vm->config, number);

	if (vm->worker && !same_but_link(now, config_nic_at(next, number)))
		return rpc_error_set(e, -EBUSY,
				     "%s is %s: only the link and the switch's port of "
				     "network adapter %u can change now; stop it first, "
				     "or take the adapter out "
				     "and add it again",
				     vm->config.name, state_name(vm->state), number);
	return check_next(v, vm, next, e);
}

void nics_set(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct change what = { .v = v,
			       .call = call,
			       .verb = "change a network adapter of",
			       .method = "nic.link" };
	struct nic_fds fds = { .n = 0 };
	struct config_error why;
	struct vm_config next;
	struct rpc_error e;
	int r;

	what.vm = allowed(v, call);
	if (!what.vm)
		return;
	what.number = (unsigned int)rpc_call_integer(call, "number", 0);
	r = config_nic_patch(&what.vm->config, what.number,
			     json_object_get(rpc_call_params(call), "patch"), &next,
			     &why);
	if (r < 0) {
		rpc_call_fail(call, r, "%s: %s", what.vm->config.name, why.message);
		return;
	}
	r = check_set(v, what.vm, what.number, &next, &e);
	if (r == 0)
		r = switches_change_port(v->switches, &what.vm->id,
					 config_nic_at(&next, what.number), &e);
	if (r < 0) {
		config_done(&next);
		rpc_call_error(call, &e);
		return;
	}
	run(&what, &fds, &next);
}
