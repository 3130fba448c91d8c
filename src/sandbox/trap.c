/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A call that no list allows: the kernel sends SIGSYS to the thread instead of making it (seccomp(2), SECCOMP_RET_TRAP). The handler
 * says which call it was and ends the process. It makes only calls that each list allows. A thread that has taken the
 * handler away, or blocks the signal, is killed by the kernel with the same signal, unheard.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/sandbox_priv.h"

static void (*forbidden_fn)(void *opaque, const char *text);
static void *forbidden_opaque;

void sandbox_on_forbidden(void (*fn)(void *opaque, const char *text), void *opaque)
{
	forbidden_fn = fn;
	forbidden_opaque = opaque;
}

/* snprintf is not async-signal-safe. */
static size_t add(char *buf, size_t n, size_t size, const char *s)
{
	while (*s && n + 1 < size)
		buf[n++] = *s++;
	buf[n] = 0;
	return n;
}

static size_t add_number(char *buf, size_t n, size_t size, unsigned long v)
{
	char digits[24];
	size_t i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return add(buf, n, size, digits + i);
}

/* "the sandbox forbids what it did: system call openat (257) in its thread 'vp 0'" */
static size_t describe(char *buf, size_t size, int nr)
{
	const char *name = filter_call_name(nr);
	char thread[16] = "";
	size_t n = add(buf, 0, size, "the sandbox forbids what it did: system call ");

	if (name)
		n = add(buf, n, size, name);
	n = add(buf, n, size, name ? " (" : "(");
	n = add_number(buf, n, size, (unsigned long)(unsigned int)nr);
	n = add(buf, n, size, ")");
	if (prctl(PR_GET_NAME, thread, 0, 0, 0) < 0 || !thread[0])
		return add(buf, n, size, " in its main thread");
	n = add(buf, n, size, " in its thread '");
	n = add(buf, n, size, thread);
	return add(buf, n, size, "'");
}

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	static const char prefix[] = "vmwp sandbox: ";
	char text[160], line[200];
	size_t n;

	describe(text, sizeof(text), info->si_syscall);
	n = add(line, 0, sizeof(line), prefix);
	n = add(line, n, sizeof(line) - 1, text);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		n = 0; /* there is nobody left to tell */
	if (forbidden_fn)
		forbidden_fn(forbidden_opaque, text);
	_exit(SANDBOX_EXIT);
}

int trap_install(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	sigfillset(&sa.sa_mask);
	if (sigaction(SIGSYS, &sa, NULL) < 0)
		return -errno;
	trap_unblock();
	return 0;
}

void trap_unblock(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
