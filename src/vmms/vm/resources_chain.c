/* SPDX-License-Identifier: BSD-2-Clause */
/* The parents of a VM's images among its resources: by the role of the leaf, "scsi/0/0/1" and on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmms/vm/resources.h"
#include "vmms/job/vhd.h"
#include "vmms/disk/vhd_chain.h"

static bool has_chain(const struct drive_config *d)
{
	return d->kind == DRIVE_DISK && vhd_has_format(d->path);
}

static void role_of(const struct drive_config *d, char *ret, size_t size)
{
	snprintf(ret, size, "scsi/%u/%u", d->controller, d->lun);
}

static int fd_of(const struct resources *r, const char *role)
{
	for (size_t i = 0; i < r->fd_count; i++) {
		const char *name = json_string_value(json_array_get(r->roles, i));

		if (name && strcmp(name, role) == 0)
			return r->fds[i];
	}
	return -1;
}

int resources_leaves(const struct resources *r, const struct vm *vm,
		     struct vhd_files *ret)
{
	struct vhd_files files = { 0 };
	int n = 0;

	for (size_t i = 0; n == 0 && i < vm->config.drive_count; i++) {
		const struct drive_config *d = &vm->config.drives[i];
		char role[32];
		int fd;

		if (!has_chain(d))
			continue;
		role_of(d, role, sizeof(role));
		fd = fcntl(fd_of(r, role), F_DUPFD_CLOEXEC, 0);
		n = fd < 0 ? -errno : vhd_files_add(&files, fd, d->path, -1);
	}
	if (n < 0)
		vhd_files_done(&files);
	else
		*ret = files;
	return n;
}

static int add_chain(struct resources *r, const char *role, const int *fds, size_t n,
		     json_t *paths, struct rpc_error *e)
{
	for (size_t i = 0; i < n; i++) {
		char name[48];
		int k;

		snprintf(name, sizeof(name), "%s/%zu", role, i + 1);
		k = resources_add_fd(r, name, fds[i], e);
		if (k < 0) {
			while (++i < n)
				close(fds[i]);
			return k;
		}
	}
	if (!r->parents)
		r->parents = json_object();
	if (n && json_object_set(r->parents, role, paths) < 0)
		return rpc_error_set(e, -ENOMEM, "no memory");
	return 0;
}

int resources_add_parents(struct resources *r, const struct vm *vm,
			  struct vhd_files *found, struct rpc_error *e)
{
	size_t leaf = 0;
	int n = 0;

	for (size_t i = 0; n >= 0 && i < vm->config.drive_count; i++) {
		const struct drive_config *d = &vm->config.drives[i];
		json_t *paths = json_array();
		int fds[VHD_CHAIN_MAX];
		char role[32];

		role_of(d, role, sizeof(role));
		if (has_chain(d)) {
			n = vhd_chain_take(found, leaf++, fds, paths);
			n = n < 0 ? rpc_error_set(e, n, "no memory")
				  : add_chain(r, role, fds, (size_t)n, paths, e);
		}
		json_decref(paths);
	}
	return MIN(n, 0);
}
