/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/worker/shares.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "vmms/audit.h"
#include "vmms/vmms.h"

#define SLACK 1e-9 /* of sums of percents */

double shares_reserve(unsigned int percent, unsigned int vps, unsigned int processors)
{
	return percent / 100.0 * vps / processors;
}

unsigned int shares_weight(const struct shares_sum *all, double reserve,
			   unsigned int weight)
{
	double rest = all->reserved < 1 ? 1 - all->reserved : 0;
	double share;

	if (all->reserved <= 0 || !all->weights)
		return weight;
	share = reserve + rest * weight / (double)all->weights;
	share *= CONFIG_WEIGHT_MAX;
	if (share < 1)
		return 1;
	return share < CONFIG_WEIGHT_MAX ? (unsigned int)share : CONFIG_WEIGHT_MAX;
}

static unsigned int processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned int)n : 1;
}

static double reserve_of(const struct vm *vm, unsigned int cpus)
{
	return shares_reserve(vm->config.limits.cpu_reserve, vm_processors(vm), cpus);
}

/* Of all that run, and of `vm` in any case. */
static struct shares_sum sum(const struct vmms *v, const struct vm *vm)
{
	unsigned int cpus = processors();
	struct shares_sum all = { 0 };
	const struct vm *other;

	list_for_each (other, &v->registry.vms, link) {
		if (!other->worker && other != vm)
			continue;
		all.reserved += reserve_of(other, cpus);
		all.weights += other->config.limits.cpu_weight;
	}
	return all;
}

static int check(const char *name, double others, double wanted, struct rpc_error *e)
{
	if (wanted <= 0 || others + wanted <= 1 + SLACK)
		return 0;
	return rpc_error_set(
		e, -EBUSY,
		"%s reserves %.0f%% of the host's processors, of which %.0f%% "
		"are reserved already; lower a reserve, or stop another VM",
		name, wanted * 100, others * 100);
}

int shares_check_change(const struct vmms *v, const struct vm *vm,
			const struct vm_config *next, struct rpc_error *e)
{
	unsigned int cpus = processors();
	struct shares_sum all = sum(v, vm);
	double before = reserve_of(vm, cpus);
	double wanted = shares_reserve(next->limits.cpu_reserve, vm_processors(vm), cpus);

	return wanted <= before ? 0 : check(next->name, all.reserved - before, wanted, e);
}

int shares_check(const struct vmms *v, const struct vm *vm, struct rpc_error *e)
{
	double wanted = reserve_of(vm, processors());

	return check(vm->config.name, sum(v, vm).reserved - wanted, wanted, e);
}

static void fill(const struct vm *vm, const struct shares_sum *all,
		 struct cgroup_limits *ret)
{
	const struct limits_config *l = &vm->config.limits;

	*ret = (struct cgroup_limits){
		.cpu_weight =
			shares_weight(all, reserve_of(vm, processors()), l->cpu_weight),
		.memory_max = l->memory_limit,
		.memory_low = l->memory_reserve,
		.io_weight = l->io_weight,
	};
	if (l->cpu_limit < 100)
		ret->cpu_us = CGROUP_PERIOD_US * vm_processors(vm) * l->cpu_limit / 100;
}

void shares_of(const struct vmms *v, const struct vm *vm, struct cgroup_limits *ret)
{
	struct shares_sum all = sum(v, vm);

	fill(vm, &all, ret);
}

void shares_apply(struct vmms *v)
{
	struct shares_sum all = sum(v, NULL);
	struct vm *vm;

	list_for_each (vm, &v->registry.vms, link) {
		struct cgroup_limits l;
		int r;

		if (!vm->worker || !vm->grouped)
			continue;
		fill(vm, &all, &l);
		if (memcmp(&l, &vm->limits, sizeof(l)) == 0)
			continue;
		r = cgroup_set(&v->cgroups, vm->id_text, &l);
		/* One that an earlier vmms started without a group is told once. */
		if (r == -ENOENT)
			vm->grouped = false;
		if (r < 0)
			audit_log_vm(LOG_LVL_WARNING, vm, "its limits cannot be set: %s",
				     strerror(-r));
		else
			vm->limits = l;
	}
}
