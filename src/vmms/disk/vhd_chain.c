/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/disk/vhd_chain.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

/* owner: the event loop */
struct vhd_chain {
	struct vhd_process *process;
	vhd_chain_fn fn;
	void *arg;
};

static void on_ended(void *arg, const json_t *result, const struct rpc_error *e)
{
	struct vhd_chain *c = arg;

	c->fn(c->arg, e ? NULL : vhd_process_files(c->process), e);
}

static const struct vhd_process_ops process_ops = { .ended = on_ended };

int vhd_chain_start(struct vmms *v, struct vhd_files *leaves, vhd_chain_fn fn, void *arg,
		    struct vhd_chain **ret, struct rpc_error *e)
{
	struct vhd_chain *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return rpc_error_set(e, -ENOMEM, "no memory");
	c->fn = fn;
	c->arg = arg;
	r = vhd_process_start(v, "chain", json_object(), leaves, false, &process_ops, c,
			      &c->process, e);
	if (r < 0)
		free(c);
	else
		*ret = c;
	return r;
}

void vhd_chain_free(struct vhd_chain *c)
{
	if (!c)
		return;
	vhd_process_free(c->process);
	free(c);
}

/* The file that `child` names its parent; -1: it has none. */
static int parent_of(const struct vhd_files *files, int child)
{
	for (size_t i = 0; i < files->n; i++) {
		if (files->v[i].child == child)
			return (int)i;
	}
	return -1;
}

int vhd_chain_take(struct vhd_files *files, size_t leaf, int *fds, json_t *paths)
{
	int n = 0;

	for (int i = parent_of(files, (int)leaf); i >= 0; i = parent_of(files, i)) {
		struct vhd_file *f = &files->v[i];

		if (json_array_append_new(paths, json_string(f->path)) < 0) {
			while (n--)
				close(fds[n]);
			return -ENOMEM;
		}
		fds[n++] = take_fd(&f->fd);
	}
	return n;
}
