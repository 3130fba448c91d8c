/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens the parent that a disk image names. The name is foreign: whoever made the image chose it. So vmms opens it only inside the folder of the
 * image that the operator named, and below it, and inside the folders of vhd_folders (vmms.conf(5)) and below; no link
 * leads out of them (openat2(2), RESOLVE_BENEATH), and nothing but a regular file is opened. That is the only thing that ever
 * happens with such a name: jobs and the start of a VM share it.
 *
 * Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_JOB_VHD_PARENT_H
#define VMMS_JOB_VHD_PARENT_H

#include "rpc/error.h"

#define VHD_CANDIDATES_MAX 8u /* names that a child may give */

struct vhd_folders {
	const char *image;       /* the image that the operator named; absolute */
	const char *const *more; /* ends with NULL; may be NULL */
};

/*
 * The first candidate that exists, open for reading (or both, with `write`): 0 with *ret_path (the caller frees it), as it was found.
 * A candidate without a "/" in front is one from the folder of `child`. -ENOENT: none exists; -EACCES: the only ones that might
 * lie outside, whether they exist is then not looked at; -EINVAL: it is no regular file, or its name cannot be one.
 */
int vhd_parent_open(const struct vhd_folders *allowed, const char *child,
		    const char *const *candidates, size_t n, bool write, int *ret_fd,
		    char **ret_path, struct rpc_error *e) __must_check;

/* Makes "/a/b/d" of "/a/./b/c/../d"; `ret` has room for `size` bytes. -ENAMETOOLONG; -EINVAL for a path that is not absolute. */
int vhd_path_clean(const char *path, char *ret, size_t size) __must_check;

#endif
