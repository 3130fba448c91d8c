/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/worker/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define EXEC_FAILED 127 /* as a shell has it */
/* In the child, behind those that the program gets. */
#define GATE_FD SPAWN_FDS_MAX
#define CLEAN_FD (SPAWN_FDS_MAX + 1)
#define LOWEST_FREE (SPAWN_FDS_MAX + 2)

/*
 * Field `n` of /proc/PID/stat (proc(5)). The name, field 2, may hold anything, but ends at the last ')': field 3
 * begins two bytes behind it.
 */
static int stat_field(pid_t pid, int n, char *ret, size_t size)
{
	cleanup_free char *text = NULL;
	char path[64], *p, *rest;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = io_read_file(AT_FDCWD, path, 4096, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	rest = strrchr(text, ')');
	if (!rest)
		return -EPROTO;
	p = strtok_r(rest, " \n", &rest); /* the ')' itself */
	for (int i = 2; p && i < n; i++)
		p = strtok_r(NULL, " \n", &rest);
	if (!p)
		return -EPROTO;
	snprintf(ret, size, "%s", p);
	return 0;
}

static int read_starttime(pid_t pid, uint64_t *ret)
{
	char text[32];
	int r = stat_field(pid, 22, text, sizeof(text));

	if (r < 0)
		return r;
	return sscanf(text, "%" SCNu64, ret) == 1 ? 0 : -EPROTO;
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
static __attribute__((noreturn)) void child(const struct spawn *s, int gate, int clean)
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
	gate = fcntl(gate, F_DUPFD_CLOEXEC, LOWEST_FREE);
	clean = fcntl(clean, F_DUPFD_CLOEXEC, LOWEST_FREE);
	for (int i = 0; i < SPAWN_FDS_MAX; i++)
		high[i] = s->fds[i] < 0 ? -1
					: fcntl(s->fds[i], F_DUPFD_CLOEXEC, LOWEST_FREE);
	for (int i = 0; i < SPAWN_FDS_MAX; i++) {
		if (high[i] < 0)
			close(i);
		else if (dup2(high[i], i) < 0)
			_exit(EXEC_FAILED);
	}
	/* Images of other VMs that start are open in vmms: their locks would live as long as this process has them too. */
	if (dup2(gate, GATE_FD) < 0 || dup2(clean, CLEAN_FD) < 0)
		_exit(EXEC_FAILED);
	syscall(SYS_close_range, LOWEST_FREE, ~0u, 0);
	close(CLEAN_FD);
	if (read(GATE_FD, &c, 1) != 1)
		_exit(EXEC_FAILED);
	close(GATE_FD);
	execv(s->argv[0], (char *const *)(uintptr_t)s->argv);
	_exit(EXEC_FAILED);
}

/* Until the child has closed what it has of vmms: a few system calls, or its end. */
static void wait_clean(int fd)
{
	char c;

	while (read(fd, &c, 1) < 0 && errno == EINTR)
		;
	close(fd);
}

int spawn_gated(const struct spawn *s, struct process *ret, int *ret_gate)
{
	struct process p = { .pidfd = -1 };
	int gate[2], clean[2], r;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(clean, O_CLOEXEC) < 0) {
		r = -errno;
		close(gate[0]);
		close(gate[1]);
		return r;
	}
	p.pid = sandbox_fork(s->sandbox, s->host_network);
	if (p.pid == 0)
		child(s, gate[0], clean[1]);
	r = p.pid < 0 ? (int)p.pid : 0;
	close(gate[0]);
	close(clean[1]);
	wait_clean(clean[0]);
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

/* linux/pidfd.h of Linux 6.15; what was reaped by another can still be asked how it ended. */
struct pidfd_info_v0 {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define PIDFD_GET_INFO_V0 _IOWR(0xff, 11, struct pidfd_info_v0)
#define PIDFD_INFO_EXITED (UINT64_C(1) << 3)

/*
 * How somebody else's child ended, as a wait status: from its zombie's stat (field 52), as long as nobody has reaped it, or
 * from the pidfd, where the kernel is new enough.
 */
static int foreign_status(const struct process *p, int *ret)
{
	struct pidfd_info_v0 info = { .mask = PIDFD_INFO_EXITED };
	uint64_t starttime;
	char state[8], code[16];

	if (stat_field(p->pid, 3, state, sizeof(state)) == 0 && state[0] == 'Z' &&
	    stat_field(p->pid, 52, code, sizeof(code)) == 0 &&
	    read_starttime(p->pid, &starttime) == 0 && starttime == p->starttime) {
		*ret = atoi(code);
		return 0;
	}
	if (ioctl(p->pidfd, PIDFD_GET_INFO_V0, &info) < 0 ||
	    !(info.mask & PIDFD_INFO_EXITED))
		return -ECHILD;
	*ret = info.exit_code;
	return 0;
}

int process_reap(const struct process *p, int *ret_code, int *ret_status)
{
	siginfo_t si = { 0 };
	int status, r;

	if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | WNOHANG) == 0) {
		if (si.si_pid == 0)
			return -EAGAIN;
		*ret_code = si.si_code;
		*ret_status = si.si_status;
		return 0;
	}
	if (errno != ECHILD)
		return -errno;
	r = foreign_status(p, &status);
	if (r < 0)
		return r;
	*ret_code = WIFSIGNALED(status) ? CLD_KILLED : CLD_EXITED;
	*ret_status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}
