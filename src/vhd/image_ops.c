/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/image_ops.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "vhd/file.h"
#include "vhd/image_priv.h"

const char *image_kind_name(enum image_kind kind)
{
	static const char *const names[] = {
		[IMAGE_FIXED] = "fixed",
		[IMAGE_DYNAMIC] = "dynamic",
		[IMAGE_DIFFERENCING] = "differencing",
	};

	return names[kind];
}

/* The format's table, or the line that it has not this operation. */
static const struct image_format_ops *ops_for(enum image_format format, bool has,
					      const char *what, struct image_error *error)
{
	if (!has)
		image_fail(error, -ENOTSUP, "cannot be %s: %s images do not know that",
			   what, image_format_name(format));
	return has ? image_format_ops(format) : NULL;
}

#define OPS(format, op, what, error) \
	ops_for(format, image_format_ops(format)->op != NULL, what, error)

int image_create(int fd, const struct image_create_params *params,
		 struct image_error *error)
{
	const struct image_format_ops *ops = OPS(params->format, create, "made", error);
	uint64_t bytes;
	int r;

	if (!ops)
		return -ENOTSUP;
	if ((params->kind == IMAGE_DIFFERENCING) != (params->parent != NULL))
		return image_fail(error, -EINVAL,
				  "cannot be made: a differencing image has a parent, "
				  "another has none");
	r = file_size(fd, &bytes);
	if (r < 0)
		return image_fail(error, r, "cannot be made: %s", strerror(-r));
	if (bytes)
		return image_fail(error, -EEXIST, "is there already, and not empty");
	return ops->create(fd, params, error);
}

int image_info(int fd, enum image_format format, struct image_info *ret,
	       struct image_error *error)
{
	const struct image_format_ops *ops = OPS(format, info, "described", error);
	struct image_info info = { .format = format };
	struct stat st;
	int r;

	if (!ops)
		return -ENOTSUP;
	if (fstat(fd, &st) < 0)
		return image_fail(error, -errno, "cannot be used: %s", strerror(errno));
	info.file_bytes = (uint64_t)st.st_size;
	info.allocated_bytes = (uint64_t)st.st_blocks * 512;
	r = ops->info(fd, &info, error);
	if (r == 0)
		*ret = info;
	return r;
}

int image_check(int fd, enum image_format format, struct image_check *ret,
		const struct image_progress *progress, struct image_error *error)
{
	const struct image_format_ops *ops = OPS(format, check, "checked", error);

	return ops ? ops->check(fd, ret, progress, error) : -ENOTSUP;
}

int image_repair(int fd, enum image_format format, struct image_check *ret,
		 const struct image_progress *progress, struct image_error *error)
{
	const struct image_format_ops *ops = OPS(format, repair, "repaired", error);

	return ops ? ops->repair(fd, ret, progress, error) : -ENOTSUP;
}

int image_resize(int fd, enum image_format format, uint64_t bytes, bool shrink,
		 struct image_error *error)
{
	const struct image_format_ops *ops = OPS(format, resize, "resized", error);

	return ops ? ops->resize(fd, bytes, shrink, error) : -ENOTSUP;
}

int image_compact(int fd, enum image_format format, const struct image_progress *progress,
		  struct image_error *error)
{
	const struct image_format_ops *ops = OPS(format, compact, "compacted", error);

	return ops ? ops->compact(fd, progress, error) : -ENOTSUP;
}

int image_set_parent(int fd, enum image_format format,
		     const struct image_new_parent *parent, struct image_error *error)
{
	const struct image_format_ops *ops =
		OPS(format, set_parent, "given a parent", error);

	return ops ? ops->set_parent(fd, parent, error) : -ENOTSUP;
}
