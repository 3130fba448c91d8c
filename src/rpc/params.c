/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/methods.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct rpc_method *rpc_method_find(const struct rpc_methods *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++) {
		if (strcmp(m->table[i].name, name) == 0)
			return &m->table[i];
	}
	return NULL;
}

const char *rpc_type_name(enum rpc_type t)
{
	switch (t) {
	case RPC_STRING:
		return "string";
	case RPC_BOOL:
		return "boolean";
	case RPC_INTEGER:
		return "integer";
	case RPC_OBJECT:
		return "object";
	case RPC_ARRAY:
		return "array";
	}
	return "value";
}

static bool type_is(enum rpc_type t, const json_t *v)
{
	switch (t) {
	case RPC_STRING:
		return json_is_string(v);
	case RPC_BOOL:
		return json_is_boolean(v);
	case RPC_INTEGER:
		return json_is_integer(v);
	case RPC_OBJECT:
		return json_is_object(v);
	case RPC_ARRAY:
		return json_is_array(v);
	}
	return false;
}

static bool is_choice(const char *choices, const char *s)
{
	size_t len = strlen(s);

	for (const char *p = choices; *p; p += strspn(p, "|")) {
		size_t one = strcspn(p, "|");

		if (one == len && memcmp(p, s, len) == 0)
			return true;
		p += one;
	}
	return false;
}

static int check_nested(const struct rpc_field *f, const json_t *v, const char *where,
			struct rpc_error *e)
{
	char inner[128];
	const json_t *item;
	size_t i;
	int r;

	if (json_is_object(v)) {
		snprintf(inner, sizeof(inner), "%s: %s", where, f->name);
		return rpc_fields_check(f->fields, v, inner, e);
	}
	json_array_foreach (v, i, item) {
		snprintf(inner, sizeof(inner), "%s: %s[%zu]", where, f->name, i);
		if (!json_is_object(item))
			return rpc_error_set(e, -EINVAL, "%s must be an object", inner);
		r = rpc_fields_check(f->fields, item, inner, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_value(const struct rpc_field *f, const json_t *v, const char *where,
		       struct rpc_error *e)
{
	if (json_is_null(v) && f->nullable)
		return 0;
	if (!type_is(f->type, v))
		return rpc_error_set(e, -EINVAL, "%s: '%s' must be of type %s", where,
				     f->name, rpc_type_name(f->type));
	if (f->type == RPC_STRING && f->choices &&
	    !is_choice(f->choices, json_string_value(v)))
		return rpc_error_set(e, -EINVAL, "%s: '%s' must be one of %s", where,
				     f->name, f->choices);
	if (f->type == RPC_INTEGER && (f->min || f->max) &&
	    (json_integer_value(v) < f->min || json_integer_value(v) > f->max))
		return rpc_error_set(e, -EINVAL, "%s: '%s' must be between %lld and %lld",
				     where, f->name, (long long)f->min,
				     (long long)f->max);
	return f->fields ? check_nested(f, v, where, e) : 0;
}

static const struct rpc_field *field_find(const struct rpc_field *fields,
					  const char *name)
{
	for (; fields->name; fields++) {
		if (strcmp(fields->name, name) == 0)
			return fields;
	}
	return NULL;
}

int rpc_fields_check(const struct rpc_field *fields, const json_t *obj, const char *where,
		     struct rpc_error *e)
{
	const char *key;
	json_t *v;
	int r;

	/* jansson's iterator takes no const; nothing is changed through it. */
	json_object_foreach ((json_t *)(uintptr_t)obj, key, v) {
		const struct rpc_field *f = field_find(fields, key);

		if (!f)
			return rpc_error_set(e, -EINVAL, "%s: there is no '%.64s' here",
					     where, key);
		r = check_value(f, v, where, e);
		if (r < 0)
			return r;
	}
	for (const struct rpc_field *f = fields; f->name; f++) {
		if (f->required && !json_object_get(obj, f->name))
			return rpc_error_set(e, -EINVAL, "%s: '%s' is missing (%s)",
					     where, f->name, f->description);
	}
	return 0;
}

/* Params by position take the names of the table's rows. */
static int by_name(const struct rpc_method *m, json_t *params, json_t **ret,
		   struct rpc_error *e)
{
	json_t *obj, *v;
	size_t i, known = 0;

	if (json_is_object(params)) {
		*ret = json_incref(params);
		return 0;
	}
	if (params && !json_is_array(params))
		return rpc_error_set(e, -EINVAL,
				     "%s: params must be an object or an array", m->name);
	while (m->params[known].name)
		known++;
	if (json_array_size(params) > known)
		return rpc_error_set(e, -EINVAL, "%s: takes %zu parameters, not %zu",
				     m->name, known, json_array_size(params));
	obj = json_object();
	json_array_foreach (params, i, v)
		json_object_set(obj, m->params[i].name, v);
	if (!obj || json_object_size(obj) != json_array_size(params)) {
		json_decref(obj);
		return rpc_error_set(e, -ENOMEM, "%s: no memory", m->name);
	}
	*ret = obj;
	return 0;
}

int rpc_params_check(const struct rpc_method *m, json_t *params, json_t **ret,
		     struct rpc_error *e)
{
	json_t *obj = NULL;
	int r = by_name(m, params, &obj, e);

	if (r < 0)
		return r;
	r = rpc_fields_check(m->params, obj, m->name, e);
	if (r < 0) {
		json_decref(obj);
		return r;
	}
	*ret = obj;
	return 0;
}
