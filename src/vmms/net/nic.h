/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of a VM's network adapters: a tap opened, or a vmnat started. A vmnat ends by itself when the worker's end of
 * its socket is closed, so there is nothing to adopt after a restart of vmms and nothing to end.
 * Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_NET_NIC_H
#define VMMS_NET_NIC_H

#include "config/config.h"
#include "rpc/error.h"
#include "util/guid.h"
#include "util/list.h"
#include "vmms/settings.h"

struct confine;
struct event_base;
struct registry;
struct switches;

#define NIC_FDS_MAX 16u /* queues of a tap: one a channel of the adapter (back/nic.h) */

/* The worker's end of an adapter, with the role nic/N and for further queues nic/N/1, nic/N/2 ... */
struct nic_fds {
	int v[NIC_FDS_MAX];
	unsigned int n; /* 0: it needs none */
};

/* What a worker's end is opened for. */
struct nic_env {
	struct event_base *base;
	const struct settings *settings;
	struct confine *confine;
	struct list *children; /* vmnats that this vmms has started and that run */
	struct switches *switches;
	const struct guid *vm_id;
	const struct vm_config *vm;
	int log_fd; /* the VM's log, where vmnat's lines go */
};

int nic_open(const struct nic_env *env, const struct nic_config *nic, struct nic_fds *ret,
	     struct rpc_error *e) __must_check;
/* The queues of a tap, which is made if it is not there: as many as wanted, or one where it was made for one. */
int nic_open_tap(const char *name, unsigned int queues, struct nic_fds *ret,
		 struct rpc_error *e) __must_check;
/* How many queues an adapter of this VM can use. */
unsigned int nic_queues(const struct vm_config *vm);
/* At the end of this vmms: they go on. */
void nic_forget(struct list *children);
void nic_close(struct nic_fds *fds);
/* The role of descriptor i of an adapter. */
#define NIC_ROLE_SIZE 24
void nic_role(unsigned int number, unsigned int i, char ret[NIC_ROLE_SIZE]);

/*
 * Whether every adapter of a configuration has an address that no other of this host's VMs has; `id` is the VM's own. -EEXIST with a
 * line.
 */
int nic_check_macs(const struct registry *reg, const struct guid *id,
		   const struct vm_config *next, struct rpc_error *e) __must_check;

#endif
