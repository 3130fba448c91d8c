/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chains of images that a VM is to use: a process reads the leaves' headers and asks for parents (vhd_process.h), and what comes out is every
 * file, open and locked, leaf to root. Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_DISK_VHD_CHAIN_H
#define VMMS_DISK_VHD_CHAIN_H

#include "vmms/job/vhd_process.h"

struct vhd_chain;

/* Once; e NULL: files are the leaves in their order, then parents. May free the chain. */
typedef void (*vhd_chain_fn)(void *arg, struct vhd_files *files,
			     const struct rpc_error *e);

/* Takes the leaves (opened and locked, with their paths) when it returns 0; fn is called later. */
int vhd_chain_start(struct vmms *v, struct vhd_files *leaves, vhd_chain_fn fn, void *arg,
		    struct vhd_chain **ret, struct rpc_error *e) __must_check;
/* Nothing is called any more. NULL is ok. */
void vhd_chain_free(struct vhd_chain *c);

/*
 * For a worker: moves the parents of a leaf out of `files`, the nearest first, into fds (room for VHD_CHAIN_MAX) and appends their paths to
 * `paths`. How many. -ENOMEM, then the rest stays in `files`.
 */
int vhd_chain_take(struct vhd_files *files, size_t leaf, int *fds,
		   json_t *paths) __must_check;

#endif
