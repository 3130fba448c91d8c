/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.create with disks that are to be made: the images first, one job after another, then the VM. What fails leaves neither: the images that were
 * made are deleted. A vmms that ends on the way leaves those that were whole. Thread: the event loop's.
 */
#ifndef VMMS_VM_CREATE_H
#define VMMS_VM_CREATE_H

#include "vmms/vmms.h"

/* Answers the call, now or later. */
void create_with_disks(struct vmms *v, struct rpc_call *call);

/* manage.c: whether the VM could be made now, and makes it; its summary. */
int manage_check_new(struct vmms *v, const json_t *config, struct vm_config *ret,
		     struct rpc_error *e) __must_check;
int manage_create_now(struct vmms *v, const json_t *config, json_t **ret_summary,
		      struct rpc_error *e) __must_check;

#endif
