/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs on jobs. */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "vmctl/table.h"

static const struct table_column columns[] = {
	{ "JOB", .right = true },  { "KIND" },    { "STATE" },
	{ "DONE", .right = true }, { "STARTED" }, { "IMAGE", .shrinks = true },
};

/* The number that was typed; 0 after a message. */
static json_int_t parse_number(const struct vmctl *v, const char *text)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *end || n < 1) {
		fail_usage(v, "JOB is a number, as 'vmctl job list' shows it, not \"%s\"",
			   text);
		return 0;
	}
	return n;
}

static void format_done(const json_t *job, char *ret, size_t size)
{
	uint64_t done = field_number(job, "done"), total = field_number(job, "total");

	if (strcmp(field_text(job, "state"), "Completed") == 0)
		snprintf(ret, size, "100 %%");
	else if (total)
		snprintf(ret, size, "%u %%",
			 (unsigned int)((double)MIN(done, total) * 100 / (double)total));
	else
		snprintf(ret, size, "-");
}

static int print_jobs(const struct vmctl *v, const json_t *jobs)
{
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	int r = t ? 0 : -ENOMEM;
	json_t *job;
	size_t i;

	json_array_foreach (jobs, i, job) {
		char id[24], done[16];

		snprintf(id, sizeof(id), "%" PRIu64, field_number(job, "job"));
		format_done(job, done, sizeof(done));
		if (r == 0)
			r = table_add(t, (const char *[]){ id, field_text(job, "kind"),
							   field_text(job, "state"), done,
							   field_text(job, "started"),
							   field_text(job, "path") });
	}
	if (r == 0)
		table_print(t, stdout, 0, v->width);
	table_free(t);
	return r < 0 ? fail(v, "out of memory") : VMCTL_DONE;
}

int verb_job_list(struct vmctl *v, const struct args *a)
{
	json_auto_t *answer = NULL;
	const json_t *jobs;
	int status = call(v, v->verb->method, json_object(), &answer);

	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	jobs = json_object_get(answer, "jobs");
	if (json_array_size(jobs) == 0) {
		puts("There is no job.");
		return VMCTL_DONE;
	}
	return print_jobs(v, jobs);
}

static int print_job(const struct vmctl *v, const json_t *job)
{
	const json_t *error = json_object_get(job, "error");
	char done[16];

	if (v->json)
		return print_json(job);
	format_done(job, done, sizeof(done));
	print_line(stdout, "Job      %llu, %s",
		   (unsigned long long)field_number(job, "job"), field_text(job, "kind"));
	print_line(stdout, "Image    %s", field_text(job, "path"));
	print_line(stdout, "State    %s, %s", field_text(job, "state"), done);
	print_line(stdout, "Started  %s", field_text(job, "started"));
	print_line(stdout, "Ended    %s", field_text(job, "ended"));
	if (json_is_object(error))
		print_line(stdout, "Error    %s", field_text(error, "message"));
	return VMCTL_DONE;
}

/* job show, job cancel: a call, and the job as it is then. */
int verb_job(struct vmctl *v, const struct args *a)
{
	json_int_t id = parse_number(v, a->words[0]);
	json_auto_t *job = NULL;
	int status;

	if (!id)
		return VMCTL_USAGE;
	status = call(v, v->verb->method, json_pack("{s:I}", "job", id), &job);
	return status ? status : print_job(v, job);
}

int verb_job_wait(struct vmctl *v, const struct args *a)
{
	const struct arg_value *timeout = args_find(a, "timeout");
	json_int_t id = parse_number(v, a->words[0]);
	json_auto_t *job = NULL;
	json_t *params;
	int status;

	if (!id)
		return VMCTL_USAGE;
	params = json_pack("{s:I}", "job", id);
	if (timeout)
		json_object_set_new(params, "timeout_s",
				    json_integer((json_int_t)timeout->number));
	status = call(v, v->verb->method, params, &job);
	if (status)
		return status;
	if (v->json)
		return print_json(job) || job_report(v, job) ? VMCTL_FAILED : VMCTL_DONE;
	status = job_report(v, job);
	if (status == VMCTL_DONE)
		print_line(stdout, "job %lld is Completed", (long long)id);
	return status;
}
