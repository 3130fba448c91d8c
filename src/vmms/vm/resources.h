/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything of the host that one run of a VM needs, opened by vmms and handed to the worker by role
 * (docs/architecture.md). All or nothing: what fails leaves no file, socket or lock behind.
 * Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_VM_RESOURCES_H
#define VMMS_VM_RESOURCES_H

#include <jansson.h>
#include "rpc/error.h"
#include "vmms/instance.h"
#include "vmms/net/nic.h"
#include "vmms/vm/registry.h"
#include "vmms/settings.h"
#include "vmms/net/switch.h"
#include "vmms/job/vhd_process.h"

/* More than a message carries (VHD_FILES_MAX) is refused when it is sent. */
#define RESOURCES_FDS_MAX \
	(8 + CONFIG_NICS_MAX * NIC_FDS_MAX + CONFIG_CONTROLLERS_MAX * CONFIG_LUNS_MAX)
#define RESOURCES_WORKER_SOCKET "worker.sock"
#define RESOURCES_CONSOLE_SOCKET "console.sock"
#define RESOURCES_RECORD "worker.json"

struct resources {
	int run_dir;    /* RUN/vms/<uuid> */
	int vm_dir;     /* STATE/vms/<uuid> */
	int control_fd; /* worker.sock, listening */
	int log_fd;     /* vm.log, to append */
	char console_pty[64];
	int fds[RESOURCES_FDS_MAX];
	size_t fd_count;
	json_t *roles;   /* strings, one a descriptor */
	json_t *parents; /* by role: paths of an image's parents; NULL: none has any */
};

/* What stays the same from VM to VM. */
struct resources_env {
	const struct settings *settings;
	const struct instance *instance;
	const struct registry *registry;
	struct switches *switches;
	struct event_base *base;
	struct confine *confine;
	struct list *nats;
};

int resources_open(const struct resources_env *env, const struct vm *vm,
		   struct resources *ret, struct rpc_error *e) __must_check;
/* Adds a descriptor, which is closed on an error. */
int resources_add_fd(struct resources *r, const char *role, int fd,
		     struct rpc_error *e) __must_check;
/* The images that may have parents: copies of their descriptors, with their paths. -ENOMEM, -EMFILE. */
int resources_leaves(const struct resources *r, const struct vm *vm,
		     struct vhd_files *ret) __must_check;
/* Adds the parents that were found; the leaves in the order of resources_leaves(). */
int resources_add_parents(struct resources *r, const struct vm *vm,
			  struct vhd_files *found, struct rpc_error *e) __must_check;
/* Closes what was not handed over. */
void resources_done(struct resources *r);
/* Removes RUN/vms/<uuid> with its sockets, and its ports on switches, after the worker is gone. */
void resources_remove(const struct resources_env *env, const struct vm *vm);

#endif
