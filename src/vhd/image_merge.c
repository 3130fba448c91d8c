/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child into its parent. What the child itself has is written over what the parent has, through the parent's format, and flushed. Until then the parent
 * keeps its identity: the child still opens over it and reads as before, whatever of it is in the parent already, so that a merge that was cut off
 * is begun again. At the end the parent takes the child's identity: it holds now what the child's own children were made of. A parent that has it already
 * was merged to the end, and only the child's deletion was cut off.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vhd/image_copy.h"
#include "vhd/image_priv.h"

/* The chain from its second file on, to be written, and the child over it. */
static int open_both(const struct image_params *chain, struct disk **ret_parent,
		     struct disk **ret_child, struct image_error *error)
{
	const struct image_params below = { .files = chain->files + 1,
					    .nfiles = chain->nfiles - 1,
					    .any_parent = chain->any_parent,
					    .keep_content_id = true };
	struct image_layer child = { .any_parent = chain->any_parent };
	int r = image_open_dup(&below, ret_parent, error);

	if (r < 0) {
		error->file++;
		return r;
	}
	error->file = 0;
	child.parent = *ret_parent;
	child.fd = fcntl(chain->files[0].fd, F_DUPFD_CLOEXEC, 0);
	r = child.fd < 0
		    ? image_fail(error, -errno, "cannot be used: %s", strerror(errno))
		    : image_format_ops(chain->files[0].format)
			      ->open(&child, ret_child, error);
	if (r == 0)
		return 0;
	if (child.fd >= 0)
		close(child.fd);
	disk_unref(*ret_parent);
	return r;
}

/* A parent that is smaller than its child. */
static int grow(const struct image_file *parent, uint64_t bytes,
		struct image_error *error)
{
	struct image_info info;
	int r = image_info(parent->fd, parent->format, &info, error);

	if (r < 0 || info.disk_bytes >= bytes)
		return r;
	return image_resize(parent->fd, parent->format, bytes, false, error);
}

static int copy(const struct image_params *chain, const struct image_progress *progress,
		struct guid *ret_id, struct image_error *error)
{
	struct disk *parent, *child;
	int r = open_both(chain, &parent, &child, error);

	if (r < 0)
		return r;
	*ret_id = child->info.content_id;
	r = image_copy(child, parent, true, progress);
	disk_unref(child); /* and the parent with it */
	if (r == -ECANCELED)
		return image_fail(
			error, r,
			"is not merged to the end: canceled; it can be used, or "
			"merged again");
	return r < 0 ? image_fail(error, r, "is not merged to the end: %s", strerror(-r))
		     : 0;
}

static bool is_merged(const struct image_info *child, const struct image_info *parent)
{
	return !guid_is_null(&child->content_id) &&
	       guid_equal(&child->content_id, &parent->content_id);
}

int image_merge(const struct image_params *chain, const struct image_progress *progress,
		struct image_error *error)
{
	const struct image_file *parent = chain->files + 1;
	struct image_info child, into;
	struct guid id;
	int r;

	error->file = 0;
	if (chain->nfiles < 2)
		return image_fail(error, -EINVAL, "has no parent to be merged into");
	r = image_info(chain->files[0].fd, chain->files[0].format, &child, error);
	if (r < 0)
		return r;
	error->file = 1;
	r = image_info(parent->fd, parent->format, &into, error);
	if (r < 0 || is_merged(&child, &into))
		return r;
	r = grow(parent, child.disk_bytes, error);
	if (r == 0)
		r = copy(chain, progress, &id, error);
	if (r < 0 || !image_format_ops(parent->format)->set_content_id)
		return r;
	error->file = 1;
	return image_format_ops(parent->format)->set_content_id(parent->fd, &id, error);
}
