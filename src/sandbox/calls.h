/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that each kind of thread may make: what gen.c compiles, and the text that docs/security.md is held to. A call is named
 * where the first thread that needs it is; "base" is what is allowed between sandbox_enter() and sandbox_tighten(), on top of all others'.
 * Nothing that takes a path, makes a process or a socket, or acts on another process is on any of them; but vmnat's, which makes Internet sockets and
 * looks at the one file that it is left.
 */
#ifndef SANDBOX_CALLS_H
#define SANDBOX_CALLS_H

#include <seccomp.h>
#include <stdint.h>

/* Which threads. BASE stands for the whole process before it is tightened. */
enum {
	BASE = 1,
	MAIN = 2,
	VP = 4,
	VSP = 8,
	IO = 16,
	NAT = 32, /* vmnat: one thread, one list from the start */
	LOOP = MAIN | VSP,
	DISK = MAIN | VSP | IO, /* the main thread opens images, also while the VM runs */
	WORKER = MAIN | VP | VSP | IO,
	ALL = WORKER | NAT,
};

/* On what condition. */
enum condition {
	ALWAYS,
	IS,         /* argument `arg` is `value` */
	MASKED,     /* ... & `mask` is `value` */
	OWN,        /* argument `arg` is the process's own number */
	FAILS_WITH, /* never; the caller gets the error `value` instead of its end */
	FAILS_IF, /* the same with the error `mask`, where argument `arg` is `value`; else its end */
};

struct call {
	unsigned int who;
	int nr;
	enum condition when;
	unsigned int arg;
	uint64_t value, mask;
};

#define CALL(who, name)                              \
	{                                            \
		who, SCMP_SYS(name), ALWAYS, 0, 0, 0 \
	}
#define CALL_IS(who, name, arg, value)                 \
	{                                              \
		who, SCMP_SYS(name), IS, arg, value, 0 \
	}
#define CALL_MASKED(who, name, arg, mask, value)              \
	{                                                     \
		who, SCMP_SYS(name), MASKED, arg, value, mask \
	}
#define IOCTL(who, request)                             \
	{                                               \
		who, SCMP_SYS(ioctl), IS, 1, request, 0 \
	}

extern const struct call calls[];
extern const unsigned int call_count;

#endif
