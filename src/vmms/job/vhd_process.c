/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/job/vhd_process.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpc/methods.h"
#include "rpc/peer.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/disk/images.h"
#include "vmms/worker/spawn.h"
#include "vmms/job/vhd_parent.h"
#include "vmms/vmms.h"

#define END_SECONDS 5 /* for what was cancelled or has answered; then it is killed */
#define EXIT_NO_PROGRAM 127
#define VMVHD_ARGS 3

/* owner: the event loop */
struct vhd_process {
	/* fixed after init */
	struct vmms *v;
	const struct rpc_method *method;
	const struct vhd_process_ops *ops;
	void *arg;
	bool write_parent;

	struct vhd_files files;
	struct process process;
	uid_t uid;             /* its own user; SANDBOX_NO_UID: vmms's */
	struct rpc_peer *peer; /* NULL once it is over */
	struct event *exit_ev, *kill_ev;
	bool exited, cancelled;
	int exit_code, exit_status; /* as process_reap() has them */
	json_t *result;             /* its answer */
	struct rpc_error error;     /* or this; code 0: none yet */
	struct rpc_error refused;   /* why it did not get a parent; code 0: it did */
};

/* ---- files ---- */

int vhd_files_add(struct vhd_files *f, int fd_, const char *path, int child)
{
	cleanup_fd int fd = fd_;
	struct vhd_file *v = realloc(f->v, (f->n + 1) * sizeof(*v));
	struct stat st;

	if (v)
		f->v = v;
	if (!v || fstat(fd, &st) < 0)
		return v ? -errno : -ENOMEM;
	v[f->n] = (struct vhd_file){
		.path = strdup(path), .dev = st.st_dev, .ino = st.st_ino, .child = child
	};
	if (!v[f->n].path)
		return -ENOMEM;
	v[f->n++].fd = take_fd(&fd);
	return 0;
}

void vhd_files_done(struct vhd_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].fd >= 0)
			close(f->v[i].fd);
		free(f->v[i].path);
	}
	free(f->v);
	*f = (struct vhd_files){ 0 };
}

struct vhd_files *vhd_process_files(struct vhd_process *p)
{
	return &p->files;
}

pid_t vhd_process_pid(const struct vhd_process *p)
{
	return p->process.pid;
}

bool vhd_process_uses(const struct vhd_process *p, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < p->files.n; i++) {
		if (p->files.v[i].dev == dev && p->files.v[i].ino == ino)
			return true;
	}
	return false;
}

/* ---- the end ---- */

static void set_error(struct vhd_process *p, int err, const char *why)
{
	if (!p->error.code && !p->result)
		rpc_error_set(&p->error, err, "%s: %s",
			      p->files.n ? p->files.v[0].path : "vmvhd", why);
}

/* Why there is no answer, from how the process ended. */
static void describe_exit(struct vhd_process *p)
{
	int code = p->exit_code, status = p->exit_status;
	char why[200];

	if (p->result || p->error.code)
		return;
	if (p->cancelled)
		snprintf(why, sizeof(why), "it was cancelled");
	else if (code == CLD_KILLED || code == CLD_DUMPED)
		snprintf(why, sizeof(why),
			 "its process was killed by signal %d (%s); see the log of vmms",
			 status, strsignal(status));
	else if (status == EXIT_NO_PROGRAM)
		snprintf(why, sizeof(why), "its program could not be run");
	else if (status == SANDBOX_EXIT)
		snprintf(why, sizeof(why),
			 "its process did what its sandbox forbids; see the log of vmms");
	else
		snprintf(why, sizeof(why),
			 "its process ended with status %d and no answer; see the log "
			 "of vmms",
			 status);
	set_error(p, p->cancelled ? -ECANCELED : -ECONNRESET, why);
}

static void finish_if_over(struct vhd_process *p)
{
	const struct rpc_error *e;

	if (!p->exited || p->peer)
		return;
	describe_exit(p);
	event_del(p->kill_ev);
	e = p->error.code ? &p->error : NULL;
	/* What vmms itself said of a parent goes before what the process made of it. */
	if (e && p->refused.code && e->err != -ECANCELED)
		e = &p->refused;
	p->ops->ended(p->arg, e ? NULL : p->result, e);
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhd_process *p = arg;

	if (process_reap(&p->process, &p->exit_code, &p->exit_status) < 0)
		log_warning("how the process of a disk job ended is not known");
	p->exited = true;
	finish_if_over(p); /* else its last words are still to be read */
}

