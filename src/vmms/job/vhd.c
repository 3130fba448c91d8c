/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The methods on disk images. Each opens what it names, begins a job, and hands the files to a process; when that has ended well a new file gets
 * its name, or a merged child is deleted, and only then is the job Completed.
 */
#include "vmms/job/vhd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/disk/images.h"
#include "vmms/job/job.h"
#include "vmms/job/vhd_target.h"
#include "vmms/vmms.h"

/* An operation from its call to its end. owner: the event loop */
struct vhd_op {
	struct list link; /* vhd.info: in the daemon's `looks` */
	struct vmms *v;
	struct rpc_call
		*call;   /* vhd.info: answered at the end; else when the job has begun */
	struct job *job; /* NULL: none, for what is over at once */
	struct vhd_process *process;
	struct vhd_files files; /* until the process has them */
	struct vhd_target target;
	bool has_target, delete_source;
	vhd_made_fn made; /* vhd_make(): instead of a call; NULL */
	void *made_arg;
};

static void op_free(struct vhd_op *op)
{
	list_del(&op->link);
	vhd_process_free(op->process);
	vhd_files_done(&op->files);
	if (op->has_target)
		vhd_target_done(&op->target);
	free(op);
}

/* ---- the end ---- */

/* A merged child is of no more use: its parent holds all. */
static int delete_child(struct vhd_op *op, struct rpc_error *e)
{
	const struct vhd_file *child = &vhd_process_files(op->process)->v[0];

	return job_delete_file(op->job, child->path, child->dev, child->ino, e);
}

static void on_ended(void *arg, const json_t *result, const struct rpc_error *error)
{
	json_auto_t *kept = json_incref((json_t *)(uintptr_t)result);
	struct vhd_op *op = arg;
	struct rpc_call *call = op->call;
	vhd_made_fn made = op->made;
	void *made_arg = op->made_arg;
	struct job *job = op->job;
	struct rpc_error e = { 0 };
	int r = 0;

	if (error)
		e = *error;
	else if (op->has_target)
		r = vhd_target_commit(&op->target, &e);
	else if (op->delete_source)
		r = delete_child(op, &e);
	/* Whoever hears of the end finds every file free. */
	op_free(op);
	if (job)
		job_end(job, kept, error || r < 0 ? &e : NULL);
	if (made)
		made(made_arg, error || r < 0 ? &e : NULL);
	if (job)
		return;
	if (error)
		rpc_call_error(call, &e);
	else
		rpc_call_reply(call, json_incref(kept));
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct vhd_op *op = arg;

	if (op->job)
		job_progress(op->job, done, total);
}

static const struct vhd_process_ops process_ops = { .progress = on_progress,
						    .ended = on_ended };

static void op_cancel(void *arg)
{
	struct vhd_op *op = arg;

	vhd_process_cancel(op->process);
}

static void op_drop(void *arg)
{
	const struct rpc_error e = { .code = RPC_FAILED, .message = "vmms is stopping" };
	struct vhd_op *op = arg;
	vhd_made_fn made = op->made;
	void *made_arg = op->made_arg;

	op_free(op);
	if (made)
		made(made_arg, &e);
}

static bool op_uses(void *arg, dev_t dev, ino_t ino)
{
	struct vhd_op *op = arg;

	return op->process && vhd_process_uses(op->process, dev, ino);
}

static const struct job_ops job_ops = { .cancel = op_cancel,
					.drop = op_drop,
					.uses = op_uses };

/* ---- the beginning ---- */

static struct vhd_op *op_alloc(struct vmms *v)
{
	struct vhd_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	list_init(&op->link);
	op->v = v;
	return op;
}

static struct vhd_op *op_new(struct rpc_call *call, void *ctx)
{
	struct vhd_op *op = op_alloc(ctx);

	if (op)
		op->call = call;
	else
		rpc_call_fail(call, -ENOMEM, "no memory");
	return op;
}

