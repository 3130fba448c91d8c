/* SPDX-License-Identifier: BSD-2-Clause */
#include "sandbox/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "sandbox/sandbox_priv.h"

#define KVM_REQUESTS 0xae00u /* KVMIO, in the second byte of each of its requests */
#define LIBC_SIGNAL \
	33 /* the C library's own, set up with the first thread that is made */
#define KICK_SIGNAL 34 /* the first that the C library leaves to programs: vid's */

/* A thread of this process: no process, no namespace. */
#define THREAD (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)
#define NOT_FOR_THREADS                                                                \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE | CLONE_VFORK | CLONE_PARENT |     \
	 CLONE_UNTRACED)

const struct call calls[] = {
	/* Memory, never executable; locks; the end. */
	CALL(ALL, brk),
	CALL_MASKED(ALL, mmap, 2, PROT_EXEC, 0),
	CALL_MASKED(ALL, mprotect, 2, PROT_EXEC, 0),
	CALL(ALL, mremap),
	CALL(ALL, munmap),
	CALL(ALL, madvise),
	CALL(ALL, futex),
	CALL(ALL, sched_yield),
	CALL(ALL, sched_getaffinity),
	CALL(ALL, getrandom),
	CALL(ALL, getpid),
	CALL(ALL, gettid),
	CALL(ALL, rseq),
	CALL(ALL, set_robust_list),
	CALL(ALL, rt_sigprocmask),
	CALL(ALL, rt_sigreturn),
	CALL(ALL, restart_syscall),
	CALL(ALL, exit),
	CALL(ALL, exit_group),
	CALL_IS(ALL, prctl, 0, PR_SET_NAME),
	CALL_IS(ALL, prctl, 0, PR_GET_NAME),
	/* Where the host's clock cannot be read without a call. */
	CALL(ALL, clock_gettime),
	CALL(ALL, gettimeofday),
	CALL(ALL, time),
	/*
	 * The C library looks at files by itself: malloc() at /proc/sys/vm/overcommit_memory when it first gives memory of a
	 * thread back. It does without. Whoever else opens anything ends the process.
	 */
	{ ALL, SCMP_SYS(openat), FAILS_IF, 2, O_RDONLY | O_CLOEXEC, EACCES },
	/* The descriptors it has. */
	CALL(ALL, read),
	CALL(ALL, write),
	CALL(ALL, close),
	/* The report of SIGSYS's handler replaces what is in the file. */
	CALL(ALL, pwrite64),
	CALL(ALL, ftruncate),

	/* Virtual processors. */
	IOCTL(MAIN | VP, KVM_RUN),
	IOCTL(MAIN | VP, KVM_GET_REGS),
	IOCTL(MAIN | VP, KVM_SET_REGS),
	IOCTL(MAIN | VP, KVM_GET_SREGS),
	IOCTL(MAIN | VP, KVM_SET_SREGS),
	IOCTL(MAIN | VP, KVM_GET_MSRS),
	IOCTL(MAIN | VP, KVM_SET_MSRS),
	IOCTL(MAIN | VP, KVM_GET_TSC_KHZ),
	IOCTL(MAIN | VP, KVM_SET_MP_STATE),
	IOCTL(MAIN | VP, KVM_SET_DEVICE_ATTR),
	IOCTL(WORKER, KVM_SIGNAL_MSI),
	IOCTL(WORKER, KVM_IRQ_LINE),
	{ MAIN | VP, SCMP_SYS(tgkill), OWN, 0, 0, 0 },

	/* Images and the engines that move their bytes. */
	CALL(DISK, readv),
	CALL(DISK, writev),
	CALL(DISK, pread64),
	CALL(DISK, preadv),
	CALL(DISK, pwritev),
	CALL(DISK, preadv2),
	CALL(DISK, pwritev2),
	CALL(DISK, fsync),
	CALL(DISK, fdatasync),
	CALL(DISK, sync_file_range),
	CALL(DISK, fallocate),
	CALL(DISK, lseek),
	CALL(DISK, fstat),
	CALL_IS(DISK, newfstatat, 3, AT_EMPTY_PATH),
	CALL(DISK, fstatfs),
	CALL_MASKED(DISK, statx, 2, AT_EMPTY_PATH, AT_EMPTY_PATH),
	IOCTL(DISK, BLKGETSIZE64),
	IOCTL(DISK, BLKSSZGET),
	IOCTL(DISK, BLKPBSZGET),
	IOCTL(DISK, BLKROGET),
	CALL_IS(DISK, fcntl, 1, F_GETFL),
	CALL_IS(DISK, fcntl, 1, F_SETFL),
	/* A second descriptor on an image, by which its lock is dropped; the locks of a shared disk's reservations. */
	CALL_IS(DISK, fcntl, 1, F_DUPFD_CLOEXEC),
	CALL_IS(DISK, fcntl, 1, F_OFD_SETLK),
	CALL_IS(DISK, fcntl, 1, F_OFD_SETLKW),
	CALL_IS(DISK, fcntl, 1, F_OFD_GETLK),
	CALL(DISK, poll),

	/* Channels: waiting, engines, the pool's threads. */
	CALL(LOOP, nanosleep),
	CALL(LOOP, clock_nanosleep),
	CALL(LOOP, epoll_create1),
	CALL(LOOP, epoll_ctl),
	CALL(LOOP, epoll_wait),
	CALL(LOOP, epoll_pwait),
	CALL(LOOP, eventfd2),
	CALL(LOOP, io_uring_setup),
	CALL(LOOP, io_uring_enter),
	CALL(LOOP, io_uring_register),
	CALL_MASKED(LOOP, clone, 0, THREAD | NOT_FOR_THREADS, THREAD),
	/* Its flags are in memory, where no list sees them; the C library then takes clone. */
	{ LOOP, SCMP_SYS(clone3), FAILS_WITH, 0, ENOSYS, 0 },
	/* Only ever narrows: the list of a new thread. */
	CALL(LOOP, seccomp),

	/* Network adapters: frames to and from vmnat's socket; a tap's are read and written as images are. */
	CALL(LOOP, recvmsg),
	CALL(LOOP, sendmsg),
	IOCTL(LOOP, TUNSETOFFLOAD),
	IOCTL(MAIN, TUNSETQUEUE),

	/* The loop: vmms, the console's clients, descriptors that come later; a reset makes a new VM in KVM. */
	CALL(LOOP, getppid),
	CALL(LOOP, getuid),
	CALL(LOOP, geteuid),
	CALL(LOOP, getgid),
	CALL(LOOP, getegid),
	CALL(MAIN, accept4),
	CALL(MAIN, dup3),
	CALL(MAIN, recvfrom),
	CALL(MAIN, sendto),
	CALL(MAIN, shutdown),
	CALL(MAIN, getsockopt),
	CALL(MAIN, timerfd_settime),
	CALL_IS(MAIN, fcntl, 1, F_GETFD),
	CALL_IS(MAIN, fcntl, 1, F_SETFD),
	CALL_IS(MAIN, rt_sigaction, 0, SIGTERM),
	CALL_IS(MAIN, rt_sigaction, 0, KICK_SIGNAL),
	CALL_IS(LOOP, rt_sigaction, 0, LIBC_SIGNAL),
	CALL(MAIN, clock_getres),
	IOCTL(MAIN, KVM_CREATE_VM),
	IOCTL(MAIN, KVM_CREATE_VCPU),
	IOCTL(MAIN, KVM_GET_STATS_FD),
	IOCTL(MAIN, KVM_CREATE_IRQCHIP),
	IOCTL(MAIN, KVM_CREATE_PIT2),
	IOCTL(MAIN, KVM_ENABLE_CAP),
	IOCTL(MAIN, KVM_CHECK_EXTENSION),
	IOCTL(MAIN, KVM_X86_SET_MSR_FILTER),
	IOCTL(MAIN, KVM_SET_USER_MEMORY_REGION),
	IOCTL(MAIN, KVM_SET_TSS_ADDR),
	IOCTL(MAIN, KVM_SET_IDENTITY_MAP_ADDR),
	IOCTL(MAIN, KVM_SET_CPUID2),
	IOCTL(MAIN, KVM_IOEVENTFD),
	IOCTL(MAIN, KVM_IRQFD),

	/* Until it is tightened: the loop's own descriptors, the console's line, guest memory's name. */
	CALL(BASE, timerfd_create),
	CALL(BASE, pipe2),
	CALL(BASE, socketpair),
	CALL_IS(BASE, prctl, 0, PR_SET_VMA),
	CALL_IS(BASE, rt_sigaction, 0, SIGPIPE),
	CALL_IS(BASE, rt_sigaction, 0, SIGHUP),
	IOCTL(BASE, TIOCGPTPEER),
	IOCTL(BASE, TCGETS),
	IOCTL(BASE, TCSETS),
	CALL_MASKED(BASE, ioctl, 1, 0xff00u, KVM_REQUESTS),

	/*
	 * vmnat: frames on the socket that it has; libslirp's own sockets, of the Internet's families alone; the resolver's file, which it looks at again
	 * and again and may open for reading, where no other is.
	 */
	CALL_IS(NAT, socket, 0, AF_INET),
	CALL_IS(NAT, socket, 0, AF_INET6),
	{ NAT, SCMP_SYS(socket), FAILS_IF, 0, AF_UNIX, EAFNOSUPPORT },
	CALL(NAT, bind),
	CALL(NAT, connect),
	CALL(NAT, listen),
	CALL(NAT, accept),
	CALL(NAT, accept4),
	CALL(NAT, shutdown),
	CALL(NAT, sendto),
	CALL(NAT, recvfrom),
	CALL(NAT, sendmsg),
	CALL(NAT, recvmsg),
	CALL(NAT, getsockname),
	CALL(NAT, getpeername),
	CALL(NAT, getsockopt),
	CALL(NAT, setsockopt),
	CALL(NAT, poll),
	CALL(NAT, ppoll),
	CALL(NAT, writev),
	CALL(NAT, lseek),
	CALL(NAT, fstat),
	CALL(NAT, stat),
	CALL(NAT, newfstatat),
	CALL_IS(NAT, openat, 2, O_RDONLY),
	CALL_IS(NAT, fcntl, 1, F_GETFD),
	CALL_IS(NAT, fcntl, 1, F_SETFD),
	CALL_IS(NAT, fcntl, 1, F_GETFL),
	CALL_IS(NAT, fcntl, 1, F_SETFL),
	IOCTL(NAT, FIONBIO),
	IOCTL(NAT, FIONREAD),
	IOCTL(NAT, TCGETS),
	IOCTL(NAT, SIOCGIFINDEX),

#if SANDBOX_SANITIZER
	/* Reports, the search for leaks (which attaches to its own process from another), the shadow. */
	CALL(ALL, openat),
	CALL(ALL, readlink),
	CALL(ALL, readlinkat),
	CALL(ALL, newfstatat),
	CALL(ALL, fstat),
	CALL(ALL, stat),
	CALL(ALL, lseek),
	CALL(ALL, getdents),
	CALL(ALL, getdents64),
	CALL(ALL, open),
	CALL(ALL, clone),
	CALL(ALL, kill),
	CALL(ALL, tgkill),
	CALL(ALL, ptrace),
	CALL(ALL, wait4),
	CALL(ALL, prctl),
	CALL(ALL, getppid),
	CALL(ALL, getrlimit),
	CALL(ALL, prlimit64),
	CALL(ALL, getrusage),
	CALL(ALL, sigaltstack),
	CALL(ALL, rt_sigaction),
	CALL(ALL, pipe),
	CALL(ALL, pipe2),
	CALL(ALL, dup2),
	CALL(ALL, uname),
	CALL(ALL, sysinfo),
	CALL(ALL, nanosleep),
	CALL(ALL, clock_nanosleep),
	CALL(ALL, access),
	CALL(ALL, ioctl),
	CALL(ALL, arch_prctl),
	CALL(ALL, mmap),
	CALL(ALL, set_tid_address),
	CALL(ALL, munlockall),
#endif
};
const unsigned int call_count = sizeof(calls) / sizeof(calls[0]);
