/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs on disk images: each begins a job and follows it, or with --detach leaves it to itself. */
#include "vmctl/vmctl.h"

#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "vmctl/table.h"

/* Which option gives which param. */
static const struct {
	const char *option, *param;
} params_of[] = {
	{ "size", "size_bytes" },
	{ "type", "type" },
	{ "parent", "parent" },
	{ "block-size", "block_bytes" },
	{ "sector-size", "logical_bytes" },
	{ "physical-sector-size", "physical_bytes" },
	{ "force", "force" },
	{ "shrink", "shrink" },
	{ "ignore-id", "ignore_id" },
};

static json_t *value_of(const struct arg_value *v)
{
	switch (v->option->kind) {
	case OPT_FLAG:
		return json_true();
	case OPT_SIZE:
	case OPT_COUNT:
		return json_integer((json_int_t)v->number);
	default:
		return json_string(v->text);
	}
}

/* The words, as paths that vmms can open; then what the options say. NULL after a message. */
static json_t *params_new(const struct vmctl *v, const struct args *a,
			  const char *const *words)
{
	json_t *params = json_object();

	for (size_t i = 0; i < a->nwords; i++) {
		cleanup_free char *path = args_absolute(a->words[i]);

		if (!path || json_object_set_new(params, words[i], json_string(path)) < 0)
			goto bad;
	}
	for (size_t i = 0; i < ARRAY_SIZE(params_of); i++) {
		const struct arg_value *value = args_find(a, params_of[i].option);

		if (value &&
		    json_object_set_new(params, params_of[i].param, value_of(value)) < 0)
			goto bad;
	}
	return params;
bad:
	json_decref(params);
	fail(v, "a word is not UTF-8 text");
	return NULL;
}

/* ---- what people see at the end ---- */

static void print_made(const json_t *result, const char *what)
{
	char size[TEXT_SIZE_MAX];

	text_format_size(field_number(result, "disk_bytes"), size);
	print_line(stdout, "%s is %s: %s, %s, %s", field_text(result, "path"), what,
		   field_text(result, "format"), field_text(result, "type"), size);
}

static int print_check(const json_t *result)
{
	uint64_t errors = field_number(result, "errors"),
		 lost = field_number(result, "lost_bytes"),
		 repaired = field_number(result, "repaired");
	char size[TEXT_SIZE_MAX];

	if (repaired)
		print_line(stdout, "%s: errors that were mended: %llu",
			   field_text(result, "path"), (unsigned long long)repaired);
	if (errors)
		print_line(stdout, "%s: errors: %llu, the first: %s",
			   field_text(result, "path"), (unsigned long long)errors,
			   field_text(result, "first"));
	else
		print_line(stdout, "%s: no errors", field_text(result, "path"));
	if (lost) {
		text_format_size(lost, size);
		print_line(stdout, "%s: %s of the file are used by nothing: harmless",
			   field_text(result, "path"), size);
	}
	return errors ? VMCTL_FAILED : VMCTL_DONE;
}

static int print_result(const struct vmctl *v, const json_t *job)
{
	const json_t *result = json_object_get(job, "result");
	const char *verb = v->verb->name + strlen("vhd ");

	if (strcmp(verb, "check") == 0 || strcmp(verb, "repair") == 0) {
		if (!v->json)
			return print_check(result);
		return field_number(result, "errors") ? VMCTL_FAILED : VMCTL_DONE;
	}
	if (v->json)
		return VMCTL_DONE; /* the job's last line has it */
	if (strcmp(verb, "create") == 0 || strcmp(verb, "convert") == 0)
		print_made(result, "made");
	else if (strcmp(verb, "merge") == 0)
		print_line(stdout, "%s is merged into its parent, and deleted",
			   field_text(job, "path"));
	else
		print_made(result, strcmp(verb, "resize") == 0    ? "resized"
				   : strcmp(verb, "compact") == 0 ? "compacted"
								  : "changed");
	return VMCTL_DONE;
}

