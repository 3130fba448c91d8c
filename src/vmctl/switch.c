/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs on virtual switches. */
#include "vmctl/vmctl.h"

#include <stdio.h>
#include <string.h>
#include "vmctl/table.h"

/* ---- what people see ---- */

/* "10.9.0.1/24, fd00::1/64", the interface, or "-". */
static void where(const json_t *s, char *ret, size_t size)
{
	const char *interface = json_string_value(json_object_get(s, "interface"));
	const json_t *address;
	size_t i, n = 0;

	snprintf(ret, size, "%s", interface ? interface : "-");
	json_array_foreach (json_object_get(s, "addresses"), i, address) {
		if (n < size)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "",
					      json_string_value(address));
	}
}

static const char *services(const json_t *s)
{
	bool nat = json_is_true(json_object_get(s, "nat"));
	bool dhcp = json_is_true(json_object_get(s, "dhcp"));

	return nat && dhcp ? "nat, dhcp" : nat ? "nat" : dhcp ? "dhcp" : "-";
}

static int add_row(struct table *t, const json_t *s)
{
	char ports[24], place[256];

	snprintf(ports, sizeof(ports), "%zu",
		 json_array_size(json_object_get(s, "ports")));
	where(s, place, sizeof(place));
	return table_add(t,
			 (const char *[]){ field_text(s, "name"), field_text(s, "type"),
					   field_text(s, "state"), place, services(s),
					   field_text(s, "bridge"), ports });
}

int verb_switch_list(struct vmctl *v, const struct args *a)
{
	static const struct table_column columns[] = {
		{ "NAME", .shrinks = true }, { "TYPE" },     { "STATE" },
		{ "HOST", .shrinks = true }, { "SERVICES" }, { "BRIDGE" },
		{ "PORTS", .right = true },
	};
	json_auto_t *answer = NULL;
	const json_t *s, *list;
	struct table *t;
	size_t i;
	int r = 0, status = call(v, v->verb->method, json_object(), &answer);

	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	list = json_object_get(answer, "switches");
	if (json_array_size(list) == 0) {
		print_line(stdout,
			   "No virtual switches. To make one: vmctl switch create "
			   "NAME --type private");
		return VMCTL_DONE;
	}
	t = table_new(columns, ARRAY_SIZE(columns));
	json_array_foreach (list, i, s) {
		if (t && r == 0)
			r = add_row(t, s);
	}
	if (t && r == 0)
		table_print(t, stdout, 0, v->width);
	table_free(t);
	return !t || r < 0 ? fail(v, "out of memory") : VMCTL_DONE;
}

static void print_ports(const json_t *ports)
{
	const json_t *p;
	size_t i;

	json_array_foreach (ports, i, p)
		print_line(stdout, "Port:       %s of %s, adapter %llu, %s",
			   field_text(p, "tap"), field_text(p, "vm"),
			   (unsigned long long)field_number(p, "number"),
			   field_text(p, "mac"));
}

int verb_switch_show(struct vmctl *v, const struct args *a)
{
	json_auto_t *s = NULL;
	const char *reason;
	char place[256];
	int status =
		call(v, v->verb->method, json_pack("{s:s}", "switch", a->words[0]), &s);

	if (status)
		return status;
	if (v->json)
		return print_json(s);
	where(s, place, sizeof(place));
	reason = json_string_value(json_object_get(s, "reason"));
	print_line(stdout, "Name:       %s", field_text(s, "name"));
	print_line(stdout, "Id:         %s", field_text(s, "id"));
	print_line(stdout, "Type:       %s", field_text(s, "type"));
	print_line(stdout, "State:      %s%s%s", field_text(s, "state"),
		   reason ? ": " : "", reason ? reason : "");
	print_line(stdout, "Host:       %s", place);
	print_line(stdout, "Services:   %s", services(s));
	print_line(stdout, "MTU:        %llu",
		   (unsigned long long)field_number(s, "mtu"));
	print_line(stdout, "Bridge:     %s", field_text(s, "bridge"));
	print_line(stdout, "VLANs:      %s",
		   json_is_true(json_object_get(s, "vlans"))
			   ? "yes"
			   : "not with this host's kernel");
	print_ports(json_object_get(s, "ports"));
	return VMCTL_DONE;
}

/* ---- create, set, delete ---- */

/* What the options say, as members of a configuration. */
static void put_options(const struct args *a, json_t *config)
{
	static const char *const flags[] = { "nat", "dhcp" };
	const struct arg_value *x = args_find(a, "interface");

	if (x)
		json_object_set_new(config, "interface", json_string(x->text));
	x = args_find(a, "mtu");
	if (x)
		json_object_set_new(config, "mtu", json_integer((json_int_t)x->number));
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		x = args_find(a, flags[i]);
		if (x)
			json_object_set_new(config, flags[i],
					    json_boolean(strcmp(x->text, "on") == 0));
	}
	if (args_has(a, "address"))
		json_object_set_new(config, "addresses", json_array());
	for (size_t i = 0; i < a->nvalues; i++) {
		if (strcmp(a->values[i].option->name, "address") == 0 &&
		    strcmp(a->values[i].text, "none") != 0)
			json_array_append_new(json_object_get(config, "addresses"),
					      json_string(a->values[i].text));
	}
}

static int print_change(const struct vmctl *v, const json_t *s, const char *what)
{
	if (v->json)
		return print_json(s);
	print_line(stdout, "switch %s is %s: %s, bridge %s", field_text(s, "name"), what,
		   field_text(s, "type"), field_text(s, "bridge"));
	return VMCTL_DONE;
}

int verb_switch_create(struct vmctl *v, const struct args *a)
{
	const struct arg_value *type = args_find(a, "type");
	json_auto_t *s = NULL;
	json_t *config;
	int status;

	if (!type)
		return fail_usage(v, "it wants --type private, internal or external");
	config = json_pack("{s:s, s:s}", "name", a->words[0], "type", type->text);
	if (!config)
		return fail(v, "a word is not UTF-8 text");
	put_options(a, config);
	status = call(v, v->verb->method, json_pack("{s:o}", "config", config), &s);
	return status ? status : print_change(v, s, "created");
}

int verb_switch_set(struct vmctl *v, const struct args *a)
{
	json_t *patch = json_object();
	json_auto_t *s = NULL;
	int status;

	put_options(a, patch);
	if (json_object_size(patch) == 0) {
		json_decref(patch);
		return fail_usage(v, "it wants an option that says what to change");
	}
	status = call(v, v->verb->method,
		      json_pack("{s:s, s:o}", "switch", a->words[0], "patch", patch), &s);
	return status ? status : print_change(v, s, "changed");
}

int verb_switch_delete(struct vmctl *v, const struct args *a)
{
	json_auto_t *nothing = NULL;
	int status = call(v, v->verb->method, json_pack("{s:s}", "switch", a->words[0]),
			  &nothing);

	if (status)
		return status;
	if (v->json)
		return print_json(nothing);
	print_line(stdout, "switch %s is deleted", a->words[0]);
	return VMCTL_DONE;
}
