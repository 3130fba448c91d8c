/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network namespace of its own for each test that changes interfaces: this machine's are not touched. Needs root and a kernel with
 * bridges, veth and nftables.
 */
#ifndef TESTS_UNIT_NETNS_H
#define TESTS_UNIT_NETNS_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "unit/test.h"

/* One command of the host's own tools, for what is round the code under test. */
static inline int netns_run(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void netns_must(const char *command)
{
	ck_assert_msg(netns_run(command) == 0, "%s", command);
}

static inline void netns_new(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	netns_must("ip link set lo up");
}

/* For TEST_MAIN_NEEDS. */
static inline const char *netns_missing(void)
{
	pid_t pid;
	int status;

	if (geteuid() != 0)
		return "only root may make network namespaces";
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) < 0 ? 1
		      : netns_run("ip link add name b type bridge 2>/dev/null && "
				  "ip link add name v type veth peer name w 2>/dev/null")
			      ? 2
			      : 0);
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return WEXITSTATUS(status) == 1
			       ? "no network namespaces here"
			       : "no ip(8), or a kernel without bridge and veth";
	return NULL;
}

#endif
