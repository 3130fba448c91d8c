/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A drive that is added to a running VM, and whose image may have parents: they are found first, by a process (vhd_chain.h), and then the change goes its
 * way. Meanwhile the VM may be turned off, changed, even deleted: it is looked up anew, and the configuration made anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmms/disk/disks_priv.h"
#include "vmms/job/vhd.h"
#include "vmms/disk/vhd_chain.h"

struct search {
	struct vmms *v;
	struct rpc_call *call;
	struct guid id; /* of the VM */
	struct disk_change what;
	json_t *drive;
	struct vhd_chain *chain;
};

bool disk_has_chain(const struct vm_config *next, const struct place *at)
{
	const struct drive_config *d = config_drive_at(next, at->controller, at->lun);

	return d && d->kind == DRIVE_DISK && vhd_has_format(d->path);
}

static void search_free(struct search *s)
{
	vhd_chain_free(s->chain);
	disk_change_done(&s->what);
	json_decref(s->drive);
	free(s);
}

/* The parents as further descriptors with their roles. */
static int take_parents(struct search *s, struct vhd_files *files, struct rpc_error *e)
{
	struct disk_change *w = &s->what;
	int fds[VHD_CHAIN_MAX], n;

	w->parents = json_array();
	n = vhd_chain_take(files, 0, fds, w->parents);
	if (n < 0)
		return rpc_error_set(e, n, "no memory");
	for (int i = 0; i < n; i++) {
		char role[48];

		snprintf(role, sizeof(role), "scsi/%u/%u/%d", w->at.controller, w->at.lun,
			 i + 1);
		json_array_append_new(w->roles, json_string(role));
		w->fds[w->fd_count++] = fds[i];
	}
	return 0;
}

/* The VM as it is now, with the drive; ends the call in any case. */
static void go_on(struct search *s)
{
	struct vm *vm = registry_by_id(&s->v->registry, &s->id);
	struct config_error why;
	struct vm_config next;
	int r;

	if (!vm) {
		rpc_call_fail(s->call, -ENOENT, "the VM was deleted meanwhile");
		return;
	}
	vm->drives_busy = false;
	r = config_drive_add(&vm->config, s->what.at.controller, s->drive, &next, &why);
	if (r < 0)
		rpc_call_fail(s->call, r, "%s: %s", vm->config.name, why.message);
	else
		disk_change_run(s->v, vm, s->call, &s->what, &next);
}

static void on_found(void *arg, struct vhd_files *files, const struct rpc_error *e)
{
	struct search *s = arg;
	struct vm *vm = registry_by_id(&s->v->registry, &s->id);
	struct rpc_error why;

	if (!e && take_parents(s, files, &why) < 0)
		e = &why;
	if (e) {
		if (vm)
			vm->drives_busy = false;
		rpc_call_error(s->call, e);
	} else {
		go_on(s);
	}
	search_free(s);
}

static int start(struct search *s, const char *path, struct rpc_error *e)
{
	struct vhd_files leaf = { 0 };
	int fd = fcntl(s->what.fds[0], F_DUPFD_CLOEXEC, 0);
	int r = fd < 0 ? -errno : vhd_files_add(&leaf, fd, path, -1);

	if (r < 0)
		return rpc_error_set(e, r, "%s: %s", path, strerror(-r));
	r = vhd_chain_start(s->v, &leaf, on_found, s, &s->chain, e);
	if (r < 0)
		vhd_files_done(&leaf);
	return r;
}

void disk_chain_run(struct vmms *v, struct vm *vm, struct rpc_call *call,
		    struct disk_change *what, struct vm_config *next)
{
	const struct drive_config *d =
		config_drive_at(next, what->at.controller, what->at.lun);
	struct search *s = calloc(1, sizeof(*s));
	struct rpc_error e;

	if (!s) {
		rpc_call_fail(call, -ENOMEM, "no memory");
		disk_change_done(what);
		config_done(next);
		return;
	}
	s->v = v;
	s->call = call;
	s->id = vm->id;
	s->what = *what;
	s->drive = config_drive_to_json(d);
	if (start(s, d->path, &e) == 0) {
		vm->drives_busy = true;
	} else {
		rpc_call_error(call, &e);
		search_free(s);
	}
	config_done(next);
}
