/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/methods.h"

/* The methods of vmms. Shorthand for the rows only. */
#define REQ .required = true
#define FIELDS (const struct rpc_field[])
#define ERRORS (const int[])
#define END          \
	{            \
		NULL \
	}
#define VM                                                                   \
	{                                                                    \
		"vm", RPC_STRING, REQ, .description = "name or id of the VM" \
	}
#define SWITCH                                                                       \
	{                                                                            \
		"switch", RPC_STRING, REQ, .description = "name or id of the switch" \
	}
#define TIMEOUT(what)                                                                 \
	{                                                                             \
		"timeout_s", RPC_INTEGER, .description = what, .min = 0, .max = 86400 \
	}

#define STATES "Off|Starting|Running|Pausing|Paused|Stopping|Resetting"

#define SUMMARY_ROWS                                                                     \
	{ "id", RPC_STRING, REQ, .description = "UUID of the VM" },                      \
		{ "name", RPC_STRING, REQ, .description = "its name" },                  \
		{ "state", RPC_STRING, REQ, .description = "state of the VM",            \
		  .choices = STATES },                                                   \
		{ "health", RPC_STRING, REQ, .description = "Critical: see reason",      \
		  .choices = "Ok|Critical" },                                            \
		{ "reason", RPC_STRING, REQ, .nullable = true,                           \
		  .description = "why it is Off or Critical, for people" },              \
		{ "heartbeat",                                                           \
		  RPC_STRING,                                                            \
		  REQ,                                                                   \
		  .nullable = true,                                                      \
		  .description = "what the heartbeat integration service says; null "    \
				 "while the VM is off",                                  \
		  .choices = "Ok|No contact|Lost communication|Disabled" },              \
		{ "processors", RPC_INTEGER, REQ,                                        \
		  .description = "count of virtual processors" },                        \
		{ "memory_bytes", RPC_INTEGER, REQ, .description = "memory" },           \
	{                                                                                \
		"uptime_us", RPC_INTEGER, REQ,                                           \
			.description = "time since its VPs first ran; 0 while it is off" \
	}

static const struct rpc_field summary_fields[] = { SUMMARY_ROWS, END };

static const struct rpc_field set_fields[] = {
	SUMMARY_ROWS,
	{ "applied", RPC_ARRAY, REQ,
	  .description = "names of members that were changed and hold now" },
	{ "pending", RPC_ARRAY, REQ,
	  .description = "names of members that wait for its next start" },
	END
};

static const struct rpc_field show_fields[] = {
	SUMMARY_ROWS,
	{ "config", RPC_OBJECT, REQ, .description = "its configuration, as vm.json(5)" },
	{ "pending", RPC_ARRAY, REQ,
	  .description = "names of its members that wait for its next start" },
	{ "worker_pid", RPC_INTEGER, REQ, .nullable = true,
	  .description = "process id of its worker" },
	{ "console_socket", RPC_STRING, REQ, .nullable = true,
	  .description = "Unix socket of its first serial port, while it has a worker" },
	{ "console_pty", RPC_STRING, REQ, .nullable = true,
	  .description = "terminal of its first serial port, while it has a worker" },
	{ "log", RPC_STRING, REQ, .description = "file with its worker's log" },
	{ "status", RPC_OBJECT, REQ, .nullable = true,
	  .description =
		  "what its worker last said: VMBus version, integration services, "
		  "crash, channels, VPs" },
	END
};

static const struct rpc_field event_fields[] = {
	{ "seq", RPC_INTEGER, REQ, .description = "rises by one with each event" },
	{ "time", RPC_STRING, REQ, .description = "UTC, RFC 3339" },
	{ "type", RPC_STRING, REQ, .description = "what happened",
	  .choices = "created|deleted|changed|state|health|heartbeat|guest|disk|job|"
		     "automatic" },
	{ "id", RPC_STRING, REQ, .nullable = true,
	  .description = "UUID of the VM; null, as the next three: it is no VM's" },
	{ "name", RPC_STRING, REQ, .nullable = true, .description = "its name" },
	{ "state", RPC_STRING, REQ, .nullable = true, .description = "its state then",
	  .choices = STATES },
	{ "health", RPC_STRING, REQ, .nullable = true, .description = "its health then",
	  .choices = "Ok|Critical" },
	{ "message", RPC_STRING, REQ, .description = "one line for people" },
	END
};

