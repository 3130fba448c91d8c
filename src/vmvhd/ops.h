/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations, one for each method of rpc_vhd_methods that names one. Thread: the operation's. Errors: 0 or -errno and
 * a line that begins with the image's path.
 */
#ifndef VMVHD_OPS_H
#define VMVHD_OPS_H

#include <linux/limits.h>
#include "vmvhd/session.h"

/* Runs the session's operation. 0 and a new reference to the result. */
int ops_run(struct session *s, json_t **ret, struct rpc_error *e) __must_check;

/* ---- for the operations ---- */

/* An image with all its parents; indices into the session's files, leaf first. */
struct op_chain {
	unsigned int files[IMAGE_CHAIN_MAX];
	unsigned int n;
};

/* Finds the parents of a file, asking vmms. On an error *ret holds those that were found. */
int op_chain(struct session *s, unsigned int leaf, struct op_chain *ret,
	     struct rpc_error *e) __must_check;
/* Opens it. The files stay the session's. */
int op_open(struct session *s, const struct op_chain *chain, bool read_only,
	    bool any_parent, struct disk **ret, struct rpc_error *e) __must_check;
/* The error line for one of the session's files: "PATH is damaged". Returns r. */
int op_fail(const struct session *s, unsigned int file, int r,
	    const struct image_error *error, struct rpc_error *e);
enum image_format op_format(const struct session *s, unsigned int file);
/* "fixed|dynamic|differencing" of the params; dynamic when none is given. */
enum image_kind op_kind(const struct session *s);
/* How operations tell of their progress. */
struct image_progress op_progress(struct session *s);
/* "../base.vhdx": the way from the folder of one file to another, where it is not too long. */
bool op_relative(const struct session *s, unsigned int from, unsigned int to,
		 char ret[PATH_MAX]);
/* When a file was last modified, in seconds from 1970; 0: not known. */
int64_t op_changed(const struct session *s, unsigned int file);
/* The document of rpc_vhd_info_fields; NULL and a line. */
json_t *op_info_document(struct session *s, unsigned int file, struct rpc_error *e);

int op_run_info(struct session *s, json_t **ret, struct rpc_error *e);
int op_run_create(struct session *s, json_t **ret, struct rpc_error *e);
int op_run_convert(struct session *s, json_t **ret, struct rpc_error *e);
int op_run_check(struct session *s, json_t **ret, struct rpc_error *e);
int op_run_repair(struct session *s, json_t **ret, struct rpc_error *e);
int op_run_resize(struct session *s, json_t **ret, struct rpc_error *e);
int op_run_compact(struct session *s, json_t **ret, struct rpc_error *e);
int op_run_merge(struct session *s, json_t **ret, struct rpc_error *e);
int op_run_set_parent(struct session *s, json_t **ret, struct rpc_error *e);

#endif
