/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network adapters: the text of --nic, "KIND[=TAP][,PART…]", to a member of "nics" in vm.json(5), and the verbs on them. What the
 * values may be is for vmms to judge.
 */
#include "vmctl/vmctl.h"

#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "vmctl/table.h"

/* PROTOCOL:[ADDRESS:]PORT:GUEST_PORT */
static json_t *parse_forward(char *text)
{
	char *protocol = strsep(&text, ":"), *first = strsep(&text, ":");
	char *second = strsep(&text, ":"), *third = strsep(&text, ":"), *end;
	const char *address = third ? first : "127.0.0.1";
	const char *port = third ? second : first, *guest = third ? third : second;
	long p, g;

	if (!second || text)
		return NULL;
	p = strtol(port, &end, 10);
	if (end == port || *end)
		return NULL;
	g = strtol(guest, &end, 10);
	if (end == guest || *end)
		return NULL;
	return json_pack("{s:s, s:s, s:I, s:I}", "protocol", protocol, "address", address,
			 "port", (json_int_t)p, "guest_port", (json_int_t)g);
}

static bool add_part(json_t *nic, char *part)
{
	json_t *forwards = json_object_get(nic, "forwards"), *f;

	if (strcmp(part, "host") == 0)
		return json_object_set_new(nic, "host_loopback", json_true()) == 0;
	if (strncmp(part, "mac=", 4) == 0)
		return json_object_set_new(nic, "mac", json_string(part + 4)) == 0;
	if (strncmp(part, "forward=", 8) != 0)
		return false;
	if (!forwards) {
		forwards = json_array();
		json_object_set_new(nic, "forwards", forwards);
	}
	f = parse_forward(part + 8);
	return f && json_array_append_new(forwards, f) == 0;
}

int nic_parse(const struct vmctl *v, const char *text, json_t **ret)
{
	cleanup_free char *copy = strdup(text);
	char *rest = copy, *kind = copy ? strsep(&rest, ",") : NULL, *part;
	json_t *nic;

	if (!copy)
		return fail(v, "out of memory");
	if (strncmp(kind, "tap=", 4) == 0)
		nic = json_pack("{s:s, s:s}", "kind", "tap", "tap", kind + 4);
	else
		nic = json_pack("{s:s}", "kind", kind);
	while (nic && (part = strsep(&rest, ","))) {
		if (add_part(nic, part))
			continue;
		json_decref(nic);
		return fail_usage(v,
				  "--nic %s: \"%s\" is none of host, mac=ADDRESS, "
				  "forward=tcp|udp:[ADDRESS:]PORT:GUEST_PORT",
				  text, part);
	}
	if (!nic)
		return fail(v, "\"%s\" is not UTF-8 text", text);
	*ret = nic;
	return VMCTL_DONE;
}

/* ---- nic list ---- */

/* What the worker says of adapter `index`; NULL while the VM is off. */
static const json_t *status_of(const json_t *vm, size_t index)
{
	const json_t *one, *status = json_object_get(vm, "status");
	size_t i;

	json_array_foreach (json_object_get(status, "nics"), i, one) {
		if (field_number(one, "index") == index)
			return one;
	}
	return NULL;
}

static int add_row(struct table *t, size_t index, const json_t *nic, const json_t *status)
{
	const char *tap = json_string_value(json_object_get(nic, "tap"));
	const char *link = "-";
	char number[24], sent[24], received[24], dropped[24];

	if (status)
		link = json_is_true(json_object_get(status, "link")) ? "up" : "down";
	snprintf(number, sizeof(number), "%zu", index);
	snprintf(sent, sizeof(sent), "%llu",
		 (unsigned long long)field_number(status, "sent"));
	snprintf(received, sizeof(received), "%llu",
		 (unsigned long long)field_number(status, "received"));
	snprintf(dropped, sizeof(dropped), "%llu",
		 (unsigned long long)field_number(status, "dropped"));
	return table_add(t, (const char *[]){ number, tap ? tap : field_text(nic, "kind"),
					      field_text(status ? status : nic, "mac"),
					      link, sent, received, dropped });
}

