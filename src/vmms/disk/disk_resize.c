/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk.resize. While the VM has a worker, that does it: it alone knows what the guest may see when. Otherwise a raw file is made longer here, which needs
 * no look into it; an image with a format is a job's business. Other VMs that have the same image, a shared one, are told to look at its size, and the call is
 * answered when all their workers have.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/disk/disks_priv.h"
#include "vmms/disk/images.h"
#include "vmms/job/vhd.h"
#include "vmms/worker/worker.h"

#define RESIZE_MS 30000
#define LOOK_MS 5000
#define SECTOR 512

/* ---- the other VMs ---- */

/* The answer of a call that waits for them. */
struct resized {
	struct rpc_call *call;
	json_t *result;
	size_t waiting; /* and 1 while they are being told */
};

struct look {
	struct resized *resized;
	struct vm *vm; /* outlives it: a VM with a worker is not deleted */
	struct place at;
};

static void unwait(struct resized *r)
{
	if (--r->waiting)
		return;
	rpc_call_reply(r->call, r->result);
	free(r);
}

/* A worker that has ended sees the size at its next start. */
static void on_looked(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct look *l = arg;

	if (e && e->err != -ECONNRESET && e->err != -ECONNABORTED)
		log_warning("%s: its guest does not see the new size of %u:%u: %s; tell "
			    "it with "
			    "'vmctl disk resize %s %u:%u'",
			    l->vm->config.name, l->at.controller, l->at.lun, e->message,
			    l->vm->config.name, l->at.controller, l->at.lun);
	unwait(l->resized);
	free(l);
}

static void look(struct resized *r, struct vm *vm, const struct drive_config *d)
{
	struct look *l = malloc(sizeof(*l));
	struct rpc_error e;
	int n = -ENOMEM;

	if (!l)
		return;
	*l = (struct look){ r, vm, { d->controller, d->lun } };
	r->waiting++;
	n = worker_call(vm->worker, "drive.resize",
			json_pack("{s:i, s:i}", "controller", (int)d->controller, "lun",
				  (int)d->lun),
			LOOK_MS, on_looked, l);
	if (n == 0)
		return;
	rpc_error_set(&e, n, "its worker does not answer");
	on_looked(l, NULL, &e);
}

/* Answers the call, after all VMs but `self` that run with the image at `path` have looked at it. Takes the result. */
static void finish(struct vmms *v, const struct vm *self, const char *path,
		   struct rpc_call *call, json_t *result)
{
	struct resized *r = result ? malloc(sizeof(*r)) : NULL;
	struct vm *vm;

	if (!r) {
		json_decref(result);
		rpc_call_fail(call, -ENOMEM, "no memory");
		return;
	}
	*r = (struct resized){ call, result, 1 };
	list_for_each (vm, &v->registry.vms, link) {
		for (size_t i = 0; vm != self && vm->worker && i < vm->config.drive_count;
		     i++) {
			const struct drive_config *d = &vm->config.drives[i];

			if (d->kind == DRIVE_DISK && d->path && image_same(d->path, path))
				look(r, vm, d);
		}
	}
	unwait(r);
}

/* ---- with a worker ---- */

struct resize {
	struct vmms *v;
	struct vm *vm; /* outlives it: a VM with a worker is not deleted */
	struct rpc_call *call;
	char *path;
};

static void resize_free(struct resize *r)
{
	if (r)
		free(r->path);
	free(r);
}

static void on_resized(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct resize *r = arg;

	if (e)
		rpc_call_fail(r->call, e->err, "cannot resize a disk of %s: %s",
			      r->vm->config.name, e->message);
	else
		finish(r->v, r->vm, r->path, r->call, json_deep_copy(result));
	resize_free(r);
}

static struct resize *resize_new(struct vmms *v, struct vm *vm,
				 const struct drive_config *d, struct rpc_call *call)
{
	struct resize *r = malloc(sizeof(*r));

	if (!r)
		return NULL;
	*r = (struct resize){ v, vm, call, strdup(d->path ? d->path : "") };
	if (r->path)
		return r;
	free(r);
	return NULL;
}

