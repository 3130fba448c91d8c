/* SPDX-License-Identifier: BSD-2-Clause */
/* The host: what it is, and whether it can run VMs. */
#include "vmctl/vmctl.h"

#include <string.h>
#include "vmctl/table.h"

static void print_checks(const json_t *answer)
{
	json_t *check;
	size_t i;

	json_array_foreach (json_object_get(answer, "checks"), i, check) {
		print_line(stdout, "%-8s %s: %s", field_text(check, "result"),
			   field_text(check, "name"), field_text(check, "text"));
	}
}

int verb_host_check(struct vmctl *v, const struct args *a)
{
	json_auto_t *answer = NULL;
	int status = call(v, v->verb->method, json_object(), &answer);
	bool ok;

	if (status)
		return status;
	ok = json_is_true(json_object_get(answer, "ok"));
	if (v->json)
		return print_json(answer) || !ok ? VMCTL_FAILED : VMCTL_DONE;
	print_checks(answer);
	puts(ok ? "This host can run VMs." : "This host cannot run VMs yet.");
	return ok ? VMCTL_DONE : VMCTL_FAILED;
}

int verb_host_info(struct vmctl *v, const struct args *a)
{
	char memory[TEXT_SIZE_MAX], available[TEXT_SIZE_MAX];
	json_auto_t *info = NULL;
	int status = call(v, v->verb->method, json_object(), &info);

	if (status)
		return status;
	if (v->json)
		return print_json(info);
	text_format_size(field_number(info, "memory_bytes"), memory);
	text_format_size(field_number(info, "memory_available_bytes"), available);
	print_line(stdout, "Host        %s, Linux %s", field_text(info, "hostname"),
		   field_text(info, "kernel"));
	print_line(stdout, "Processors  %u",
		   (unsigned int)field_number(info, "processors"));
	print_line(stdout, "Memory      %s, of which %s available", memory, available);
	print_line(stdout, "vmms        %s, process %u", field_text(info, "version"),
		   (unsigned int)field_number(info, "pid"));
	print_line(stdout, "VMs         %u, of which %u with a worker",
		   (unsigned int)field_number(info, "vms"),
		   (unsigned int)field_number(info, "workers"));
	print_line(stdout, "Kept in     %s", field_text(info, "state_dir"));
	print_line(stdout, "Sockets in  %s", field_text(info, "run_dir"));
	return VMCTL_DONE;
}

int verb_host_stop_vms(struct vmctl *v, const struct args *a)
{
	const struct arg_value *timeout = args_find(a, "timeout");
	json_t *params = json_object(), *vms, *vm;
	json_auto_t *answer = NULL;
	int status;
	size_t i;

	if (timeout)
		json_object_set_new(params, "timeout_s",
				    json_integer((json_int_t)timeout->number));
	status = call(v, v->verb->method, params, &answer);
	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	vms = json_object_get(answer, "vms");
	json_array_foreach (vms, i, vm)
		print_line(stdout, "%s is %s", field_text(vm, "name"),
			   strcmp(field_text(vm, "how"), "shutdown") == 0 ? "shut down"
									  : "turned off");
	if (json_array_size(vms) == 0)
		puts("No VM runs.");
	return VMCTL_DONE;
}
