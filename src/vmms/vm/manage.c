/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods on VMs' configurations. What they answer is on disk before. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "vmms/vm/create.h"
#include "vmms/disk/images.h"
#include "vmms/net/nic.h"
#include "vmms/disk/reservations.h"
#include "vmms/vm/store.h"
#include "vmms/vmms.h"
#include "vmms/wait.h"
#include "vmms/worker/worker.h"

#define STATUS_MS 2000
#define LOG_LINES 50
#define LOG_TAIL_BYTES (256u << 10)
#define LOG_LINE_BYTES 1024u

/* ---- create ---- */

int manage_check_new(struct vmms *v, const json_t *config, struct vm_config *ret,
		     struct rpc_error *e)
{
	struct config_error why;
	int r = config_from_json(config, ret, &why);

	if (r < 0)
		return rpc_error_set(e, r, "%s", why.message);
	r = registry_check_name(&v->registry, ret->name, e);
	if (r == 0)
		r = images_check_once(ret, e);
	if (r < 0)
		config_done(ret);
	return r;
}

static int create(struct vmms *v, struct vm_config *c, struct vm **ret,
		  struct rpc_error *e)
{
	struct guid id;
	struct vm *vm;
	int r;

	guid_new(&id);
	config_give_serials(c);
	r = nic_check_macs(&v->registry, &id, c, e);
	if (r == 0)
		r = switches_check(v->switches, c, e);
	if (r < 0)
		return r;
	vm = vm_new(&id, c);
	if (!vm)
		return rpc_error_set(e, -ENOMEM, "no memory");
	r = store_create(v->instance.state_fd, &id, &vm->config, e);
	if (r == 0)
		r = registry_add(&v->registry, vm);
	if (r < 0) {
		vm_free(vm);
		return r;
	}
	*ret = vm;
	return 0;
}

int manage_create_now(struct vmms *v, const json_t *config, json_t **ret_summary,
		      struct rpc_error *e)
{
	struct vm_config c;
	struct vm *vm = NULL;
	int r = manage_check_new(v, config, &c, e);

	if (r < 0)
		return r;
	r = create(v, &c, &vm, e);
	config_done(&c);
	if (r < 0)
		return r;
	log_info("%s: created, id %s", vm->config.name, vm->id_text);
	events_add(v->events, "created", vm, "%s was created", vm->config.name);
	*ret_summary = vm_summary(vm);
	return 0;
}

void manage_create(struct rpc_call *call, void *ctx)
{
	json_t *summary;
	struct rpc_error e;

	if (json_array_size(json_object_get(rpc_call_params(call), "new_disks"))) {
		create_with_disks(ctx, call);
		return;
	}
	if (manage_create_now(ctx, json_object_get(rpc_call_params(call), "config"),
			      &summary, &e) < 0)
		rpc_call_error(call, &e);
	else
		rpc_call_reply(call, summary);
}

/* ---- list, show ---- */

void manage_list(struct rpc_call *call, void *ctx)
{
	const char *group = rpc_call_string(call, "group"),
		   *tag = rpc_call_string(call, "tag");
	struct vmms *v = ctx;
	json_t *list = json_array();
	struct vm *vm;

	list_for_each (vm, &v->registry.vms, link) {
		if ((group && strcmp(group, vm->config.group) != 0) ||
		    (tag && !config_has_tag(&vm->config, tag)))
			continue;
		if (json_array_append_new(list, vm_summary(vm)) < 0) {
			json_decref(list);
			rpc_call_fail(call, -ENOMEM, "vm.list: no memory");
			return;
		}
	}
	rpc_call_reply(call, json_pack("{s:o}", "vms", list));
}

struct show {
	struct vmms *v;
	struct vm *vm;
	struct rpc_call *call;
};

static void reply_show(struct vmms *v, struct vm *vm, struct rpc_call *call)
{
	cleanup_free char *log = NULL;

	if (asprintf(&log, "%s/vms/%s/" STORE_LOG, v->settings.state_dir, vm->id_text) <
	    0) {
		log = NULL;
		rpc_call_fail(call, -ENOMEM, "vm.show: no memory");
		return;
	}
	rpc_call_reply(call, vm_show(vm, log));
}