static void op_fail(struct vhd_op *op, const struct rpc_error *e)
{
	struct rpc_call *call = op->call;

	op_free(op);
	rpc_call_error(call, e);
}

/* The params that a process's method has as well. */
static json_t *pass_on(struct rpc_call *call)
{
	static const char *const names[] = { "type",          "block_bytes",
					     "logical_bytes", "physical_bytes",
					     "shrink",        "ignore_id" };
	json_t *params = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		json_t *value = json_object_get(rpc_call_params(call), names[i]);

		if (value && !json_is_null(value))
			json_object_set(params, names[i], value);
	}
	if (rpc_call_integer(call, "size_bytes", 0))
		json_object_set_new(params, "disk_bytes",
				    json_integer((json_int_t)rpc_call_integer(
					    call, "size_bytes", 0)));
	return params;
}

/* Makes the target's file and puts it among the files, where `at` says. */
static int open_target(struct vhd_op *op, struct rpc_error *e)
{
	int r = vhd_target_open(&op->target, false, e);
	int fd = r < 0 ? r : dup(op->target.fd);

	if (r < 0)
		return r;
	if (fd < 0)
		return rpc_error_set(e, -errno, "%s", strerror(errno));
	r = vhd_files_add(&op->files, fd, op->target.path, -1);
	return r < 0 ? rpc_error_set(e, r, "no memory") : 0;
}

/* A job whose files are open, and its process. Takes params; on an error the job, if it began, has ended. */
static int begin_job(struct vhd_op *op, const char *kind, const char *method,
		     const char *path, json_t *params, struct rpc_error *e)
{
	int r = job_new(op->v->jobs, kind, path,
			op->has_target ? op->target.hidden : NULL, &job_ops, op, &op->job,
			e);

	if (r < 0) {
		json_decref(params);
		return r;
	}
	if (op->has_target)
		r = open_target(op, e);
	if (r < 0)
		json_decref(params);
	else
		r = vhd_process_start(op->v, method, params, &op->files,
				      op->delete_source, &process_ops, op, &op->process,
				      e);
	if (r < 0)
		job_end(op->job, NULL, e);
	return r;
}

/* The same for a call, which is answered. */
static void begin(struct vhd_op *op, const char *kind, const char *method)
{
	struct rpc_error e;

	if (begin_job(op, kind, method, rpc_call_string(op->call, "path"),
		      pass_on(op->call), &e) < 0)
		op_fail(op, &e);
	else
		rpc_call_reply(take_ptr(&op->call), job_document(op->job));
}

/* A merged child is deleted: no VM may be left with the name of nothing. */
static int refuse_attached(struct vhd_op *op, struct rpc_error *e)
{
	const struct vhd_file *child = &op->files.v[0];
	const struct vm *vm = image_attached(&op->v->registry, child->fd);

	if (!vm)
		return 0;
	return rpc_error_set(
		e, -ETXTBSY,
		"%s is a disk of the VM %s, and would be deleted; give the VM "
		"another disk first",
		child->path, vm->config.name);
}

/* An operation on one image in its place. */
static void in_place(struct rpc_call *call, void *ctx, const char *kind, bool write,
		     bool merge)
{
	struct vhd_op *op = op_new(call, ctx);
	struct rpc_error e;

	if (!op)
		return;
	op->delete_source = merge;
	if (vhd_open(ctx, rpc_call_string(call, "path"), write, &op->files, &e) < 0 ||
	    (merge && refuse_attached(op, &e) < 0))
		op_fail(op, &e);
	else
		begin(op, kind, kind + strlen("vhd."));
}

void vhd_resize(struct rpc_call *call, void *ctx)
{
	in_place(call, ctx, "vhd.resize", true, false);
}

void vhd_compact(struct rpc_call *call, void *ctx)
{
	in_place(call, ctx, "vhd.compact", true, false);
}

void vhd_merge(struct rpc_call *call, void *ctx)
{
	in_place(call, ctx, "vhd.merge", true, true);
}

void vhd_check(struct rpc_call *call, void *ctx)
{
	in_place(call, ctx, "vhd.check", false, false);
}

