/* SPDX-License-Identifier: BSD-2-Clause */
/* vmctl show: what vmms and the worker know of a VM, as a page for people. */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <string.h>
#include "config/config.h"
#include "util/cleanup.h"
#include "vmctl/table.h"

static void print_field(const char *name, const char *text)
{
	print_line(stdout, "%-14s%s", name, text);
}

static void print_optional(const char *name, const json_t *obj, const char *member)
{
	const char *text = json_string_value(json_object_get(obj, member));

	if (text && *text)
		print_field(name, text);
}

/* "memory, boot", unless there is none. */
static void print_names(const char *title, const json_t *names)
{
	char text[512] = "";
	size_t i, at = 0;
	json_t *name;

	json_array_foreach (names, i, name) {
		if (at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
					       i ? ", " : "", json_string_value(name));
	}
	if (*text)
		print_field(title, text);
}

static void print_state(const json_t *vm)
{
	char uptime[TEXT_TIME_MAX];
	uint64_t up = field_number(vm, "uptime_us");

	text_format_time(up, uptime);
	if (up)
		print_line(stdout, "%-14s%s for %s", "State", field_text(vm, "state"),
			   uptime);
	else
		print_field("State", field_text(vm, "state"));
	print_field("Health", field_text(vm, "health"));
	print_optional("Reason", vm, "reason");
	print_field("Heartbeat", field_text(vm, "heartbeat"));
}

/* What of the host it gets, where that is not what every VM gets. */
static void print_limits(const json_t *config)
{
	const json_t *cpu = json_object_get(config, "cpu");
	const json_t *memory = json_object_get(config, "host_memory");
	const json_t *io = json_object_get(config, "io");
	char limit[TEXT_SIZE_MAX], reserve[TEXT_SIZE_MAX];

	if (cpu && (field_number(cpu, "weight") != CONFIG_WEIGHT_DEFAULT ||
		    field_number(cpu, "limit") != 100 || field_number(cpu, "reserve")))
		print_line(stdout, "%-14sweight %u, limit %u%%, reserve %u%%", "CPU",
			   (unsigned int)field_number(cpu, "weight"),
			   (unsigned int)field_number(cpu, "limit"),
			   (unsigned int)field_number(cpu, "reserve"));
	text_format_size(field_number(memory, "limit"), limit);
	text_format_size(field_number(memory, "reserve"), reserve);
	if (field_number(memory, "limit") || field_number(memory, "reserve"))
		print_line(stdout, "%-14slimit %s, reserve %s", "Host memory",
			   field_number(memory, "limit") ? limit : "none", reserve);
	if (io && field_number(io, "weight") != CONFIG_WEIGHT_DEFAULT)
		print_line(stdout, "%-14sweight %u", "I/O",
			   (unsigned int)field_number(io, "weight"));
}

/* Storage that does not do what it should (vm.json(5), min_iops). */
static void print_low_disks(const json_t *status)
{
	json_t *d;
	size_t i;

	json_array_foreach (json_object_get(status, "drives"), i, d) {
		if (json_is_true(json_object_get(d, "below_minimum")))
			print_line(stdout, "%-14s%u:%u gets less than its minimum IOPS",
				   "Disk", (unsigned int)field_number(d, "controller"),
				   (unsigned int)field_number(d, "lun"));
	}
}

static void print_shape(const json_t *vm)
{
	const json_t *config = json_object_get(vm, "config");
	const json_t *boot = json_object_get(config, "boot");
	char memory[TEXT_SIZE_MAX];

	text_format_size(field_number(vm, "memory_bytes"), memory);
	print_line(stdout, "%-14s%u", "Processors",
		   (unsigned int)field_number(vm, "processors"));
	print_field("Memory", memory);
	print_limits(config);
	print_optional("Kernel", boot, "kernel");
	print_optional("Initrd", boot, "initrd");
	print_optional("Command line", boot, "cmdline");
	print_optional("Notes", config, "notes");
	print_optional("Group", config, "group");
	print_names("Tags", json_object_get(config, "tags"));
}

/* What happens to it without anybody asking. */
static void print_automatic(const json_t *config)
{
	const json_t *a = json_object_get(config, "automatic");
	unsigned int delay = (unsigned int)field_number(a, "delay_s");
	char after[40] = "";

	if (!json_is_object(a))
		return;
	if (delay)
		snprintf(after, sizeof(after), " after %u s", delay);
	print_line(stdout, "%-14sstart %s%s, stop by %s, restart %s", "Automatic",
		   field_text(a, "start"), after, field_text(a, "stop"),
		   field_text(config, "restart"));
}

static void print_places(const json_t *vm)
{
	const json_t *pid = json_object_get(vm, "worker_pid");

	if (json_is_integer(pid))
		print_line(stdout, "%-14sprocess %lld", "Worker",
			   (long long)json_integer_value(pid));
	print_optional("Console", vm, "console_socket");
	print_optional("Terminal", vm, "console_pty");
	print_optional("Log", vm, "log");
}

