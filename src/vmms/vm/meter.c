/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/meter.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "vmms/vm/meter_sum.h"
#include "vmms/metrics/perf.h"
#include "vmms/vm/store.h"
#include "vmms/vmms.h"
#include "vmms/worker/worker.h"

#define READ_SECONDS 60
#define READS_A_WRITE 5u
#define FILE_MAX (1u << 20)

/* owner: the event loop */
struct meter {
	struct vmms *v;
	struct vm *vm;
	struct event *ev;
	struct meter_sum sum;
	unsigned int unwritten; /* readings that are not in the file */
};

/* ---- the file ---- */

static int write_sum(struct vmms *v, const struct vm *vm, const struct meter_sum *sum)
{
	json_t *j = meter_sum_to_json(sum);
	cleanup_free char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	cleanup_fd int dir = -1;
	int r = text ? store_open(v->instance.state_fd, &vm->id, &dir) : -ENOMEM;

	json_decref(j);
	return r < 0 ? r : io_replace_file(dir, METER_FILE, text, strlen(text), 0640);
}

static void write_or_say(struct meter *m)
{
	static struct ratelimit rl = RATELIMIT_INIT;
	int r = write_sum(m->v, m->vm, &m->sum);

	if (r < 0 && r != -ENOENT) /* else the VM was just deleted */
		log_ratelimited(&rl, LOG_LVL_WARNING,
				"%s: what it used cannot be kept: %s", m->vm->config.name,
				strerror(-r));
	m->unwritten = 0;
}

/* ---- readings ---- */

static void name_worker(const struct vm *vm, char ret[64])
{
	snprintf(ret, 64, "%d/%" PRIu64, (int)worker_pid(vm->worker),
		 worker_starttime(vm->worker));
}

static int take(struct meter_sum *sum, const struct vm *vm, uint64_t time_us,
		const json_t *sets, bool base)
{
	char worker[64];
	const struct meter_reading r = { .worker = worker,
					 .time_us = time_us,
					 .uptime_us = vm_uptime_us(vm),
					 .sets = sets };

	name_worker(vm, worker);
	return base ? meter_sum_base(sum, &r) : meter_sum_add(sum, &r);
}

static void on_reading(void *arg, const struct perf_reading *r)
{
	struct vm *vm = arg;
	struct meter *m = vm->meter;

	if (!m || !r->sets || !vm->worker ||
	    take(&m->sum, vm, r->time_us, r->sets, false) < 0)
		return;
	if (++m->unwritten >= READS_A_WRITE)
		write_or_say(m);
}

static void on_minute(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval next = { .tv_sec = READ_SECONDS };
	struct meter *m = arg;

	if (event_add(m->ev, &next) < 0)
		log_warning("%s: no memory to go on metering", m->vm->config.name);
	/* Where the worker cannot be asked now, the next reading has it all. */
	if (perf_read(m->vm, on_reading, m->vm) < 0 && m->unwritten)
		write_or_say(m);
}

void meter_told(struct vm *vm, const json_t *counters)
{
	struct meter *m = vm->meter;
	json_t *sets;

	if (!m || !vm->worker)
		return;
	sets = perf_copy(vm, counters);
	if (sets && take(&m->sum, vm, perf_now_us(), sets, false) == 0)
		write_or_say(m);
	json_decref(sets);
}

/* ---- life ---- */

void meter_free(struct meter *m)
{
	if (!m)
		return;
	if (m->unwritten)
		write_or_say(m);
	event_free(m->ev);
	meter_sum_done(&m->sum);
	free(m);
}

/* Takes the sum over on success. The first reading comes somewhere in the first minute, so that many VMs are not all read at once. */
static int attach(struct vmms *v, struct vm *vm, struct meter_sum *sum)
{
	const struct timeval first = { .tv_sec = 1 + vm->id.b[0] % READ_SECONDS };
	struct meter *m = calloc(1, sizeof(*m));

	if (m)
		m->ev = event_new(v->base, -1, 0, on_minute, m);
	if (!m || !m->ev || event_add(m->ev, &first) < 0) {
		if (m && m->ev)
			event_free(m->ev);
		free(m);
		return -ENOMEM;
	}
	m->v = v;
	m->vm = vm;
	m->sum = *sum;
	vm->meter = m;
	return 0;
}

void meter_load(struct vmms *v, struct vm *vm)
{
	cleanup_free char *text = NULL;
	cleanup_fd int dir = -1;
	struct meter_sum sum;
	char why[200] = "";
	json_t *j = NULL;
	size_t len;
	int r = store_open(v->instance.state_fd, &vm->id, &dir);

	if (r == 0)
		r = io_read_file(dir, METER_FILE, FILE_MAX, &text, &len);
	if (r == -ENOENT)
		return;
	if (r == 0)
		r = frame_parse(text, len, &j, why, sizeof(why));
	if (r == 0)
		r = meter_sum_from_json(j, &sum);
	json_decref(j);
	if (r == 0) {
		r = attach(v, vm, &sum);
		if (r < 0)
			meter_sum_done(&sum);
	}
	if (r < 0)
		log_warning("%s: %s/vms/%s/%s cannot be used (%s); it is not metered",
			    vm->config.name, v->settings.state_dir, vm->id_text,
			    METER_FILE, why[0] ? why : strerror(-r));
}

