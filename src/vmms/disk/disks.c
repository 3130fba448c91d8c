/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods on the drives of one VM: each says what the configuration is to be and what the worker is to do about it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmms/disk/disks_priv.h"
#include "vmms/disk/images.h"
#include "vmms/disk/reservations.h"
#include "vmms/worker/worker.h"

#define ATTACH_MS 30000
#define SET_MS 5000
#define LIST_MS 2000
/* A guest's last commands may wait for a slow file system. */
#define DETACH_MS 60000

struct place disks_place_of(const struct rpc_call *call)
{
	return (struct place){ (unsigned int)rpc_call_integer(call, "controller", 0),
			       (unsigned int)rpc_call_integer(call, "lun", 0) };
}

/* The VM for a call, if its state allows the operation; otherwise the call is answered. */
struct vm *disks_allowed(struct vmms *v, struct rpc_call *call)
{
	struct vm *vm = vmms_find(v, call);
	struct rpc_error e;

	if (!vm)
		return NULL;
	if (state_check(VM_OP_DRIVES, vm->state, vm->config.name, &e) < 0) {
		rpc_call_error(call, &e);
		return NULL;
	}
	if (vm->drives_busy) {
		rpc_call_fail(
			call, -EBUSY,
			"another change of the drives of %s is under way; try again",
			vm->config.name);
		return NULL;
	}
	return vm;
}

/* ---- list ---- */

struct listing {
	struct vmms *v;
	struct vm *vm;
	struct rpc_call *call;
};

static void reply_list(struct vm *vm, struct rpc_call *call)
{
	json_t *all = json_array();

	for (size_t i = 0; i < vm->config.drive_count; i++) {
		const struct drive_config *d = &vm->config.drives[i];
		const struct place at = { d->controller, d->lun };

		json_array_append_new(all, disk_doc(vm, &at));
	}
	rpc_call_reply(call, json_pack("{s:o}", "drives", all));
}

static void on_listed(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct listing *l = arg;
	int mask = result ? vm_apply_status(l->vm, result) : 0;

	if (mask > 0)
		vmms_changed(l->v, l->vm, mask);
	reply_list(l->vm, l->call);
	free(l);
}

void disks_list(struct rpc_call *call, void *ctx)
{
	struct vm *vm = vmms_find(ctx, call);
	struct listing *l;

	if (!vm)
		return;
	l = vm->status ? malloc(sizeof(*l)) : NULL;
	if (l) {
		*l = (struct listing){ ctx, vm, call };
		if (worker_call(vm->worker, "vm.status", NULL, LIST_MS, on_listed, l) ==
		    0)
			return;
		free(l);
	}
	reply_list(vm, call);
}

/* ---- attach, detach ---- */

/* The first free place, on one controller or any. */
static int find_place(const struct vm_config *c, int64_t controller, struct place *ret)
{
	unsigned int from = controller < 0 ? 0 : (unsigned int)controller;
	unsigned int to = controller < 0 ? CONFIG_CONTROLLERS_MAX : from + 1;

	for (ret->controller = from; ret->controller < to; ret->controller++) {
		for (ret->lun = 0; ret->lun < CONFIG_LUNS_MAX; ret->lun++) {
			if (!config_drive_at(c, ret->controller, ret->lun))
				return 0;
		}
	}
	return -ENOSPC;
}

/* The drive of a call with its place in it; a new reference. */
static int take_drive(const struct vm *vm, const struct rpc_call *call, json_t **ret,
		      struct place *at, struct rpc_error *e)
{
	json_t *drive = json_object_get(rpc_call_params(call), "drive");
	json_t *lun = json_object_get(drive, "lun");
	int64_t controller = rpc_call_integer(call, "controller", -1);

	at->controller = controller < 0 ? 0 : (unsigned int)controller;
	at->lun = (unsigned int)json_integer_value(lun);
	if (!lun && find_place(&vm->config, controller, at) < 0)
		return rpc_error_set(e, -ENOSPC, "%s: there is no free place",
				     vm->config.name);
	*ret = json_deep_copy(drive);
	if (*ret && !lun)
		json_object_set_new(*ret, "lun", json_integer((json_int_t)at->lun));
	return *ret ? 0 : rpc_error_set(e, -ENOMEM, "no memory");
}

