/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/methods.h"

/* The methods of a worker, as docs/architecture.md has them. Shorthand for the rows only. */
#define REQ .required = true
#define FIELDS (const struct rpc_field[])
#define END          \
	{            \
		NULL \
	}
#define NOTHING     \
	FIELDS      \
	{           \
		END \
	}
#define NO_ERRORS     \
	(const int[]) \
	{             \
		0     \
	}
#define WRONG_STATE                \
	(const int[])              \
	{                          \
		RPC_WRONG_STATE, 0 \
	}
#define FDS(what)                                          \
	{                                                  \
		"fds", RPC_ARRAY, REQ, .description = what \
	}
#define CONTROLLER                                                               \
	{                                                                        \
		"controller", RPC_INTEGER, REQ, .min = 0, .max = 3,              \
						.description = "SCSI controller" \
	}
#define LUN                                                                         \
	{                                                                           \
		"lun", RPC_INTEGER, REQ, .min = 0, .max = 63, .description = "unit" \
	}

#define NIC                                                                       \
	{                                                                         \
		"index", RPC_INTEGER, REQ, .min = 0, .max = 7,                    \
					   .description = "number of the adapter" \
	}

#define STATUS_ROWS                                                                      \
	{ "state", RPC_STRING, REQ, .description = "state of the VM",                    \
	  .choices = "Off|Starting|Running|Pausing|Paused|Stopping|Resetting" },         \
		{ "health", RPC_STRING, REQ, .choices = "Ok|Critical",                   \
		  .description = "Critical: see reason" },                               \
		{ "reason", RPC_STRING, REQ, .nullable = true,                           \
		  .description = "why it is Off or Critical" },                          \
		{ "uptime_us", RPC_INTEGER, REQ,                                         \
		  .description = "since its VPs first ran" },                            \
		{ "vmbus_version", RPC_STRING, REQ, .nullable = true,                    \
		  .description = "what the guest negotiated" },                          \
		{ "heartbeat", RPC_STRING, REQ,                                          \
		  .choices = "Ok|No contact|Lost communication|Disabled",                \
		  .description = "of the heartbeat integration service" },               \
		{ "integration", RPC_OBJECT, REQ,                                        \
		  .description = "services: enabled, version" },                         \
		{ "crash", RPC_OBJECT, REQ, .nullable = true,                            \
		  .description = "the guest's last: count, params, text" },              \
		{ "channels", RPC_ARRAY, REQ,                                            \
		  .description = "of VMBus, with counters" },                            \
		{ "vps", RPC_ARRAY, REQ,                                                 \
		  .description = "virtual processors, with counters" },                  \
		{ "drives", RPC_ARRAY, REQ,                                              \
		  .description = "with their size and what they did" },                  \
		{ "resets", RPC_INTEGER, REQ,                                            \
		  .description = "of the guest since it started" },                      \
	{                                                                                \
		"nics", RPC_ARRAY, REQ, .description = "network adapters, with counters" \
	}

static const struct rpc_field status_fields[] = { STATUS_ROWS, END };

