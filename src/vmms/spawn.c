/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define EXEC_FAILED 127 /* as a shell has it */

/* Field 22 of /proc/PID/stat, behind a name that may hold anything but comes before the last ')'. */
static int read_starttime(pid_t pid, uint64_t *ret)
{
	cleanup_free char *text = NULL;
	char path[64], *p;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = io_read_file(AT_FDCWD, path, 4096, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	p = strrchr(text, ')');
	/* ") S ppid …": the state is field 3, so starttime is the 20th blank from here. */
	for (int blanks = 0; p && blanks < 20; blanks++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (!p || sscanf(p, "%" SCNu64, ret) != 1)
		return -EPROTO;
	return 0;
}

/* What the service manager said to vmms alone (sd_notify(3), sd_listen_fds(3)). */
static void forget_service_manager(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "LISTEN_FDS",
					     "LISTEN_PID",    "LISTEN_FDNAMES",
					     "WATCHDOG_USEC", "WATCHDOG_PID" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unsetenv(names[i]);
}

/* In the child. The parent has one thread, so that what it may call is not limited. */
static __attribute__((noreturn)) void child(const struct spawn *s, int gate)
{
	int high[SPAWN_FDS_MAX];
	sigset_t none;
	char c;

	setsid();
	forget_service_manager();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	/* First out of the way of the numbers they are to have. */
	gate = fcntl(gate, F_DUPFD_CLOEXEC, SPAWN_FDS_MAX);
	for (int i = 0; i < SPAWN_FDS_MAX; i++)
		high[i] = s->fds[i] < 0
				  ? -1
				  : fcntl(s->fds[i], F_DUPFD_CLOEXEC, SPAWN_FDS_MAX);
	for (int i = 0; i < SPAWN_FDS_MAX; i++) {
		if (high[i] < 0)
			close(i);
		else if (dup2(high[i], i) < 0)
			_exit(EXEC_FAILED);
	}
	if (read(gate, &c, 1) != 1)
		_exit(EXEC_FAILED);
	syscall(SYS_close_range, SPAWN_FDS_MAX, ~0u, 0);
	execv(s->argv[0], (char *const *)(uintptr_t)s->argv);
	_exit(EXEC_FAILED);
}

int spawn_gated(const struct spawn *s, struct process *ret, int *ret_gate)
{
	struct process p = { .pidfd = -1 };
	int gate[2], r;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return -errno;
	p.pid = fork();
	if (p.pid == 0) {
		close(gate[1]);
		child(s, gate[0]);
	}
	r = p.pid < 0 ? -errno : 0;
	close(gate[0]);
	if (r == 0) {
		p.pidfd = (int)syscall(SYS_pidfd_open, p.pid, 0);
		r = p.pidfd < 0 ? -errno : read_starttime(p.pid, &p.starttime);
	}
	if (r < 0) {
		close(gate[1]); /* the child ends */
		if (p.pid > 0)
			waitpid(p.pid, NULL, 0);
		if (p.pidfd >= 0)
			close(p.pidfd);
		return r;
	}
	*ret = p;
	*ret_gate = gate[1];
	return 0;
}

int spawn_open_gate(int *gate)
{
	int fd = take_fd(gate);
	int r = io_write_all(fd, "g", 1);

	close(fd);
	return r;
}

int process_open(pid_t pid, uint64_t starttime, struct process *ret)
{
	cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t found;
	int r;

	if (fd < 0)
		return -errno;
	/* In this order: the descriptor holds on to whichever process has the pid now. */
	r = read_starttime(pid, &found);
	if (r < 0)
		return r;
	/* Ended, but not reaped yet by whoever is its parent now: gone as well. */
	if (found != starttime || poll(&p, 1, 0) != 0)
		return -ESRCH;
	*ret = (struct process){ .pid = pid,
				 .pidfd = take_fd(&fd),
				 .starttime = starttime };
	return 0;
}

void process_kill(const struct process *p)
{
	syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
}

int process_reap(const struct process *p, int *ret_code, int *ret_status)
{
	siginfo_t si = { 0 };

	if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | WNOHANG) < 0)
		return -errno;
	if (si.si_pid == 0)
		return -EAGAIN;
	*ret_code = si.si_code;
	*ret_status = si.si_status;
	return 0;
}
