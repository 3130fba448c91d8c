/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/audit.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/journal.h"
#include "vmms/vmms.h"

#define USER_SIZE 64
#define OBJECT_SIZE 512

/* "anna", or the number where it has no name. */
static void user_name(uid_t uid, char ret[USER_SIZE])
{
	struct passwd p, *found = NULL;
	char buf[4096];

	if (getpwuid_r(uid, &p, buf, sizeof(buf), &found) == 0 && found)
		snprintf(ret, USER_SIZE, "%s", p.pw_name);
	else
		snprintf(ret, USER_SIZE, "%u", (unsigned int)uid);
}

/* What the method was to work on, as the caller names it: a VM, the VM that it would make, an image, a switch, a job. */
static void object_name(const struct rpc_audit *a, char ret[OBJECT_SIZE])
{
	static const char *const members[] = { "vm", "name", "path", "source", "switch" };
	const json_t *job = json_object_get(a->params, "job");
	const char *s = json_string_value(
		json_object_get(json_object_get(a->params, "config"), "name"));

	for (size_t i = 0; !s && i < ARRAY_SIZE(members); i++)
		s = json_string_value(json_object_get(a->params, members[i]));
	if (!s && json_is_integer(job))
		snprintf(ret, OBJECT_SIZE, "%lld", (long long)json_integer_value(job));
	else
		snprintf(ret, OBJECT_SIZE, "%s", s ? s : "");
}

void audit_call(void *ctx, const struct rpc_audit *a)
{
	/* Somebody who may only look can be refused as often as he likes. */
	static struct ratelimit refused = { .interval_ms = 1000, .burst = 100 };
	struct vmms *v = ctx;
	const struct vm *vm = NULL;
	char user[USER_SIZE], object[OBJECT_SIZE], uid[16], pid[16];
	unsigned int dropped = 0;
	struct rpc_error e;

	if (a->error && !ratelimit_ok(&refused, &dropped))
		return;
	user_name(a->uid, user);
	object_name(a, object);
	snprintf(uid, sizeof(uid), "%u", (unsigned int)a->uid);
	snprintf(pid, sizeof(pid), "%d", (int)a->pid);
	if (json_object_get(a->params, "vm") || json_object_get(a->params, "config"))
		vm = registry_find(&v->registry, object, &e);

	const struct journal_field fields[] = {
		{ "AUDIT_METHOD", a->method },
		{ "AUDIT_OBJECT", object },
		{ "AUDIT_UID", uid },
		{ "AUDIT_USER", user },
		{ "AUDIT_PID", pid },
		{ "AUDIT_RESULT", a->error ? "failed" : "done" },
		{ "AUDIT_ERROR", a->error ? a->error->message : NULL },
		{ "VM_NAME", vm ? vm->config.name : NULL },
		{ "VM_ID", vm ? vm->id_text : NULL },
	};

	if (dropped)
		log_warning("audit: %u refused calls were not told", dropped);
	log_fields(LOG_LVL_INFO, fields, ARRAY_SIZE(fields),
		   "audit: %s (uid %s, pid %s) %s%s%s: %s%s", user, uid, pid, a->method,
		   object[0] ? " " : "", object, a->error ? "failed: " : "done",
		   a->error ? a->error->message : "");
}

void audit_log_vm(enum log_level level, const struct vm *vm, const char *fmt, ...)
{
	const struct journal_field fields[] = {
		{ "VM_NAME", vm->config.name },
		{ "VM_ID", vm->id_text },
	};
	char text[VM_REASON_SIZE + CONFIG_NAME_SIZE + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_fields(level, fields, ARRAY_SIZE(fields), "%s: %s", vm->config.name, text);
}