/* A worker that does not answer in time is no reason not to show what is known. */
static void on_shown(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct show *s = arg;
	int mask = result ? vm_apply_status(s->vm, result) : 0;

	if (mask > 0)
		vmms_changed(s->v, s->vm, mask);
	reply_show(s->v, s->vm, s->call);
	free(s);
}

void manage_show(struct rpc_call *call, void *ctx)
{
	struct vm *vm = vmms_find(ctx, call);
	struct show *s;

	if (!vm)
		return;
	/* Counters change without notice: ask, where there is somebody to ask. */
	s = vm->status ? malloc(sizeof(*s)) : NULL;
	if (s) {
		*s = (struct show){ .v = ctx, .vm = vm, .call = call };
		if (worker_call(vm->worker, "vm.status", NULL, STATUS_MS, on_shown, s) ==
		    0)
			return;
		free(s);
	}
	reply_show(ctx, vm, call);
}

/* ---- delete ---- */

void manage_delete(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct vm *vm = vmms_find(v, call);
	struct rpc_error e;

	if (!vm)
		return;
	if (state_check(VM_OP_DELETE, vm->state, vm->config.name, &e) < 0 ||
	    store_delete(v->instance.state_fd, &vm->id, &e) < 0) {
		rpc_call_error(call, &e);
		return;
	}
	registry_remove(&v->registry, vm);
	log_info("%s: deleted", vm->config.name);
	events_add(v->events, "deleted", vm, "%s was deleted", vm->config.name);
	rpc_error_set(&e, -ENOENT, "%s was deleted", vm->config.name);
	wait_fail_all(vm, &e);
	vm_free(vm);
	reservations_sweep(&v->registry, v->instance.state_fd);
	rpc_call_reply(call, json_object());
}

/* ---- log ---- */

/* The file's end, from the beginning of a line. */
static int read_tail(int dir, const char *name, char **ret)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_free char *buf = malloc(LOG_TAIL_BYTES + 1);
	off_t size, from;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	size = lseek(fd, 0, SEEK_END);
	from = size > (off_t)LOG_TAIL_BYTES ? size - (off_t)LOG_TAIL_BYTES : 0;
	n = pread(fd, buf, LOG_TAIL_BYTES, from);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	/* A NUL that found its way into the log ends no line. */
	for (ssize_t i = 0; i < n; i++) {
		if (!buf[i])
			buf[i] = ' ';
	}
	if (from) {
		char *line = strchr(buf, '\n');

		memmove(buf, line ? line + 1 : buf + n,
			strlen(line ? line + 1 : buf + n) + 1);
	}
	*ret = take_ptr(&buf);
	return 0;
}

/* What was logged may hold a guest's text: it becomes printable, and UTF-8. */
static json_t *clean_line(const char *line)
{
	char text[LOG_LINE_BYTES];
	json_t *j;

	vm_clean_text(text, sizeof(text), line);
	j = json_string(text);
	if (j)
		return j;
	for (char *p = text; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	return json_string(text);
}

static json_t *last_lines(char *text, int64_t most)
{
	json_t *lines = json_array();
	char *p = text + strlen(text);

	/* From the end: find where the last `most` lines begin. */
	for (int64_t n = 0; p > text; p--) {
		if (p[-1] == '\n' && p[0] && n++ == most - 1)
			break;
	}
	while (*p) {
		char *end = strchr(p, '\n');

		if (end)
			*end = 0;
		json_array_append_new(lines, clean_line(p));
		if (!end)
			break;
		p = end + 1;
	}
	return lines;
}

void manage_log(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct vm *vm = vmms_find(v, call);
	cleanup_free char *text = NULL;
	cleanup_fd int dir = -1;
	int r;

	if (!vm)
		return;
	r = store_open(v->instance.state_fd, &vm->id, &dir);
	if (r == 0)
		r = read_tail(dir, STORE_LOG, &text);
	if (r < 0 && r != -ENOENT) {
		rpc_call_fail(call, r, "the log of %s: %s", vm->config.name,
			      strerror(-r));
		return;
	}
	rpc_call_reply(call,
		       json_pack("{s:o}", "lines",
				 text ? last_lines(text, rpc_call_integer(call, "lines",
									  LOG_LINES))
				      : json_array()));
}
