/* SPDX-License-Identifier: BSD-2-Clause */
/* What disks.c (the methods) and disk_change.c (a change, on disk and in the worker) share. Thread: the event loop's. */
#ifndef VMMS_DISK_DISKS_PRIV_H
#define VMMS_DISK_DISKS_PRIV_H

#include "vmms/job/vhd_process.h"
#include "vmms/vmms.h"

#define DISK_FDS_MAX (VHD_CHAIN_MAX + 1) /* an image and its parents */

struct place {
	unsigned int controller, lun;
};

/* What is asked of the worker, for a configuration that is to be in force. */
struct disk_change {
	const char *verb; /* "attach a drive to": what failed, for people */
	struct place at;
	const char *method;
	unsigned int timeout_ms;
	bool is_detach; /* after it, not having the drive is success */
	bool has_drive; /* the method takes the drive */
	bool force;     /* the method takes it: whatever the guest says */
	json_t *roles;  /* of the descriptors; NULL: the method takes none */
	json_t *parents;
	int fds[DISK_FDS_MAX];
	size_t fd_count;
};

/*
 * Makes `next` the VM's configuration, tells the worker, answers the call (NULL: nobody asked). Takes over `next` and what `what` holds.
 */
void disk_change_run(struct vmms *v, struct vm *vm, struct rpc_call *call,
		     struct disk_change *what, struct vm_config *next);
/* Whether the drive at a place may have parents that are to be found first. */
bool disk_has_chain(const struct vm_config *next, const struct place *at);
/* The same as disk_change_run() after that, for a drive that is new. */
void disk_chain_run(struct vmms *v, struct vm *vm, struct rpc_call *call,
		    struct disk_change *what, struct vm_config *next);
/* Lets go of what it holds. */
void disk_change_done(struct disk_change *what);
/* The drive at a place of the configuration, as disk.list has it. */
json_t *disk_doc(const struct vm *vm, const struct place *at);

/* Opens what a drive of the configuration to be names, with its role; nothing for a drive without medium. */
int disk_open_image(struct vmms *v, const struct vm *vm, const struct vm_config *next,
		    struct disk_change *what, struct rpc_error *e) __must_check;
/* disk_intent.c: that a drive of a running VM is being changed. */
int disk_intent_write(struct vmms *v, const struct vm *vm, const struct place *at,
		      struct rpc_error *e) __must_check;
void disk_intent_clear(struct vmms *v, const struct vm *vm);
/* Puts a configuration, which is taken over in any case, on disk and in force. */
int disk_adopt(struct vmms *v, struct vm *vm, struct vm_config *next,
	       struct rpc_error *e) __must_check;
/* "controller" and "lun" of a call. */
struct place disks_place_of(const struct rpc_call *call);
/* The VM of a call, if its drives may be changed now; otherwise the call is answered. */
struct vm *disks_allowed(struct vmms *v, struct rpc_call *call);

#endif
