/* SPDX-License-Identifier: BSD-2-Clause */
/* A SIGKILL at the n-th stop of an operation's system calls, for tests of what the next start finds. */
#ifndef TESTS_UNIT_VMMS_KILLED_H
#define TESTS_UNIT_VMMS_KILLED_H

#include <check.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs it in a child: true when that was killed before it was done. It ends with status 1 when it fails. */
static inline bool killed_at(int nth, void (*op)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		raise(SIGSTOP);
		op();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		return WEXITSTATUS(status) == 2;
	for (int i = 0; i < nth; i++) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status)) {
			ck_assert_int_eq(WEXITSTATUS(status), 0);
			return false;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return true;
}

#endif
