/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/methods.h"

#include <string.h>

/* Source: the OpenRPC specification 1.2.6; the schemas are JSON Schema draft 7, as it asks. */

static json_t *schema_of_fields(const struct rpc_field *fields);

static json_t *choices_of(const struct rpc_field *f)
{
	json_t *a = json_array();
	const char *p = f->choices;

	while (*p) {
		size_t len = strcspn(p, "|");

		json_array_append_new(a, json_stringn(p, len));
		p += len + (p[len] == '|');
	}
	if (f->nullable)
		json_array_append_new(a, json_null());
	return a;
}

static json_t *schema_of(const struct rpc_field *f)
{
	json_t *s = json_object();

	if (f->nullable)
		json_object_set_new(s, "type",
				    json_pack("[s, s]", rpc_type_name(f->type), "null"));
	else
		json_object_set_new(s, "type", json_string(rpc_type_name(f->type)));
	json_object_set_new(s, "description", json_string(f->description));
	if (f->choices)
		json_object_set_new(s, "enum", choices_of(f));
	if (f->min || f->max) {
		json_object_set_new(s, "minimum", json_integer(f->min));
		json_object_set_new(s, "maximum", json_integer(f->max));
	}
	if (f->fields && f->type == RPC_ARRAY)
		json_object_set_new(s, "items", schema_of_fields(f->fields));
	else if (f->fields)
		json_object_update_missing_new(s, schema_of_fields(f->fields));
	return s;
}

static json_t *schema_of_fields(const struct rpc_field *fields)
{
	json_t *properties = json_object(), *required = json_array();

	for (; fields->name; fields++) {
		json_object_set_new(properties, fields->name, schema_of(fields));
		if (fields->required)
			json_array_append_new(required, json_string(fields->name));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties",
			 properties, "required", required, "additionalProperties", 0);
}

static json_t *params_of(const struct rpc_method *m)
{
	json_t *a = json_array();

	for (const struct rpc_field *f = m->params; f->name; f++)
		json_array_append_new(a,
				      json_pack("{s:s, s:s, s:b, s:o}", "name", f->name,
						"description", f->description, "required",
						f->required, "schema", schema_of(f)));
	return a;
}

static json_t *errors_of(const struct rpc_method *m)
{
	json_t *a = json_array();

	for (const int *e = m->errors; *e; e++)
		json_array_append_new(a, json_pack("{s:i, s:s}", "code", *e, "message",
						   rpc_code_name(*e)));
	return a;
}

static json_t *method_of(const struct rpc_method *m)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:{s:s, s:o}, s:o, s:s}", "name", m->name,
			 "summary", m->summary, "paramStructure", "either", "params",
			 params_of(m), "result", "name", "result", "schema",
			 schema_of_fields(m->result), "errors", errors_of(m), "x-right",
			 m->right == RPC_RIGHT_ADMIN ? "admin" : "view");
}

json_t *rpc_discover(const struct rpc_methods *m)
{
	json_t *methods = json_array();

	for (size_t i = 0; i < m->count; i++)
		json_array_append_new(methods, method_of(&m->table[i]));
	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o}", "openrpc", "1.2.6", "info",
			 "title", m->title, "version", VMMS_VERSION, "description",
			 m->description, "methods", methods);
}