static const struct rpc_field job_fields[] = {
	{ "job", RPC_INTEGER, REQ, .description = "its number" },
	{ "kind", RPC_STRING, REQ, .description = "the method that began it" },
	{ "path", RPC_STRING, REQ, .description = "what it works on" },
	{ "state", RPC_STRING, REQ, .description = "how it stands",
	  .choices = "Running|Cancelling|Completed|Failed|Cancelled" },
	{ "done", RPC_INTEGER, REQ, .description = "of total" },
	{ "total", RPC_INTEGER, REQ, .description = "0: not known yet" },
	{ "started", RPC_STRING, REQ, .description = "UTC, RFC 3339" },
	{ "ended", RPC_STRING, REQ, .nullable = true, .description = "null: it runs" },
	{ "result", RPC_OBJECT, REQ, .nullable = true,
	  .description = "of a completed one: what its method describes" },
	{ "error", RPC_OBJECT, REQ, .nullable = true,
	  .description = "of a failed or cancelled one: code and message" },
	END
};

static const struct rpc_field check_fields[] = {
	{ "name", RPC_STRING, REQ, .description = "the requirement" },
	{ "result", RPC_STRING, REQ, .choices = "ok|note|missing",
	  .description = "note: it works, but is worth knowing; missing: no VM can run" },
	{ "text", RPC_STRING, REQ,
	  .description = "what is there, or what is missing and what to do" },
	END
};

static const struct rpc_field stopped_fields[] = {
	{ "id", RPC_STRING, REQ, .description = "UUID of the VM" },
	{ "name", RPC_STRING, REQ, .description = "its name" },
	{ "how", RPC_STRING, REQ, .choices = "shutdown|turned_off",
	  .description = "by its guest, or not" },
	END
};

static const struct rpc_field drive_fields[] = {
	{ "controller", RPC_INTEGER, REQ, .description = "SCSI controller" },
	{ "lun", RPC_INTEGER, REQ, .description = "unit" },
	{ "drive", RPC_OBJECT, REQ, .description = "as in vm.json(5)" },
	{ "bytes", RPC_INTEGER, REQ, .nullable = true,
	  .description = "the size that the guest sees, 0 without a medium; null while "
			 "the VM has none of it" },
	{ "units", RPC_INTEGER, REQ, .nullable = true,
	  .description = "I/O done since it was attached, in units of 8 KiB" },
	{ "below_minimum", RPC_BOOL, REQ,
	  .description = "for half a minute it always had work and got less than its "
			 "min_iops" },
	END
};

#define SUM(name, what)                                     \
	{                                                   \
		name, RPC_INTEGER, REQ, .description = what \
	}
static const struct rpc_field meter_fields[] = {
	{ "id", RPC_STRING, REQ, .description = "UUID of the VM" },
	{ "name", RPC_STRING, REQ, .description = "its name" },
	{ "since", RPC_STRING, REQ, .description = "UTC, RFC 3339" },
	SUM("running_us", "how long it had a worker since then"),
	SUM("cpu_us", "time of its virtual processors; by running_us the average"),
	SUM("memory_min_bytes", "of the host, least; 0: not looked at yet"),
	SUM("memory_average_bytes", "over the time that it ran"),
	SUM("memory_max_bytes", "most"),
	SUM("read_bytes", "from its disks"),
	SUM("write_bytes", "to its disks"),
	SUM("operations", "of its disks: reads, writes and flushes"),
	SUM("normalized_operations",
	    "the same in units of 8 KiB; by running_us the average IOPS"),
	SUM("latency_us", "time that the operations took, summed"),
	SUM("received_bytes", "of frames to it"),
	SUM("sent_bytes", "of frames from it"),
	END
};

