/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Fixed after log_init(). */
static char log_process[64];
static int log_fd = STDERR_FILENO;
static enum log_level log_most = LOG_LVL_INFO;
static bool log_journal, log_terminal;

static __thread char log_name[32];

void log_init(const char *process, int fd, enum log_level most)
{
	snprintf(log_process, sizeof(log_process), "%s", process);
	log_fd = fd;
	log_most = most;
	log_journal = fd == STDERR_FILENO && getenv("JOURNAL_STREAM");
	log_terminal = isatty(fd) == 1;
}

void log_thread(const char *name)
{
	char kernel[16];

	snprintf(log_name, sizeof(log_name), "%s", name);
	snprintf(kernel, sizeof(kernel), "%.15s", name);
	pthread_setname_np(pthread_self(), kernel);
}

static size_t log_prefix(char *buf, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	size_t n = 0;

	if (log_journal) {
		n += (size_t)snprintf(buf, size, "<%d>", level);
	} else if (!log_terminal) {
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		n += strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
		n += (size_t)snprintf(buf + n, size - n, ".%03ldZ ",
				      now.tv_nsec / 1000000);
	}
	n += (size_t)snprintf(buf + n, size - n, "%s%s%s: ", log_process,
			      log_name[0] ? " " : "", log_name);
	return n;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;
	size_t n;
	int m;

	if (level > log_most)
		return;
	n = log_prefix(buf, sizeof(buf), level);
	va_start(ap, fmt);
	m = vsnprintf(buf + n, sizeof(buf) - n, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n = MIN(n + (size_t)m, sizeof(buf) - 2);
	/* One line stays one line, whatever a guest put in it. */
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7f)
			buf[i] = ' ';
	}
	buf[n++] = '\n';
	if (write(log_fd, buf, n) < 0)
		return; /* there is nobody left to tell */
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool ratelimit_ok(struct ratelimit *rl, unsigned int *ret_dropped)
{
	uint64_t now = now_ms(), begin = rl->begin_ms;

	*ret_dropped = 0;
	if (begin == 0 || now - begin >= rl->interval_ms) {
		/* One thread opens the new interval; another that lost the race counts in it. */
		if (atomic_compare_exchange_strong(&rl->begin_ms, &begin, now)) {
			rl->used = 0;
			*ret_dropped = atomic_exchange(&rl->dropped, 0);
		}
	}
	if (rl->used++ < rl->burst)
		return true;
	rl->used--;
	rl->dropped++;
	return false;
}
