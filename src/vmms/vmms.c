/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vmms.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/audit.h"
#include "vmms/vm/automatic.h"
#include "vmms/disk/disk_news.h"
#include "vmms/disk/reservations.h"
#include "vmms/worker/shares.h"
#include "vmms/metrics/prometheus.h"
#include "vmms/worker/spawn.h"
#include "vmms/vm/store.h"
#include "vmms/job/vhd.h"
#include "vmms/wait.h"
#include "vmms/worker/worker.h"

#define HEAR_SECONDS 3
#define OUT_MAX (4u << 20) /* a list of a thousand VMs and the events since */

struct resources_env vmms_resources_env(struct vmms *v)
{
	return (struct resources_env){ .settings = &v->settings,
				       .instance = &v->instance,
				       .registry = &v->registry,
				       .switches = v->switches,
				       .base = v->base,
				       .confine = &v->confine,
				       .nats = &v->nats };
}

/* ---- changes ---- */

/* One limit for all: a guest that changes its state without end must not fill the disk with it. */
static struct ratelimit changes = { .interval_ms = 1000, .burst = 200 };

static void tell(struct vmms *v, struct vm *vm, const char *type, const char *text)
{
	unsigned int dropped;

	events_add(v->events, type, vm, "%s: %s", vm->config.name, text);
	if (!ratelimit_ok(&changes, &dropped))
		return;
	if (dropped)
		log_info("%u similar lines dropped", dropped);
	audit_log_vm(LOG_LVL_INFO, vm, "%s", text);
}

static void tell_crash(struct vmms *v, struct vm *vm)
{
	const char *said = json_string_value(
		json_object_get(json_object_get(vm->status, "crash"), "text"));
	char text[VM_REASON_SIZE], clean[VM_REASON_SIZE / 2];

	vm_clean_text(clean, sizeof(clean), said ? said : "");
	snprintf(text, sizeof(text), "the guest crashed%s%s", clean[0] ? ": " : "",
		 clean);
	tell(v, vm, "guest", text);
}

void vmms_changed(struct vmms *v, struct vm *vm, int mask)
{
	char text[VM_REASON_SIZE + 64];

	if (mask & VM_CHANGED_CRASH)
		tell_crash(v, vm);
	if (mask & VM_CHANGED_VMBUS) {
		snprintf(text, sizeof(text), "VMBus %s",
			 vm->vmbus_version[0] ? vm->vmbus_version : "disconnected");
		tell(v, vm, "guest", text);
	}
	if (mask & VM_CHANGED_STATE) {
		snprintf(text, sizeof(text), "%s%s%s", state_name(vm->state),
			 vm->reason[0] ? ": " : "", vm->reason);
		tell(v, vm, "state", text);
	}
	if (mask & VM_CHANGED_HEALTH) {
		snprintf(text, sizeof(text), "health %s%s%s", health_name(vm->health),
			 vm->reason[0] ? ": " : "", vm->reason);
		tell(v, vm, "health", text);
	}
	if (mask & VM_CHANGED_HEARTBEAT) {
		snprintf(text, sizeof(text), "heartbeat %s",
			 vm->heartbeat ? vm->heartbeat : "none");
		tell(v, vm, "heartbeat", text);
	}
	if (mask & VM_CHANGED_DRIVES)
		disk_news(v, vm);
	wait_settle(vm);
	if (vm->state == VM_OFF)
		reservations_sweep(&v->registry, v->instance.state_fd);
	host_stop_changed(v, vm);
	automatic_changed(v, vm);
}

/* ---- start ---- */

static void found_vm(void *ctx, const struct guid *id, struct vm_config *c)
{
	struct vmms *v = ctx;
	struct vm *vm = vm_new(id, c);
	int r = vm ? registry_add(&v->registry, vm) : -ENOMEM;

	if (r == -EEXIST)
		log_err("%s/vms/%s: another VM is called %s too; change the name in its "
			"config.json and restart vmms",
			v->settings.state_dir, vm->id_text, vm->config.name);
	else if (r < 0)
		log_err("no memory for all VMs");
	if (r < 0) {
		config_done(c);
		vm_free(vm);
	}
}

static void broken_vm(void *ctx, const struct guid *id, const char *why)
{
	const struct vmms *v = ctx;
	char text[GUID_STR_LEN];

	guid_format(id, text);
	log_err("%s/vms/%s/config.json: %s; this VM is not loaded: mend the file and "
		"restart "
		"vmms",
		v->settings.state_dir, text, why);
}

/* What became of a VM while no vmms was there. */
static void recall(struct vmms *v, struct vm *vm)
{
	const struct resources_env env = vmms_resources_env(v);

	automatic_recall(v, vm);
	resources_remove(&env, vm);
	cgroup_drop(&v->cgroups, vm->id_text);
}

static void adopt_all(struct vmms *v)
{
	struct vm *vm;
	int adopted = 0;

	list_for_each (vm, &v->registry.vms, link) {
		if (worker_adopt(v, vm) == 0)
			adopted++;
		else
			recall(v, vm);
	}
	log_info("VMs: %zu, with a worker: %d", v->registry.count, adopted);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
}

static bool all_heard(const struct vmms *v)
{
	struct vm *vm;

	list_for_each (vm, &v->registry.vms, link) {
		if (vm->worker && !worker_was_heard(vm->worker))
			return false;
	}
	return true;
}

/*
 * The first client is to see the VMs as they are, so the workers are heard before it: for a moment only, because one
 * that is stuck must not keep the others' VMs from being served.
 */
