/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/worker/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "vmms/audit.h"
#include "vmms/vm/automatic.h"
#include "vmms/worker/shares.h"
#include "vmms/vm/store.h"
#include "vmms/wait.h"
#include "vmms/worker/worker_priv.h"

#define TURN_OFF_SECONDS 5
#define FAIL_SECONDS 1
#define RECORD_MAX (128u << 10)
#define EXIT_NO_PROGRAM 127
#define WORKER_ARGS 7

pid_t worker_pid(const struct worker *w)
{
	return w->process.pid;
}

uint64_t worker_starttime(const struct worker *w)
{
	return w->process.starttime;
}

const char *worker_console_socket(const struct worker *w)
{
	return w->console_socket;
}

const char *worker_console_pty(const struct worker *w)
{
	return w->console_pty;
}

/* ---- the end ---- */

static void worker_free(struct worker *w)
{
	struct event *events[] = { w->exit_ev, w->kill_ev, w->retry_ev };

	link_close(w);
	vhd_chain_free(w->chain);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (w->have_res)
		resources_done(&w->res);
	if (w->process.pidfd >= 0)
		close(w->process.pidfd);
	if (w->gate >= 0)
		close(w->gate);
	confine_give_uid(&w->v->confine, w->uid);
	free(w->console_socket);
	free(w);
}

/* What the exit status tells, for a worker that left no report. True when it is a fault. */
static bool describe_exit(const struct worker *w, char *ret, size_t size)
{
	int code = 0, status = 0, r = process_reap(&w->process, &code, &status);

	if (w->end_reason[0]) {
		snprintf(ret, size, "%s", w->end_reason);
		return w->end_is_fault;
	}
	if (r < 0)
		snprintf(ret, size,
			 "worker ended unexpectedly; how is not known, because vmms was "
			 "restarted meanwhile");
	else if (code == CLD_KILLED || code == CLD_DUMPED)
		snprintf(ret, size, "worker was killed by signal %d (%s)", status,
			 strsignal(status));
	else if (status == EXIT_NO_PROGRAM)
		snprintf(ret, size, "the worker's program %s could not be run",
			 w->v->settings.vmwp);
	else if (status == SANDBOX_EXIT)
		snprintf(ret, size, "worker did what its sandbox forbids; see its log");
	else
		snprintf(ret, size,
			 "worker ended with status %d and no report; see its log",
			 status);
	return true;
}

/* The report of the worker itself goes before what can be seen from outside. */
static bool describe_end(const struct worker *w, char *ret, size_t size)
{
	struct store_report report = { 0 };
	cleanup_fd int dir = -1;
	bool fault;

	if (store_open(w->v->instance.state_fd, &w->vm->id, &dir) == 0)
		store_read_report(dir, &report);
	fault = describe_exit(w, ret, size);
	if (report.known && !w->end_is_fault) {
		snprintf(ret, size, "%s", report.reason);
		return report.critical;
	}
	return fault;
}

