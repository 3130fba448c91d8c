/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon as its parts see it. One thread, one event loop; nothing here blocks longer than a local open(2).
 *
 * A request arrives in methods.c, is looked at by its group's file (manage.c: configurations; disks.c: drives; power.c: states; host.c),
 * and where it concerns a running VM goes on to the worker (worker.c the process, link.c its control socket). What
 * changes a VM ends in vmms_changed(): events, log, and the calls that wait for it.
 */
#ifndef VMMS_VMMS_H
#define VMMS_VMMS_H

#include "rpc/server.h"
#include "vmms/worker/cgroup.h"
#include "vmms/worker/confine.h"
#include "vmms/events.h"
#include "vmms/instance.h"
#include "vmms/job/job.h"
#include "vmms/vm/meter.h"
#include "vmms/metrics/perf.h"
#include "vmms/vm/registry.h"
#include "vmms/vm/resources.h"
#include "vmms/settings.h"
#include "vmms/net/switch.h"

/* owner: the event loop */
struct vmms {
	/* fixed after init */
	struct settings settings;
	struct instance instance;
	struct confine confine;
	struct cgroups cgroups;
	struct event_base *base;

	struct registry registry;
	struct events *events;
	struct jobs *jobs;
	struct prometheus *prometheus; /* NULL: none was asked for */
	struct list nats;              /* nic.c: processes that it started */
	struct list looks;             /* vhd.c: calls of vhd.info under way */
	struct automatic *automatic;
	struct host_stop *stop; /* host_stop.c: the host is going down; NULL */
	struct switches *switches;
	struct rpc_server *server;
};

/* Reads the store, adopts workers, serves. */
int vmms_init(struct vmms *v, struct rpc_error *e) __must_check;
/* Ends the service; VMs go on. */
void vmms_done(struct vmms *v);

/* After a change: a mask of enum vm_change. */
void vmms_changed(struct vmms *v, struct vm *vm, int mask);
/* What workers and images need of the daemon. */
struct resources_env vmms_resources_env(struct vmms *v);

/* The method's VM by its "vm" param; NULL when the call was answered with an error. */
struct vm *vmms_find(struct vmms *v, struct rpc_call *call);

/* The table of handlers (methods.c) and the handlers by file. */
extern const struct rpc_handler vmms_handlers[];
extern const size_t vmms_handler_count;

void manage_create(struct rpc_call *call, void *ctx);
void manage_list(struct rpc_call *call, void *ctx);
void manage_show(struct rpc_call *call, void *ctx);
void manage_set(struct rpc_call *call, void *ctx);
void manage_delete(struct rpc_call *call, void *ctx);
void manage_log(struct rpc_call *call, void *ctx);
void disks_list(struct rpc_call *call, void *ctx);
void disks_attach(struct rpc_call *call, void *ctx);
void disks_detach(struct rpc_call *call, void *ctx);
void disks_set(struct rpc_call *call, void *ctx);
void disks_resize(struct rpc_call *call, void *ctx);
void disks_insert(struct rpc_call *call, void *ctx);
void disks_eject(struct rpc_call *call, void *ctx);
/* A worker that was adopted has said hello: a change that was cut short is ended. */
void disk_intent_settle(struct vmms *v, struct vm *vm);
void nics_add(struct rpc_call *call, void *ctx);
void nics_remove(struct rpc_call *call, void *ctx);
void nics_set(struct rpc_call *call, void *ctx);
void power_start(struct rpc_call *call, void *ctx);
void power_stop(struct rpc_call *call, void *ctx);
void power_restart(struct rpc_call *call, void *ctx);
void power_pause(struct rpc_call *call, void *ctx);
void power_resume(struct rpc_call *call, void *ctx);
void power_reset(struct rpc_call *call, void *ctx);
void power_wait(struct rpc_call *call, void *ctx);
void power_console(struct rpc_call *call, void *ctx);
void switch_create(struct rpc_call *call, void *ctx);
void switch_list(struct rpc_call *call, void *ctx);
void switch_show(struct rpc_call *call, void *ctx);
void switch_set(struct rpc_call *call, void *ctx);
void switch_delete(struct rpc_call *call, void *ctx);
void host_info(struct rpc_call *call, void *ctx);
void host_check(struct rpc_call *call, void *ctx);
void host_stop_vms(struct rpc_call *call, void *ctx);
/* A VM has changed while the host goes down; vmms ends. */
void host_stop_changed(struct vmms *v, struct vm *vm);
void host_stop_drop(struct vmms *v);

#endif
