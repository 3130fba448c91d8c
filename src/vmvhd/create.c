/* SPDX-License-Identifier: BSD-2-Clause */
/* New images: empty ones, and copies of a disk. The target is the last file, empty and without a name yet. */
#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vmvhd/ops.h"

bool op_relative(const struct session *s, unsigned int from, unsigned int to,
		 char ret[PATH_MAX])
{
	const char *a = s->files[from].path, *b = s->files[to].path;
	size_t same = 0, n = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++) {
		if (a[i] == '/')
			same = i + 1;
	}
	ret[0] = 0;
	for (const char *p = a + same; *p && n < PATH_MAX; p++) {
		if (*p == '/')
			n += (size_t)snprintf(ret + n, PATH_MAX - n, "../");
	}
	if (n < PATH_MAX)
		n += (size_t)snprintf(ret + n, PATH_MAX - n, "%s", b + same);
	return n < PATH_MAX;
}

int64_t op_changed(const struct session *s, unsigned int file)
{
	struct stat st;

	return fstat(s->files[file].fd, &st) == 0 ? st.st_mtime : 0;
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
	params.parent_changed = op_changed(s, 0);
	if (op_relative(s, target, 0, relative))
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

int op_run_convert(struct session *s, json_t **ret, struct rpc_error *e)
{
	const struct image_progress progress = op_progress(s);
	struct image_create_params params;
	struct image_error error = { "" };
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
	params = shape_of(s, 1);
	r = image_convert(source, s->files[1].fd, &params, &progress, &error);
	disk_unref(source);
	if (r < 0)
		return op_fail(s, 1, r, &error, e);
	*ret = op_info_document(s, 1, e);
	return *ret ? 0 : e->err;
}
