/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One operation on disk images in a process of its own, vmvhd(8): vmms opens and locks the files, the process alone reads them. While it
 * runs it tells how far it is, and asks for the parents of differencing images (vhd_parent.h). It has a private socket to this vmms
 * and ends when that closes, so it never outlives its vmms.
 *
 * The protocol is in docs/architecture.md. What the process says is foreign: bounded and checked.
 * Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_JOB_VHD_PROCESS_H
#define VMMS_JOB_VHD_PROCESS_H

#include <jansson.h>
#include <sys/types.h>
#include "rpc/error.h"
#include "util/list.h"

struct vmms;
struct vhd_process;

#define VHD_FILES_MAX 250u /* that one process may hold: descriptors of one message */
#define VHD_CHAIN_MAX 64u  /* files of a chain, the leaf too */

/* A file that the process works on. */
struct vhd_file {
	int fd; /* locked */
	char *path;
	dev_t dev;
	ino_t ino;
	int child; /* the file that names it its parent; -1: the operator named it */
};

struct vhd_files {
	struct vhd_file *v;
	size_t n;
};

/* Takes `fd` and a copy of `path`; the descriptor is closed on an error. */
int vhd_files_add(struct vhd_files *f, int fd, const char *path, int child) __must_check;
void vhd_files_done(struct vhd_files *f);

struct vhd_process_ops {
	/* total 0: not known. At most a few times a second. May be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	/*
	 * The end, once: the process is gone. `result` is borrowed, and as the table of methods has it, when e is NULL. The owner
	 * frees the process, now or later.
	 */
	void (*ended)(void *arg, const json_t *result, const struct rpc_error *e);
};

/*
 * Starts `method` of rpc_vhd_methods on the files, which become the process's when it returns 0. Takes params in any
 * case. `write_parent`: the parent of file 0 is to be written, too.
 */
int vhd_process_start(struct vmms *v, const char *method, json_t *params,
		      struct vhd_files *files, bool write_parent,
		      const struct vhd_process_ops *ops, void *arg,
		      struct vhd_process **ret, struct rpc_error *e) __must_check;
/* Asks it to stop; kills it when it does not. `ended` follows, perhaps with success. */
void vhd_process_cancel(struct vhd_process *p);
/* Kills it where it still runs, waits until it is gone, calls nothing, closes the files. NULL is ok. */
void vhd_process_free(struct vhd_process *p);

/* Those it was given, then the parents in the order in which they were found. */
struct vhd_files *vhd_process_files(struct vhd_process *p);
pid_t vhd_process_pid(const struct vhd_process *p);
/* Whether one of its files is this one. */
bool vhd_process_uses(const struct vhd_process *p, dev_t dev, ino_t ino);

#endif