static void resize_running(struct vmms *v, struct vm *vm, const struct drive_config *d,
			   struct rpc_call *call)
{
	json_t *params = json_pack("{s:i, s:i}", "controller", (int)d->controller, "lun",
				   (int)d->lun);
	int64_t bytes = rpc_call_integer(call, "bytes", 0);
	struct resize *ask = resize_new(v, vm, d, call);
	int r = -ENOMEM;

	if (ask && params) {
		if (bytes)
			json_object_set_new(params, "bytes", json_integer(bytes));
		r = worker_call(vm->worker, "drive.resize", params, RESIZE_MS, on_resized,
				ask);
		params = NULL;
	}
	if (r == 0)
		return;
	json_decref(params);
	resize_free(ask);
	rpc_call_fail(call, r, "cannot resize a disk of %s: %s", vm->config.name,
		      r == -ENOMEM ? "no memory"
				   : "its worker does not answer; turn it off with "
				     "--force");
}

/* ---- without ---- */

static int grow(int fd, const struct drive_config *d, int64_t bytes, int64_t *ret,
		struct rpc_error *e)
{
	off_t end = lseek(fd, 0, SEEK_END);
	struct stat st;

	if (end < 0 || fstat(fd, &st) < 0)
		return rpc_error_set(e, -errno, "%s: %s", d->path, strerror(errno));
	if (bytes && bytes < end)
		return rpc_error_set(
			e, -EINVAL,
			"%s is larger than that; a disk is not made smaller, "
			"since that would destroy what is at its end",
			d->path);
	if (bytes % SECTOR)
		return rpc_error_set(e, -EINVAL, "the size must be a multiple of %d",
				     SECTOR);
	if (bytes > end && S_ISBLK(st.st_mode))
		return rpc_error_set(e, -EINVAL, "%s is a device; it has its own size",
				     d->path);
	if (bytes > end && (ftruncate(fd, bytes) < 0 || fsync(fd) < 0))
		return rpc_error_set(e, -errno, "%s: %s", d->path, strerror(errno));
	*ret = bytes ? bytes : end;
	return 0;
}

static int resize_off(struct vmms *v, const struct vm *vm, const struct drive_config *d,
		      int64_t bytes, int64_t *ret, struct rpc_error *e)
{
	cleanup_fd int fd = -1;
	int r;

	if (d->kind == DRIVE_DVD || d->read_only)
		return rpc_error_set(e, -EROFS, "%u:%u of %s is read-only", d->controller,
				     d->lun, vm->config.name);
	if (vhd_has_format(d->path))
		return rpc_error_set(e, -ENOTSUP,
				     "%s is no raw disk; while the VM is off, resize it "
				     "with 'vmctl vhd resize'",
				     d->path);
	r = image_open(&v->registry, vm, d, &fd, e);
	return r < 0 ? r : grow(fd, d, bytes, ret, e);
}

void disks_resize(struct rpc_call *call, void *ctx)
{
	struct place at = disks_place_of(call);
	struct vm *vm = disks_allowed(ctx, call);
	const struct drive_config *d;
	struct rpc_error e;
	int64_t bytes = 0;

	if (!vm)
		return;
	d = config_drive_at(&vm->config, at.controller, at.lun);
	if (!d)
		rpc_call_fail(call, -ENOENT, "%s: there is no drive at %u:%u",
			      vm->config.name, at.controller, at.lun);
	else if (vm->worker)
		resize_running(ctx, vm, d, call);
	else if (resize_off(ctx, vm, d, rpc_call_integer(call, "bytes", 0), &bytes, &e) <
		 0)
		rpc_call_error(call, &e);
	else
		finish(ctx, vm, d->path, call,
		       json_pack("{s:I}", "bytes", (json_int_t)bytes));
}
