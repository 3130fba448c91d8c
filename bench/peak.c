/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a program and tells what it and its children took at most.
 * usage: peak REPORT -- PROGRAM [ARGUMENT]...
 * On descriptor REPORT it prints "PID" when the program has begun and "CPU KIB" when it has ended: the seconds of
 * processor that it and its children took, and the largest resident set of any of them. It is a small program because what a process had before exec
 * counts for it: a child of Python has Python's.
 * It ends as the program did.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int report, status;
	pid_t pid;

	if (argc < 4 || strcmp(argv[2], "--") != 0) {
		fputs("usage: peak REPORT -- PROGRAM [ARGUMENT]...\n", stderr);
		return 2;
	}
	report = atoi(argv[1]);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(report);
		execvp(argv[3], argv + 3);
		perror(argv[3]);
		_exit(127);
	}
	dprintf(report, "%d\n", (int)pid);
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
		return EXIT_FAILURE;
	dprintf(report, "%.3f %ld\n", seconds(&usage.ru_utime) + seconds(&usage.ru_stime),
		usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
