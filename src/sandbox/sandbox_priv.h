/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of sandbox_enter(), one file each. Errors: 0 or -errno. Thread: the only one. */
#ifndef SANDBOX_PRIV_H
#define SANDBOX_PRIV_H

#include "sandbox/sandbox.h"

/* A build with a sanitizer, whose runtime reads /proc and makes calls of its own: docs/security.md, "Builds for tests". */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_SANITIZER 1
#endif
#endif
#ifndef SANDBOX_SANITIZER
#define SANDBOX_SANITIZER 0
#endif

/*
 * root.c: an empty file system as root, in the mount namespace that the process has for itself. `resolver`: with a copy of this one file (of
 * /etc), as it is now, if there is one.
 */
int root_empty(const char *resolver) __must_check;
/* privileges.c: no user of the host's, no capability, none to be had. */
int privileges_drop(const struct sandbox_params *params) __must_check;
/* landlock.c: -EOPNOTSUPP where the kernel has none. `resolver`: this file may be read, and TCP is free. */
int landlock_enter(const char *resolver) __must_check;
/* rlimits.c */
int rlimits_set(const struct sandbox_params *params) __must_check;

enum filter_stage {
	FILTER_BASE,
	FILTER_BARE,
	FILTER_MAIN,
	FILTER_VP,
	FILTER_VSP,
	FILTER_IO,
	FILTER_NAT
};

/* filter.c: adds a list to those of the calling thread. */
int filter_add(enum filter_stage stage) __must_check;
/* "openat"; NULL for a number that is none's. */
const char *filter_call_name(long nr);

/* trap.c: SIGSYS's handler. */
int trap_install(void) __must_check;
void trap_unblock(void);

#endif