/* The worker is gone; what its group reserved is the others'. */
static void leave_group(struct vmms *v, struct vm *vm)
{
	cgroup_drop(&v->cgroups, vm->id_text);
	vm->grouped = false;
	shares_apply(v);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void worker_is_up(struct worker *w)
{
	w->up = true;
	w->up_at_ms = now_ms();
}

static void worker_ended(struct worker *w)
{
	const struct resources_env env = vmms_resources_env(w->v);
	struct rpc_call *call = w->start_call;
	struct vm *vm = w->vm;
	struct vmms *v = w->v;
	char why[512];
	bool fault = describe_end(w, why, sizeof(why));
	/* One that somebody ended, or waits for, is not started again. */
	bool asked = call || vm->state == VM_STOPPING ||
		     (w->end_reason[0] && !w->end_is_fault);
	uint64_t ran_ms = w->up_at_ms ? now_ms() - w->up_at_ms : 0;
	int err = w->end_err ? w->end_err : -ECONNRESET;

	resources_remove(&env, vm);
	vm->worker = NULL;
	leave_group(v, vm);
	vm_set_off(vm, fault ? VM_CRITICAL : VM_OK, why);
	automatic_ended(v, vm, fault && !asked, ran_ms);
	w->start_call = NULL;
	worker_free(
		w); /* calls under way end here, and find the VM Off with its reason */
	if (call)
		rpc_call_fail(call, err, "cannot start %s: %s", vm->config.name, why);
	vmms_changed(v, vm, VM_CHANGED_STATE);
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	worker_ended(arg);
}

static void set_end(struct worker *w, int err, bool fault, const char *why)
{
	if (w->end_reason[0])
		return; /* the first reason counts */
	snprintf(w->end_reason, sizeof(w->end_reason), "%s", why);
	w->end_is_fault = fault;
	w->end_err = err;
}

static void on_kill(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	log_warning("%s: worker %d does not end; killed", w->vm->config.name,
		    (int)w->process.pid);
	if (w->kill_why)
		set_end(w, -ECONNRESET, true, w->kill_why);
	process_kill(&w->process);
}

static void kill_after(struct worker *w, int seconds, const char *why)
{
	const struct timeval t = { .tv_sec = seconds };

	w->kill_why = why;
	if (event_add(w->kill_ev, &t) < 0)
		process_kill(&w->process);
}

void worker_fail(struct worker *w, int err, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	set_end(w, err, true, why);
	process_kill(&w->process);
}

void worker_fail_soon(struct worker *w, const char *why)
{
	log_debug("%s: %s", w->vm->config.name, why);
	kill_after(w, FAIL_SECONDS, why);
}

static void on_turned_off(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct worker *w = arg;

	/* The connection may end before the answer; then the process is ending as well. */
	if (e && e->err != -ECONNRESET && e->err != -ECONNABORTED)
		process_kill(&w->process);
}

static void start_failed(struct worker *w, int err, const char *why);

void worker_turn_off(struct worker *w)
{
	if (w->chain) {
		start_failed(w, -ECANCELED, "turned off");
		return;
	}
	set_end(w, -ECANCELED, false, "turned off");
	if (!w->up || worker_call(w, "vm.turn_off", NULL, TURN_OFF_SECONDS * 1000,
				  on_turned_off, w) < 0)
		process_kill(&w->process);
	else
		kill_after(w, TURN_OFF_SECONDS, NULL);
}

/* ---- the beginning ---- */

static struct worker *worker_new(struct vmms *v, struct vm *vm)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->v = v;
	w->vm = vm;
	w->process.pidfd = -1;
	w->gate = -1;
	w->uid = SANDBOX_NO_UID;
	w->kill_ev = event_new(v->base, -1, 0, on_kill, w);
	if (!w->kill_ev ||
	    asprintf(&w->console_socket, "%s/vms/%s/" RESOURCES_CONSOLE_SOCKET,
		     v->settings.run_dir, vm->id_text) < 0) {
		w->console_socket = NULL;
		worker_free(w);
		return NULL;
	}
	return w;
}

/* From here on its end is noticed. */
static int watch(struct worker *w)
{
	w->exit_ev = event_new(w->v->base, w->process.pidfd, EV_READ, on_exit_event, w);
	if (!w->exit_ev || event_add(w->exit_ev, NULL) < 0)
		return -ENOMEM;
	w->vm->worker = w;
	return 0;
}

/* What lets the next vmms know the process again. */
static int write_record(struct worker *w)
{
	json_t *j = json_pack(
		"{s:i, s:I, s:s, s:I, s:O?}", "pid", (int)w->process.pid, "starttime",
		(json_int_t)w->process.starttime, "console_pty", w->console_pty, "uid",
		w->uid == SANDBOX_NO_UID ? (json_int_t)-1 : (json_int_t)w->uid, "config",
		w->vm->at_start);
	cleanup_free char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!text)
		return -ENOMEM;
	return io_replace_file(w->res.run_dir, RESOURCES_RECORD, text, strlen(text),
			       0600);
}

