/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/metrics/perf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "rpc/counters.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/list.h"
#include "vmms/vmms.h"
#include "vmms/worker/worker.h"

/* A worker that is stuck is left out, so that it does not hold back the others' numbers. */
#define READ_MS 2000

/* A question that a worker was asked, and who waits for the answer. */
struct perf_question {
	struct vm *vm; /* outlives it: a VM with a worker is not deleted */
	uint64_t asked_us;
	struct list waiters;
};

struct waiter {
	struct list link;
	perf_fn fn;
	void *arg;
};

uint64_t perf_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- what vmms itself knows ---- */

/* The second number of /proc/PID/statm, in pages: proc(5). 0 for a process that is ending. */
static uint64_t resident_bytes(pid_t pid)
{
	cleanup_free char *text = NULL;
	unsigned long long size, resident = 0;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if (io_read_file(AT_FDCWD, path, 4096, &text, NULL) < 0 ||
	    sscanf(text, "%llu %llu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int add_memory(json_t *sets, const struct vm *vm)
{
	return counters_add(
		sets, "memory", "",
		json_pack("{s:I, s:I}", "guest_visible_bytes",
			  (json_int_t)vm_memory_bytes(vm), "physical_bytes",
			  (json_int_t)(vm->worker ? resident_bytes(worker_pid(vm->worker))
						  : 0)));
}

json_t *perf_host(const struct vmms *v)
{
	json_t *sets = json_array();
	json_int_t partitions = 0, vps = 0, bytes = 0, critical = 0;
	const struct vm *vm;
	int r;

	list_for_each (vm, &v->registry.vms, link) {
		critical += vm->health == VM_CRITICAL;
		if (!vm->worker)
			continue;
		partitions++;
		vps += vm_processors(vm);
		bytes += (json_int_t)vm_memory_bytes(vm);
	}
	r = counters_add(sets, "hypervisor", "",
			 json_pack("{s:I, s:I, s:I, s:I}", "partitions", partitions,
				   "virtual_processors", vps, "logical_processors",
				   (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
				   "memory_bytes", bytes));
	if (r == 0)
		r = counters_add(sets, "health", "",
				 json_pack("{s:I, s:I}", "ok",
					   (json_int_t)v->registry.count - critical,
					   "critical", critical));
	if (r == 0)
		return sets;
	json_decref(sets);
	return NULL;
}

/* ---- one VM ---- */

static void tell(struct perf_question *r, const struct perf_reading *said)
{
	struct list *l;

	/* From here on a new perf_read() is a new question. */
	r->vm->perf = NULL;
	while ((l = list_pop(&r->waiters))) {
		struct waiter *w = list_entry(l, struct waiter, link);

		w->fn(w->arg, said);
		free(w);
	}
	free(r);
}

json_t *perf_copy(const struct vm *vm, const json_t *counters)
{
	json_t *sets = counters_copy(json_object_get(counters, "sets"));

	if (!sets || add_memory(sets, vm) == 0)
		return sets;
	json_decref(sets);
	return NULL;
}

static void on_counters(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct perf_question *r = arg;
	uint64_t now = perf_now_us();
	uint64_t at = (uint64_t)MAX(
		(json_int_t)0, json_integer_value(json_object_get(result, "time_us")));
	json_t *sets = e ? NULL : perf_copy(r->vm, result);

	tell(r, &(struct perf_reading){ .vm = r->vm,
					.time_us = MIN(MAX(at, r->asked_us), now),
					.sets = sets });
	json_decref(sets);
}

/* Asks the worker; nobody waits for the answer yet. */
static int ask(struct vm *vm)
{
	struct perf_question *r = malloc(sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	*r = (struct perf_question){ .vm = vm, .asked_us = perf_now_us() };
	list_init(&r->waiters);
	err = worker_call(vm->worker, "vm.counters", NULL, READ_MS, on_counters, r);
	if (err < 0) {
		free(r);
		return err;
	}
	vm->perf = r;
	return 0;
}

int perf_read(struct vm *vm, perf_fn fn, void *arg)
{
	struct waiter *w;
	int err = 0;

	if (!vm->worker)
		return -EPIPE;
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct waiter){ .fn = fn, .arg = arg };
	if (!vm->perf)
		err = ask(vm);
	if (err < 0) {
		free(w);
		return err;
	}
	list_add_tail(&vm->perf->waiters, &w->link);
	return 0;
}

/* ---- all VMs ---- */

struct round {
	unsigned int left; /* that have not answered, and one while they are asked */
	perf_fn each;
	void (*done)(void *arg);
	void *arg;
};

static void round_ended_one(struct round *r)
{
	if (--r->left)
		return;
	r->done(r->arg);
	free(r);
}

static void on_one(void *arg, const struct perf_reading *said)
{
	struct round *r = arg;

	r->each(r->arg, said);
	round_ended_one(r);
}

int perf_read_all(struct vmms *v, perf_fn each, void (*done)(void *arg), void *arg)
{
	struct round *r = malloc(sizeof(*r));
	struct vm *vm;

	if (!r)
		return -ENOMEM;
	*r = (struct round){ .left = 1, .each = each, .done = done, .arg = arg };
	list_for_each (vm, &v->registry.vms, link) {
		const struct perf_reading none = { .vm = vm, .time_us = perf_now_us() };

		if (!vm->worker)
			continue;
		r->left++;
		if (perf_read(vm, on_one, r) < 0)
			on_one(r, &none);
	}
	round_ended_one(r);
	return 0;
}

/* ---- perf.get ---- */

struct get {
	struct rpc_call *call;
	json_t *result, *vms, *silent; /* the latter two are the result's */
};

static void get_each(void *arg, const struct perf_reading *r)
{
	struct get *g = arg;

	if (r->sets)
		json_array_append_new(
			g->vms, json_pack("{s:s, s:s, s:I, s:O}", "id", r->vm->id_text,
					  "name", r->vm->config.name, "time_us",
					  (json_int_t)r->time_us, "sets", r->sets));
	else
		json_array_append_new(g->silent, json_string(r->vm->config.name));
}

static void get_done(void *arg)
{
	struct get *g = arg;

	rpc_call_reply(g->call, g->result);
	free(g);
}

static void get_only(void *arg, const struct perf_reading *r)
{
	get_each(arg, r);
	get_done(arg);
}

static struct get *get_new(struct vmms *v, struct rpc_call *call)
{
	struct get *g = malloc(sizeof(*g));

	if (!g)
		return NULL;
	*g = (struct get){ .call = call, .vms = json_array(), .silent = json_array() };
	g->result =
		json_pack("{s:I, s:o, s:o, s:o}", "time_us", (json_int_t)perf_now_us(),
			  "host", perf_host(v), "vms", g->vms, "silent", g->silent);
	if (g->result)
		return g;
	free(g);
	return NULL;
}

void perf_get(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	bool one = rpc_call_string(call, "vm") != NULL;
	struct vm *vm = one ? vmms_find(v, call) : NULL;
	struct get *g;
	int r;

	if (one && !vm)
		return;
	if (one && !vm->worker) {
		rpc_call_fail(call, -EBUSY, "%s is Off: it counts nothing; start it",
			      vm->config.name);
		return;
	}
	g = get_new(v, call);
	if (!g)
		r = -ENOMEM;
	else if (one)
		r = perf_read(vm, get_only, g);
	else
		r = perf_read_all(v, get_each, get_done, g);
	if (r < 0) {
		if (g)
			json_decref(g->result);
		free(g);
		rpc_call_fail(call, r, "its worker cannot be asked");
	}
}