/* Prints a table under its title, unless it has no row, and frees it. `r` as it stands. */
static int finish_table(const struct vmctl *v, struct table *t, const char *title,
			size_t rows, int r)
{
	if (t && r == 0 && rows) {
		printf("\n%s\n", title);
		table_print(t, stdout, 2, v->width);
	}
	table_free(t);
	return t ? r : -ENOMEM;
}

static const char *medium_of(const json_t *drive)
{
	const char *path = json_string_value(json_object_get(drive, "path"));

	return path ? path : "(no medium)";
}

static int print_drives(const struct vmctl *v, const json_t *vm)
{
	static const struct table_column columns[] = { { "AT" },
						       { "KIND" },
						       { "FILE", .shrinks = true } };
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	json_t *controller, *drive;
	size_t c, d, rows = 0;
	int r = 0;

	json_array_foreach (json_object_get(json_object_get(vm, "config"), "scsi"), c,
			    controller) {
		json_array_foreach (json_object_get(controller, "drives"), d, drive) {
			char at[24];

			snprintf(at, sizeof(at), "%u:%u", (unsigned int)c,
				 (unsigned int)field_number(drive, "lun"));
			if (t && r == 0)
				r = table_add(t, (const char *[]){
							 at, field_text(drive, "kind"),
							 medium_of(drive) });
			rows++;
		}
	}
	return finish_table(v, t, "Drives (controller:LUN)", rows, r);
}

static int print_integration(const struct vmctl *v, const json_t *status)
{
	static const struct table_column columns[] = { { "SERVICE" },
						       { "IS" },
						       { "VERSION" } };
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	json_t *services = json_object_get(status, "integration"), *service;
	const char *name;
	size_t rows = 0;
	int r = 0;

	json_object_foreach (services, name, service) {
		bool on = json_is_true(json_object_get(service, "enabled"));

		if (t && r == 0)
			r = table_add(t,
				      (const char *[]){ name, on ? "on" : "off",
							field_text(service, "version") });
		rows++;
	}
	return finish_table(v, t, "Integration services", rows, r);
}

static int add_channel(struct table *t, const json_t *channel)
{
	char vp[16], in[24], out[24], faults[24];

	snprintf(vp, sizeof(vp), "%u", (unsigned int)field_number(channel, "vp"));
	snprintf(in, sizeof(in), "%llu",
		 (unsigned long long)field_number(channel, "packets_in"));
	snprintf(out, sizeof(out), "%llu",
		 (unsigned long long)field_number(channel, "packets_out"));
	snprintf(faults, sizeof(faults), "%llu",
		 (unsigned long long)field_number(channel, "faults"));
	return table_add(t, (const char *[]){ field_text(channel, "name"),
					      field_text(channel, "state"), vp, in, out,
					      faults });
}

static int print_channels(const struct vmctl *v, const json_t *status)
{
	static const struct table_column columns[] = {
		{ "CHANNEL", .shrinks = true }, { "STATE" },
		{ "VP", .right = true },        { "IN", .right = true },
		{ "OUT", .right = true },       { "FAULTS", .right = true },
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	json_t *channel;
	size_t i, rows = 0;
	int r = 0;

	json_array_foreach (json_object_get(status, "channels"), i, channel) {
		if (t && r == 0)
			r = add_channel(t, channel);
		rows++;
	}
	return finish_table(v, t, "VMBus channels (packets from and to the guest)", rows,
			    r);
}

/* The guest's own words when it crashed: foreign text, so cleaned. */
static void print_crash(const json_t *status)
{
	const json_t *crash = json_object_get(status, "crash");
	const char *text = json_string_value(json_object_get(crash, "text"));
	cleanup_free char *clean = text ? text_clean(text, true) : NULL;

	if (!json_is_object(crash))
		return;
	printf("\nThe guest crashed (%u times). Its last words:\n%s\n",
	       (unsigned int)field_number(crash, "count"),
	       clean && *clean ? clean : "(none)");
}

static int print_status(const struct vmctl *v, const json_t *status)
{
	int r = print_integration(v, status);

	if (r == 0)
		r = print_channels(v, status);
	print_crash(status);
	return r;
}

int verb_show(struct vmctl *v, const struct args *a)
{
	json_auto_t *vm = NULL;
	const json_t *status;
	int r = call(v, v->verb->method, json_pack("{s:s}", "vm", a->words[0]), &vm);

	if (r)
		return r;
	if (v->json)
		return print_json(vm);
	status = json_object_get(vm, "status");
	print_field("Name", field_text(vm, "name"));
	print_field("Id", field_text(vm, "id"));
	print_state(vm);
	print_low_disks(status);
	print_optional("VMBus", status, "vmbus_version");
	print_shape(vm);
	print_automatic(json_object_get(vm, "config"));
	print_names("Pending", json_object_get(vm, "pending"));
	print_places(vm);
	r = print_drives(v, vm);
	if (r == 0)
		r = nic_print(v, vm, "Network adapters");
	if (r == 0 && json_is_object(status))
		r = print_status(v, status);
	return r < 0 ? fail(v, "out of memory") : VMCTL_DONE;
}