void vhd_repair(struct rpc_call *call, void *ctx)
{
	in_place(call, ctx, "vhd.repair", true, false);
}

void vhd_set_parent(struct rpc_call *call, void *ctx)
{
	struct vhd_op *op = op_new(call, ctx);
	struct rpc_error e;

	if (!op)
		return;
	if (vhd_open(ctx, rpc_call_string(call, "path"), true, &op->files, &e) < 0 ||
	    vhd_open(ctx, rpc_call_string(call, "parent"), false, &op->files, &e) < 0)
		op_fail(op, &e);
	else
		begin(op, "vhd.set_parent", "set_parent");
}

/* ---- new images ---- */

static int prepare_target(struct vhd_op *op, const char *path, bool force,
			  struct rpc_error *e)
{
	struct stat st;
	int r;

	for (size_t i = 0; stat(path, &st) == 0 && i < op->files.n; i++) {
		if (op->files.v[i].dev == st.st_dev && op->files.v[i].ino == st.st_ino)
			return rpc_error_set(
				e, -EEXIST,
				"%s and %s are the same file; choose another "
				"name for the new image",
				op->files.v[i].path, path);
	}
	r = vhd_target_prepare(&op->v->registry, path, force, &op->target, e);
	op->has_target = r == 0;
	return r;
}

void vhd_create(struct rpc_call *call, void *ctx)
{
	const char *parent = rpc_call_string(call, "parent");
	struct vhd_op *op = op_new(call, ctx);
	struct rpc_error e;

	if (!op)
		return;
	if ((parent && vhd_open(ctx, parent, false, &op->files, &e) < 0) ||
	    prepare_target(op, rpc_call_string(call, "path"),
			   rpc_call_bool(call, "force"), &e) < 0)
		op_fail(op, &e);
	else
		begin(op, "vhd.create", "create");
}

void vhd_convert(struct rpc_call *call, void *ctx)
{
	const char *target = rpc_call_string(call, "target");
	struct vhd_op *op = op_new(call, ctx);
	struct rpc_error e;

	if (!op)
		return;
	if (vhd_open(ctx, rpc_call_string(call, "path"), false, &op->files, &e) < 0 ||
	    prepare_target(op, target, rpc_call_bool(call, "force"), &e) < 0)
		op_fail(op, &e);
	else
		begin(op, "vhd.convert", "convert");
}

int vhd_make(struct vmms *v, const char *path, uint64_t bytes, vhd_made_fn fn, void *arg,
	     struct rpc_error *e)
{
	struct vhd_op *op = op_alloc(v);
	int r;

	if (!op)
		return rpc_error_set(e, -ENOMEM, "no memory");
	r = prepare_target(op, path, false, e);
	if (r == 0)
		r = begin_job(op, "vhd.create", "create", path,
			      json_pack("{s:I}", "disk_bytes", (json_int_t)bytes), e);
	if (r < 0) {
		op_free(op);
		return r;
	}
	op->made = fn;
	op->made_arg = arg;
	return 0;
}

/* ---- info: over at once, so no job ---- */

void vhd_info(struct rpc_call *call, void *ctx)
{
	struct vhd_op *op = op_new(call, ctx);
	struct vmms *v = ctx;
	struct rpc_error e;
	int r;

	if (!op)
		return;
	list_add_tail(&v->looks, &op->link);
	r = vhd_open_to_look(ctx, rpc_call_string(call, "path"), &op->files, &e);
	if (r == 0)
		r = vhd_process_start(ctx, "info", json_object(), &op->files, false,
				      &process_ops, op, &op->process, &e);
	if (r < 0)
		op_fail(op, &e);
}

void vhd_drop_looks(struct vmms *v)
{
	const struct rpc_error e = { .code = RPC_FAILED, .message = "vmms is stopping" };

	while (!list_empty(&v->looks))
		op_fail(list_entry(v->looks.next, struct vhd_op, link), &e);
}
