/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker built to misbehave: it enters the sandbox as vmwp does, and then does one thing that it must not. Each is the bare
 * system call, as code of an attacker's would make it.
 * usage: misbehave ACT THREAD FILE PID --sandbox MODE [--uid N]
 * THREAD is base (before it is tightened), main, vp, vsp or io, or nat for a vmnat; FILE somebody else's image, FILE.sock a listening socket;
 * PID another process. When the call came back, "returned R ERRNO" is written to descriptor 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "util/macros.h"

static const char *file;
static pid_t other;

#define ACT(name, ...)                       \
	static long act_##name(void)         \
	{                                    \
		return syscall(__VA_ARGS__); \
	}

ACT(open_write, SYS_openat, AT_FDCWD, file, O_RDWR)
ACT(open_read, SYS_openat, AT_FDCWD, file, O_RDONLY)
ACT(open_quietly, SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC)
ACT(open_old, SYS_open, file, O_RDWR)
ACT(openat2, SYS_openat2, AT_FDCWD, file, NULL, 0ul)
ACT(truncate, SYS_truncate, file, 0l)
ACT(unlink, SYS_unlink, file)
ACT(rename, SYS_rename, file, "/x")
ACT(chmod, SYS_chmod, file, 0777)
ACT(mkdir, SYS_mkdir, "/x", 0777)
ACT(mknod, SYS_mknod, "/x", S_IFREG | 0666, 0)
ACT(symlink, SYS_symlink, "/", "/x")
ACT(handle, SYS_open_by_handle_at, 0, NULL, 0)
ACT(socket_inet, SYS_socket, AF_INET, SOCK_STREAM, 0)
ACT(socket_unix, SYS_socket, AF_UNIX, SOCK_STREAM, 0)
ACT(socket_packet, SYS_socket, AF_PACKET, SOCK_RAW, 0)
ACT(bind, SYS_bind, 3, NULL, 0)
ACT(listen, SYS_listen, 3, 1)
ACT(fork, SYS_fork)
ACT(vfork_, SYS_clone, CLONE_VFORK | SIGCHLD, 0ul, 0ul, 0ul, 0ul)
ACT(clone_user, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0ul, 0ul, 0ul, 0ul)
ACT(execve, SYS_execve, "/bin/sh", NULL, NULL)
ACT(execveat, SYS_execveat, 0, "", NULL, NULL, AT_EMPTY_PATH)
ACT(ptrace, SYS_ptrace, PTRACE_ATTACH, other, NULL, NULL)
ACT(vm_readv, SYS_process_vm_readv, other, NULL, 0ul, NULL, 0ul, 0ul)
ACT(vm_writev, SYS_process_vm_writev, other, NULL, 0ul, NULL, 0ul, 0ul)
ACT(kill, SYS_kill, other, SIGKILL)
ACT(tgkill_other, SYS_tgkill, other, other, SIGKILL)
ACT(tkill, SYS_tkill, other, SIGKILL)
ACT(sigqueue, SYS_rt_sigqueueinfo, other, SIGKILL, NULL)
ACT(pidfd_open, SYS_pidfd_open, other, 0)
ACT(pidfd_getfd, SYS_pidfd_getfd, 0, 0, 0)
ACT(mount, SYS_mount, "none", "/", "tmpfs", 0ul, NULL)
ACT(umount, SYS_umount2, "/", 0)
ACT(pivot_root, SYS_pivot_root, ".", ".")
ACT(chroot, SYS_chroot, ".")
ACT(fsopen, SYS_fsopen, "tmpfs", 0)
ACT(unshare, SYS_unshare, CLONE_NEWUSER)
ACT(setns, SYS_setns, 0, 0)
ACT(setuid, SYS_setuid, 0)
ACT(setresuid, SYS_setresuid, 0, 0, 0)
ACT(setresgid, SYS_setresgid, 0, 0, 0)
ACT(setgroups, SYS_setgroups, 0ul, NULL)
ACT(capset, SYS_capset, NULL, NULL)
ACT(prlimit, SYS_prlimit64, 0, 7, NULL, NULL)
ACT(setrlimit, SYS_setrlimit, 7, NULL)
ACT(setpriority, SYS_setpriority, 0, 0, -20)
ACT(scheduler, SYS_sched_setscheduler, 0, 1, NULL)
ACT(bpf, SYS_bpf, 0, NULL, 0)
ACT(keyctl, SYS_keyctl, 0, 0, 0)
ACT(add_key, SYS_add_key, "user", "x", "x", 1ul, -1)
ACT(perf, SYS_perf_event_open, NULL, 0, -1, -1, 0ul)
ACT(userfaultfd, SYS_userfaultfd, 0)
ACT(init_module, SYS_init_module, NULL, 0ul, "")
ACT(kexec, SYS_kexec_load, 0ul, 0ul, NULL, 0ul)
ACT(reboot, SYS_reboot, 0, 0, 0, NULL)
ACT(swapon, SYS_swapon, file, 0)
ACT(sethostname, SYS_sethostname, "x", 1ul)
ACT(settime, SYS_clock_settime, CLOCK_REALTIME, NULL)
ACT(syslog, SYS_syslog, 2, NULL, 0)
ACT(memfd, SYS_memfd_create, "x", 0)
ACT(shmget, SYS_shmget, 1, 4096ul, 0)
ACT(msgget, SYS_msgget, 1, 0)
ACT(mq_open, SYS_mq_open, "x", O_CREAT, 0666, NULL)
ACT(inotify, SYS_inotify_init1, 0)
ACT(personality, SYS_personality, 0x40000ul)
ACT(mmap_exec, SYS_mmap, 0ul, 4096ul, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
    -1, 0ul)
