/* SPDX-License-Identifier: BSD-2-Clause */
/* Options of `nic set` on an adapter's port of a virtual switch: to the member "port" of vm.json(5). */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"

static int put_number(const struct vmctl *v, const char *option, const char *text,
		      json_t *port)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (strcmp(text, "none") == 0)
		n = 0;
	else if (end == text || *end)
		return fail_usage(v, "--%s %s: must be a number, or none", option, text);
	json_object_set_new(port, option, json_integer(n));
	return VMCTL_DONE;
}

/* "64K", "100M", "10G": bits a second, in powers of ten. */
static int put_rate(const struct vmctl *v, const char *option, const char *member,
		    const char *text, json_t *port)
{
	static const char units[] = "kmgt";
	unsigned long long n = 0, factor = 1;
	const char *unit;
	char *end;

	if (strcmp(text, "none") != 0) {
		errno = 0;
		n = strtoull(text, &end, 10);
		unit = *end ? strchr(units, *end | 0x20) : NULL;
		for (const char *u = units; unit && u <= unit; u++)
			factor *= 1000;
		if (errno || *text < '0' || *text > '9' || (*end && (!unit || end[1])) ||
		    n > 1000000000000ull / factor)
			return fail_usage(v,
					  "--%s %s: must be bits a second, such as 100M, "
					  "or none",
					  option, text);
	}
	json_object_set_new(port, member, json_integer((json_int_t)(n * factor)));
	return VMCTL_DONE;
}

/* ACTION:DIRECTION:REMOTE; an IPv6 address has colons of its own. */
static int put_acl(const struct vmctl *v, const char *text, json_t *acls)
{
	cleanup_free char *copy = strdup(text);
	char *rest = copy, *action = copy ? strsep(&rest, ":") : NULL;
	char *direction = strsep(&rest, ":");

	if (strcmp(text, "none") == 0)
		return VMCTL_DONE;
	if (!action || !direction || !rest)
		return fail_usage(v,
				  "--acl %s: must be allow|deny:in|out|both:REMOTE, or "
				  "none",
				  text);
	json_array_append_new(acls, json_pack("{s:s, s:s, s:s}", "action", action,
					      "direction", direction, "remote", rest));
	return VMCTL_DONE;
}

static int put_acls(const struct vmctl *v, const struct args *a, json_t *port)
{
	json_t *acls;
	int status = VMCTL_DONE;

	if (!args_has(a, "acl"))
		return VMCTL_DONE;
	acls = json_array();
	json_object_set_new(port, "acls", acls);
	for (size_t i = 0; status == VMCTL_DONE && i < a->nvalues; i++) {
		if (strcmp(a->values[i].option->name, "acl") == 0)
			status = put_acl(v, a->values[i].text, acls);
	}
	return status;
}

static void put_words(const struct args *a, json_t *port)
{
	static const struct {
		const char *option, *member;
	} flags[] = { { "mac-spoofing", "mac_spoofing" },
		      { "dhcp-guard", "dhcp_guard" },
		      { "router-guard", "router_guard" } };
	const struct arg_value *x;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		x = args_find(a, flags[i].option);
		if (x)
			json_object_set_new(port, flags[i].member,
					    json_boolean(strcmp(x->text, "on") == 0));
	}
	x = args_find(a, "mirror");
	if (x)
		json_object_set_new(port, "mirror", json_string(x->text));
	x = args_find(a, "trunk");
	if (x)
		json_object_set_new(port, "trunk",
				    strcmp(x->text, "none") == 0 ? json_null()
								 : json_string(x->text));
}

int nic_port_patch(const struct vmctl *v, const struct args *a, json_t *patch)
{
	const struct arg_value *vlan = args_find(a, "vlan"), *max = args_find(a, "max");
	const struct arg_value *to = args_find(a, "switch");
	json_t *port = json_object();
	int status = VMCTL_DONE;

	if (to) {
		json_object_set_new(patch, "kind", json_string("switch"));
		json_object_set_new(patch, "tap", json_null());
		json_object_set_new(patch, "switch", json_string(to->text));
	}
	put_words(a, port);
	if (vlan)
		status = put_number(v, "vlan", vlan->text, port);
	if (status == VMCTL_DONE && max)
		status = put_rate(v, "max", "max_bps", max->text, port);
	if (status == VMCTL_DONE)
		status = put_acls(v, a, port);
	if (status == VMCTL_DONE && json_object_size(port))
		json_object_set(patch, "port", port);
	json_decref(port);
	return status;
}
