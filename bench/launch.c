/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts a worker for the benchmarks and guest tests as vmms does: in namespaces and as a user of its own.
 * usage: launch MODE UID CONTROL REPORT -- PROGRAM [ARGUMENT]...    (MODE as vmwp's --sandbox, or best: what the host grants; with UID in full)
 * Its own descriptors 0 to 2 and CONTROL, the control socket, become the worker's 0 to 3. It prints "PID NANOSECONDS", the worker's number here and CLOCK_MONOTONIC
 * when it began to make it, on descriptor REPORT, waits, and ends as the worker did; SIGTERM to it kills the worker.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmms/worker/spawn.h"

#define ARGS_MOST 32

static struct process worker = { .pidfd = -1 };

static void on_term(int sig)
{
	(void)sig;
	process_kill(&worker);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int start(char **argv, int control, int report, enum sandbox_mode mode,
		 const char *uid)
{
	const char *args[ARGS_MOST + 5] = { NULL };
	const struct spawn s = { .argv = args,
				 .fds = { 0, 1, 2, control },
				 .sandbox = mode };
	uint64_t began;
	size_t n = 0;
	int gate, r;

	while (*argv && n < ARGS_MOST)
		args[n++] = *argv++;
	args[n++] = "--sandbox";
	args[n++] = sandbox_mode_name(mode);
	if (uid) {
		args[n++] = "--uid";
		args[n++] = uid;
	}
	began = now_ns();
	r = spawn_gated(&s, &worker, &gate);
	if (r < 0)
		return r;
	dprintf(report, "%d %" PRIu64 "\n", (int)worker.pid, began);
	return spawn_open_gate(&gate);
}

int main(int argc, char **argv)
{
	struct pollfd p = { .events = POLLIN };
	enum sandbox_mode mode = SANDBOX_OFF;
	struct sandbox_host host;
	int code = 0, status = 0, control, report, r;

	if (argc < 7 || strcmp(argv[5], "--") != 0 ||
	    (strcmp(argv[1], "best") != 0 && sandbox_mode_parse(argv[1], &mode) < 0)) {
		fputs("usage: launch MODE UID CONTROL REPORT -- PROGRAM [ARGUMENT]...\n",
		      stderr);
		return 2;
	}
	if (strcmp(argv[1], "best") == 0) {
		sandbox_probe((uid_t)strtoul(argv[2], NULL, 10), &host);
		mode = host.mode;
	}
	signal(SIGTERM, on_term);
	/* Whoever tests goes: so does what it tests. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	control = atoi(argv[3]);
	report = atoi(argv[4]);
	r = start(argv + 6, control, report, mode, mode == SANDBOX_FULL ? argv[2] : NULL);
	if (r < 0) {
		fprintf(stderr, "launch: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		close(fd);
	close(control);
	close(report);
	p.fd = worker.pidfd;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	r = process_reap(&worker, &code, &status);
	return r == 0 && code == CLD_EXITED ? status : 128 + (r == 0 ? status : 0);
}
