/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * docs/security.md line by line: a worker built to misbehave (misbehave.c), started as vmms starts one, tries each forbidden act
 * in each kind of thread. The call must end it and be named, or fail; and what it aimed at must be as before.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "sandbox/sandbox_priv.h"
#include "unit/test.h"
#include "vmms/worker/spawn.h"

#define UID "1900200001"
#define CONTENT "somebody else's disk"

/* An act and the system call that is named; NULL: it does not end the process, but fails. */
static const struct act {
	const char *name, *call;
} acts[] = {
	{ "open_write", "openat" },
	{ "open_read", "openat" },
	{ "open_quietly", NULL },
	{ "open_old", "open" },
	{ "openat2", "openat2" },
	{ "truncate", "truncate" },
	{ "unlink", "unlink" },
	{ "rename", "rename" },
	{ "chmod", "chmod" },
	{ "mkdir", "mkdir" },
	{ "mknod", "mknod" },
	{ "symlink", "symlink" },
	{ "handle", "open_by_handle_at" },
	{ "socket_inet", "socket" },
	{ "socket_unix", "socket" },
	{ "socket_packet", "socket" },
	{ "bind", "bind" },
	{ "listen", "listen" },
	{ "connect", "connect" },
	{ "fork", "fork" },
	{ "vfork_", "clone" },
	{ "clone_user", "clone" },
	{ "execve", "execve" },
	{ "execveat", "execveat" },
	{ "ptrace", "ptrace" },
	{ "vm_readv", "process_vm_readv" },
	{ "vm_writev", "process_vm_writev" },
	{ "kill", "kill" },
	{ "tgkill_other", "tgkill" },
	{ "tkill", "tkill" },
	{ "sigqueue", "rt_sigqueueinfo" },
	{ "pidfd_open", "pidfd_open" },
	{ "pidfd_getfd", "pidfd_getfd" },
	{ "mount", "mount" },
	{ "umount", "umount2" },
	{ "pivot_root", "pivot_root" },
	{ "chroot", "chroot" },
	{ "fsopen", "fsopen" },
	{ "unshare", "unshare" },
	{ "setns", "setns" },
	{ "setuid", "setuid" },
	{ "setresuid", "setresuid" },
	{ "setresgid", "setresgid" },
	{ "setgroups", "setgroups" },
	{ "capset", "capset" },
	{ "prlimit", "prlimit64" },
	{ "setrlimit", "setrlimit" },
	{ "setpriority", "setpriority" },
	{ "scheduler", "sched_setscheduler" },
	{ "bpf", "bpf" },
	{ "keyctl", "keyctl" },
	{ "add_key", "add_key" },
	{ "perf", "perf_event_open" },
	{ "userfaultfd", "userfaultfd" },
	{ "init_module", "init_module" },
	{ "kexec", "kexec_load" },
	{ "reboot", "reboot" },
	{ "swapon", "swapon" },
	{ "sethostname", "sethostname" },
	{ "settime", "clock_settime" },
	{ "syslog", "syslog" },
	{ "memfd", "memfd_create" },
	{ "shmget", "shmget" },
	{ "msgget", "msgget" },
	{ "mq_open", "mq_open" },
	{ "inotify", "inotify_init1" },
	{ "personality", "personality" },
	{ "mmap_exec", "mmap" },
	{ "mprotect_exec", "mprotect" },
	{ "dumpable", "prctl" },
	{ "own_sigsys", "rt_sigaction" },
	{ "tiocsti", "ioctl" },
	{ "fs_ioctl", "ioctl" },
	{ "ioctl_high", "ioctl" },
	{ "set_lease", "fcntl" },
	{ "set_own", "fcntl" },
};

/* What io_uring is asked for: where a thread may have a ring, the act fails; elsewhere the ring ends the process. */
static const char *const uring_acts[] = { "uring_open", "uring_unlink", "uring_connect" };

static char folder[64], target[96], socket_path[108], program[512];
static int listener = -1;
static pid_t bystander;
static struct sandbox_host host;
static unsigned int tried;