/* ---- the verbs ---- */

static int begin(struct vmctl *v, const struct args *a, json_t *params, json_t **ret)
{
	int status = args_has(a, "detach") ? VMCTL_DONE : job_subscribe(v);

	if (status) {
		json_decref(params);
		return status;
	}
	return call(v, v->verb->method, params, ret);
}

static int run_job(struct vmctl *v, const struct args *a, const char *const *words)
{
	json_t *params = params_new(v, a, words);
	json_auto_t *job = NULL;
	int status;

	if (!params)
		return VMCTL_FAILED;
	status = begin(v, a, params, &job);
	if (status)
		return status;
	if (args_has(a, "detach")) {
		if (v->json)
			return print_json(job);
		print_line(stdout, "job %llu has begun; to see it: vmctl job show %llu",
			   (unsigned long long)field_number(job, "job"),
			   (unsigned long long)field_number(job, "job"));
		return VMCTL_DONE;
	}
	status = job_follow(v, &job);
	if (status == VMCTL_DONE)
		status = job_report(v, job);
	return status == VMCTL_DONE ? print_result(v, job) : status;
}

int verb_vhd(struct vmctl *v, const struct args *a)
{
	return run_job(v, a, (const char *[]){ "path" });
}

int verb_vhd_convert(struct vmctl *v, const struct args *a)
{
	return run_job(v, a, (const char *[]){ "path", "target" });
}

int verb_vhd_set_parent(struct vmctl *v, const struct args *a)
{
	return run_job(v, a, (const char *[]){ "path", "parent" });
}

static void print_sizes(const json_t *info)
{
	char disk[TEXT_SIZE_MAX], file[TEXT_SIZE_MAX], used[TEXT_SIZE_MAX],
		block[TEXT_SIZE_MAX];

	text_format_size(field_number(info, "disk_bytes"), disk);
	text_format_size(field_number(info, "file_bytes"), file);
	text_format_size(field_number(info, "allocated_bytes"), used);
	text_format_size(field_number(info, "block_bytes"), block);
	print_line(stdout, "Disk        %s (%llu bytes)", disk,
		   (unsigned long long)field_number(info, "disk_bytes"));
	print_line(stdout, "File        %s, of which %s on the file system", file, used);
	if (field_number(info, "block_bytes"))
		print_line(stdout, "Blocks      %s", block);
	print_line(stdout, "Sectors     %llu bytes, physical %llu bytes",
		   (unsigned long long)field_number(info, "logical_bytes"),
		   (unsigned long long)field_number(info, "physical_bytes"));
}

int verb_vhd_info(struct vmctl *v, const struct args *a)
{
	json_t *params = params_new(v, a, (const char *[]){ "path" }), *parent;
	json_auto_t *info = NULL;
	int status;
	size_t i;

	if (!params)
		return VMCTL_FAILED;
	status = call(v, v->verb->method, params, &info);
	if (status)
		return status;
	if (v->json)
		return print_json(info);
	print_line(stdout, "Image       %s", field_text(info, "path"));
	print_line(stdout, "Format      %s, %s", field_text(info, "format"),
		   field_text(info, "type"));
	print_sizes(info);
	if (json_is_string(json_object_get(info, "id")))
		print_line(stdout, "Id          %s", field_text(info, "id"));
	json_array_foreach (json_object_get(info, "parents"), i, parent)
		print_line(stdout, "%s%s", i ? "            " : "Parents     ",
			   json_is_string(parent) ? json_string_value(parent) : "-");
	if (json_is_true(json_object_get(info, "needs_replay")))
		print_line(stdout, "Note        changes wait in its log; its next use "
				   "writes them");
	if (json_is_string(json_object_get(info, "problem")))
		print_line(stdout, "Problem     %s", field_text(info, "problem"));
	if (json_is_string(json_object_get(info, "warning")))
		print_line(stdout, "Warning     %s", field_text(info, "warning"));
	return VMCTL_DONE;
}
