/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmvhd/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

/* ---- helpers ---- */

enum image_format op_format(const struct session *s, unsigned int file)
{
	return image_format_of(s->files[file].path);
}

enum image_kind op_kind(const struct session *s)
{
	const char *type = session_string(s, "type");

	for (int k = IMAGE_FIXED; type && k <= IMAGE_DIFFERENCING; k++) {
		if (strcmp(type, image_kind_name((enum image_kind)k)) == 0)
			return (enum image_kind)k;
	}
	return IMAGE_DYNAMIC;
}

struct image_progress op_progress(struct session *s)
{
	return (struct image_progress){ .step = session_step, .arg = s };
}

int op_fail(const struct session *s, unsigned int file, int r,
	    const struct image_error *error, struct rpc_error *e)
{
	const char *path = s->files[file].path;

	if (r == -ECANCELED)
		return rpc_error_set(e, r, "%s: cancelled", path);
	if (r == -ENOSPC || r == -EDQUOT)
		return rpc_error_set(
			e, r,
			"%s: its file system is full; free some room and try "
			"again",
			path);
	return rpc_error_set(e, r, "%s %s", path, error->message);
}

int op_chain(struct session *s, unsigned int leaf, struct op_chain *ret,
	     struct rpc_error *e)
{
	cleanup_free struct image_parent *parent = malloc(sizeof(*parent));
	struct image_error error = { "" };
	unsigned int at = leaf;
	int r;

	ret->n = 0;
	if (!parent)
		return rpc_error_set(e, -ENOMEM, "no memory");
	for (;;) {
		if (ret->n == IMAGE_CHAIN_MAX)
			return rpc_error_set(e, -ELOOP,
					     "%s: its chain of parents is longer than %u",
					     s->files[leaf].path, IMAGE_CHAIN_MAX);
		ret->files[ret->n++] = at;
		r = image_parent_of(s->files[at].fd, op_format(s, at), parent, &error);
		if (r < 0)
			return op_fail(s, at, r, &error, e);
		if (r == 0)
			return 0;
		r = session_ask_parent(s, at, parent, &at, e);
		if (r < 0)
			return r;
	}
}

int op_open(struct session *s, const struct op_chain *chain, bool read_only,
	    bool any_parent, struct disk **ret, struct rpc_error *e)
{
	struct image_file files[IMAGE_CHAIN_MAX];
	struct image_params params = { .files = files,
				       .nfiles = chain->n,
				       .read_only = read_only,
				       .any_parent = any_parent };
	struct image_error error = { "" };
	unsigned int n = 0;
	int r = 0;

	for (; r == 0 && n < chain->n; n++) {
		files[n].format = op_format(s, chain->files[n]);
		files[n].fd = fcntl(s->files[chain->files[n]].fd, F_DUPFD_CLOEXEC, 0);
		if (files[n].fd < 0)
			r = rpc_error_set(e, -errno, "%s: %s",
					  s->files[chain->files[n]].path,
					  strerror(errno));
	}
	if (r == 0) {
		r = image_open(&params, ret, &error);
		if (r == 0)
			return 0;
		op_fail(s, chain->files[MIN(error.file, chain->n - 1)], r, &error, e);
	}
	while (n--) {
		if (files[n].fd >= 0)
			close(files[n].fd);
	}
	return r;
}

/* ---- small operations ---- */

static int run_chain(struct session *s, json_t **ret, struct rpc_error *e)
{
	unsigned int given = s->file_count;
	struct op_chain chain;

	for (unsigned int i = 0; i < given; i++) {
		int r = op_chain(s, i, &chain, e);

		if (r < 0)
			return r;
	}
	*ret = json_object();
	return 0;
}

/* ---- which ---- */

static const struct {
	const char *method;
	unsigned int files; /* at least */
	int (*run)(struct session *s, json_t **ret, struct rpc_error *e);
} ops[] = {
	{ "chain", 0, run_chain },      { "info", 1, op_run_info },
	{ "check", 1, op_run_check },   { "repair", 1, op_run_repair },
	{ "create", 1, op_run_create }, { "convert", 2, op_run_convert },
	{ "resize", 1, op_run_resize }, { "compact", 1, op_run_compact },
	{ "merge", 1, op_run_merge },   { "set_parent", 2, op_run_set_parent },
};

int ops_run(struct session *s, json_t **ret, struct rpc_error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		int r;

		if (strcmp(ops[i].method, s->method->name) != 0)
			continue;
		if (s->file_count < ops[i].files)
			break;
		r = ops[i].run(s, ret, e);
		if (r == 0 && !*ret)
			r = rpc_error_set(e, -ENOMEM, "no memory");
		return r;
	}
	return rpc_error_set(e, -EINVAL, "%s needs more files", s->method->name);
}