static int launch(struct worker *w, struct rpc_error *e)
{
	const char *argv[WORKER_ARGS + CONFINE_ARGS + 1] = {
		w->v->settings.vmwp, "--control-fd", "3",           "--name",
		w->vm->config.name,  "--id",         w->vm->id_text
	};
	struct confine *c = &w->v->confine;
	struct confine_args sandbox;
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct spawn s = { .argv = argv,
				 .fds = { null, w->res.log_fd, w->res.log_fd,
					  w->res.control_fd },
				 .sandbox = c->host.mode };
	int r;

	if (access(argv[0], X_OK) < 0)
		return rpc_error_set(e, -errno,
				     "the worker's program %s: %s; name it with "
				     "--vmwp",
				     argv[0], strerror(errno));
	r = confine_take_uid(c, &w->vm->id, &w->uid);
	if (r < 0)
		return rpc_error_set(e, r,
				     "all users for workers are in use; make "
				     "\"worker_uids\" wider");
	confine_args(c, w->uid, &sandbox);
	memcpy(argv + WORKER_ARGS, sandbox.argv, sizeof(sandbox.argv));
	r = spawn_gated(&s, &w->process, &w->gate);
	if (r < 0)
		return rpc_error_set(e, r, "no worker could be started: %s",
				     strerror(-r));
	r = write_record(w);
	if (r == 0)
		r = watch(w);
	if (r < 0) {
		process_kill(&w->process);
		waitpid(w->process.pid, NULL, 0);
		w->vm->worker = NULL;
		return rpc_error_set(e, r, "no worker could be started: %s",
				     strerror(-r));
	}
	return 0;
}

/* A start that came to nothing: the VM is Off as before, with why. Answers its call. */
static void start_failed(struct worker *w, int err, const char *why)
{
	const struct resources_env env = vmms_resources_env(w->v);
	struct rpc_call *call = take_ptr(&w->start_call);
	bool fault = err != -ECANCELED;
	struct vm *vm = w->vm;
	struct vmms *v = w->v;
	struct rpc_error e;

	rpc_error_set(&e, err, "cannot start %s: %s", vm->config.name, why);
	vm->worker = NULL;
	leave_group(v, vm);
	worker_free(w);
	resources_remove(&env, vm);
	vm_set_off(vm, fault ? VM_CRITICAL : VM_OK, why);
	automatic_ended(v, vm, fault && !call, 0);
	if (call)
		rpc_call_error(call, &e);
	vmms_changed(v, vm, VM_CHANGED_STATE);
}

/*
 * The process is where it belongs, or has to do without: settings that have no effect are worth a line, and a host without
 * control groups still runs VMs.
 */
static void on_grouped(void *arg, int r)
{
	struct worker *w = arg;
	struct vm *vm = w->vm;

	vm->grouped = r == 0;
	if (r < 0)
		audit_log_vm(LOG_LVL_WARNING, vm,
			     "its worker has no control group, and so no limits: %s",
			     strerror(-r));
	shares_apply(w->v);
	r = spawn_open_gate(&w->gate);
	if (r < 0) {
		worker_fail(w, r, "its worker could not be started: %s", strerror(-r));
		return;
	}
	/* Only the worker listens from here on: when it is gone, so is who would answer. */
	close(take_fd(&w->res.control_fd));
	link_open(w);
}

/* All is there: the process. */
static void launch_or_fail(struct worker *w)
{
	struct rpc_error why;
	int r = launch(w, &why);

	if (r < 0) {
		start_failed(w, r, why.message);
		return;
	}
	shares_of(w->v, w->vm, &w->vm->limits);
	cgroup_add(&w->v->cgroups, w->vm->id_text, w->vm->config.name, w->process.pid,
		   &w->vm->limits, on_grouped, w);
}

static void on_chain(void *arg, struct vhd_files *files, const struct rpc_error *error)
{
	struct worker *w = arg;
	struct rpc_error e = { 0 };
	int r;

	if (error)
		e = *error;
	r = error ? error->err : resources_add_parents(&w->res, w->vm, files, &e);
	vhd_chain_free(take_ptr(&w->chain));
	if (r < 0)
		start_failed(w, r, e.message);
	else
		launch_or_fail(w);
}

/* Looks for the parents of its images; w->chain stays NULL where none can have any. */
static int find_parents(struct worker *w, struct rpc_error *e)
{
	struct vhd_files leaves = { 0 };
	int r = resources_leaves(&w->res, w->vm, &leaves);

	if (r < 0)
		return rpc_error_set(e, r, "%s", strerror(-r));
	if (leaves.n)
		r = vhd_chain_start(w->v, &leaves, on_chain, w, &w->chain, e);
	vhd_files_done(&leaves);
	return r;
}

int worker_start(struct vmms *v, struct vm *vm, struct rpc_call *call,
		 struct rpc_error *e)
{
	const struct resources_env env = vmms_resources_env(v);
	struct worker *w = worker_new(v, vm);
	struct rpc_error why;
	int r;

