/* SPDX-License-Identifier: BSD-2-Clause */
/* New images: empty ones, and copies of a disk. The target is the last file, empty and without a name yet. */
#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>

#include "vmvhd/ops.h"

/* "../base.vhdx": the way from the folder of `from` to `to`, both absolute and without "..". False: it is too long. */
static bool relative_path(const char *from, const char *to, char *ret, size_t size)
{
	size_t same = 0, n = 0;

	for (size_t i = 0; from[i] && from[i] == to[i]; i++) {
		if (from[i] == '/')
			same = i + 1;
	}
	ret[0] = 0;
	for (const char *p = from + same; *p; p++) {
		if (*p == '/')
			n += (size_t)snprintf(ret + n, size - n, "../");
		if (n >= size)
			return false;
	}
	n += (size_t)snprintf(ret + n, size - n, "%s", to + same);
	return n < size;
}

static struct image_create_params shape_of(const struct session *s, unsigned int target)
{
	return (struct image_create_params){
		.format = op_format(s, target),
		.kind = op_kind(s),
		.disk_bytes = session_number(s, "disk_bytes"),
		.block_bytes = (uint32_t)session_number(s, "block_bytes"),
		.logical_bytes = (uint32_t)session_number(s, "logical_bytes"),
		.physical_bytes = (uint32_t)session_number(s, "physical_bytes"),
	};
}

static bool fits_32(const struct session *s, struct rpc_error *e)
{
	static const char *const names[] = { "block_bytes", "logical_bytes",
					     "physical_bytes" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (session_number(s, names[i]) > UINT32_MAX) {
			rpc_error_set(e, -EINVAL, "%s is too large", names[i]);
			return false;
		}
	}
	return true;
}

static int create(struct session *s, unsigned int target,
		  const struct image_create_params *params, struct rpc_error *e)
{
	struct image_error error = { "" };
	int r = image_create(s->files[target].fd, params, &error);

	return r < 0 ? op_fail(s, target, r, &error, e) : 0;
}

/* A child of files[0]. */
static int create_child(struct session *s, unsigned int target, struct rpc_error *e)
{
	struct image_create_params params = shape_of(s, target);
	char relative[PATH_MAX];
	struct op_chain chain;
	int r = op_chain(s, 0, &chain, e);

	if (r == 0)
		r = op_open(s, &chain, true, false, &params.parent, e);
	if (r < 0)
		return r;
	params.kind = IMAGE_DIFFERENCING;
	params.parent_absolute = s->files[0].path;
	if (relative_path(s->files[target].path, s->files[0].path, relative,
			  sizeof(relative)))
		params.parent_relative = relative;
	r = create(s, target, &params, e);
	disk_unref(params.parent);
	return r;
}

int op_run_create(struct session *s, json_t **ret, struct rpc_error *e)
{
	unsigned int target = s->file_count - 1;
	struct image_create_params params = shape_of(s, target);
	int r;

	if (!fits_32(s, e))
		return -EINVAL;
	if (target == 0 && params.kind == IMAGE_DIFFERENCING)
		return rpc_error_set(e, -EINVAL,
				     "%s: a differencing image needs a parent",
				     s->files[target].path);
	if (target == 0 && !params.disk_bytes)
		return rpc_error_set(e, -EINVAL, "%s: it needs a size",
				     s->files[target].path);
	r = target ? create_child(s, target, e) : create(s, target, &params, e);
	if (r < 0)
		return r;
	*ret = op_info_document(s, target, e);
	return *ret ? 0 : e->err;
}

/* ---- convert ---- */

/* What the params leave open is as the source has it, where the format can. */
static struct image_create_params shape_like(const struct session *s, unsigned int target,
					     const struct disk *source)
{
	struct image_create_params params = shape_of(s, target);

	params.disk_bytes = disk_bytes(source);
	if (params.format == IMAGE_RAW)
		return params;
	if (!params.logical_bytes)
		params.logical_bytes = source->info.logical_bytes;
	if (!params.physical_bytes && params.format == IMAGE_VHDX)
		params.physical_bytes =
			MAX(source->info.physical_bytes, params.logical_bytes);
	return params;
}

static int fill(struct session *s, unsigned int target, struct disk *source,
		struct rpc_error *e)
{
	const struct op_chain alone = { .files = { target }, .n = 1 };
	const struct image_progress progress = op_progress(s);
	struct image_error error = { "" };
	struct disk *disk = NULL;
	int r = op_open(s, &alone, false, false, &disk, e);

	if (r < 0)
		return r;
	r = copy_disk(source, disk, &progress);
	if (r < 0)
		image_fail(&error, r, "cannot be written, or its source not read: %s",
			   strerror(-r));
	disk_unref(disk);
	return r < 0 ? op_fail(s, target, r, &error, e) : 0;
}

int op_run_convert(struct session *s, json_t **ret, struct rpc_error *e)
{
	struct image_create_params params;
	struct op_chain chain;
	struct disk *source;
	int r;

	if (!fits_32(s, e))
		return -EINVAL;
	if (op_kind(s) == IMAGE_DIFFERENCING)
		return rpc_error_set(e, -EINVAL, "%s: a copy has no parent",
				     s->files[1].path);
	r = op_chain(s, 0, &chain, e);
	if (r == 0)
		r = op_open(s, &chain, true, false, &source, e);
	if (r < 0)
		return r;
	params = shape_like(s, 1, source);
	r = create(s, 1, &params, e);
	if (r == 0)
		r = fill(s, 1, source, e);
	disk_unref(source);
	if (r < 0)
		return r;
	*ret = op_info_document(s, 1, e);
	return *ret ? 0 : e->err;
}
