/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of a VM's network adapters: a tap opened, or a vmnat started. A vmnat ends by itself when the worker's end of
 * its socket is closed, so there is nothing to adopt after a restart of vmms and nothing to end.
 * Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_NIC_H
#define VMMS_NIC_H

#include "config/config.h"
#include "rpc/error.h"
#include "vmms/settings.h"

struct event_base;

/* The worker's end of adapter number `index`, or -1 in *ret_fd for one that needs none. `log_fd`: the VM's log, where vmnat's lines go. */
int nic_open(struct event_base *base, const struct settings *s, const char *vm_name,
	     unsigned int index, const struct nic_config *nic, int log_fd, int *ret_fd,
	     struct rpc_error *e) __must_check;

#endif
