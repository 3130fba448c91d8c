/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vmms.h"

#include "vmms/job/vhd.h"

static void handle_events_next(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;

	events_next(v->events, call);
}

static void handle_events_subscribe(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;

	events_subscribe(v->events, call);
}

static void handle_job_list(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;

	jobs_list(v->jobs, call);
}

static void handle_job_show(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;

	jobs_show(v->jobs, call);
}

static void handle_job_cancel(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;

	jobs_cancel(v->jobs, call);
}

static void handle_job_wait(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;

	jobs_wait(v->jobs, v->base, call);
}

/* One for each row of rpc_vmms_methods; rpc.discover is the server's own. */
const struct rpc_handler vmms_handlers[] = {
	{ "vm.create", manage_create },
	{ "vm.list", manage_list },
	{ "vm.show", manage_show },
	{ "vm.set", manage_set },
	{ "vm.delete", manage_delete },
	{ "vm.log", manage_log },
	{ "disk.list", disks_list },
	{ "disk.attach", disks_attach },
	{ "disk.detach", disks_detach },
	{ "disk.set", disks_set },
	{ "disk.resize", disks_resize },
	{ "dvd.insert", disks_insert },
	{ "dvd.eject", disks_eject },
	{ "nic.add", nics_add },
	{ "nic.remove", nics_remove },
	{ "nic.set", nics_set },
	{ "vm.start", power_start },
	{ "vm.stop", power_stop },
	{ "vm.restart", power_restart },
	{ "vm.pause", power_pause },
	{ "vm.resume", power_resume },
	{ "vm.reset", power_reset },
	{ "vm.wait", power_wait },
	{ "vm.console", power_console },
	{ "events.next", handle_events_next },
	{ "events.subscribe", handle_events_subscribe },
	{ "vhd.create", vhd_create },
	{ "vhd.info", vhd_info },
	{ "vhd.convert", vhd_convert },
	{ "vhd.resize", vhd_resize },
	{ "vhd.compact", vhd_compact },
	{ "vhd.merge", vhd_merge },
	{ "vhd.check", vhd_check },
	{ "vhd.repair", vhd_repair },
	{ "vhd.set_parent", vhd_set_parent },
	{ "switch.create", switch_create },
	{ "switch.list", switch_list },
	{ "switch.show", switch_show },
	{ "switch.set", switch_set },
	{ "switch.delete", switch_delete },
	{ "job.list", handle_job_list },
	{ "job.show", handle_job_show },
	{ "job.cancel", handle_job_cancel },
	{ "job.wait", handle_job_wait },
	{ "perf.get", perf_get },
	{ "meter.enable", meter_enable },
	{ "meter.disable", meter_disable },
	{ "meter.show", meter_show },
	{ "meter.reset", meter_reset },
	{ "host.info", host_info },
	{ "host.check", host_check },
	{ "host.stop_vms", host_stop_vms },
};

const size_t vmms_handler_count = ARRAY_SIZE(vmms_handlers);

struct vm *vmms_find(struct vmms *v, struct rpc_call *call)
{
	struct rpc_error e;
	struct vm *vm = registry_find(&v->registry, rpc_call_string(call, "vm"), &e);

	if (!vm)
		rpc_call_error(call, &e);
	return vm;
}