static const struct rpc_field perf_set_fields[] = {
	{ "set", RPC_STRING, REQ, .description = "which; the list stands below" },
	{ "instance", RPC_STRING, REQ,
	  .description = "of what: a number, a place or a name; empty: there is one" },
	{ "counters", RPC_OBJECT, REQ,
	  .description = "integers by the counter's name; one that this host cannot tell "
			 "is left out" },
	END
};

static const struct rpc_field perf_vm_fields[] = {
	{ "id", RPC_STRING, REQ, .description = "UUID of the VM" },
	{ "name", RPC_STRING, REQ, .description = "its name" },
	{ "time_us", RPC_INTEGER, REQ,
	  .description = "CLOCK_MONOTONIC when its counters were read" },
	{ "sets", RPC_ARRAY, REQ, .fields = perf_set_fields,
	  .description = "its counters" },
	END
};

static const struct rpc_field nic_fields[] = {
	{ "number", RPC_INTEGER, REQ, .description = "of the adapter" },
	{ "mac", RPC_STRING, REQ, .description = "the address that it has" },
	{ "nic", RPC_OBJECT, REQ, .description = "as in vm.json(5)" },
	END
};

#define ADAPTER                                                                     \
	{                                                                           \
		"number", RPC_INTEGER, REQ, .min = 0, .max = 7,                     \
					    .description = "of the network adapter" \
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
#define ANY_PLACE                                                              \
	{ "controller", RPC_INTEGER, .min = 0, .max = 3,                       \
	  .description = "SCSI controller" },                                  \
	{                                                                      \
		"lun", RPC_INTEGER, .min = 0, .max = 63, .description = "unit" \
	}
#define NOTHING     \
	FIELDS      \
	{           \
		END \
	}
#define VM_ONLY         \
	FIELDS          \
	{               \
		VM, END \
	}
#define JOB                                                          \
	{                                                            \
		"job", RPC_INTEGER, REQ, .min = 1, .max = INT64_MAX, \
					 .description = "its number" \
	}
#define JOB_ONLY         \
	FIELDS           \
	{                \
		JOB, END \
	}
#define PATH                                                                      \
	{                                                                         \
		"path", RPC_STRING, REQ,                                          \
			.description = "absolute; its end (.vhdx, .avhdx, .vhd, " \
				       ".avhd) says the format, else it is raw"   \
	}
#define PATH_ONLY         \
	FIELDS            \
	{                 \
		PATH, END \
	}
#define BYTES(name, what)                                                          \
	{                                                                          \
		name, RPC_INTEGER, .min = 0, .max = INT64_MAX, .description = what \
	}
#define SHAPE                                                                          \
	{ "type", RPC_STRING, .choices = "fixed|dynamic",                              \
	  .description = "dynamic if not given" },                                     \
		BYTES("block_bytes", "of a block; if not given, the format's"),        \
		BYTES("logical_bytes",                                                 \
		      "512 or 4096, of a sector; if not given, 512 or the source's"),  \
		BYTES("physical_bytes",                                                \
		      "512 or 4096, of a sector; if not given, 4096 or the source's"), \
	{                                                                              \
		"force", RPC_BOOL, .description = "replace a file that is there"       \
	}
#define IMAGE_ERRORS                                                                 \
	ERRORS                                                                       \
	{                                                                            \
		RPC_NOT_FOUND, RPC_DENIED, RPC_LOCKED, RPC_LIMIT, RPC_WORKER_GONE, 0 \
	}
#define NEW_IMAGE_ERRORS                                                        \
	ERRORS                                                                  \
	{                                                                       \
		RPC_NOT_FOUND, RPC_EXISTS, RPC_DENIED, RPC_LOCKED, RPC_LIMIT, 0 \
	}
#define NO_ERRORS \
	ERRORS    \
	{         \
		0 \
	}

static const struct rpc_field new_disk_fields[] = {
	{ "path", RPC_STRING, REQ,
	  .description = "as the configuration has it; its end says the format" },
	{ "size_bytes", RPC_INTEGER, REQ, .min = 1, .max = INT64_MAX,
	  .description = "of the disk" },
	END
};

static const struct rpc_method table[] = {
	{ "vm.create",
	  "Makes a VM from a configuration; it is Off. Disks that are to be made are "
	  "made "
	  "before, by a job each as of vhd.create, and deleted again when it fails.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ { "config", RPC_OBJECT, REQ, .description = "as vm.json(5)" },
		  { "new_disks", RPC_ARRAY, .fields = new_disk_fields,
		    .description = "disks of it whose images are to be made" },
		  END },
	  summary_fields,
	  ERRORS{ RPC_EXISTS, RPC_NOT_FOUND, RPC_DENIED, RPC_LIMIT, RPC_WORKER_GONE,
		  0 } },
	{ "vm.list", "All VMs, or those of a group or with a tag, by name.",
	  RPC_RIGHT_VIEW,
	  FIELDS{ { "group", RPC_STRING, .description = "those of this group only" },
		  { "tag", RPC_STRING, .description = "those with this tag only" },
		  END },
	  FIELDS{ { "vms", RPC_ARRAY, REQ, .description = "one entry a VM",
		    .fields = summary_fields },
		  END },
	  NO_ERRORS },
	{ "vm.show", "All that is known of a VM.", RPC_RIGHT_VIEW, VM_ONLY, show_fields,
	  ERRORS{ RPC_NOT_FOUND, 0 } },
	{ "vm.set",
	  "Changes a VM's configuration by a merge patch (RFC 7396). What a VM that runs "
	  "cannot take waits for its next start. Drives and adapters as a whole while it "
	  "is off.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  { "patch", RPC_OBJECT, REQ,
		    .description = "members of vm.json(5) to replace; null removes one" },
		  END },
	  set_fields, ERRORS{ RPC_NOT_FOUND, RPC_EXISTS, RPC_WRONG_STATE, 0 } },
	{ "vm.delete",
	  "Deletes the configuration and logs of a VM that is off; its disks stay.",
	  RPC_RIGHT_ADMIN, VM_ONLY, NOTHING,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, 0 } },
	{ "vm.start", "Starts a VM; answers once its VPs run.", RPC_RIGHT_ADMIN, VM_ONLY,
	  summary_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_LOCKED, RPC_DENIED, RPC_WORKER_GONE,
		  0 } },
	{ "vm.stop",
	  "Asks the guest to shut down and answers once the VM is off; with force, turns "
	  "it off.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  { "force", RPC_BOOL,
		    .description = "turn off without asking the guest" },
		  TIMEOUT("how long the guest may take; 60 if not given"),
		  END },
	  summary_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_TIMEOUT, RPC_NO_SERVICE, 0 } },
	{ "vm.restart",
	  "Asks the guest to restart and answers once it has; with force, resets it.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  { "force", RPC_BOOL, .description = "reset without asking the guest" },
		  TIMEOUT("how long the guest may take; 60 if not given"),
		  END },
	  summary_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_TIMEOUT, RPC_NO_SERVICE, 0 } },
	{ "vm.pause", "Stops the VPs of a running VM where they are.", RPC_RIGHT_ADMIN,
	  VM_ONLY, summary_fields, ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, 0 } },
	{ "vm.resume", "Lets the VPs of a paused VM go on.", RPC_RIGHT_ADMIN, VM_ONLY,
	  summary_fields, ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, 0 } },
	{ "vm.reset", "Resets a VM as its reset button would.", RPC_RIGHT_ADMIN, VM_ONLY,
	  summary_fields, ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, 0 } },
	{ "vm.wait", "Answers once a VM is as asked, or the time is over.",
	  RPC_RIGHT_VIEW,
	  FIELDS{ VM,
		  { "for", RPC_STRING, REQ, .choices = "running|paused|off|heartbeat",
		    .description = "a state, or a heartbeat that is Ok" },
		  TIMEOUT("60 if not given"),
		  END },
	  summary_fields, ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_TIMEOUT, 0 } },
	{ "vm.console", "Where the first serial port of a running VM is.",
	  RPC_RIGHT_ADMIN, VM_ONLY,
	  FIELDS{ { "socket", RPC_STRING, REQ, .description = "a Unix stream socket" },
		  { "pty", RPC_STRING, REQ, .description = "a terminal" },
		  END },
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, 0 } },
	{ "vm.log", "The end of a VM's log.", RPC_RIGHT_VIEW,
	  FIELDS{ VM,
		  { "lines", RPC_INTEGER, .min = 1, .max = 10000,
		    .description = "how many at most; 50 if not given" },
		  END },
	  FIELDS{ { "lines", RPC_ARRAY, REQ, .description = "strings, oldest first" },
		  END },
	  ERRORS{ RPC_NOT_FOUND, 0 } },
	{ "disk.list", "The drives of a VM, with what is known of them now.",
	  RPC_RIGHT_VIEW, VM_ONLY,
	  FIELDS{ { "drives", RPC_ARRAY, REQ, .fields = drive_fields,
		    .description = "by place" },
		  END },
	  ERRORS{ RPC_NOT_FOUND, 0 } },
	{ "disk.attach",
	  "Adds a drive to a VM; where it runs, at once. A place that is not given is "
	  "the "
	  "first that is free.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  { "drive", RPC_OBJECT, REQ,
		    .description = "as in vm.json(5); its lun may be left out" },
		  { "controller", RPC_INTEGER, .min = 0, .max = 3,
		    .description = "SCSI controller" },
		  END },
	  drive_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_EXISTS, RPC_WRONG_STATE, RPC_LOCKED, RPC_DENIED,
		  RPC_WORKER_GONE, 0 } },
	{ "disk.detach",
	  "Takes a drive from a VM; answers when nothing uses its image any more.",
	  RPC_RIGHT_ADMIN, FIELDS{ VM, CONTROLLER, LUN, END }, NOTHING,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_TIMEOUT, 0 } },
	{ "disk.set",
	  "Changes a drive by a merge patch (RFC 7396). Rates and on_error at once; the "
	  "rest while the VM is off.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  CONTROLLER,
		  LUN,
		  { "patch", RPC_OBJECT, REQ,
		    .description =
			    "members of a drive of vm.json(5); null: the default" },
		  END },
	  drive_fields, ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_WORKER_GONE, 0 } },
	{ "disk.resize",
	  "Makes a disk larger. Without a size, has the guest see that its file or "
	  "device "
	  "has become larger.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  CONTROLLER,
		  LUN,
		  { "bytes", RPC_INTEGER, .min = 512, .max = INT64_MAX,
		    .description = "its new size" },
		  END },
	  FIELDS{ { "bytes", RPC_INTEGER, REQ, .description = "its size now" }, END },
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_LOCKED, RPC_DENIED, RPC_LIMIT,
		  RPC_WORKER_GONE, 0 } },
	{ "dvd.insert",
	  "Puts a medium into a DVD drive. A place that is not given is the first "
	  "drive's.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  { "path", RPC_STRING, REQ,
		    .description = "absolute path of the image" },
		  ANY_PLACE,
		  END },
	  drive_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_LOCKED, RPC_DENIED, RPC_WORKER_GONE,
		  0 } },
	{ "dvd.eject",
	  "Takes the medium out of a DVD drive. Where the guest has locked the tray it "
	  "is asked to let it go, and the call fails.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  ANY_PLACE,
		  { "force", RPC_BOOL,
		    .description = "even when the guest has locked the tray" },
		  END },
	  drive_fields, ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_WORKER_GONE, 0 } },
	{ "nic.add",
	  "Gives a VM a network adapter; where it runs, at once. A number that is not "
	  "given is the first that is free.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  { "nic", RPC_OBJECT, REQ, .description = "as in vm.json(5)" },
		  END },
	  nic_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_EXISTS, RPC_WRONG_STATE, RPC_DENIED, RPC_LIMIT,
		  RPC_WORKER_GONE, 0 } },
	{ "nic.remove",
	  "Takes a network adapter from a VM; answers when nothing uses its tap or port "
	  "any more.",
	  RPC_RIGHT_ADMIN, FIELDS{ VM, ADAPTER, END }, NOTHING,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_TIMEOUT, 0 } },
	{ "nic.set",
	  "Changes a network adapter by a merge patch (RFC 7396). Its link at once; the "
	  "rest while the VM is off.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ VM,
		  ADAPTER,
		  { "patch", RPC_OBJECT, REQ,
		    .description =
			    "members of an adapter of vm.json(5); null: the default" },
		  END },
	  nic_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_EXISTS, RPC_WRONG_STATE, RPC_WORKER_GONE, 0 } },
	{ "events.subscribe",
	  "From here on the connection carries notifications `event`, after those since "
	  "a "
	  "sequence number.",
	  RPC_RIGHT_VIEW,
	  FIELDS{ { "since", RPC_INTEGER, .min = 0, .max = INT64_MAX,
		    .description = "last one seen; if not given, only new ones come" },
		  END },
	  FIELDS{ { "seq", RPC_INTEGER, REQ,
		    .description = "the newest event's sequence number" },
		  { "lost", RPC_BOOL, REQ,
		    .description = "some after `since` are no longer kept" },
		  END },
	  NO_ERRORS },
	{ "events.next",
	  "The events after a sequence number; waits for one where there is none.",
	  RPC_RIGHT_VIEW,
	  FIELDS{ { "after", RPC_INTEGER, REQ, .min = 0, .max = INT64_MAX,
		    .description = "last one seen; 0 for all that are kept" },
		  TIMEOUT("30 if not given; then the list is empty"),
		  END },
	  FIELDS{ { "events", RPC_ARRAY, REQ, .fields = event_fields,
		    .description = "oldest first" },
		  { "seq", RPC_INTEGER, REQ,
		    .description = "what to give as `after` next" },
		  { "lost", RPC_BOOL, REQ,
		    .description = "some after `after` are no longer kept" },
		  END },
	  NO_ERRORS },
	{ "perf.get",
	  "Counters of a VM, or of all that have a worker, as totals: a rate is the "
	  "difference of two readings.",
	  RPC_RIGHT_VIEW,
	  FIELDS{ { "vm", RPC_STRING,
		    .description = "name or id of the VM; all if not given" },
		  END },
	  FIELDS{ { "time_us", RPC_INTEGER, REQ,
		    .description = "CLOCK_MONOTONIC of the host" },
		  { "host", RPC_ARRAY, REQ, .fields = perf_set_fields,
		    .description = "counters of the host" },
		  { "vms", RPC_ARRAY, REQ, .fields = perf_vm_fields,
		    .description = "one entry a VM" },
		  { "silent", RPC_ARRAY, REQ,
		    .description = "names of VMs whose workers gave none" },
		  END },
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_WORKER_GONE, 0 } },
	{ "meter.enable",
	  "Meters what a VM uses, from now on, over restarts of it and of vmms.",
	  RPC_RIGHT_ADMIN, VM_ONLY, meter_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_EXISTS, RPC_WRONG_STATE, RPC_TIMEOUT, 0 } },
	{ "meter.disable", "Meters a VM no more; what it used is forgotten.",
	  RPC_RIGHT_ADMIN, VM_ONLY, NOTHING,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, 0 } },
	{ "meter.reset", "Begins a VM's metering anew.", RPC_RIGHT_ADMIN, VM_ONLY,
	  meter_fields, ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_TIMEOUT, 0 } },
	{ "meter.show", "What a VM used since its metering began.", RPC_RIGHT_VIEW,
	  VM_ONLY, meter_fields, ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, 0 } },
	{ "host.info", "What this host and this vmms are.", RPC_RIGHT_VIEW, NOTHING,
	  FIELDS{ { "version", RPC_STRING, REQ, .description = "of vmms" },
		  { "pid", RPC_INTEGER, REQ, .description = "of vmms" },
		  { "hostname", RPC_STRING, REQ, .description = "of the host" },
		  { "kernel", RPC_STRING, REQ, .description = "its release" },
		  { "processors", RPC_INTEGER, REQ, .description = "online" },
		  { "memory_bytes", RPC_INTEGER, REQ, .description = "in all" },
		  { "memory_available_bytes", RPC_INTEGER, REQ,
		    .description = "free, or free on demand" },
		  { "state_dir", RPC_STRING, REQ, .description = "where VMs are kept" },
		  { "run_dir", RPC_STRING, REQ, .description = "where sockets are" },
		  { "vms", RPC_INTEGER, REQ, .description = "count of VMs" },
		  { "workers", RPC_INTEGER, REQ,
		    .description = "count of those that have a worker" },
		  END },
	  NO_ERRORS },
	{ "host.check", "Whether this host can run VMs, requirement by requirement.",
	  RPC_RIGHT_VIEW, NOTHING,
	  FIELDS{ { "ok", RPC_BOOL, REQ, .description = "all are met" },
		  { "checks", RPC_ARRAY, REQ, .fields = check_fields,
		    .description = "one entry a requirement" },
		  END },
	  ERRORS{ RPC_WORKER_GONE, 0 } },
	{ "host.stop_vms",
	  "Stops every VM that runs as its automatic.stop says, for the shutdown of the "
	  "host; those are started after its boot as their automatic.start says.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ TIMEOUT("how long a guest may take, if its own bound is longer"), END },
	  FIELDS{ { "vms", RPC_ARRAY, REQ, .fields = stopped_fields,
		    .description = "one entry a VM, in the order of their ends" },
		  END },
	  NO_ERRORS },
	{ "vhd.create", "Begins a job that makes a disk image.", RPC_RIGHT_ADMIN,
	  FIELDS{ PATH,
		  BYTES("size_bytes", "of the disk; a child has its parent's"),
		  SHAPE,
		  { "parent", RPC_STRING,
		    .description = "makes a differencing image over this one" },
		  END },
	  job_fields, NEW_IMAGE_ERRORS },
	{ "vhd.info", "What a disk image is, and the chain of its parents.",
	  RPC_RIGHT_ADMIN, PATH_ONLY, RPC_VHD_INFO, IMAGE_ERRORS },
	{ "vhd.convert",
	  "Begins a job that copies a disk, with all its parents hold, to a new image.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ PATH,
		  { "target", RPC_STRING, REQ, .description = "the new image, absolute" },
		  SHAPE,
		  END },
	  job_fields, NEW_IMAGE_ERRORS },
	{ "vhd.resize", "Begins a job that changes the size of a disk.", RPC_RIGHT_ADMIN,
	  FIELDS{ PATH,
		  { "size_bytes", RPC_INTEGER, REQ, .min = 1, .max = INT64_MAX,
		    .description = "of the disk" },
		  { "shrink", RPC_BOOL,
		    .description = "it may become smaller; what lies beyond is lost" },
		  END },
	  job_fields, IMAGE_ERRORS },
	{ "vhd.compact", "Begins a job that makes an image's file smaller.",
	  RPC_RIGHT_ADMIN, PATH_ONLY, job_fields, IMAGE_ERRORS },
	{ "vhd.merge",
	  "Begins a job that puts what a differencing image holds into its parent and "
	  "then deletes it.",
	  RPC_RIGHT_ADMIN, PATH_ONLY, job_fields, IMAGE_ERRORS },
	{ "vhd.check", "Begins a job that looks for damage in an image.", RPC_RIGHT_ADMIN,
	  PATH_ONLY, job_fields, IMAGE_ERRORS },
	{ "vhd.repair", "Begins a job that mends what can be mended in an image.",
	  RPC_RIGHT_ADMIN, PATH_ONLY, job_fields, IMAGE_ERRORS },
	{ "vhd.set_parent",
	  "Begins a job that writes into a differencing image where its parent is.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ PATH,
		  { "parent", RPC_STRING, REQ, .description = "absolute" },
		  { "ignore_id", RPC_BOOL,
		    .description = "take it though it is not the one that the child was "
				   "made over" },
		  END },
	  job_fields, IMAGE_ERRORS },
	{ "switch.create", "Makes a virtual switch.", RPC_RIGHT_ADMIN,
	  FIELDS{ { "config", RPC_OBJECT, REQ, .fields = rpc_switch_config_fields,
		    .description = "what it is to be" },
		  END },
	  rpc_switch_fields,
	  ERRORS{ RPC_EXISTS, RPC_DENIED, RPC_WRONG_STATE, RPC_NOT_FOUND, 0 } },
	{ "switch.list", "All virtual switches, by name.", RPC_RIGHT_VIEW, NOTHING,
	  FIELDS{ { "switches", RPC_ARRAY, REQ, .description = "one entry a switch",
		    .fields = rpc_switch_fields },
		  END },
	  NO_ERRORS },
	{ "switch.show", "A virtual switch and its ports.", RPC_RIGHT_VIEW,
	  FIELDS{ SWITCH, END }, rpc_switch_fields, ERRORS{ RPC_NOT_FOUND, 0 } },
	{ "switch.set", "Changes addresses, nat, dhcp or mtu of a virtual switch.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ SWITCH,
		  { "patch", RPC_OBJECT, REQ,
		    .description = "merge patch (RFC 7396) of what it is to be" },
		  END },
	  rpc_switch_fields, ERRORS{ RPC_NOT_FOUND, RPC_DENIED, 0 } },
	{ "switch.delete",
	  "Deletes a virtual switch that no VM uses; an interface has its addresses "
	  "back.",
	  RPC_RIGHT_ADMIN, FIELDS{ SWITCH, END }, NOTHING,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, RPC_DENIED, 0 } },
	{ "job.list", "The jobs that run, and the last that ended, by number.",
	  RPC_RIGHT_VIEW, NOTHING,
	  FIELDS{ { "jobs", RPC_ARRAY, REQ, .description = "one entry a job",
		    .fields = job_fields },
		  END },
	  NO_ERRORS },
	{ "job.show",
	  "A job. Subscribers of events hear of each change by a notification `job`.",
	  RPC_RIGHT_VIEW, JOB_ONLY, job_fields, ERRORS{ RPC_NOT_FOUND, 0 } },
	{ "job.cancel", "Asks a job to end; nothing that was there is lost.",
	  RPC_RIGHT_ADMIN, JOB_ONLY, job_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_WRONG_STATE, 0 } },
	{ "job.wait", "Answers once a job has ended, or the time is over.",
	  RPC_RIGHT_VIEW, FIELDS{ JOB, TIMEOUT("60 if not given"), END }, job_fields,
	  ERRORS{ RPC_NOT_FOUND, RPC_TIMEOUT, 0 } },
	{ "rpc.discover", "This list, as an OpenRPC document.", RPC_RIGHT_VIEW, NOTHING,
	  FIELDS{ { "openrpc", RPC_STRING, REQ, .description = "version of the format" },
		  { "info", RPC_OBJECT, REQ, .description = "title and version" },
		  { "methods", RPC_ARRAY, REQ, .description = "the methods" },
		  END },
	  NO_ERRORS },
};

const struct rpc_methods rpc_vmms_methods = {
	.title = "vmms",
	.description = "Virtual machines of this host. JSON-RPC 2.0 over a Unix stream "
		       "socket, one compact JSON text a line.",
	.table = table,
	.count = ARRAY_SIZE(table),
};
