/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disk images from vmms's side: it opens, locks and names files, and never looks into one. Each operation is done by a
 * process (vhd_process.h); those that take long are jobs (job.h). Thread: the event loop's.
 */
#ifndef VMMS_JOB_VHD_H
#define VMMS_JOB_VHD_H

#include "rpc/server.h"
#include "vmms/job/vhd_process.h"

/* Whether a file's name says that it is a VHD or VHDX image, which may have parents. NULL does not. */
bool vhd_has_format(const char *path);

/* Opens and locks an image that the operator named, and adds it. Errors: 0 or -errno and a line. */
int vhd_open(struct vmms *v, const char *path, bool write, struct vhd_files *files,
	     struct rpc_error *e) __must_check;
/* The same for a look at its headers, which does no harm while it is in use. */
int vhd_open_to_look(struct vmms *v, const char *path, struct vhd_files *files,
		     struct rpc_error *e) __must_check;

/* The end of vhd_make(), once: e NULL when the image is whole, synced and has its name. A vmms that ends calls it, too. */
typedef void (*vhd_made_fn)(void *arg, const struct rpc_error *e);
/* Makes an empty dynamic (or raw) image by the same job as vhd.create; on an error none began. */
int vhd_make(struct vmms *v, const char *path, uint64_t bytes, vhd_made_fn fn, void *arg,
	     struct rpc_error *e) __must_check;

/* Answers every vhd.info that is under way: vmms ends. Jobs are jobs_free()'s. */
void vhd_drop_looks(struct vmms *v);

/* The methods. */
void vhd_create(struct rpc_call *call, void *ctx);
void vhd_info(struct rpc_call *call, void *ctx);
void vhd_convert(struct rpc_call *call, void *ctx);
void vhd_resize(struct rpc_call *call, void *ctx);
void vhd_compact(struct rpc_call *call, void *ctx);
void vhd_merge(struct rpc_call *call, void *ctx);
void vhd_check(struct rpc_call *call, void *ctx);
void vhd_repair(struct rpc_call *call, void *ctx);
void vhd_set_parent(struct rpc_call *call, void *ctx);

#endif
