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

#include "util/journal.h"

/* Fixed after log_init(). */
static char log_process[64];
static int log_fd = STDERR_FILENO;
static enum log_level log_most = LOG_LVL_INFO;
static bool log_journal, log_terminal;

#define LOG_LINE_SIZE 1024

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

/* One line stays one line, whatever a guest put in it. */
static void make_printable(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = ' ';
	}
}

static __printf(2, 0) void write_line(enum log_level level, const char *fmt, va_list ap)
{
	char buf[LOG_LINE_SIZE];
	size_t n = log_prefix(buf, sizeof(buf), level);
	int m = vsnprintf(buf + n, sizeof(buf) - n, fmt, ap);

	if (m < 0)
		return;
	n = MIN(n + (size_t)m, sizeof(buf) - 2);
	make_printable(buf, n);
	buf[n++] = '\n';
	if (write(log_fd, buf, n) < 0)
		return; /* there is nobody left to tell */
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_most)
		return;
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

void log_fields(enum log_level level, const struct journal_field *fields, size_t n,
		const char *fmt, ...)
{
	const char priority[] = { (char)('0' + level), 0 };
	struct journal_field all[LOG_FIELDS_MAX + 3] = {
		{ "PRIORITY", priority },
		{ "SYSLOG_IDENTIFIER", log_process },
	};
	char text[LOG_LINE_SIZE];
	size_t count = 3;
	va_list ap;

	if (level > log_most)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	make_printable(text, strlen(text));
	all[2] = (struct journal_field){ "MESSAGE", text };
	for (size_t i = 0; i < MIN(n, LOG_FIELDS_MAX); i++)
		all[count++] = fields[i];
	/* A journal that is not there, or takes no more, is still behind standard error. */
	if (!log_journal || journal_send(all, count) < 0)
		log_line(level, "%s", text);
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
