/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/automatic.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/host_record.h"
#include "vmms/vm/restart.h"
#include "vmms/vm/store.h"
#include "vmms/vmms.h"
#include "vmms/worker/worker.h"

#define AT_ONCE 2 /* automatic starts under way */

/* owner: the event loop */
struct automatic {
	struct host_record rec;
	char boot_id[BOOT_ID_SIZE]; /* "" not known */
	bool new_boot;
	bool suspended;
	struct event *pump_ev;
};

static uint64_t boot_time_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec;
}

static void __printf(3, 4) tell(struct vmms *v, struct vm *vm, const char *fmt, ...)
{
	char text[VM_REASON_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	events_add(v->events, "automatic", vm, "%s: %s", vm->config.name, text);
	log_info("%s: %s", vm->config.name, text);
}

/* The last run's end, for the next vmms. */
static int write_report(struct vmms *v, const struct vm *vm, const char *reason,
			enum store_follow follow)
{
	struct store_report report = { .critical = vm->health == VM_CRITICAL,
				       .follow = follow,
				       .failures = vm->automatic.failures };
	cleanup_fd int dir = -1;
	int r = store_open(v->instance.state_fd, &vm->id, &dir);

	snprintf(report.reason, sizeof(report.reason), "%s", reason);
	if (r == 0)
		r = store_write_report(dir, &report);
	if (r < 0)
		log_warning("%s: why it ended could not be kept: %s", vm->config.name,
			    strerror(-r));
	return r;
}

static int write_record(struct vmms *v)
{
	int r = host_record_write(v->instance.state_fd, &v->automatic->rec);

	if (r < 0)
		log_err("%s/" HOST_RECORD " cannot be written: %s", v->settings.state_dir,
			strerror(-r));
	return r;
}

/* ---- starting, a few at a time ---- */

static void stop_waiting(struct vm *vm)
{
	if (vm->automatic.due)
		event_free(vm->automatic.due);
	vm->automatic.due = NULL;
	vm->automatic.what = AUTOMATIC_NOTHING;
	vm->automatic.ready = false;
}

/* Its start is no longer to come: out of the record, if it is there. */
static int leave_record(struct vmms *v, const struct vm *vm)
{
	struct host_record *rec = &v->automatic->rec;
	bool starting = host_record_drop(rec->starting, vm->id_text);
	bool ran = host_record_drop(rec->running, vm->id_text);

	return starting || ran ? write_record(v) : 0;
}

static void start_one(struct vmms *v, struct vm *vm)
{
	struct rpc_error e;

	stop_waiting(vm);
	vm->automatic.by_itself = true;
	tell(v, vm, "is started by itself");
	if (worker_start(v, vm, NULL, &e) < 0) {
		vm_set_off(vm, VM_CRITICAL, e.message);
		automatic_ended(v, vm, true, 0);
		vmms_changed(v, vm, VM_CHANGED_HEALTH);
	}
	if (leave_record(v, vm) < 0)
		log_warning("%s: a vmms that begins again may start it again",
			    vm->config.name);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct vmms *v = arg;
	struct vm *vm, *next = NULL;
	int busy = 0;

	list_for_each (vm, &v->registry.vms, link) {
		busy += vm->state == VM_STARTING && vm->automatic.by_itself;
		if (!next && vm->automatic.ready)
			next = vm;
	}
	if (!next || busy >= AT_ONCE || v->automatic->suspended)
		return;
	start_one(v, next);
	event_active(v->automatic->pump_ev, EV_TIMEOUT, 0);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct vm *vm = arg;

	vm->automatic.ready = true;
	event_active(vm->automatic.pump_ev, EV_TIMEOUT, 0);
}

static void start_in(struct vmms *v, struct vm *vm, enum automatic_what what, uint64_t ms)
{
	const struct timeval t = { .tv_sec = (time_t)(ms / 1000),
				   .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	stop_waiting(vm);
	vm->automatic.pump_ev = v->automatic->pump_ev;
	vm->automatic.due = event_new(v->base, -1, 0, on_due, vm);
	if (!vm->automatic.due || event_add(vm->automatic.due, &t) < 0) {
		log_err("%s: no memory to start it by itself", vm->config.name);
		stop_waiting(vm);
		return;
	}
	vm->automatic.what = what;
}

/* ---- the end of a worker ---- */

static void restart_in(struct vmms *v, struct vm *vm, uint64_t ms)
{
	char reason[VM_REASON_SIZE];
	int n = (int)sizeof(reason) - 80;

	snprintf(reason, sizeof(reason),
		 "%.*s; it is started again in %llu s (failure %u)", n, vm->reason,
		 (unsigned long long)(ms + 999) / 1000, vm->automatic.failures);
	tell(v, vm, "%s", reason);
	strcpy(vm->reason, reason);
	start_in(v, vm, AUTOMATIC_RESTART, ms);
}

static void give_up(struct vmms *v, struct vm *vm)
{
	char reason[VM_REASON_SIZE];

	snprintf(reason, sizeof(reason),
		 "%.*s; given up after %u failures in a row: 'vmctl start' tries again",
		 (int)sizeof(reason) - 80, vm->reason, vm->automatic.failures);
	tell(v, vm, "%s", reason);
	strcpy(vm->reason, reason);
	vm->health = VM_CRITICAL;
}

void automatic_ended(struct vmms *v, struct vm *vm, bool again, uint64_t ran_ms)
{
	char reason[VM_REASON_SIZE];
	uint64_t wait_ms = 0;
	enum restart_do next = RESTART_NOT;

	strcpy(reason, vm->reason);
	if (again)
		next = restart_decide(vm->config.restart, v->settings.restart_delay_ms,
				      ran_ms, &vm->automatic.failures, &wait_ms);
	if (next == RESTART_LATER)
		restart_in(v, vm, wait_ms);
	else if (next == RESTART_GIVEN_UP)
		give_up(v, vm);
	/* A report that cannot be written is logged; the end is an end all the same. */
	(void)!write_report(v, vm, next == RESTART_GIVEN_UP ? vm->reason : reason,
			    next == RESTART_LATER ? STORE_RESTARTS : STORE_SETTLED);
	if (next != RESTART_LATER)
		vm->automatic.failures = 0;
}

/* ---- what others do to it ---- */

void automatic_forget(struct vmms *v, struct vm *vm)
{
	stop_waiting(vm);
	vm->automatic.failures = 0;
	vm->automatic.by_itself = false;
	(void)!leave_record(v, vm); /* logged */
}

bool automatic_waits(const struct vm *vm)
{
	return vm->automatic.what != AUTOMATIC_NOTHING;
}

int automatic_cancel(struct vmms *v, struct vm *vm, struct rpc_error *e)
{
	bool restarts = vm->automatic.what == AUTOMATIC_RESTART;
	int r;

	stop_waiting(vm);
	if (restarts)
		vm_set_off(vm, vm->health, "it was not to be started again");
	r = restarts ? write_report(v, vm, vm->reason, STORE_SETTLED) : 0;
	if (r == 0)
		r = leave_record(v, vm);
	vm->automatic.failures = 0;
	if (r < 0)
		return rpc_error_set(e, r,
				     "%s is not started by this vmms, but maybe by the "
				     "next: that could not be kept: %s",
				     vm->config.name, strerror(-r));
	tell(v, vm, "is not started by itself any more");
	return 0;
}

void automatic_changed(struct vmms *v, struct vm *vm)
{
	struct rpc_error e;
	bool off = (vm->automatic.what == AUTOMATIC_RESTART &&
		    vm->config.restart == RESTART_NEVER) ||
		   (vm->automatic.what == AUTOMATIC_BOOT &&
		    vm->config.automatic.start == AUTO_START_NOTHING);

	if (off && automatic_cancel(v, vm, &e) < 0)
		log_warning("%s", e.message);
	if (v->automatic)
		event_active(v->automatic->pump_ev, EV_TIMEOUT, 0);
}

/* ---- the start of vmms ---- */

int automatic_new(struct vmms *v, struct automatic **ret)
{
	struct automatic *a = calloc(1, sizeof(*a));
	int r = a ? host_record_read(v->instance.state_fd, &a->rec) : -ENOMEM;

	if (r == 0) {
		a->pump_ev = event_new(v->base, -1, 0, on_pump, v);
		r = a->pump_ev ? 0 : -ENOMEM;
	}
	if (r < 0) {
		automatic_free(a);
		return r;
	}
	r = host_record_boot_id(v->settings.boot_id_file, a->boot_id);
	if (r < 0)
		log_warning("%s: %s; no VM is started by itself after a boot",
			    v->settings.boot_id_file, strerror(-r));
	a->new_boot = a->boot_id[0] && a->rec.boot_id[0] &&
		      strcmp(a->boot_id, a->rec.boot_id) != 0;
	*ret = a;
	return 0;
}

void automatic_free(struct automatic *a)
{
	if (!a)
		return;
	if (a->pump_ev)
		event_free(a->pump_ev);
	host_record_done(&a->rec);
	free(a);
}

/* After a boot: what matters is whether it ran. Its report is settled once that is in the record. */
static void recall_boot(struct automatic *a, struct vm *vm,
			const struct store_report *report)
{
	bool died = report->present && !report->known;

	vm->automatic.ran = died || report->follow == STORE_RESTARTS ||
			    host_record_has(a->rec.running, vm->id_text) ||
			    host_record_has(a->rec.starting, vm->id_text);
	if (report->known)
		vm_set_off(vm, report->critical ? VM_CRITICAL : VM_OK, report->reason);
	else if (died)
		vm_set_off(vm, VM_OK, "the host went down while it ran");
}

void automatic_recall(struct vmms *v, struct vm *vm)
{
	struct store_report report = { 0 };
	cleanup_fd int dir = -1;

	if (store_open(v->instance.state_fd, &vm->id, &dir) == 0)
		store_read_report(dir, &report);
	if (v->automatic->new_boot) {
		recall_boot(v->automatic, vm, &report);
		return;
	}
	if (!report.present)
		return;
	if (report.known)
		vm_set_off(vm, report.critical ? VM_CRITICAL : VM_OK, report.reason);
	else
		vm_set_off(vm, VM_CRITICAL, "worker ended while vmms was not running");
	if (!report.known)
		log_warning("%s: %s", vm->config.name, vm->reason);
	if (report.follow == STORE_SETTLED)
		return;
	/* An end that no vmms has seen, or one that it did not live to act upon: that failure is counted here. */
	if (report.follow == STORE_RESTARTS && report.failures)
		vm->automatic.failures = report.failures - 1;
	automatic_ended(v, vm, vm->health == VM_CRITICAL, 0);
}

static bool wanted(const struct vm *vm)
{
	return vm->state == VM_OFF &&
	       (vm->config.automatic.start == AUTO_START_ALWAYS ||
		(vm->config.automatic.start == AUTO_START_IF_RUNNING &&
		 vm->automatic.ran));
}

/* The decision for this boot, on disk; then reports that said nothing say why. */
static int decide(struct vmms *v)
{
	struct automatic *a = v->automatic;
	struct vm *vm;
	int r;

	json_array_clear(a->rec.starting);
	json_array_clear(a->rec.running);
	list_for_each (vm, &v->registry.vms, link) {
		if (a->new_boot && wanted(vm))
			json_array_append_new(a->rec.starting, json_string(vm->id_text));
	}
	strcpy(a->rec.boot_id, a->boot_id);
	a->rec.began_s = boot_time_s();
	r = write_record(v);
	if (r < 0)
		return r;
	list_for_each (vm, &v->registry.vms, link) {
		if (vm->automatic.ran && vm->state == VM_OFF)
			(void)!write_report(v, vm, vm->reason,
					    STORE_SETTLED); /* logged */
	}
	return 0;
}

void automatic_begin(struct vmms *v)
{
	struct automatic *a = v->automatic;
	uint64_t since;
	struct vm *vm;

	if (!a->boot_id[0])
		return;
	if ((a->new_boot || !a->rec.boot_id[0]) && decide(v) < 0) {
		/* Without a record each vmms of this boot would start them again. */
		log_err("no VM is started by itself");
		json_array_clear(a->rec.starting);
		return;
	}
	since = boot_time_s() - MIN(a->rec.began_s, boot_time_s());
	list_for_each (vm, &v->registry.vms, link) {
		uint64_t delay = vm->config.automatic.delay_s;

		if (!host_record_has(a->rec.starting, vm->id_text))
			continue;
		if (vm->state == VM_OFF)
			start_in(v, vm, AUTOMATIC_BOOT,
				 (delay - MIN(delay, since)) * 1000);
		else
			host_record_drop(a->rec.starting, vm->id_text);
	}
}

/* ---- the end of the host ---- */

void automatic_suspend(struct vmms *v)
{
	struct automatic *a = v->automatic;
	struct vm *vm;

	a->suspended = true;
	list_for_each (vm, &v->registry.vms, link) {
		if (vm->state == VM_OFF && !automatic_waits(vm))
			continue;
		if (!host_record_has(a->rec.running, vm->id_text))
			json_array_append_new(a->rec.running, json_string(vm->id_text));
	}
	json_array_clear(a->rec.starting);
	if (write_record(v) < 0)
		log_err("VMs that run now may not be started after the host's boot");
	list_for_each (vm, &v->registry.vms, link) {
		if (vm->automatic.what == AUTOMATIC_RESTART)
			(void)!write_report(v, vm, vm->reason,
					    STORE_SETTLED); /* logged */
		stop_waiting(vm);
	}
}

void automatic_resume(struct vmms *v)
{
	v->automatic->suspended = false;
	event_active(v->automatic->pump_ev, EV_TIMEOUT, 0);
}

bool automatic_suspended(const struct vmms *v)
{
	return v->automatic->suspended;
}