static int add(const struct vm *vm, const struct rpc_call *call, struct place *at,
	       struct vm_config *next, struct rpc_error *e)
{
	json_auto_t *drive = NULL;
	struct config_error why;
	int r = take_drive(vm, call, &drive, at, e);

	if (r < 0)
		return r;
	r = config_drive_add(&vm->config, at->controller, drive, next, &why);
	if (r < 0)
		return rpc_error_set(e, r, "%s: %s", vm->config.name, why.message);
	config_give_serials(next);
	r = images_check_once(next, e);
	if (r < 0)
		config_done(next);
	return r;
}

int disk_open_image(struct vmms *v, const struct vm *vm, const struct vm_config *next,
		    struct disk_change *what, struct rpc_error *e)
{
	const struct drive_config *d =
		config_drive_at(next, what->at.controller, what->at.lun);
	char role[32];
	int r;

	what->roles = json_array();
	if (!what->roles)
		return rpc_error_set(e, -ENOMEM, "no memory");
	if (!d || !d->path)
		return 0;
	r = image_open(&v->registry, vm, d, &what->fds[0], e);
	if (r < 0)
		return r;
	what->fd_count = 1;
	snprintf(role, sizeof(role), "scsi/%u/%u", d->controller, d->lun);
	json_array_append_new(what->roles, json_string(role));
	if (!d->shared)
		return 0;
	r = reservations_open(v->instance.state_fd, d, what->fds[0], &what->fds[1], e);
	if (r < 0)
		return r;
	what->fd_count = 2;
	snprintf(role, sizeof(role), "pr/%u/%u", d->controller, d->lun);
	json_array_append_new(what->roles, json_string(role));
	return 0;
}

/* With the image that the new configuration names; ends the call in any case. */
static void run_with_image(struct vmms *v, struct vm *vm, struct rpc_call *call,
			   struct disk_change *what, struct vm_config *next)
{
	struct rpc_error e;

	if (disk_open_image(v, vm, next, what, &e) == 0) {
		disk_change_run(v, vm, call, what, next);
		return;
	}
	rpc_call_error(call, &e);
	config_done(next);
	disk_change_done(what);
}

void disks_attach(struct rpc_call *call, void *ctx)
{
	struct disk_change what = { .verb = "attach a drive to",
				    .method = "drive.attach",
				    .timeout_ms = ATTACH_MS,
				    .has_drive = true };
	struct vm *vm = disks_allowed(ctx, call);
	struct vm_config next;
	struct rpc_error e;

	if (!vm)
		return;
	if (add(vm, call, &what.at, &next, &e) < 0) {
		rpc_call_error(call, &e);
	} else if (disk_open_image(ctx, vm, &next, &what, &e) < 0) {
		rpc_call_error(call, &e);
		config_done(&next);
		disk_change_done(&what);
	} else if (vm->worker && what.fd_count && disk_has_chain(&next, &what.at)) {
		disk_chain_run(ctx, vm, call, &what, &next);
	} else {
		disk_change_run(ctx, vm, call, &what, &next);
	}
}

void disks_detach(struct rpc_call *call, void *ctx)
{
	struct disk_change what = { .verb = "detach a drive from",
				    .at = disks_place_of(call),
				    .method = "drive.detach",
				    .timeout_ms = DETACH_MS,
				    .is_detach = true };
	struct vm *vm = disks_allowed(ctx, call);
	struct config_error why;
	struct vm_config next;
	int r;

	if (!vm)
		return;
	r = config_drive_remove(&vm->config, what.at.controller, what.at.lun, &next,
				&why);
	if (r < 0)
		rpc_call_fail(call, r, "%s: %s", vm->config.name, why.message);
	else
		disk_change_run(ctx, vm, call, &what, &next);
}

/* ---- set ---- */

/* Whether two configurations of a drive are the same but for what can change while it is in use. */
static bool same_but_policies(const struct drive_config *a, const struct drive_config *b)
{
	static const char *const policies[] = { "min_iops", "max_iops", "on_error" };
	json_auto_t *x = config_drive_to_json(a), *y = config_drive_to_json(b);

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		json_object_del(x, policies[i]);
		json_object_del(y, policies[i]);
	}
	return x && y && json_equal(x, y);
}

