/* SPDX-License-Identifier: BSD-2-Clause */
/* What an image is, and whether its chain can be used. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmvhd/ops.h"

/* Why the chain cannot be used; "" when it can. What waits in a log is no problem: the next use writes it. */
static void find_problem(struct session *s, const struct op_chain *chain,
			 const struct image_info *info, char *ret, size_t size)
{
	struct rpc_error e = { 0 };
	struct disk *disk = NULL;

	ret[0] = 0;
	if (info->needs_replay)
		return;
	if (op_open(s, chain, true, false, &disk, &e) < 0)
		snprintf(ret, size, "%s", e.message);
	disk_unref(disk);
}

/* A VHD's parent keeps its unique id when it is written; only its file's time tells. */
static void find_warning(const struct session *s, const struct op_chain *chain, char *ret,
			 size_t size)
{
	cleanup_free struct image_parent *said = malloc(sizeof(*said));
	struct image_error error;

	ret[0] = 0;
	for (unsigned int i = 0; said && !ret[0] && i + 1 < chain->n; i++) {
		unsigned int child = chain->files[i], parent = chain->files[i + 1];

		if (image_parent_of(s->files[child].fd, op_format(s, child), said,
				    &error) == 1 &&
		    image_parent_was_touched(said, s->files[parent].fd))
			snprintf(ret, size,
				 "%s was modified after, or copied since, %s was made "
				 "over it; use 'vmctl vhd set-parent' when its content "
				 "is the same",
				 s->files[parent].path, s->files[child].path);
	}
}

static json_t *parent_paths(const struct session *s, const struct op_chain *chain)
{
	json_t *paths = json_array();

	for (unsigned int i = 1; i < chain->n; i++)
		json_array_append_new(paths, json_string(s->files[chain->files[i]].path));
	return paths;
}

json_t *op_info_document(struct session *s, unsigned int file, struct rpc_error *e)
{
	char problem[sizeof(e->message)], warning[sizeof(e->message)], id[GUID_STR_LEN];
	struct image_error error = { "" };
	struct image_info info = { 0 };
	struct rpc_error why = { 0 };
	struct op_chain chain;
	json_t *doc;
	int r = image_info(s->files[file].fd, op_format(s, file), &info, &error);

	if (r < 0) {
		op_fail(s, file, r, &error, e);
		return NULL;
	}
	if (op_chain(s, file, &chain, &why) < 0)
		memcpy(problem, why.message, sizeof(problem));
	else
		find_problem(s, &chain, &info, problem, sizeof(problem));
	find_warning(s, &chain, warning, sizeof(warning));
	guid_format(&info.id, id);
	doc = json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s?, s:b, s:o, s:s?, "
		"s:s?}",
		"path", s->files[file].path, "format", image_format_name(info.format),
		"type", image_kind_name(info.kind), "disk_bytes",
		(json_int_t)info.disk_bytes, "file_bytes", (json_int_t)info.file_bytes,
		"allocated_bytes", (json_int_t)info.allocated_bytes, "block_bytes",
		(json_int_t)info.block_bytes, "logical_bytes",
		(json_int_t)info.logical_bytes, "physical_bytes",
		(json_int_t)info.physical_bytes, "id", guid_is_null(&info.id) ? NULL : id,
		"needs_replay", info.needs_replay, "parents", parent_paths(s, &chain),
		"problem", problem[0] ? problem : NULL, "warning",
		warning[0] ? warning : NULL);
	if (!doc)
		rpc_error_set(e, -ENOMEM, "no memory");
	return doc;
}

int op_run_info(struct session *s, json_t **ret, struct rpc_error *e)
{
	*ret = op_info_document(s, 0, e);
	return *ret ? 0 : e->err;
}