ACT(mprotect_exec, SYS_mprotect, (uintptr_t)&file & ~4095ul, 4096ul,
    PROT_READ | PROT_EXEC)
ACT(dumpable, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
ACT(own_sigsys, SYS_rt_sigaction, SIGSYS, NULL, NULL, 8ul)
ACT(tiocsti, SYS_ioctl, 1, TIOCSTI, "x")
ACT(fs_ioctl, SYS_ioctl, 3, FS_IOC_SETFLAGS, NULL)
ACT(ioctl_high, SYS_ioctl, 3, 1ul << 32 | TCGETS, NULL)
ACT(set_lease, SYS_fcntl, 3, F_SETLEASE, 0)
ACT(set_own, SYS_fcntl, 3, F_SETOWN, other)

/* What no list sees: the same acts asked of io_uring. The result is that of the act, or of making the ring. */
static long by_uring(void (*prepare)(struct io_uring_sqe *sqe))
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	long r = io_uring_queue_init(4, &ring, 0);

	if (r == 0) {
		prepare(io_uring_get_sqe(&ring));
		io_uring_submit(&ring);
		r = io_uring_wait_cqe(&ring, &cqe);
		r = r == 0 ? cqe->res : r;
	}
	errno = r < 0 ? (int)-r : 0;
	return r < 0 ? -1 : r;
}

static void prepare_open(struct io_uring_sqe *sqe)
{
	io_uring_prep_openat(sqe, AT_FDCWD, file, O_RDWR, 0);
}

static void prepare_unlink(struct io_uring_sqe *sqe)
{
	io_uring_prep_unlinkat(sqe, AT_FDCWD, file, 0);
}

/* To vmms's socket, on a socket that it could have been handed. */
static int spare_socket = -1;

static void prepare_connect(struct io_uring_sqe *sqe)
{
	static struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s.sock", file);
	io_uring_prep_connect(sqe, spare_socket, (struct sockaddr *)&a, sizeof(a));
}

static long act_uring_open(void)
{
	return by_uring(prepare_open);
}

static long act_uring_unlink(void)
{
	return by_uring(prepare_unlink);
}

static long act_uring_connect(void)
{
	return by_uring(prepare_connect);
}

static long act_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s.sock", file);
	return syscall(SYS_connect, spare_socket, &a, sizeof(a));
}

