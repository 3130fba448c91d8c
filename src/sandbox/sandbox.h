/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands around a process that handles foreign bytes: the worker of a VM, a disk job. docs/security.md says what
 * it may reach. Two sides:
 *
 *   vmms     sandbox_probe() once ─► spawn_gated(): the child is made in namespaces of its own
 *            (of which vmnat, that is to reach the host's network, keeps that one)
 *   process  sandbox_enter() first thing in main, one thread, nothing foreign read yet: empty root, user, capabilities,
 *            Landlock, limits, the first system call list
 *            sandbox_tighten() once memory is mapped and disks are handed over: the second list
 *            sandbox_thread() first thing in each thread: the list of that kind of thread
 *
 * Lists only ever narrow. A call that is on none ends the process: SIGSYS's handler writes a line that names it to standard
 * error, hands it to who asked for it (sandbox_on_forbidden()), and exits with SANDBOX_EXIT. The lists are compiled at
 * build time (calls.h, gen.c); nothing here needs a library.
 * Errors: 0 or -errno. A host that lacks a part does without it; sandbox_enter() says which.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <sys/types.h>
#include "util/macros.h"

enum sandbox_mode {
	SANDBOX_OFF,  /* none at all; for debugging */
	SANDBOX_BARE, /* no namespaces: system call lists, Landlock, limits, no_new_privs; a user of its own where one is given */
	SANDBOX_USER, /* and namespaces below a user namespace of its own: vmms is not root */
	SANDBOX_FULL, /* namespaces and a user of its own: vmms is root */
};

enum sandbox_thread {
	SANDBOX_MAIN, /* the loop: may start threads, take descriptors, make partitions */
	SANDBOX_VP,   /* runs guest code */
	SANDBOX_VSP,  /* serves one channel: rings, and the images' I/O */
	SANDBOX_IO,   /* moves bytes between images and memory */
	SANDBOX_THREADS
};

/* What ends with a forbidden call has this status, as a shell would have it for SIGSYS. */
#define SANDBOX_EXIT 159
#define SANDBOX_NO_UID ((uid_t)-1)

/* "off", "bare", "user", "full"; -EINVAL. */
int sandbox_mode_parse(const char *name, enum sandbox_mode *ret) __must_check;
const char *sandbox_mode_name(enum sandbox_mode mode);
/* A decimal number of a user, but root's: what becomes root is in no sandbox. -EINVAL. */
int sandbox_uid_parse(const char *text, uid_t *ret) __must_check;

/* ---- vmms's side. Thread: the only one ---- */

/*
 * fork(2) into the namespaces of this mode: 0 in the child, its pid, or -errno. In a user namespace the child is root, which
 * is the user that vmms is, so that exec keeps the capabilities that sandbox_enter() needs. `host_network`: without a network namespace.
 */
pid_t sandbox_fork(enum sandbox_mode mode, bool host_network) __must_check;

struct sandbox_host {
	enum sandbox_mode mode; /* FULL, USER or BARE */
	int no_namespaces;      /* errno of why BARE; 0 else */
	bool users;             /* a process can have a user of its own */
};

/* The most that this host grants, by trying it: with this user's number. */
void sandbox_probe(uid_t uid, struct sandbox_host *ret);

/* ---- the process's side ---- */

struct sandbox_params {
	enum sandbox_mode mode;
	uid_t uid; /* becomes its user and group; SANDBOX_NO_UID: stays who it is */
	/* vmnat's: it may make sockets, and read the copy of this one file at the same path; it has one list, and no threads. NULL: no such thing. */
	const char *resolver;
};

/* What of it this host did not have; for one line in a log. */
struct sandbox_missing {
	bool landlock;
};

/*
 * All of the above but the later lists. After an error the process must end: it may be half inside. Leaves descriptors open
 * as they are; the caller was given just those it is to have. Thread: the only one.
 */
int sandbox_enter(const struct sandbox_params *params,
		  struct sandbox_missing *ret) __must_check;
/* The second list for the calling thread and those it makes from here on. Nothing in mode OFF. Thread: main. */
int sandbox_tighten(void) __must_check;
/*
 * The list of a kind of thread, for the calling thread and those it makes. Nothing outside a sandbox. It cannot fail once
 * sandbox_enter() has not; should it, the process ends. Thread: any, as the first thing it does.
 */
void sandbox_thread(enum sandbox_thread kind);
/* Bytes for people on the call that ended the process. Async-signal-safe; NULL: nobody. Thread: main, before others. */
void sandbox_on_forbidden(void (*fn)(void *opaque, const char *text), void *opaque);

#endif