	if (!w)
		return rpc_error_set(e, -ENOMEM, "cannot start %s: no memory",
				     vm->config.name);
	r = shares_check(v, vm, e);
	if (r == 0)
		r = resources_open(&env, vm, &w->res, e);
	if (r < 0) {
		worker_free(w);
		return r;
	}
	w->have_res = true;
	strcpy(w->console_pty, w->res.console_pty);
	vm->worker = w;
	vm->state = vm->worker_state = VM_STARTING;
	vm->health = VM_OK;
	vm->reason[0] = 0;
	vm->at_start = config_at_start(&vm->config);
	w->start_call = call;
	vmms_changed(v, vm, VM_CHANGED_STATE);
	r = find_parents(w, &why);
	if (r < 0)
		start_failed(w, r, why.message);
	else if (!w->chain)
		launch_or_fail(w);
	return 0;
}

/* ---- adoption ---- */

struct record {
	struct process process;
	char console_pty[64];
	uid_t uid;
	json_t *at_start; /* the caller's; NULL: not known */
};

static int read_record(struct vmms *v, const char *id, struct record *ret)
{
	cleanup_fd int dir = openat(v->instance.run_fd, id,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_free char *text = NULL;
	const char *pty;
	json_t *j, *pid, *start, *uid, *at_start;
	size_t len;
	int r;

	if (dir < 0)
		return -ESRCH;
	r = io_read_file(dir, RESOURCES_RECORD, RECORD_MAX, &text, &len);
	j = r < 0 ? NULL : json_loadb(text, len, 0, NULL);
	pid = json_object_get(j, "pid");
	start = json_object_get(j, "starttime");
	pty = json_string_value(json_object_get(j, "console_pty"));
	uid = json_object_get(j, "uid");
	at_start = json_object_get(j, "config");
	ret->uid = json_is_integer(uid) ? (uid_t)json_integer_value(uid) : SANDBOX_NO_UID;
	snprintf(ret->console_pty, sizeof(ret->console_pty), "%s", pty ? pty : "");
	r = json_is_integer(pid) && json_is_integer(start)
		    ? process_open((pid_t)json_integer_value(pid),
				   (uint64_t)json_integer_value(start), &ret->process)
		    : -ESRCH;
	ret->at_start = r == 0 && json_is_object(at_start) ? json_incref(at_start) : NULL;
	json_decref(j);
	return r;
}

bool worker_was_heard(const struct worker *w)
{
	return w->heard;
}

bool worker_is_alive(struct vmms *v, const char *id)
{
	struct record rec;

	if (read_record(v, id, &rec) < 0)
		return false;
	close(rec.process.pidfd);
	json_decref(rec.at_start);
	return true;
}

int worker_adopt(struct vmms *v, struct vm *vm)
{
	struct worker *w = worker_new(v, vm);
	struct record rec;
	int r = w ? read_record(v, vm->id_text, &rec) : -ENOMEM;

	if (r == 0) {
		w->process = rec.process;
		w->uid = rec.uid;
		strcpy(w->console_pty, rec.console_pty);
		vm->at_start = rec.at_start;
		r = watch(w);
	}
	if (r < 0) {
		if (w)
			worker_free(w);
		return r;
	}
	confine_keep_uid(&v->confine, w->uid);
	w->adopted = true;
	worker_is_up(w);
	vm->grouped =
		true; /* as far as is known; shares_apply() brings it what it is to have */
	/* Until it says better. */
	vm->state = vm->worker_state = VM_RUNNING;
	vm->health = VM_OK;
	vm->reason[0] = 0;
	link_open(w);
	return 0;
}

void worker_leave(struct worker *w)
{
	struct rpc_call *call = take_ptr(&w->start_call);

	if (call)
		rpc_call_fail(call, -ECONNABORTED, "vmms is stopping");
	w->vm->worker = NULL;
	worker_free(w);
}

int worker_call_fds(struct worker *w, const char *method, json_t *params, int *fds,
		    size_t nfds, unsigned int timeout_ms, rpc_peer_fn fn, void *arg)
{
	if (!w->peer) {
		for (size_t i = 0; i < nfds; i++)
			close(fds[i]);
		json_decref(params);
		return -EPIPE;
	}
	return rpc_peer_call(w->peer, method, params, fds, nfds, timeout_ms, fn, arg);
}

int worker_call(struct worker *w, const char *method, json_t *params,
		unsigned int timeout_ms, rpc_peer_fn fn, void *arg)
{
	return worker_call_fds(w, method, params, NULL, 0, timeout_ms, fn, arg);
}
