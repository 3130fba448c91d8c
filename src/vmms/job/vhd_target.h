/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file in the making. It has no name (open(2), O_TMPFILE) until it is whole and synced, so whatever ends before leaves nothing. Where
 * the file system cannot do that it has a hidden one, which the job's record names, so that the next vmms removes it.
 *
 *   vhd_target_prepare → the job's record → vmms opens it → its process fills and syncs it → vmms names it, syncs the folder
 *
 * Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_JOB_VHD_TARGET_H
#define VMMS_JOB_VHD_TARGET_H

#include "rpc/error.h"
#include "vmms/vm/registry.h"

struct vhd_target {
	char *path;   /* that it is to have */
	char *hidden; /* beside it: its name on the way, where it needs one */
	int dir;      /* their folder */
	int fd;       /* the file, once it is open */
	int old_fd;   /* what it replaces, locked; -1: nothing is to be there */
	bool named;   /* `hidden` exists */
};

/* Checks what can be wrong before; makes nothing. -EEXIST without `force` for a name that is taken, -ETXTBSY when that is in use. */
int vhd_target_prepare(const struct registry *r, const char *path, bool force,
		       struct vhd_target *ret, struct rpc_error *e) __must_check;
/* Makes the file; `no_tmpfile` (for tests) as where O_TMPFILE is not to be had. */
int vhd_target_open(struct vhd_target *t, bool no_tmpfile,
		    struct rpc_error *e) __must_check;
/* Gives the file its name, and syncs the folder. */
int vhd_target_commit(struct vhd_target *t, struct rpc_error *e) __must_check;
/* Removes what has not got its name. */
void vhd_target_done(struct vhd_target *t);

#endif
