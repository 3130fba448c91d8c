/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A control group for each worker (Linux, Documentation/admin-guide/cgroup-v2.rst), so that a VM gets of the host what its
 * settings say. Where systemd runs it makes the group: a scope below vmms.slice, which lives as long as a process is in it;
 * vmms asks and waits on its loop. Else vmms makes a folder below CGROUP/vmms. Where neither can be, VMs run without.
 *
 *   cgroup_add()   before the worker runs its first instruction (spawn.h's gate)
 *   cgroup_set()   other limits, at once
 *   cgroup_drop()  the worker is gone, or was never there
 *
 * Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef VMMS_WORKER_CGROUP_H
#define VMMS_WORKER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/macros.h"

struct cgroup_systemd;
struct event_base;

enum cgroup_kind { CGROUP_NONE, CGROUP_FOLDER, CGROUP_SYSTEMD };

/* In the units of the kernel's files. Without padding, so that two can be compared. */
struct cgroup_limits {
	uint64_t cpu_us;                 /* cpu.max: of each CGROUP_PERIOD_US; 0: none */
	uint64_t memory_max, memory_low; /* bytes; max 0: none */
	unsigned int cpu_weight, io_weight; /* 1 to 10000 */
};

#define CGROUP_PERIOD_US UINT64_C(100000)
#define CGROUP_TEXT 300

struct cgroups {
	/* fixed after init */
	enum cgroup_kind kind;
	int root; /* CGROUP_FOLDER: the folder "vmms" */
	char text
		[CGROUP_TEXT]; /* for `vmctl host check`: what is there, or why nothing */
	bool note;             /* that is worth a note */

	struct cgroup_systemd *systemd;
};

/*
 * Finds out what this host has. `choice`: "auto", "off", or the path of a version 2 control group that is vmms's to divide.
 * Always succeeds; kind and text say how far.
 */
void cgroup_init(struct cgroups *c, struct event_base *base, const char *choice);
void cgroup_done(struct cgroups *c);

/* The end of cgroup_add(): 0, or -errno and the worker is in no group of its own. */
typedef void (*cgroup_fn)(void *arg, int r);

/*
 * A group for VM `id` (UUID) with this process in it. Calls fn exactly once, perhaps before it returns, unless
 * cgroup_drop(id) came before.
 */
void cgroup_add(struct cgroups *c, const char *id, const char *name, pid_t pid,
		const struct cgroup_limits *limits, cgroup_fn fn, void *arg);
/* A refusal by systemd comes later, and only to the log. */
int cgroup_set(struct cgroups *c, const char *id,
	       const struct cgroup_limits *limits) __must_check;
/* Removes it, also one that an earlier vmms left. Nothing when there is none. */
void cgroup_drop(struct cgroups *c, const char *id);

#endif
