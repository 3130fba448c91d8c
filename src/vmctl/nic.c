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
	else if (strncmp(kind, "switch=", 7) == 0)
		nic = json_pack("{s:s, s:s}", "kind", "switch", "switch", kind + 7);
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

/* What the worker says of adapter `number`; NULL while the VM is off. */
static const json_t *status_of(const json_t *vm, uint64_t number)
{
	const json_t *one, *status = json_object_get(vm, "status");
	size_t i;

	json_array_foreach (json_object_get(status, "nics"), i, one) {
		if (field_number(one, "index") == number)
			return one;
	}
	return NULL;
}

static int add_row(struct table *t, const json_t *nic, const json_t *status)
{
	const char *tap = json_string_value(json_object_get(nic, "tap"));
	const char *on = json_string_value(json_object_get(nic, "switch"));
	const char *link = json_is_false(json_object_get(nic, "link")) ? "pulled" : "-";
	char number[24], sent[24], received[24], dropped[24];

	if (status)
		link = json_is_true(json_object_get(status, "link")) ? "up" : "down";
	snprintf(number, sizeof(number), "%llu",
		 (unsigned long long)field_number(nic, "number"));
	snprintf(sent, sizeof(sent), "%llu",
		 (unsigned long long)field_number(status, "sent"));
	snprintf(received, sizeof(received), "%llu",
		 (unsigned long long)field_number(status, "received"));
	snprintf(dropped, sizeof(dropped), "%llu",
		 (unsigned long long)field_number(status, "dropped"));
	return table_add(t, (const char *[]){ number,
					      tap  ? tap
					      : on ? on
						   : field_text(nic, "kind"),
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
			r = add_row(t, nic, status_of(vm, field_number(nic, "number")));
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

/* ---- nic add, remove, set ---- */

/* What a method answered; `what` follows "NAME: network adapter N". */
static int print_nic(const struct vmctl *v, const char *vm, const json_t *doc,
		     const char *what)
{
	if (v->json)
		return print_json(doc);
	print_line(stdout, "%s: network adapter %u %s", vm,
		   (unsigned int)field_number(doc, "number"), what);
	return VMCTL_DONE;
}

static int number_of(const struct vmctl *v, const char *word, unsigned int *ret)
{
	if (word[0] < '0' || word[0] > '7' || word[1])
		return fail_usage(v, "\"%s\" is no number of an adapter (0 to 7)", word);
	*ret = (unsigned int)(word[0] - '0');
	return VMCTL_DONE;
}

int verb_nic_add(struct vmctl *v, const struct args *a)
{
	json_auto_t *doc = NULL;
	json_t *nic;
	int status = nic_parse(v, a->words[1], &nic);

	if (status == VMCTL_DONE)
		status = call(v, v->verb->method,
			      json_pack("{s:s, s:o}", "vm", a->words[0], "nic", nic),
			      &doc);
	return status ? status : print_nic(v, a->words[0], doc, "is added");
}

int verb_nic_remove(struct vmctl *v, const struct args *a)
{
	json_auto_t *nothing = NULL;
	unsigned int number = 0;
	int status = number_of(v, a->words[1], &number);

	if (!status)
		status = call(
			v, v->verb->method,
			json_pack("{s:s, s:i}", "vm", a->words[0], "number", (int)number),
			&nothing);
	if (status)
		return status;
	if (v->json)
		return print_json(nothing);
	print_line(stdout, "%s: network adapter %u is removed", a->words[0], number);
	return VMCTL_DONE;
}

/* A merge patch of what the options say. */
static json_t *patch_of(const struct args *a)
{
	const struct arg_value *link = args_find(a, "link"), *mac = args_find(a, "mac");
	json_t *patch = json_object();

	if (link)
		json_object_set_new(patch, "link",
				    json_boolean(strcmp(link->text, "up") == 0));
	if (mac)
		json_object_set_new(patch, "mac",
				    strcmp(mac->text, "own") == 0
					    ? json_null()
					    : json_string(mac->text));
	return patch;
}

int verb_nic_set(struct vmctl *v, const struct args *a)
{
	json_auto_t *patch = patch_of(a), *doc = NULL;
	unsigned int number = 0;
	int status = number_of(v, a->words[1], &number);

	if (!status)
		status = nic_port_patch(v, a, patch);
	if (status)
		return status;
	if (json_object_size(patch) == 0)
		return fail_usage(v, "it wants an option that says what to change");
	status = call(v, v->verb->method,
		      json_pack("{s:s, s:i, s:O}", "vm", a->words[0], "number",
				(int)number, "patch", patch),
		      &doc);
	return status ? status : print_nic(v, a->words[0], doc, "is changed");
}
