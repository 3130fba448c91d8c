/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on images in their place. Whatever cuts them off, the image is as it was or as it is to be. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmvhd/ops.h"

/* The answer of those that say what the image is then. */
static int answer_info(struct session *s, json_t **ret, struct rpc_error *e)
{
	*ret = op_info_document(s, 0, e);
	return *ret ? 0 : e->err;
}

/* ---- check, repair ---- */

static int answer_check(const struct session *s, const struct image_check *check,
			json_t **ret)
{
	*ret = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s?}", "path", s->files[0].path,
			 "blocks", (json_int_t)check->blocks, "errors",
			 (json_int_t)(check->errors - check->mended), "repaired",
			 (json_int_t)check->mended, "lost_bytes",
			 (json_int_t)check->lost_bytes, "first",
			 check->first[0] ? check->first : NULL);
	return 0;
}

int op_run_check(struct session *s, json_t **ret, struct rpc_error *e)
{
	const struct image_progress progress = op_progress(s);
	struct image_check check = { 0 };
	struct image_error error = { "" };
	int r = image_check(s->files[0].fd, op_format(s, 0), &check, &progress, &error);

	return r < 0 ? op_fail(s, 0, r, &error, e) : answer_check(s, &check, ret);
}

int op_run_repair(struct session *s, json_t **ret, struct rpc_error *e)
{
	const struct image_progress progress = op_progress(s);
	struct image_check check = { 0 };
	struct image_error error = { "" };
	int r = image_repair(s->files[0].fd, op_format(s, 0), &check, &progress, &error);

	return r < 0 ? op_fail(s, 0, r, &error, e) : answer_check(s, &check, ret);
}

/* ---- size ---- */

int op_run_resize(struct session *s, json_t **ret, struct rpc_error *e)
{
	uint64_t bytes = session_number(s, "disk_bytes");
	bool shrink = session_bool(s, "shrink");
	struct image_error error = { "" };
	struct image_info info = { 0 };
	int r = image_info(s->files[0].fd, op_format(s, 0), &info, &error);

	if (r == 0 && bytes < info.disk_bytes && !shrink)
		return rpc_error_set(e, -EINVAL,
				     "%s has %llu bytes; it becomes smaller only with "
				     "--shrink",
				     s->files[0].path,
				     (unsigned long long)info.disk_bytes);
	if (r == 0)
		r = image_resize(s->files[0].fd, op_format(s, 0), bytes, shrink, &error);
	return r < 0 ? op_fail(s, 0, r, &error, e) : answer_info(s, ret, e);
}

int op_run_compact(struct session *s, json_t **ret, struct rpc_error *e)
{
	const struct image_progress progress = op_progress(s);
	struct image_error error = { "" };
	int r = image_compact(s->files[0].fd, op_format(s, 0), &progress, &error);

	return r < 0 ? op_fail(s, 0, r, &error, e) : answer_info(s, ret, e);
}

/* ---- chains ---- */

int op_run_merge(struct session *s, json_t **ret, struct rpc_error *e)
{
	const struct image_progress progress = op_progress(s);
	struct image_file files[IMAGE_CHAIN_MAX];
	struct image_error error = { "" };
	struct op_chain chain;
	int r = op_chain(s, 0, &chain, e);

	if (r < 0)
		return r;
	if (chain.n < 2)
		return rpc_error_set(
			e, -EINVAL,
			"%s has no parent, so there is nothing to merge it into",
			s->files[0].path);
	for (unsigned int i = 0; i < chain.n; i++)
		files[i] = (struct image_file){ .fd = s->files[chain.files[i]].fd,
						.format = op_format(s, chain.files[i]) };
	r = image_merge(&(struct image_params){ .files = files, .nfiles = chain.n },
			&progress, &error);
	if (r < 0)
		return op_fail(s, chain.files[MIN(error.file, chain.n - 1)], r, &error,
			       e);
	*ret = json_object();
	return 0;
}

int op_run_set_parent(struct session *s, json_t **ret, struct rpc_error *e)
{
	struct image_new_parent parent = { .absolute = s->files[1].path,
					   .changed = op_changed(s, 1),
					   .any = session_bool(s, "ignore_id") };
	struct image_error error = { "" };
	char relative[PATH_MAX];
	struct op_chain chain;
	int r = op_chain(s, 1, &chain, e);

	if (r == 0)
		r = op_open(s, &chain, true, false, &parent.disk, e);
	if (r < 0)
		return r;
	if (op_relative(s, 0, 1, relative))
		parent.relative = relative;
	r = image_set_parent(s->files[0].fd, op_format(s, 0), &parent, &error);
	disk_unref(parent.disk);
	return r < 0 ? op_fail(s, 0, r, &error, e) : answer_info(s, ret, e);
}