static void on_kill(evutil_socket_t fd, short what, void *arg)
{
	struct vhd_process *p = arg;

	process_kill(&p->process);
}

static void kill_later(struct vhd_process *p)
{
	const struct timeval t = { .tv_sec = END_SECONDS };

	if (event_add(p->kill_ev, &t) < 0)
		process_kill(&p->process);
}

/* It needs not be talked to any more: it ends when it sees the socket close. */
static void hang_up(struct vhd_process *p)
{
	struct rpc_peer *peer = take_ptr(&p->peer);

	if (!peer)
		return;
	rpc_peer_free(peer);
	kill_later(p);
	finish_if_over(p);
}

static void on_answer(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct vhd_process *p = arg;
	struct rpc_error why;

	if (e && (e->err == -ECONNABORTED || e->err == -ECONNRESET))
		return; /* how it ended says more */
	if (e) {
		p->error = *e;
		vm_clean_text(p->error.message, sizeof(p->error.message), e->message);
	} else if (rpc_fields_check(p->method->result, result, p->method->name, &why) <
		   0) {
		set_error(p, -EPROTO, "its process sent an answer that is none");
	} else {
		p->result = json_incref((json_t *)(uintptr_t)result);
	}
	hang_up(p);
}

static void on_closed(void *ctx, int error)
{
	struct vhd_process *p = ctx;

	if (error == -EBADMSG || error == -EPROTO || error == -EMSGSIZE)
		set_error(p, error, "its process sent what is not in its protocol");
	hang_up(p);
}

/* ---- what it asks and tells while it runs ---- */

static void on_said(void *arg, const json_t *result, const struct rpc_error *e)
{
}

/* Whether a file already stands in the chain above: dev and ino of the parent that `child` names. */
static int check_chain(struct vhd_process *p, int child, const struct stat *st,
		       struct rpc_error *e)
{
	const struct vhd_file *files = p->files.v;
	unsigned int depth = 1;

	for (int i = child; i >= 0; i = files[i].child, depth++) {
		if (files[i].dev == st->st_dev && files[i].ino == st->st_ino)
			return rpc_error_set(
				e, -ELOOP,
				"%s: it is its own parent, over %u files; say what its "
				"parent is with 'vmctl vhd set-parent'",
				files[i].path, depth);
	}
	if (depth > VHD_CHAIN_MAX)
		return rpc_error_set(e, -ELOOP,
				     "%s: its chain of parents is longer than %u files; "
				     "merge some of them",
				     files[child].path, VHD_CHAIN_MAX);
	return 0;
}

/* The file that the operator named, from which this one came by parents. */
static const char *root_path(const struct vhd_process *p, int i)
{
	while (p->files.v[i].child >= 0)
		i = p->files.v[i].child;
	return p->files.v[i].path;
}

static int open_parent(struct vhd_process *p, int child, const char *const *names,
		       size_t n, struct rpc_error *e)
{
	const struct vhd_folders allowed = {
		.image = root_path(p, child),
		.more = (const char *const *)p->v->settings.vhd_folders
	};
	bool write = p->write_parent && child == 0;
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;
	struct stat st;
	int r;

	if (p->files.n >= VHD_FILES_MAX)
		return rpc_error_set(e, -ENOBUFS,
				     "more than %u images are needed at once",
				     VHD_FILES_MAX);
	r = vhd_parent_open(&allowed, p->files.v[child].path, names, n, write, &fd, &path,
			    e);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return rpc_error_set(e, -errno, "%s: %s", path, strerror(errno));
	r = check_chain(p, child, &st, e);
	if (r == 0)
		r = image_lock(&p->v->registry, path, fd, write, e);
	if (r < 0)
		return r;
	r = vhd_files_add(&p->files, take_fd(&fd), path, child);
	return r < 0 ? rpc_error_set(e, r, "no memory") : 0;
}