/* Not forbidden: that the harness would see it, were a call to get through. */
static long act_nothing(void)
{
	return 0;
}

static const struct {
	const char *name;
	long (*fn)(void);
} acts[] = {
#define ROW(name)                 \
	{                         \
#name, act_##name \
	}
	ROW(open_write),    ROW(open_read),    ROW(open_quietly),  ROW(open_old),
	ROW(openat2),       ROW(truncate),     ROW(unlink),        ROW(rename),
	ROW(chmod),         ROW(mkdir),        ROW(mknod),         ROW(symlink),
	ROW(handle),        ROW(socket_inet),  ROW(socket_unix),   ROW(socket_packet),
	ROW(bind),          ROW(listen),       ROW(connect),       ROW(fork),
	ROW(vfork_),        ROW(clone_user),   ROW(execve),        ROW(execveat),
	ROW(ptrace),        ROW(vm_readv),     ROW(vm_writev),     ROW(kill),
	ROW(tgkill_other),  ROW(tkill),        ROW(sigqueue),      ROW(pidfd_open),
	ROW(pidfd_getfd),   ROW(mount),        ROW(umount),        ROW(pivot_root),
	ROW(chroot),        ROW(fsopen),       ROW(unshare),       ROW(setns),
	ROW(setuid),        ROW(setresuid),    ROW(setresgid),     ROW(setgroups),
	ROW(capset),        ROW(prlimit),      ROW(setrlimit),     ROW(setpriority),
	ROW(scheduler),     ROW(bpf),          ROW(keyctl),        ROW(add_key),
	ROW(perf),          ROW(userfaultfd),  ROW(init_module),   ROW(kexec),
	ROW(reboot),        ROW(swapon),       ROW(sethostname),   ROW(settime),
	ROW(syslog),        ROW(memfd),        ROW(shmget),        ROW(msgget),
	ROW(mq_open),       ROW(inotify),      ROW(personality),   ROW(mmap_exec),
	ROW(mprotect_exec), ROW(dumpable),     ROW(own_sigsys),    ROW(tiocsti),
	ROW(fs_ioctl),      ROW(ioctl_high),   ROW(set_lease),     ROW(set_own),
	ROW(uring_open),    ROW(uring_unlink), ROW(uring_connect), ROW(nothing),
};

static const char *const kinds[] = { "main", "vp", "vsp", "io" };

struct plan {
	long (*fn)(void);
	enum sandbox_thread kind;
};

static void *do_it(void *arg)
{
	const struct plan *p = arg;
	char text[64];
	long r;
	int n;

	if (p->kind != SANDBOX_THREADS)
		sandbox_thread(p->kind);
	errno = 0;
	r = p->fn();
	n = snprintf(text, sizeof(text), "returned %ld %d\n", r, errno);
	if (write(3, text, (size_t)n) < 0)
		_exit(1);
	return NULL;
}

static int in_thread(struct plan *p)
{
	pthread_t t;

	if (sandbox_tighten() < 0 || pthread_create(&t, NULL, do_it, p) != 0)
		return 1;
	pthread_join(t, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct sandbox_params params = { .uid = SANDBOX_NO_UID };
	struct plan p = { .kind = SANDBOX_THREADS };
	struct sandbox_missing missing;

	if (argc < 7 || sandbox_mode_parse(argv[6], &params.mode) < 0 ||
	    (argc == 9 && sandbox_uid_parse(argv[8], &params.uid) < 0))
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(acts); i++)
		p.fn = strcmp(acts[i].name, argv[1]) == 0 ? acts[i].fn : p.fn;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		p.kind = strcmp(kinds[i], argv[2]) == 0 ? (enum sandbox_thread)i : p.kind;
	if (strcmp(argv[2], "nat") == 0)
		params.resolver = "/etc/resolv.conf";
	file = argv[3];
	other = atoi(argv[4]);
	spare_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!p.fn || sandbox_enter(&params, &missing) < 0)
		return 2;
	if (p.kind == SANDBOX_THREADS)
		return do_it(&p) ? 1 : 0;
	return in_thread(&p);
}
