/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a program for its output: its standard output up to a bound, within a deadline; then it is killed.
 * Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef VMMS_WORKER_HELPER_H
#define VMMS_WORKER_HELPER_H

#include "util/macros.h"

struct event_base;

#define HELPER_OUTPUT_MAX 65536u

/* out: NUL-terminated, borrowed; r: 0, -ETIMEDOUT, -EFBIG, -ECHILD when it failed (whatever its output). */
typedef void (*helper_fn)(void *arg, int r, const char *out, size_t len);

/* After 0, fn is called once, later. */
int helper_run(struct event_base *base, const char *const *argv, unsigned int timeout_s,
	       helper_fn fn, void *arg) __must_check;

#endif
