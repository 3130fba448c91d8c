/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/vmctl.h"

#include <errno.h>
#include "vmctl/table.h"

static const struct table_column columns[] = {
	{ "NAME", .shrinks = true },
	{ "STATE" },
	{ "HEALTH" },
	{ "HEARTBEAT", .shrinks = true },
	{ "CPUS", .right = true },
	{ "MEMORY", .right = true },
	{ "UPTIME", .right = true },
};

static int add_vm(struct table *t, const json_t *vm)
{
	char cpus[16], memory[TEXT_SIZE_MAX], uptime[TEXT_TIME_MAX];
	uint64_t up = field_number(vm, "uptime_us");

	snprintf(cpus, sizeof(cpus), "%u", (unsigned int)field_number(vm, "processors"));
	text_format_size(field_number(vm, "memory_bytes"), memory);
	text_format_time(up, uptime);
	return table_add(t, (const char *[]){
				    field_text(vm, "name"), field_text(vm, "state"),
				    field_text(vm, "health"), field_text(vm, "heartbeat"),
				    cpus, memory, up ? uptime : "-" });
}

static int print_vms(const struct vmctl *v, const json_t *vms)
{
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	int r = t ? 0 : -ENOMEM;
	json_t *vm;
	size_t i;

	json_array_foreach (vms, i, vm) {
		if (r == 0)
			r = add_vm(t, vm);
	}
	if (r == 0)
		table_print(t, stdout, 0, v->width);
	table_free(t);
	return r < 0 ? fail(v, "out of memory") : VMCTL_DONE;
}

int verb_list(struct vmctl *v, const struct args *a)
{
	json_auto_t *answer = NULL;
	const json_t *vms;
	const struct arg_value *group = args_find(a, "group"), *tag = args_find(a, "tag");
	int status = call(v, v->verb->method,
			  json_pack("{s:s*, s:s*}", "group", group ? group->text : NULL,
				    "tag", tag ? tag->text : NULL),
			  &answer);

	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	vms = json_object_get(answer, "vms");
	if (json_array_size(vms) == 0) {
		puts(group || tag ? "There is no such VM."
				  : "There is no VM. To make one: vmctl create --help");
		return VMCTL_DONE;
	}
	return print_vms(v, vms);
}
