/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs that make, change and delete a VM: options to members of vm.json(5), which vmms then judges. */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "config/config.h"

#define NEW_SIZE ",size="
#define MEMORY_DEFAULT ((json_int_t)512 << 20)

/* Which option sets which member: "group.member", or a member of the top. */
static const struct {
	const char *option, *group, *member;
} members[] = {
	{ "name", NULL, "name" },
	{ "notes", NULL, "notes" },
	{ "memory", "memory", "bytes" },
	{ "cpus", "processors", "count" },
	{ "kernel", "boot", "kernel" },
	{ "initrd", "boot", "initrd" },
	{ "cmdline", "boot", "cmdline" },
	{ "heartbeat", "integration", "heartbeat" },
	{ "shutdown", "integration", "shutdown" },
	{ "time-sync", "integration", "time_sync" },
	{ "disk-channels", NULL, "disk_channels" },
	{ "cpu-weight", "cpu", "weight" },
	{ "cpu-limit", "cpu", "limit" },
	{ "cpu-reserve", "cpu", "reserve" },
	{ "memory-limit", "host_memory", "limit" },
	{ "memory-reserve", "host_memory", "reserve" },
	{ "io-weight", "io", "weight" },
	{ "on-triple-fault", NULL, "on_triple_fault" },
	{ "group", NULL, "group" },
	{ "tags", NULL, "tags" },
	{ "auto-start", "automatic", "start" },
	{ "auto-delay", "automatic", "delay_s" },
	{ "auto-stop", "automatic", "stop" },
	{ "auto-stop-timeout", "automatic", "stop_timeout_s" },
	{ "restart", NULL, "restart" },
};

/* "a,b" as a list; "none" as an empty one. NULL for what is not UTF-8. */
static json_t *list_of(const char *text)
{
	json_t *list = json_array();

	if (strcmp(text, "none") == 0)
		return list;
	for (;;) {
		size_t n = strcspn(text, ",");

		if (json_array_append_new(list, json_stringn(text, n)) < 0) {
			json_decref(list);
			return NULL;
		}
		if (!text[n])
			return list;
		text += n + 1;
	}
}

static json_t *value_of(const struct arg_value *v)
{
	if (v->option->kind == OPT_SIZE || v->option->kind == OPT_COUNT ||
	    v->option->kind == OPT_SECONDS)
		return json_integer((json_int_t)v->number);
	if (v->option->choices && strcmp(v->option->choices, "on|off") == 0)
		return json_boolean(strcmp(v->text, "on") == 0);
	if (strcmp(v->option->name, "group") == 0 && strcmp(v->text, "none") == 0)
		return json_null();
	if (strcmp(v->option->name, "tags") == 0)
		return list_of(v->text);
	return json_string(v->text);
}

/* The object that holds a member; made when it is not there. Borrowed; NULL without memory. */
static json_t *group_of(json_t *doc, const char *group)
{
	json_t *obj = group ? json_object_get(doc, group) : doc;

	if (obj)
		return obj;
	obj = json_object();
	return json_object_set_new(doc, group, obj) == 0 ? obj : NULL;
}

/* What the options say, as members of `doc`; a status. */
static int add_members(const struct vmctl *v, const struct args *a, json_t *doc)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct arg_value *value = args_find(a, members[i].option);
		json_t *obj = value ? group_of(doc, members[i].group) : NULL;

		if (!value)
			continue;
		if (json_object_set_new(obj, members[i].member, value_of(value)) < 0)
			return fail(v, "\"%s\" is not UTF-8 text", value->text);
	}
	return VMCTL_DONE;
}

static int check_medium(const struct vmctl *v, const struct arg_value *drive)
{
	/* Only what is plainly a slip; all else, permissions too, is for vmms, which opens the file. */
	if (v->host || access(drive->text, F_OK) == 0 || errno != ENOENT)
		return VMCTL_DONE;
	if (strcmp(drive->option->name, "dvd") == 0)
		return fail(v, "%s: there is no such file", drive->text);
	return fail(v,
		    "%s: there is no such file; to make an empty disk: --disk "
		    "%s,size=10G",
		    drive->text, drive->text);
}

/* "FILE,size=20G": a disk that is to be made, into `disks`; cuts the text to FILE. A status. */
static int take_new(const struct vmctl *v, char *text, json_t *disks)
{
	char *size = strstr(text, NEW_SIZE);
	uint64_t bytes;

	if (!size)
		return VMCTL_DONE;
	if (config_parse_size(size + strlen(NEW_SIZE), &bytes) < 0 || !bytes ||
	    bytes > INT64_MAX)
		return fail_usage(
			v, "--disk FILE,size=SIZE wants a size such as 20G, not \"%s\"",
			size + strlen(NEW_SIZE));
	*size = 0;
	return json_array_append_new(disks, json_pack("{s:s, s:I}", "path", text,
						      "size_bytes", (json_int_t)bytes)) <
			       0
		       ? fail(v, "\"%s\" is not UTF-8 text", text)
		       : VMCTL_DONE;
}

