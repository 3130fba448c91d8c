/* SPDX-License-Identifier: BSD-2-Clause */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/sandbox_priv.h"
#include "util/io.h"

/* Fixed once sandbox_enter() has returned. */
static enum sandbox_mode entered = SANDBOX_OFF;

static const char *const names[] = {
	[SANDBOX_OFF] = "off",
	[SANDBOX_BARE] = "bare",
	[SANDBOX_USER] = "user",
	[SANDBOX_FULL] = "full",
};

int sandbox_mode_parse(const char *name, enum sandbox_mode *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum sandbox_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
	return names[mode];
}

int sandbox_uid_parse(const char *text, uid_t *ret)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || v == 0 || v >= SANDBOX_NO_UID)
		return -EINVAL;
	*ret = (uid_t)v;
	return 0;
}

/* ---- vmms's side ---- */

static unsigned long clone_flags(enum sandbox_mode mode)
{
	const unsigned long spaces =
		CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	switch (mode) {
	case SANDBOX_FULL:
		return spaces;
	case SANDBOX_USER:
		return spaces | CLONE_NEWUSER;
	case SANDBOX_OFF:
	case SANDBOX_BARE:
		break;
	}
	return 0;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text, strlen(text));
	close(fd);
	return r;
}

/* user_namespaces(7): one line of one user; a group only after setgroups(2) is given up. */
static int map_user(uid_t uid, gid_t gid)
{
	char map[64];
	int r;

	snprintf(map, sizeof(map), "0 %u 1\n", (unsigned int)uid);
	r = write_file("/proc/self/uid_map", map);
	if (r == 0)
		r = write_file("/proc/self/setgroups", "deny\n");
	snprintf(map, sizeof(map), "0 %u 1\n", (unsigned int)gid);
	return r == 0 ? write_file("/proc/self/gid_map", map) : r;
}

pid_t sandbox_fork(enum sandbox_mode mode, bool host_network)
{
	unsigned long flags = clone_flags(mode) & ~(host_network ? CLONE_NEWNET : 0ul);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	pid_t pid;

	if (!flags)
		pid = fork();
	else
		pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0ul);
	if (pid == 0 && mode == SANDBOX_USER && map_user(uid, gid) < 0)
		_exit(SANDBOX_EXIT);
	return pid < 0 ? -errno : pid;
}

static int try_root(uid_t uid)
{
	return root_empty(NULL);
}

static int try_user(uid_t uid)
{
	if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

/* Whether a child can do it. */
static int try(enum sandbox_mode mode, int (*fn)(uid_t uid), uid_t uid)
{
	pid_t pid = sandbox_fork(mode, false);
	int status;

	if (pid < 0)
		return (int)pid;
	if (pid == 0)
		_exit(-fn(uid));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPROTO;
}

void sandbox_probe(uid_t uid, struct sandbox_host *ret)
{
	enum sandbox_mode best = geteuid() == 0 ? SANDBOX_FULL : SANDBOX_USER;

	ret->no_namespaces = -try(best, try_root, uid);
	if (ret->no_namespaces == SANDBOX_EXIT)
		ret->no_namespaces = EPERM; /* its user could not be mapped */
	ret->mode = ret->no_namespaces ? SANDBOX_BARE : best;
	ret->users = best == SANDBOX_FULL && try(SANDBOX_BARE, try_user, uid) == 0;
}

/* ---- the process's side ---- */

/* What the C library would read later, when no path opens any more: the time zone. */
static void read_ahead(void)
{
	tzset();
}

static int enter(const struct sandbox_params *params, struct sandbox_missing *ret)
{
	int r = 0;

	read_ahead();
	if (params->mode != SANDBOX_BARE)
		r = root_empty(params->resolver);
	else if (chdir("/") < 0)
		r = -errno;
	if (r == 0)
		r = rlimits_set(params);
	if (r == 0)
		r = privileges_drop(params);
	if (r == 0)
		r = landlock_enter(params->resolver);
	ret->landlock = r == -EOPNOTSUPP;
	if (r == 0 || ret->landlock)
		r = trap_install();
	if (r == 0)
		r = filter_add(params->resolver ? FILTER_NAT : FILTER_BASE);
	/* vmnat's list has neither rings nor lists to come. */
	if (r == 0 && params->mode == SANDBOX_BARE && !params->resolver)
		r = filter_add(FILTER_BARE);
	return r;
}

int sandbox_enter(const struct sandbox_params *params, struct sandbox_missing *ret)
{
	int r;

	*ret = (struct sandbox_missing){ 0 };
	if (params->mode == SANDBOX_OFF)
		return 0;
	r = enter(params, ret);
	if (r == 0)
		entered = params->mode;
	return r;
}

int sandbox_tighten(void)
{
	return entered == SANDBOX_OFF ? 0 : filter_add(FILTER_MAIN);
}

void sandbox_thread(enum sandbox_thread kind)
{
	static const enum filter_stage stages[SANDBOX_THREADS] = {
		[SANDBOX_MAIN] = FILTER_MAIN,
		[SANDBOX_VP] = FILTER_VP,
		[SANDBOX_VSP] = FILTER_VSP,
		[SANDBOX_IO] = FILTER_IO,
	};

	if (entered == SANDBOX_OFF)
		return;
	trap_unblock();
	if (filter_add(stages[kind]) < 0)
		_exit(SANDBOX_EXIT);
}