/* The answer to the process: a descriptor, or a line. */
static int send_parent(struct vhd_process *p, const struct rpc_error *e)
{
	const struct vhd_file *f = &p->files.v[p->files.n - 1];
	int fd, r;

	if (e)
		return rpc_peer_call(p->peer, "parent",
				     json_pack("{s:s, s:[]}", "error", e->message, "fds"),
				     NULL, 0, 0, on_said, p);
	fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = rpc_peer_call(p->peer, "parent",
			  json_pack("{s:s, s:[s]}", "path", f->path, "fds", "parent"),
			  &fd, 1, 0, on_said, p);
	return r;
}

static void on_parent(struct vhd_process *p, const json_t *params)
{
	const json_t *list = json_object_get(params, "names"), *item;
	const json_t *child = json_object_get(params, "file");
	const char *names[VHD_CANDIDATES_MAX];
	size_t i, n = 0;
	int r;

	json_array_foreach (list, i, item) {
		if (n < VHD_CANDIDATES_MAX && json_is_string(item) &&
		    json_string_value(item)[0])
			names[n++] = json_string_value(item);
	}
	if (!json_is_integer(child) || json_integer_value(child) < 0 ||
	    json_integer_value(child) >= (json_int_t)p->files.n) {
		set_error(p, -EPROTO, "its process asked for the parent of no file");
		hang_up(p);
		return;
	}
	p->refused = (struct rpc_error){ 0 };
	r = open_parent(p, (int)json_integer_value(child), names, n, &p->refused);
	r = send_parent(p, r < 0 ? &p->refused : NULL);
	if (r < 0)
		process_kill(&p->process);
}

static void on_progress(struct vhd_process *p, const json_t *params)
{
	const json_t *done = json_object_get(params, "done"),
		     *total = json_object_get(params, "total");

	if (p->ops->progress && json_is_integer(done) && json_is_integer(total) &&
	    json_integer_value(done) >= 0 && json_integer_value(total) >= 0)
		p->ops->progress(p->arg, (uint64_t)json_integer_value(done),
				 (uint64_t)json_integer_value(total));
}

static void on_notified(void *ctx, const char *method, const json_t *params)
{
	if (strcmp(method, "progress") == 0)
		on_progress(ctx, params);
	else if (strcmp(method, "parent") == 0)
		on_parent(ctx, params);
	else
		log_debug("vmvhd sent '%.64s', which is unknown here", method);
}

static const struct rpc_peer_ops peer_ops = { .notified = on_notified,
					      .closed = on_closed };

/* ---- the beginning ---- */

static int launch(struct vhd_process *p, int *ret_sock, struct rpc_error *e)
{
	const char *argv[VMVHD_ARGS + CONFINE_ARGS + 1] = { p->v->settings.vmvhd,
							    "--control-fd", "3" };
	struct confine *c = &p->v->confine;
	struct confine_args sandbox;
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC), gate = -1;
	cleanup_fd int ours = -1, theirs = -1;
	struct guid job;
	int pair[2], r;

	if (access(argv[0], X_OK) < 0)
		return rpc_error_set(e, -errno,
				     "the program for disk images, %s: %s; name it as "
				     "vmvhd in vmms.conf(5)",
				     argv[0], strerror(errno));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return rpc_error_set(e, -errno, "no process for it: %s", strerror(errno));
	ours = pair[0];
	theirs = pair[1];
	guid_new(&job);
	r = confine_take_uid(c, &job, &p->uid);
	if (r < 0)
		return rpc_error_set(
			e, r,
			"all users for workers are in use; make \"worker_uids\" wider");
	confine_args(c, p->uid, &sandbox);
	memcpy(argv + VMVHD_ARGS, sandbox.argv, sizeof(sandbox.argv));
	r = spawn_gated(
		&(struct spawn){ .argv = argv,
				 .fds = { null, STDERR_FILENO, STDERR_FILENO, theirs },
				 .sandbox = c->host.mode },
		&p->process, &gate);
	if (r < 0)
		return rpc_error_set(e, r, "no process for it: %s", strerror(-r));
	p->exit_ev = event_new(p->v->base, p->process.pidfd, EV_READ, on_exit_event, p);
	p->kill_ev = event_new(p->v->base, -1, 0, on_kill, p);
	r = p->exit_ev && p->kill_ev && event_add(p->exit_ev, NULL) == 0
		    ? spawn_open_gate(&gate)
		    : -ENOMEM;
	if (r < 0)
		return rpc_error_set(e, r, "no process for it: %s", strerror(-r));
	*ret_sock = take_fd(&ours);
	return 0;
}