int nic_print(const struct vmctl *v, const json_t *vm, const char *title)
{
	static const struct table_column columns[] = {
		{ "NUMBER" },
		{ "NETWORK", .shrinks = true },
		{ "ADDRESS" },
		{ "LINK" },
		{ "SENT", .right = true },
		{ "RECEIVED", .right = true },
		{ "DROPPED", .right = true },
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	const json_t *nic, *nics = json_object_get(json_object_get(vm, "config"), "nics");
	size_t i;
	int r = 0;

	json_array_foreach (nics, i, nic) {
		if (t && r == 0)
			r = add_row(t, i, nic, status_of(vm, i));
	}
	if (t && r == 0 && json_array_size(nics)) {
		if (title)
			printf("\n%s\n", title);
		table_print(t, stdout, title ? 2 : 0, v->width);
	}
	table_free(t);
	return t ? r : -1;
}

int verb_nic_list(struct vmctl *v, const struct args *a)
{
	json_auto_t *vm = NULL;
	int status = call(v, v->verb->method, json_pack("{s:s}", "vm", a->words[0]), &vm);

	if (status)
		return status;
	if (v->json)
		return print_json(json_object_get(json_object_get(vm, "config"), "nics"));
	return nic_print(v, vm, NULL) < 0 ? fail(v, "out of memory") : VMCTL_DONE;
}

/* ---- nic add, remove ---- */

/* vm.set replaces the list as a whole. */
static int set_nics(struct vmctl *v, const char *name, json_t *nics, json_t **ret)
{
	return call(v, "vm.set",
		    json_pack("{s:s, s:{s:O}}", "vm", name, "patch", "nics", nics), ret);
}

static int get_nics(struct vmctl *v, const char *name, json_t **ret)
{
	json_auto_t *vm = NULL;
	int status = call(v, "vm.show", json_pack("{s:s}", "vm", name), &vm);

	if (status == VMCTL_DONE)
		*ret = json_incref(
			json_object_get(json_object_get(vm, "config"), "nics"));
	return status;
}

int verb_nic_add(struct vmctl *v, const struct args *a)
{
	json_auto_t *nics = NULL, *summary = NULL;
	json_t *nic;
	int status = nic_parse(v, a->words[1], &nic);

	if (status == VMCTL_DONE)
		status = get_nics(v, a->words[0], &nics);
	else
		return status;
	if (status != VMCTL_DONE) {
		json_decref(nic);
		return status;
	}
	json_array_append_new(nics, nic);
	status = set_nics(v, a->words[0], nics, &summary);
	if (status)
		return status;
	if (v->json)
		return print_json(summary);
	print_line(stdout, "%s has network adapter %zu", a->words[0],
		   json_array_size(nics) - 1);
	return VMCTL_DONE;
}

int verb_nic_remove(struct vmctl *v, const struct args *a)
{
	json_auto_t *nics = NULL, *summary = NULL;
	char *end;
	unsigned long index = strtoul(a->words[1], &end, 10);
	int status;

	if (end == a->words[1] || *end)
		return fail_usage(v, "\"%s\" is no number of an adapter", a->words[1]);
	status = get_nics(v, a->words[0], &nics);
	if (status)
		return status;
	if (json_array_remove(nics, index) < 0)
		return fail(v,
			    "%s has no network adapter %lu; vmctl nic list %s shows them",
			    a->words[0], index, a->words[0]);
	status = set_nics(v, a->words[0], nics, &summary);
	if (status)
		return status;
	if (v->json)
		return print_json(summary);
	print_line(stdout, "%s has %zu network adapters", a->words[0],
		   json_array_size(nics));
	return VMCTL_DONE;
}