static void hear_workers(struct vmms *v)
{
	const struct timeval patience = { .tv_sec = HEAR_SECONDS };
	struct event *late = event_new(v->base, -1, 0, on_late, NULL);

	if (late && event_add(late, &patience) == 0) {
		while (!all_heard(v) && event_pending(late, EV_TIMEOUT, NULL) &&
		       event_base_loop(v->base, EVLOOP_ONCE) == 0)
			;
	}
	if (late)
		event_free(late);
}

static void remove_run(struct vmms *v, const char *id)
{
	cgroup_drop(&v->cgroups, id);
	if (store_remove_tree(v->instance.run_fd, id) < 0)
		log_warning("%s/vms/%s cannot be removed", v->settings.run_dir, id);
}

/*
 * Run folders of VMs that are not in the store. Where no worker lives they are removed; where one does, it is left
 * alone: it may be the VM of a configuration that could not be read.
 */
static void clean_run_dir(struct vmms *v)
{
	int fd = openat(v->instance.run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct guid id;

	if (fd >= 0 && !d)
		close(fd);
	while (d && (entry = readdir(d))) {
		if (guid_parse(entry->d_name, &id) < 0 ||
		    registry_by_id(&v->registry, &id))
			continue;
		if (worker_is_alive(v, entry->d_name))
			log_warning(
				"%s/vms/%s: a worker runs here that belongs to no VM of "
				"%s",
				v->settings.run_dir, entry->d_name,
				v->settings.state_dir);
		else
			remove_run(v, entry->d_name);
	}
	if (d)
		closedir(d);
}

static int serve(struct vmms *v, struct rpc_error *e)
{
	const struct rpc_server_config config = {
		.methods = &rpc_vmms_methods,
		.handlers = vmms_handlers,
		.handler_count = vmms_handler_count,
		.ctx = v,
		.limits = { .line_max = CONN_LINE_MAX, .out_max = OUT_MAX },
		.group = v->settings.group[0] ? v->settings.group : NULL,
		.view_group = v->settings.view_group[0] ? v->settings.view_group : NULL,
		.audit = audit_call,
	};
	int r = rpc_server_new(v->base, v->instance.listen_fd, &config, &v->server);

	if (r < 0)
		return rpc_error_set(e, r, "cannot serve: %s", strerror(-r));
	v->instance.listen_fd = -1;
	events_serve(v->events, v->server);
	jobs_serve(v->jobs, v->server);
	return 0;
}

/* VMs are worth more than their numbers: where these cannot be served, those are all the same. */
static void serve_metrics(struct vmms *v)
{
	struct rpc_error e;

	if (v->settings.metrics &&
	    prometheus_new(v, v->settings.metrics, &v->prometheus, &e) < 0)
		log_err("%s", e.message);
}

int vmms_init(struct vmms *v, struct rpc_error *e)
{
	int r = instance_open(&v->settings, &v->instance, e);
	struct vm *vm;

	if (r < 0)
		return r;
	registry_init(&v->registry);
	list_init(&v->looks);
	list_init(&v->nats);
	v->events = events_new(v->base);
	if (!v->events || confine_init(&v->confine, &v->settings) < 0) {
		events_free(v->events);
		instance_close(&v->instance, &v->settings);
		return rpc_error_set(e, -ENOMEM, "no memory");
	}
	cgroup_init(&v->cgroups, v->base, v->settings.cgroups);
	r = jobs_new(v->base, v->instance.state_fd, v->events, &v->jobs);
	if (r < 0) {
		rpc_error_set(e, r, "%s/jobs cannot be read: %s", v->settings.state_dir,
			      strerror(-r));
		vmms_done(v);
		return r;
	}
	v->registry.jobs = v->jobs;
	if (automatic_new(v, &v->automatic) < 0) {
		vmms_done(v);
		return rpc_error_set(e, -ENOMEM, "no memory");
	}
	r = switches_new(v->base, &v->settings, v->instance.state_fd, &v->registry,
			 &v->switches, e);
	if (r < 0) {
		vmms_done(v);
		return r;
	}
	r = store_load(v->instance.state_fd, found_vm, broken_vm, v);
	if (r < 0) {
		rpc_error_set(e, r, "%s/vms cannot be read: %s", v->settings.state_dir,
			      strerror(-r));
	} else {
		list_for_each (vm, &v->registry.vms, link)
			meter_load(v, vm);
		adopt_all(v);
		switches_start(v->switches);
		reservations_sweep(&v->registry, v->instance.state_fd);
		shares_apply(v);
		hear_workers(v);
		clean_run_dir(v);
		r = serve(v, e);
		serve_metrics(v);
		automatic_begin(v);
	}
	if (r < 0)
		vmms_done(v);
	return r;
}

void vmms_done(struct vmms *v)
{
	const struct rpc_error e = { .code = RPC_FAILED, .message = "vmms is stopping" };
	struct vm *vm;
	int left = 0;

	rpc_server_free(v->server);
	v->server = NULL;
	events_serve(v->events, NULL);
	if (v->jobs)
		jobs_serve(v->jobs, NULL);
	list_for_each (vm, &v->registry.vms, link) {
		if (vm->worker) {
			worker_leave(vm->worker);
			left++;
		}
		wait_fail_all(vm, &e);
	}
	prometheus_free(v->prometheus);
	v->prometheus = NULL;
	host_stop_drop(v);
	vhd_drop_looks(v);
	v->registry.jobs = NULL;
	jobs_free(v->jobs);
	if (left)
		log_info("stopping; VMs that go on without vmms: %d", left);
	switches_free(v->switches);
	events_free(v->events);
	registry_done(&v->registry);
	cgroup_done(&v->cgroups);
	automatic_free(v->automatic);
	nic_forget(&v->nats);
	confine_done(&v->confine);
	instance_close(&v->instance, &v->settings);
}
