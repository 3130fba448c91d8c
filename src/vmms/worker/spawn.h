/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts a program with exactly the descriptors it is to have, and follows it by a pidfd.
 * Thread: the event loop's (fork with one thread). Errors: 0 or -errno.
 */
#ifndef VMMS_WORKER_SPAWN_H
#define VMMS_WORKER_SPAWN_H

#include <sys/types.h>
#include "sandbox/sandbox.h"
#include "util/macros.h"

#define SPAWN_FDS_MAX 4

struct spawn {
	const char *const *argv; /* argv[0] is the path */
	int fds[SPAWN_FDS_MAX];  /* become 0, 1, 2, 3; -1: that one is closed */
	enum sandbox_mode
		sandbox; /* it is made in the namespaces of this mode; the rest is its own doing */
	bool host_network; /* but not in one without network */
};

struct process {
	pid_t pid;
	int pidfd; /* readable once the process has ended */
	uint64_t
		starttime; /* clock ticks since boot, proc(5): with the pid it names one process for ever */
};

/*
 * Forks; the child leads a session of its own, has default signals and nothing else open, and waits until *ret_gate is
 * written to before it becomes the program. When the gate is closed unwritten, as when vmms dies, it just ends. So
 * what the caller writes down of the process is there before the program does anything.
 */
int spawn_gated(const struct spawn *s, struct process *ret, int *ret_gate) __must_check;
/* Lets it run; closes the gate. */
int spawn_open_gate(int *gate) __must_check;
/* A process that somebody else started: -ESRCH when it is gone, or another has its pid now. */
int process_open(pid_t pid, uint64_t starttime, struct process *ret) __must_check;
void process_kill(const struct process *p);
/*
 * After pidfd was readable: how it ended, as waitid(2) has it (a CLD_* code and the status); -ECHILD when the
 * kernel cannot say, for a process that another vmms started (before Linux 6.15, once it is reaped).
 */
int process_reap(const struct process *p, int *ret_code, int *ret_status) __must_check;

#endif
