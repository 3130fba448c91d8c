/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs on disk: STATE/vms/<uuid>/config.json and what stands beside it. A VM's folder is made whole under another name
 * and then renamed, and is renamed before it is removed, so that a crash at any instruction leaves a whole VM or a
 * leftover (".new-<uuid>", ".del-<uuid>", "config.json.new") that the next start removes. Everything is synced before
 * a call returns 0. Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef VMMS_VM_STORE_H
#define VMMS_VM_STORE_H

#include "config/config.h"
#include "rpc/error.h"
#include "util/guid.h"

#define STORE_CONFIG "config.json"
#define STORE_LOG "vm.log"
#define STORE_CONSOLE_LOG "console.log"
#define STORE_REPORT "report.json"

/* `dir` is STATE/vms in all of these. */
int store_create(int dir, const struct guid *id, const struct vm_config *c,
		 struct rpc_error *e) __must_check;
int store_update(int dir, const struct guid *id, const struct vm_config *c,
		 struct rpc_error *e) __must_check;
/* Once it returns 0 the VM is gone; what could not be removed of its folder is a leftover. */
int store_delete(int dir, const struct guid *id, struct rpc_error *e) __must_check;
/* The VM's folder, for its logs and report; the caller closes it. */
int store_open(int dir, const struct guid *id, int *ret_fd) __must_check;

/*
 * Removes leftovers, then calls `found` for each VM with a readable configuration, which it takes over, and `broken` for
 * each without, with a line that says what is wrong. -errno when the folder itself cannot be read.
 */
int store_load(int dir,
	       void (*found)(void *ctx, const struct guid *id, struct vm_config *c),
	       void (*broken)(void *ctx, const struct guid *id, const char *why),
	       void *ctx) __must_check;

/*
 * The last run's end: what stays of it for people. Kept in report.json, which is empty while a worker runs that
 * has not said why it ends.
 */
enum store_follow {
	STORE_UNSEEN, /* the worker's own report, or one of a vmms that knew no restarts */
	STORE_SETTLED,  /* nothing follows */
	STORE_RESTARTS, /* it is to be started again */
};

struct store_report {
	bool known;   /* the file says something */
	bool present; /* there is a file, so it was started once */
	bool critical;
	char reason[512];
	enum store_follow follow;
	unsigned int failures; /* in a row, for STORE_RESTARTS */
};
void store_read_report(int vm_dir, struct store_report *ret);
/* After the worker is gone: for the next vmms. An error is not worth more than a log line. */
int store_write_report(int vm_dir, const struct store_report *report) __must_check;

/* Removes a folder and all in it, mount points excepted; as far as it can, first error returned. */
int store_remove_tree(int dir, const char *name) __must_check;

#endif