/* What was attached twice before may stay so, but nothing new. */
static int check_set(const struct vm *vm, const struct vm_config *next,
		     const struct place *at, struct rpc_error *e)
{
	const struct drive_config *to = config_drive_at(next, at->controller, at->lun);

	if (!to)
		return rpc_error_set(e, -EINVAL,
				     "%s: a drive's place cannot change; detach it and "
				     "attach it anew",
				     vm->config.name);
	if (vm->worker &&
	    !same_but_policies(config_drive_at(&vm->config, at->controller, at->lun), to))
		return rpc_error_set(
			e, -EBUSY,
			"cannot change the drive %u:%u of %s: it is %s; only "
			"min_iops, max_iops and on_error can change now; stop "
			"it first, or detach the drive and attach it anew",
			at->controller, at->lun, vm->config.name, state_name(vm->state));
	return same_but_policies(config_drive_at(&vm->config, at->controller, at->lun),
				 to)
		       ? 0
		       : images_check_once(next, e);
}

void disks_set(struct rpc_call *call, void *ctx)
{
	struct disk_change what = { .verb = "change a drive of",
				    .at = disks_place_of(call),
				    .method = "drive.set",
				    .timeout_ms = SET_MS,
				    .has_drive = true };
	struct vm *vm = disks_allowed(ctx, call);
	struct config_error why;
	struct vm_config next;
	struct rpc_error e;
	int r;

	if (!vm)
		return;
	r = config_drive_patch(&vm->config, what.at.controller, what.at.lun,
			       json_object_get(rpc_call_params(call), "patch"), &next,
			       &why);
	if (r < 0) {
		rpc_call_fail(call, r, "%s: %s", vm->config.name, why.message);
	} else if (check_set(vm, &next, &what.at, &e) < 0) {
		rpc_call_error(call, &e);
		config_done(&next);
	} else {
		disk_change_run(ctx, vm, call, &what, &next);
	}
}

/* ---- the medium of a DVD drive ---- */

/* The drive that a call means: the first where it does not say. */
static const struct drive_config *find_dvd(const struct vm *vm, struct rpc_call *call)
{
	int64_t controller = rpc_call_integer(call, "controller", -1),
		lun = rpc_call_integer(call, "lun", -1);

	for (size_t i = 0; i < vm->config.drive_count; i++) {
		const struct drive_config *d = &vm->config.drives[i];

		if (d->kind == DRIVE_DVD &&
		    (controller < 0 || controller == d->controller) &&
		    (lun < 0 || lun == d->lun))
			return d;
	}
	rpc_call_fail(call, -ENOENT,
		      "%s has no DVD drive%s; to add one: vmctl disk attach %s --dvd",
		      vm->config.name, controller < 0 && lun < 0 ? "" : " there",
		      vm->config.name);
	return NULL;
}

static void change_medium(struct vmms *v, struct rpc_call *call, const char *verb,
			  const char *path, bool force)
{
	struct disk_change what = { .verb = verb,
				    .force = force,
				    .method = "dvd.change",
				    .timeout_ms = ATTACH_MS };
	struct vm *vm = disks_allowed(v, call);
	const struct drive_config *d = vm ? find_dvd(vm, call) : NULL;
	json_auto_t *patch = json_pack("{s:s?}", "path", path);
	struct config_error why;
	struct vm_config next;
	struct rpc_error e;
	int r;

	if (!d)
		return;
	what.at = (struct place){ d->controller, d->lun };
	r = config_drive_patch(&vm->config, d->controller, d->lun, patch, &next, &why);
	if (r < 0) {
		rpc_call_fail(call, r, "%s: %s", vm->config.name, why.message);
	} else if (path && images_check_once(&next, &e) < 0) {
		rpc_call_error(call, &e);
		config_done(&next);
	} else {
		run_with_image(v, vm, call, &what, &next);
	}
}

void disks_insert(struct rpc_call *call, void *ctx)
{
	change_medium(ctx, call, "insert a medium into", rpc_call_string(call, "path"),
		      true);
}

void disks_eject(struct rpc_call *call, void *ctx)
{
	change_medium(ctx, call, "eject the medium of", NULL,
		      rpc_call_bool(call, "force"));
}