static const struct rpc_method table[] = {
	{ "worker.hello", "Who the worker is and how far it got.", RPC_RIGHT_ADMIN,
	  NOTHING,
	  FIELDS{ { "version", RPC_STRING, REQ, .description = "of vmwp" },
		  { "id", RPC_STRING, REQ, .description = "UUID of its VM" },
		  { "pid", RPC_INTEGER, REQ, .description = "its process id" },
		  { "configured", RPC_BOOL, REQ, .description = "worker.setup was done" },
		  { "status", RPC_OBJECT, REQ, .nullable = true, .fields = status_fields,
		    .description = "null before setup" },
		  END },
	  NO_ERRORS },
	{ "worker.setup", "Hands over configuration and descriptors, once.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ { "config", RPC_OBJECT, REQ, .description = "as vm.json(5)" },
		  FDS("roles, in the order of the descriptors"),
		  { "parents", RPC_OBJECT,
		    .description = "by role: paths of the parents of a differencing "
				   "image, the nearest first" },
		  END },
	  NOTHING, WRONG_STATE },
	{ "vm.start", "Runs the VPs.", RPC_RIGHT_ADMIN, NOTHING, NOTHING, WRONG_STATE },
	{ "vm.pause", "Stops the VPs where they are.", RPC_RIGHT_ADMIN, NOTHING, NOTHING,
	  WRONG_STATE },
	{ "vm.resume", "Lets them go on.", RPC_RIGHT_ADMIN, NOTHING, NOTHING,
	  WRONG_STATE },
	{ "vm.reset", "Resets the VM.", RPC_RIGHT_ADMIN, NOTHING, NOTHING, WRONG_STATE },
	{ "vm.shutdown", "Asks the guest, through its shutdown integration service.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ { "type", RPC_STRING, REQ, .choices = "shutdown|restart",
		    .description = "what to do" },
		  { "force", RPC_BOOL, REQ,
		    .description = "programs in the guest have no say" },
		  { "reason", RPC_STRING, REQ, .description = "for the guest's log" },
		  END },
	  NOTHING, (const int[]){ RPC_WRONG_STATE, RPC_NO_SERVICE, 0 } },
	{ "vm.turn_off", "Ends the VM and its worker.", RPC_RIGHT_ADMIN, NOTHING, NOTHING,
	  NO_ERRORS },
	{ "vm.status", "The status document.", RPC_RIGHT_VIEW, NOTHING, status_fields,
	  WRONG_STATE },
	{ "vm.counters", "What the VM's parts have done, in numbers.", RPC_RIGHT_VIEW,
	  NOTHING,
	  FIELDS{ { "time_us", RPC_INTEGER, REQ,
		    .description = "CLOCK_MONOTONIC when they were read" },
		  { "sets", RPC_ARRAY, REQ,
		    .description = "objects of set, instance and counters" },
		  END },
	  WRONG_STATE },
	{ "integration.set", "Offers or rescinds a service in the running guest.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ { "service", RPC_STRING, REQ, .choices = "heartbeat|shutdown|time_sync",
		    .description = "which" },
		  { "enabled", RPC_BOOL, REQ, .description = "offered" },
		  END },
	  NOTHING, WRONG_STATE },
	{ "drive.attach", "Adds a drive to the running VM.", RPC_RIGHT_ADMIN,
	  FIELDS{ CONTROLLER,
		  LUN,
		  { "drive", RPC_OBJECT, REQ, .description = "as in vm.json(5)" },
		  FDS("role scsi/C/L, then scsi/C/L/1 and on for its parents"),
		  { "parents", RPC_ARRAY,
		    .description = "paths of the image's parents, the nearest first" },
		  END },
	  NOTHING, (const int[]){ RPC_WRONG_STATE, RPC_EXISTS, 0 } },
	{ "drive.detach",
	  "Takes a drive from the running VM; answers when its image is free.",
	  RPC_RIGHT_ADMIN, FIELDS{ CONTROLLER, LUN, END }, NOTHING,
	  (const int[]){ RPC_WRONG_STATE, RPC_NOT_FOUND, 0 } },
	{ "drive.set", "Changes a drive's policies.", RPC_RIGHT_ADMIN,
	  FIELDS{ CONTROLLER,
		  LUN,
		  { "drive", RPC_OBJECT, REQ, .description = "as in vm.json(5)" },
		  END },
	  NOTHING, (const int[]){ RPC_WRONG_STATE, RPC_NOT_FOUND, 0 } },
	{ "drive.resize",
	  "Makes a disk larger, or looks how large its image has become, and tells the "
	  "guest.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ CONTROLLER,
		  LUN,
		  { "bytes", RPC_INTEGER, .min = 1, .max = INT64_MAX,
		    .description = "its new size; as large as it is, if not given" },
		  END },
	  FIELDS{ { "bytes", RPC_INTEGER, REQ, .description = "its size" }, END },
	  (const int[]){ RPC_WRONG_STATE, RPC_NOT_FOUND, 0 } },
	{ "nic.attach", "Plugs a network adapter into the running VM.", RPC_RIGHT_ADMIN,
	  FIELDS{ NIC,
		  { "nic", RPC_OBJECT, REQ,
		    .description = "a member of nics in vm.json(5)" },
		  FDS("one role nic/N, or none for kind none"),
		  END },
	  NOTHING, (const int[]){ RPC_WRONG_STATE, RPC_EXISTS, 0 } },
	{ "nic.detach", "Takes a network adapter out of the running VM.", RPC_RIGHT_ADMIN,
	  FIELDS{ NIC, END }, NOTHING,
	  (const int[]){ RPC_WRONG_STATE, RPC_NOT_FOUND, 0 } },
	{ "nic.link", "Plugs an adapter's cable in, or pulls it.", RPC_RIGHT_ADMIN,
	  FIELDS{ NIC, { "up", RPC_BOOL, REQ, .description = "in" }, END }, NOTHING,
	  (const int[]){ RPC_WRONG_STATE, RPC_NOT_FOUND, 0 } },
	{ "dvd.change", "Loads or ejects the medium of a DVD drive.", RPC_RIGHT_ADMIN,
	  FIELDS{ CONTROLLER,
		  LUN,
		  { "force", RPC_BOOL,
		    .description = "even when the guest has locked the tray" },
		  FDS("one role scsi/C/L, or none to eject"),
		  END },
	  NOTHING, (const int[]){ RPC_WRONG_STATE, RPC_NOT_FOUND, 0 } },
};

const struct rpc_methods rpc_worker_methods = {
	.title = "vmwp",
	.description = "The control socket between vmms and a worker.",
	.table = table,
	.count = ARRAY_SIZE(table),
};
