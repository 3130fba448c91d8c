/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs that change a VM's state, or wait for one. */
#include "vmctl/vmctl.h"

#include <string.h>

/* Adds "timeout_s" where --timeout was given; vmms has a default. */
static void set_timeout(json_t *params, const struct args *a)
{
	const struct arg_value *timeout = args_find(a, "timeout");

	if (timeout)
		json_object_set_new(params, "timeout_s",
				    json_integer((json_int_t)timeout->number));
}

static int call_and_print(struct vmctl *v, const char *method, json_t *params)
{
	json_auto_t *summary = NULL;
	int status = call(v, method, params, &summary);

	return status ? status : print_summary(v, summary);
}

int verb_power(struct vmctl *v, const struct args *a)
{
	return call_and_print(v, v->verb->method, json_pack("{s:s}", "vm", a->words[0]));
}

static int wait_for(struct vmctl *v, const struct args *a, const char *state)
{
	json_t *params = json_pack("{s:s, s:s}", "vm", a->words[0], "for", state);

	set_timeout(params, a);
	return call_and_print(v, "vm.wait", params);
}

int verb_wait(struct vmctl *v, const struct args *a)
{
	const char *states = "running|paused|off|heartbeat";

	if (!args_is_choice(states, a->words[1]))
		return fail_usage(v, "STATE is one of %s, not \"%s\"", states,
				  a->words[1]);
	return wait_for(v, a, a->words[1]);
}

int verb_start(struct vmctl *v, const struct args *a)
{
	const struct arg_value *wait = args_find(a, "wait");
	bool heartbeat = wait && strcmp(wait->text, "heartbeat") == 0;
	json_auto_t *summary = NULL;
	int status;

	if (!heartbeat && args_has(a, "timeout"))
		return fail_usage(v, "--timeout needs --wait heartbeat");
	status =
		call(v, v->verb->method, json_pack("{s:s}", "vm", a->words[0]), &summary);
	if (status)
		return status;
	return heartbeat ? wait_for(v, a, "heartbeat") : print_summary(v, summary);
}

int verb_stop(struct vmctl *v, const struct args *a)
{
	json_t *params =
		json_pack("{s:s, s:b}", "vm", a->words[0], "force", args_has(a, "force"));

	set_timeout(params, a);
	return call_and_print(v, v->verb->method, params);
}
