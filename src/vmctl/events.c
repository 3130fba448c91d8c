/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened: the host's events, a VM's log. */
#include "vmctl/vmctl.h"

#include <string.h>
#include "util/cleanup.h"
#include "vmctl/table.h"

static int call_next(struct vmctl *v, json_int_t after, json_int_t timeout_s,
		     json_t **ret)
{
	return call(v, v->verb->method,
		    json_pack("{s:I, s:I}", "after", after, "timeout_s", timeout_s), ret);
}

static void print_event(const json_t *event)
{
	/* "2026-11-21T09:14:05Z" and, it may be, a fraction: seconds are enough here. */
	print_line(stdout, "%.19s  %-9s  %s: %s", field_text(event, "time"),
		   field_text(event, "type"), field_text(event, "name"),
		   field_text(event, "message"));
}

static void print_events(const struct vmctl *v, const json_t *answer)
{
	json_t *event;
	size_t i;

	if (json_is_true(json_object_get(answer, "lost")))
		fputs("vmctl events: some older events are no longer kept\n", stderr);
	json_array_foreach (json_object_get(answer, "events"), i, event) {
		if (!v->json) {
			print_event(event);
			continue;
		}
		json_dumpf(event, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
	}
	fflush(stdout);
}

static int follow(struct vmctl *v, json_int_t after)
{
	for (;;) {
		json_auto_t *answer = NULL;
		int status = call_next(v, after, 30, &answer);

		if (status)
			return status;
		print_events(v, answer);
		if (ferror(stdout))
			return VMCTL_FAILED;
		after = (json_int_t)field_number(answer, "seq");
	}
}

int verb_events(struct vmctl *v, const struct args *a)
{
	const struct arg_value *since = args_find(a, "since");
	json_int_t after = since ? (json_int_t)since->number : 0;
	json_auto_t *answer = NULL;
	int status;

	if (args_has(a, "follow"))
		return follow(v, after);
	status = call_next(v, after, 0, &answer);
	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	print_events(v, answer);
	return VMCTL_DONE;
}

int verb_log(struct vmctl *v, const struct args *a)
{
	const struct arg_value *lines = args_find(a, "lines");
	json_t *params = json_pack("{s:s}", "vm", a->words[0]), *line;
	json_auto_t *answer = NULL;
	int status;
	size_t i;

	if (lines)
		json_object_set_new(params, "lines",
				    json_integer((json_int_t)lines->number));
	status = call(v, v->verb->method, params, &answer);
	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	json_array_foreach (json_object_get(answer, "lines"), i, line)
		print_line(stdout, "%s",
			   json_is_string(line) ? json_string_value(line) : "");
	return VMCTL_DONE;
}
