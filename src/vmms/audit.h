/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who changed what: a line for each call of a method that changes something, done or refused, and its fields for the journal
 * (vmms(8), LOG). And vmms's other lines on a VM, with the VM's fields. Thread: the event loop's.
 */
#ifndef VMMS_AUDIT_H
#define VMMS_AUDIT_H

#include "rpc/server.h"
#include "util/log.h"

struct vm;

/* rpc_server_config.audit; ctx is the struct vmms. */
void audit_call(void *ctx, const struct rpc_audit *a);
/* log_line() with VM_NAME= and VM_ID= beside it. */
void audit_log_vm(enum log_level level, const struct vm *vm, const char *fmt, ...)
	__printf(3, 4);

#endif
