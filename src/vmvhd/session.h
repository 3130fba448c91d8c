/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmvhd's end of the socket to vmms (docs/architecture.md): one operation, told once, and what goes to and fro while it runs.
 *
 * Two threads: the reader, which is main's, hears vmms at any time and so sees it go away, which ends the process at once; the operation's,
 * which alone touches images. Errors: 0 or -errno.
 */
#ifndef VMVHD_SESSION_H
#define VMVHD_SESSION_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include "rpc/error.h"
#include "rpc/methods.h"
#include "vhd/image_ops.h"

#define SESSION_FILES_MAX 256u

/* A file that vmms opened and locked. */
struct session_file {
	int fd;
	char *path; /* its end says the format; for errors */
};

struct session {
	int sock;               /* fixed after init */
	atomic_bool cancelled;  /* set by the reader */
	pthread_mutex_t lock;   /* all below; also, one line at a time is written */
	pthread_cond_t changed; /* `parent` came */
	bool parent_wanted, parent_came;
	struct session_file parent; /* path NULL: none */
	char parent_error[512];

	/* owner: the operation's thread */
	const struct rpc_method *method;
	json_t *id, *params;
	struct session_file files[SESSION_FILES_MAX];
	unsigned int file_count;
	uint64_t told_ms;
};

/* Serves one operation on a connected socket; returns when vmms has closed it and the operation is over. The exit status. */
int session_run(int sock);

/* ---- for the operation, on its thread ---- */

/*
 * Asks vmms for the parent of files[child], which it calls by these names; *ret is its index in `files`. -ENOKEY and a line
 * in *e when vmms gives none.
 */
int session_ask_parent(struct session *s, unsigned int child,
		       const struct image_parent *names, unsigned int *ret,
		       struct rpc_error *e) __must_check;
/* Tells how far it is, a few times a second. False: it is to stop. */
bool session_step(void *session, uint64_t done, uint64_t total);
/* NULL or 0 when it was not given. */
const char *session_string(const struct session *s, const char *name);
uint64_t session_number(const struct session *s, const char *name);
bool session_bool(const struct session *s, const char *name);

#endif