/* Copies of all descriptors, for the message takes them. */
static int copy_fds(const struct vhd_files *f, int *fds)
{
	for (size_t i = 0; i < f->n; i++) {
		fds[i] = fcntl(f->v[i].fd, F_DUPFD_CLOEXEC, 0);
		if (fds[i] < 0) {
			int r = -errno;

			while (i--)
				close(fds[i]);
			return r;
		}
	}
	return 0;
}

static int send_method(struct vhd_process *p, json_t *params, struct rpc_error *e)
{
	json_t *paths = json_array(), *roles = json_array();
	int fds[VHD_FILES_MAX], r;

	for (size_t i = 0; i < p->files.n; i++) {
		char role[24];

		snprintf(role, sizeof(role), "%zu", i);
		json_array_append_new(roles, json_string(role));
		json_array_append_new(paths, json_string(p->files.v[i].path));
	}
	json_object_set_new(params, "files", paths);
	json_object_set_new(params, "fds", roles);
	if (json_array_size(paths) != p->files.n)
		r = -EILSEQ; /* a path that is no UTF-8 */
	else
		r = copy_fds(&p->files, fds);
	if (r < 0)
		json_decref(params);
	else
		r = rpc_peer_call(p->peer, p->method->name, params, fds, p->files.n, 0,
				  on_answer, p);
	return r < 0 ? rpc_error_set(e, r, "no process for it: %s", strerror(-r)) : 0;
}

int vhd_process_start(struct vmms *v, const char *method, json_t *params,
		      struct vhd_files *files, bool write_parent,
		      const struct vhd_process_ops *ops, void *arg,
		      struct vhd_process **ret, struct rpc_error *e)
{
	struct vhd_process *p = params ? calloc(1, sizeof(*p)) : NULL;
	cleanup_fd int sock = -1;
	int r;

	if (!p || files->n > VHD_FILES_MAX) {
		r = rpc_error_set(e, p ? -ENOBUFS : -ENOMEM,
				  p ? "too many images at once" : "no memory");
		json_decref(params);
		free(p);
		return r;
	}
	p->v = v;
	p->method = rpc_method_find(&rpc_vhd_methods, method);
	p->ops = ops;
	p->arg = arg;
	p->write_parent = write_parent;
	p->process.pidfd = -1;
	p->uid = SANDBOX_NO_UID;
	r = launch(p, &sock, e);
	if (r == 0) {
		r = rpc_peer_new(v->base, sock, &peer_ops, p, &p->peer);
		if (r < 0)
			rpc_error_set(e, r, "no memory");
		else
			take_fd(&sock);
	}
	p->files = *files;
	if (r == 0)
		r = send_method(p, params, e);
	else
		json_decref(params);
	if (r < 0) {
		p->files = (struct vhd_files){ 0 }; /* still the caller's */
		vhd_process_free(p);
		return r;
	}
	*files = (struct vhd_files){ 0 };
	*ret = p;
	return 0;
}

void vhd_process_cancel(struct vhd_process *p)
{
	if (p->cancelled)
		return;
	p->cancelled = true;
	if (p->peer &&
	    rpc_peer_call(p->peer, "cancel", json_object(), NULL, 0, 0, on_said, p) < 0)
		process_kill(&p->process);
	kill_later(p);
}

void vhd_process_free(struct vhd_process *p)
{
	if (!p)
		return;
	if (p->process.pidfd >= 0 && !p->exited) {
		process_kill(&p->process);
		waitpid(p->process.pid, NULL, 0);
	}
	confine_give_uid(&p->v->confine, p->uid);
	rpc_peer_free(take_ptr(&p->peer));
	if (p->exit_ev)
		event_free(p->exit_ev);
	if (p->kill_ev)
		event_free(p->kill_ev);
	if (p->process.pidfd >= 0)
		close(p->process.pidfd);
	json_decref(p->result);
	vhd_files_done(&p->files);
	free(p);
}