/* ---- methods ---- */

enum verb { ENABLE, RESET, SHOW };

struct ask {
	struct vmms *v;
	struct vm *vm; /* outlives it: it has a worker while that is asked */
	struct rpc_call *call;
	enum verb verb;
};

static void reply(struct rpc_call *call, const struct vm *vm)
{
	json_t *j = json_pack("{s:s, s:s}", "id", vm->id_text, "name", vm->config.name);

	if (j && meter_sum_report(&vm->meter->sum, j) < 0) {
		json_decref(j);
		j = NULL;
	}
	rpc_call_reply(call, j);
}

static void now_text(char ret[40])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(ret, 40, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* New sums, from here on; they are on disk before they are promised. */
static int begin(struct vmms *v, struct vm *vm, const struct perf_reading *r)
{
	struct meter_sum sum;
	char now[40];
	int err = 0;

	now_text(now);
	meter_sum_begin(&sum, now);
	if (r && r->sets && vm->worker)
		err = take(&sum, vm, r->time_us, r->sets, true);
	if (err == 0)
		err = write_sum(v, vm, &sum);
	if (err == 0 && vm->meter) {
		meter_sum_done(&vm->meter->sum);
		vm->meter->sum = sum;
		vm->meter->unwritten = 0;
	} else if (err == 0) {
		err = attach(v, vm, &sum);
	}
	if (err < 0)
		meter_sum_done(&sum);
	return err;
}

static void answer(const struct ask *a, const struct perf_reading *r)
{
	struct vm *vm = a->vm;
	int err = 0;

	if (a->verb != ENABLE && !vm->meter) {
		rpc_call_fail(a->call, -EBUSY, "the metering of %s was turned off",
			      vm->config.name);
		return;
	}
	if (a->verb == SHOW && r)
		on_reading(vm, r);
	else if (a->verb != SHOW)
		err = begin(a->v, vm, r);
	if (err < 0)
		rpc_call_fail(a->call, err, "what %s uses cannot be kept: %s",
			      vm->config.name, strerror(-err));
	else
		reply(a->call, vm);
}

static void on_answer(void *arg, const struct perf_reading *r)
{
	struct ask *a = arg;

	/* Sums that begin without knowing what was used before would count that too. */
	if (!r->sets && a->verb != SHOW && a->vm->worker)
		rpc_call_fail(a->call, -ETIMEDOUT,
			      "the worker of %s does not tell its counters; see 'vmctl "
			      "log %s'",
			      a->vm->config.name, a->vm->config.name);
	else
		answer(a, r);
	free(a);
}

static void ask(struct vmms *v, struct vm *vm, struct rpc_call *call, enum verb verb)
{
	const struct ask what = { .v = v, .vm = vm, .call = call, .verb = verb };
	struct ask *a;

	if (!vm->worker) {
		answer(&what, NULL);
		return;
	}
	a = malloc(sizeof(*a));
	if (a)
		*a = what;
	if (!a || perf_read(vm, on_answer, a) < 0) {
		free(a);
		rpc_call_fail(call, -EBUSY,
			      "the worker of %s cannot be asked now; try "
			      "again",
			      vm->config.name);
	}
}

/* The VM of a call if it is metered; otherwise the call is answered. */
static struct vm *metered(struct vmms *v, struct rpc_call *call)
{
	struct vm *vm = vmms_find(v, call);

	if (vm && !vm->meter) {
		rpc_call_fail(call, -EBUSY,
			      "%s is not metered; to begin: vmctl meter enable %s",
			      vm->config.name, vm->config.name);
		return NULL;
	}
	return vm;
}

void meter_enable(struct rpc_call *call, void *ctx)
{
	struct vm *vm = vmms_find(ctx, call);

	if (vm && vm->meter)
		rpc_call_fail(
			call, -EEXIST,
			"%s is metered already; to begin anew: vmctl meter reset %s",
			vm->config.name, vm->config.name);
	else if (vm)
		ask(ctx, vm, call, ENABLE);
}

void meter_reset(struct rpc_call *call, void *ctx)
{
	struct vm *vm = metered(ctx, call);

	if (vm)
		ask(ctx, vm, call, RESET);
}

void meter_show(struct rpc_call *call, void *ctx)
{
	struct vm *vm = metered(ctx, call);

	if (vm)
		ask(ctx, vm, call, SHOW);
}

void meter_disable(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct vm *vm = metered(v, call);
	cleanup_fd int dir = -1;
	int r;

	if (!vm)
		return;
	r = store_open(v->instance.state_fd, &vm->id, &dir);
	if (r == 0 && unlinkat(dir, METER_FILE, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	if (r < 0) {
		rpc_call_fail(call, r, "%s cannot be removed: %s", METER_FILE,
			      strerror(-r));
		return;
	}
	vm->meter->unwritten = 0;
	meter_free(vm->meter);
	vm->meter = NULL;
	rpc_call_reply(call, json_object());
}
