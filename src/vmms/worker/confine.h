/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands around the processes that handle foreign bytes, from vmms's side: how much of a sandbox this host grants, and a user of
 * its own for each. One instance a vmms, made before the first worker is adopted.
 *
 * A user's number is a VM's (or a job's) while its process lives, and then anybody's again: nothing on disk belongs to it. Another
 * vmms on this host with the same range may give it to another process; a private instance as root should be
 * given a range of its own ("worker_uids").
 * Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef VMMS_WORKER_CONFINE_H
#define VMMS_WORKER_CONFINE_H

#include "sandbox/sandbox.h"
#include "util/guid.h"
#include "vmms/settings.h"

struct spawn;

struct confine {
	/* fixed after init */
	struct sandbox_host host; /* mode OFF: it was asked for */
	struct uid_range range;

	uint8_t *taken; /* a bit a user; NULL where there are none */
};

/* Tries what the host grants, and says once in the log what it does not. */
int confine_init(struct confine *c, const struct settings *settings) __must_check;
void confine_done(struct confine *c);

/* A user for this VM or job, the same as the last time if it is free. SANDBOX_NO_UID: it keeps vmms's. -EUSERS. */
int confine_take_uid(struct confine *c, const struct guid *id, uid_t *ret) __must_check;
/* One that a process of an earlier vmms has. */
void confine_keep_uid(struct confine *c, uid_t uid);
/* SANDBOX_NO_UID is fine. */
void confine_give_uid(struct confine *c, uid_t uid);

/* "--sandbox MODE [--uid N]" at the end of a program's arguments. */
#define CONFINE_ARGS 4
/* Points into itself: not to be copied. */
struct confine_args {
	char uid[16];
	const char *argv[CONFINE_ARGS + 1]; /* the last is NULL */
};
void confine_args(const struct confine *c, uid_t uid, struct confine_args *ret);

#define CONFINE_TEXT 300
/* The line of `vmctl host check`; true when it is no more than a note. */
bool confine_describe(const struct confine *c, char ret[CONFINE_TEXT]);

#endif
