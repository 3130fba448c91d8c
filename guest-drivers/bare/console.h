/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial console at 0x3f8: report lines. Thread: any VP; a line comes out whole. */
#ifndef BARE_CONSOLE_H
#define BARE_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

#define CONSOLE_LINE_MAX 512

void console_init(void);
/* One line "bare: …\n". Knows %s %c %u %d %x (with l, ll, 0 and a width), %% and no more; what is too long is cut. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_v(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* For the report of a fault, which may have happened inside say(). */
void console_break_lock(void);

#endif
