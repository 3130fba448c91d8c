/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of a process: one line a message, "vmwp/web1 storvsp/0: message". Where standard error
 * is the journal's stream ($JOURNAL_STREAM), a line carries its priority as sd-daemon(3) has it.
 * Libraries (util, rpc, vid, vhd, vmbus) use log_debug only.
 * Thread: any; lines are never mixed.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include "util/macros.h"

enum log_level {
	LOG_LVL_ERR = 3,
	LOG_LVL_WARNING = 4,
	LOG_LVL_INFO = 6,
	LOG_LVL_DEBUG = 7
};

/* Once, by main: the process's name (kept by copy), where lines go, what is printed. */
void log_init(const char *process, int fd, enum log_level most);
/* The calling thread's name in each line, and for the kernel (15 bytes); kept by copy. */
void log_thread(const char *name);
void log_line(enum log_level level, const char *fmt, ...) __printf(2, 3);
/*
 * The same line, for the journal with fields beside it (at most LOG_FIELDS_MAX; names as journald(8) wants them). Elsewhere
 * the fields are not seen: what matters stands in the line too.
 */
#define LOG_FIELDS_MAX 12u
struct journal_field;
void log_fields(enum log_level level, const struct journal_field *fields, size_t n,
		const char *fmt, ...) __printf(4, 5);

#define log_err(...) log_line(LOG_LVL_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LVL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LVL_DEBUG, __VA_ARGS__)

/*
 * For what a guest can cause: at most `burst` lines an interval; the first line after a silence says how
 * many were dropped. Zero-initialized with a burst and an interval. Thread: any.
 */
struct ratelimit {
	unsigned int interval_ms, burst;
	_Atomic uint64_t begin_ms;
	_Atomic unsigned int used, dropped;
};

#define RATELIMIT_INIT                           \
	{                                        \
		.interval_ms = 5000, .burst = 10 \
	}

/* True when this line may be printed; *ret_dropped is then the count that was not. */
bool ratelimit_ok(struct ratelimit *rl, unsigned int *ret_dropped);

#define log_ratelimited(rl, level, fmt, ...)                                           \
	do {                                                                           \
		unsigned int dropped_;                                                 \
		if (ratelimit_ok(rl, &dropped_)) {                                     \
			if (dropped_)                                                  \
				log_line(level, "%u similar lines dropped", dropped_); \
			log_line(level, fmt, ##__VA_ARGS__);                           \
		}                                                                      \
	} while (0)

#endif
