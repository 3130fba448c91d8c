/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual switches of this vmms: bridges of the host's kernel, and the ports that VMs have on them.
 *
 * A switch is what its record says, STATE/switches/<uuid>.json; what the kernel has is made to follow it. Each record is written before
 * the first step that it tells of, and its phase says what the next vmms does with what it finds:
 *
 *   creating  nobody was promised it: it is taken down and forgotten
 *   moving    it was promised, but an interface was on its way: it is taken down and put up again
 *   ready     it is put up, where it is not
 *   deleting  it is taken down and forgotten
 *
 * All steps may be repeated (src/vswitch). An interface's addresses move in one system call, so the host is on line before and after each step; what
 * they were is in the record. A bridge carries "vmms/<owner>/<uuid>" as its alias, the owner being this state folder: one without a record is
 * removed, and those of another vmms are left alone.
 *
 * Ports: filters, by the name of the tap, are there before the tap is on the bridge. They are made anew as a whole at each change, from the list of ports
 * that have a worker, so nothing of them can be left over. Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_NET_SWITCH_H
#define VMMS_NET_SWITCH_H

#include <jansson.h>
#include "config/switch.h"
#include "rpc/error.h"
#include "util/guid.h"

struct event_base;
struct nic_fds;
struct registry;
struct settings;
struct switches;
struct vm;

/* Reads the records. `dir` is STATE/vms. Nothing of the host's network is touched yet. */
int switches_new(struct event_base *base, const struct settings *s, int dir,
		 const struct registry *registry, struct switches **ret,
		 struct rpc_error *e) __must_check;
/* Puts right what the last vmms left, and takes over the ports of VMs that have a worker. What fails is in the log and in switch.show. */
void switches_start(struct switches *all);
/* The switches stay, and so do their ports; name servers of theirs end. NULL is ok. */
void switches_free(struct switches *all);

/* Whether the adapters of a VM may be configured so: their switches are there and can do what the ports ask for. */
int switches_check(const struct switches *all, const struct vm_config *c,
		   struct rpc_error *e) __must_check;
/* Makes the tap of a VM's adapter, with its filters, on its switch; for the worker, whose death ends it. */
int switches_open_port(struct switches *all, const struct guid *vm,
		       const struct nic_config *nic, unsigned int queues,
		       struct nic_fds *ret, struct rpc_error *e) __must_check;
/* The port's settings, or its switch, are others now. What fails leaves them as they were. An adapter without a port is 0. */
int switches_change_port(struct switches *all, const struct guid *vm,
			 const struct nic_config *nic, struct rpc_error *e) __must_check;
/* One adapter is gone, or all of a VM's (number CONFIG_NICS_MAX). */
void switches_close_port(struct switches *all, const struct guid *vm,
			 unsigned int number);

#endif