static void setup(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *dir = getenv("SANDBOX_TEST_DIR");
	int fd;

	ck_assert_ptr_nonnull(dir);
	snprintf(program, sizeof(program), "%s/misbehave", dir);
	strcpy(folder, "/tmp/sandbox.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	/* Nothing but the sandbox is in the way. */
	ck_assert_int_eq(chmod(folder, 0777), 0);
	snprintf(target, sizeof(target), "%s/image", folder);
	fd = open(target, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	ck_assert_int_eq(write(fd, CONTENT, sizeof(CONTENT)), sizeof(CONTENT));
	ck_assert_int_eq(fchmod(fd, 0666), 0);
	close(fd);
	snprintf(socket_path, sizeof(socket_path), "%s.sock", target);
	strcpy(a.sun_path, socket_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(chmod(socket_path, 0777), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
	bystander = fork();
	if (bystander == 0) {
		for (;;)
			pause();
	}
	sandbox_probe(1900200001, &host);
	tried = 0;
}

static void teardown(void)
{
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	close(listener);
	unlink(socket_path);
	unlink(target);
	rmdir(folder);
}

/* The image is whole, nobody has connected, the other process lives. */
static void nothing_happened(const char *act)
{
	char got[64];
	struct stat st;
	int fd = open(target, O_RDONLY | O_CLOEXEC), status;

	ck_assert_msg(fd >= 0, "%s: the image is gone", act);
	ck_assert_int_eq(read(fd, got, sizeof(got)), sizeof(CONTENT));
	ck_assert_str_eq(got, CONTENT);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_msg((st.st_mode & 0777) == 0666, "%s: another mode", act);
	close(fd);
	ck_assert_msg(accept(listener, NULL, NULL) < 0, "%s: connected", act);
	ck_assert_msg(waitpid(bystander, &status, WNOHANG) == 0, "%s: it killed", act);
}

/* Runs it; its words are in `said`, its wait status comes back. */
static int run(const char *act, const char *thread, enum sandbox_mode mode, char *said,
	       size_t size)
{
	char pid[16];
	const char *const argv[] = { program,
				     act,
				     thread,
				     target,
				     pid,
				     "--sandbox",
				     sandbox_mode_name(mode),
				     host.users ? "--uid" : NULL,
				     UID,
				     NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), p[2], gate, status;
	struct process process;
	size_t n = 0;
	ssize_t got;

	snprintf(pid, sizeof(pid), "%d", (int)bystander);
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ck_assert_int_eq(
		spawn_gated(&(struct spawn){ .argv = argv,
					     .fds = { null, p[1], p[1], p[1] },
					     .sandbox = mode,
					     .host_network = strcmp(thread, "nat") == 0 },
			    &process, &gate),
		0);
	close(p[1]);
	ck_assert_int_eq(spawn_open_gate(&gate), 0);
	while (n + 1 < size && (got = read(p[0], said + n, size - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = 0;
	close(p[0]);
	close(null);
	ck_assert_int_eq(waitpid(process.pid, &status, 0), process.pid);
	close(process.pidfd);
	tried++;
	return status;
}

static void ends(const char *act, const char *call, const char *thread,
		 enum sandbox_mode mode)
{
	char said[512], want[96];
	int status = run(act, thread, mode, said, sizeof(said));

	snprintf(want, sizeof(want), "system call %s (", call);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == SANDBOX_EXIT &&
			      strstr(said, want) && !strstr(said, "returned"),
		      "%s in %s, %s: status 0x%x, '%s'", act, thread,
		      sandbox_mode_name(mode), status, said);
	nothing_happened(act);
}

static void fails(const char *act, const char *thread, enum sandbox_mode mode)
{
	char said[512];
	int status = run(act, thread, mode, said, sizeof(said));

	ck_assert_msg(status == 0 && strncmp(said, "returned -1 ", 12) == 0 &&
			      strcmp(said, "returned -1 0\n") != 0,
		      "%s in %s, %s: status 0x%x, '%s'", act, thread,
		      sandbox_mode_name(mode), status, said);
	nothing_happened(act);
}

/* Every act, or with a step those that `first` begins: a process each, which adds up on a machine that is busy. */
static void all(const char *thread, enum sandbox_mode mode, size_t first, size_t step)
{
	bool rings = strcmp(thread, "vp") != 0 && strcmp(thread, "io") != 0;
	char said[512];

	ck_assert_int_eq(run("nothing", thread, mode, said, sizeof(said)), 0);
	ck_assert_str_eq(said, "returned 0 0\n");
	for (size_t i = first; i < ARRAY_SIZE(acts); i += step) {
		if (acts[i].call)
			ends(acts[i].name, acts[i].call, thread, mode);
		else
			fails(acts[i].name, thread, mode);
	}
	for (size_t i = 0; i < ARRAY_SIZE(uring_acts); i++) {
		if (rings)
			fails(uring_acts[i], thread, mode);
		else
			ends(uring_acts[i], "io_uring_setup", thread, mode);
	}
	printf("# %u acts of a thread '%s' in mode %s came to nothing\n", tried - 1,
	       thread, sandbox_mode_name(mode));
}

#define THREAD_TEST(name, first, step)              \
	START_TEST(forbidden_in_##name)             \
	{                                           \
		all(#name, host.mode, first, step); \
	}                                           \
	END_TEST

/* What vmnat may ask for, and does not get; but Internet sockets it gets. */
static const char *nat_fails(const char *act)
{
	static const char *const rows[] = { "open_read", "socket_unix", "bind", "listen",
					    "connect" };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i], act) == 0)
			return rows[i];
	}
	return NULL;
}

START_TEST(forbidden_in_nat)
{
	char said[512];

	ck_assert_int_eq(run("socket_inet", "nat", host.mode, said, sizeof(said)), 0);
	ck_assert_msg(strncmp(said, "returned ", 9) == 0 && said[9] != '-', "%s", said);
	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		if (!acts[i].call || nat_fails(acts[i].name))
			fails(acts[i].name, "nat", host.mode);
		else if (strcmp(acts[i].name, "socket_inet") != 0)
			ends(acts[i].name, acts[i].call, "nat", host.mode);
	}
	for (size_t i = 0; i < ARRAY_SIZE(uring_acts); i++)
		ends(uring_acts[i], "io_uring_setup", "nat", host.mode);
	printf("# %u acts of a vmnat in mode %s came to nothing\n", tried - 1,
	       sandbox_mode_name(host.mode));
}
END_TEST

THREAD_TEST(base, 0, 4)
THREAD_TEST(main, 0, 1)
THREAD_TEST(vp, 1, 4)
THREAD_TEST(vsp, 2, 4)
THREAD_TEST(io, 3, 4)

/* A host that refuses namespaces: the lists alone stand, and no ring may go past them. */
START_TEST(forbidden_without_namespaces)
{
	char said[512];

	ck_assert_int_eq(run("socket_inet", "nat", SANDBOX_BARE, said, sizeof(said)), 0);
	fails("open_read", "nat", SANDBOX_BARE);
	ends("unlink", "unlink", "nat", SANDBOX_BARE);
	ends("uring_open", "io_uring_setup", "nat", SANDBOX_BARE);
	tried = 0;
	all("main", SANDBOX_BARE, 0, 4);
}
END_TEST

START_TEST(modes)
{
	enum sandbox_mode mode;
	uid_t uid;

	ck_assert_int_eq(sandbox_mode_parse("half", &mode), -EINVAL);
	ck_assert_int_eq(sandbox_mode_parse("", &mode), -EINVAL);
	for (mode = SANDBOX_OFF; mode <= SANDBOX_FULL; mode++) {
		enum sandbox_mode back;

		ck_assert_int_eq(sandbox_mode_parse(sandbox_mode_name(mode), &back), 0);
		ck_assert_int_eq(back, mode);
	}
	ck_assert_int_eq(sandbox_uid_parse("0", &uid), -EINVAL);
	ck_assert_int_eq(sandbox_uid_parse("-1", &uid), -EINVAL);
	ck_assert_int_eq(sandbox_uid_parse("4294967295", &uid), -EINVAL);
	ck_assert_int_eq(sandbox_uid_parse("12x", &uid), -EINVAL);
	ck_assert_int_eq(sandbox_uid_parse("12", &uid), 0);
	ck_assert_uint_eq(uid, 12);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("sandbox");
	TCase *plain = tcase_create("modes"), *t;

	tcase_add_test(plain, modes);
	suite_add_tcase(s, plain);
	/* A sanitizer's runtime needs many of these calls: its lists are others (docs/security.md). */
	if (SANDBOX_SANITIZER)
		return s;
	t = tcase_create("misbehave");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, forbidden_in_base);
	tcase_add_test(t, forbidden_in_main);
	tcase_add_test(t, forbidden_in_vp);
	tcase_add_test(t, forbidden_in_vsp);
	tcase_add_test(t, forbidden_in_io);
	tcase_add_test(t, forbidden_in_nat);
	tcase_add_test(t, forbidden_without_namespaces);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