/* --disk and --dvd, in the order given, on the LUNs of controller 0, then 1 …; those to be made into `disks`. A status. */
static int add_drives(const struct vmctl *v, const struct args *a, json_t *doc,
		      json_t *disks)
{
	json_t *scsi = json_array(), *drives = NULL;
	unsigned int n = 0;
	size_t made;

	json_object_set_new(doc, "scsi", scsi);
	for (size_t i = 0; i < a->nvalues; i++) {
		const struct arg_value *drive = &a->values[i];
		const char *kind = drive->option->name;
		int status;

		if (strcmp(kind, "disk") != 0 && strcmp(kind, "dvd") != 0)
			continue;
		made = json_array_size(disks);
		status = strcmp(kind, "disk") == 0 ? take_new(v, drive->text, disks)
						   : VMCTL_DONE;
		if (!status && made == json_array_size(disks))
			status = check_medium(v, drive);
		if (status)
			return status;
		if (n % CONFIG_LUNS_MAX == 0) {
			drives = json_array();
			json_array_append_new(scsi, json_pack("{s:O}", "drives", drives));
			json_decref(drives);
		}
		if (json_array_append_new(drives,
					  json_pack("{s:i, s:s, s:s}", "lun",
						    (int)(n % CONFIG_LUNS_MAX), "kind",
						    kind, "path", drive->text)) < 0)
			return fail(v, "\"%s\" is not UTF-8 text", drive->text);
		n++;
	}
	return VMCTL_DONE;
}

/* --nic, in the order given; without any a network behind address translation, so that a new guest is on line. A status. */
static int add_nics(const struct vmctl *v, const struct args *a, json_t *doc)
{
	json_t *nics = json_array(), *nic;

	json_object_set_new(doc, "nics", nics);
	if (!args_has(a, "nic"))
		return nic_parse(v, "user", &nic) || json_array_append_new(nics, nic) < 0
			       ? VMCTL_FAILED
			       : VMCTL_DONE;
	for (size_t i = 0; i < a->nvalues; i++) {
		int status;

		if (strcmp(a->values[i].option->name, "nic") != 0 ||
		    strcmp(a->values[i].text, "none") == 0)
			continue;
		status = nic_parse(v, a->values[i].text, &nic);
		if (status)
			return status;
		json_array_append_new(nics, nic);
	}
	return VMCTL_DONE;
}

int verb_create(struct vmctl *v, const struct args *a)
{
	json_auto_t *config =
		json_pack("{s:i, s:s, s:{s:I}}", "schema", CONFIG_SCHEMA, "name",
			  a->words[0], "memory", "bytes", MEMORY_DEFAULT);
	json_auto_t *summary = NULL, *disks = json_array();
	int status;

	if (!config)
		return fail(v, "\"%s\" is not UTF-8 text", a->words[0]);
	status = add_members(v, a, config);
	if (status == VMCTL_DONE)
		status = add_drives(v, a, config, disks);
	if (status == VMCTL_DONE)
		status = add_nics(v, a, config);
	if (status == VMCTL_DONE)
		status = call(v, v->verb->method,
			      json_pack("{s:O, s:O*}", "config", config, "new_disks",
					json_array_size(disks) ? disks : NULL),
			      &summary);
	if (status)
		return status;
	if (v->json)
		return print_json(summary);
	print_line(stdout, "%s is made; to start it: vmctl start %s",
		   field_text(summary, "name"), field_text(summary, "name"));
	return VMCTL_DONE;
}

/* "memory, boot" of a list of names. */
static void join(const json_t *names, char *ret, size_t size)
{
	size_t i, at = 0;
	json_t *name;

	ret[0] = 0;
	json_array_foreach (names, i, name) {
		if (at < size)
			at += (size_t)snprintf(ret + at, size - at, "%s%s", i ? ", " : "",
					       json_string_value(name));
	}
}

/* What vm.set did. */
static int print_set(const struct vmctl *v, const json_t *answer)
{
	const json_t *pending = json_object_get(answer, "pending");
	char waiting[200];

	if (v->json)
		return print_json(answer);
	join(pending, waiting, sizeof(waiting));
	if (json_array_size(pending))
		print_line(stdout, "%s is changed; until its next start wait: %s",
			   field_text(answer, "name"), waiting);
	else
		print_line(stdout, "%s is changed", field_text(answer, "name"));
	return VMCTL_DONE;
}

int verb_rename(struct vmctl *v, const struct args *a)
{
	json_auto_t *answer = NULL;
	int status = call(v, v->verb->method,
			  json_pack("{s:s, s:{s:s}}", "vm", a->words[0], "patch", "name",
				    a->words[1]),
			  &answer);

	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	print_line(stdout, "%s is now %s", a->words[0], field_text(answer, "name"));
	return VMCTL_DONE;
}

int verb_set(struct vmctl *v, const struct args *a)
{
	json_auto_t *patch = json_object(), *summary = NULL;
	int status = add_members(v, a, patch);

	if (status)
		return status;
	if (json_object_size(patch) == 0)
		return fail_usage(v, "it wants an option that says what to change");
	status = call(v, v->verb->method,
		      json_pack("{s:s, s:O}", "vm", a->words[0], "patch", patch),
		      &summary);
	return status ? status : print_set(v, summary);
}

int verb_delete(struct vmctl *v, const struct args *a)
{
	json_auto_t *nothing = NULL;
	int status =
		call(v, v->verb->method, json_pack("{s:s}", "vm", a->words[0]), &nothing);

	if (status)
		return status;
	if (v->json)
		return print_json(nothing);
	print_line(stdout, "%s is deleted", a->words[0]);
	return VMCTL_DONE;
}
