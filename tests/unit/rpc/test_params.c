/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/methods.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

static const struct rpc_field inner[] = {
	{ "x", RPC_INTEGER, .required = true, .description = "an x" },
	{ NULL },
};
static const struct rpc_field params[] = {
	{ "name", RPC_STRING, .required = true, .description = "who" },
	{ "size", RPC_INTEGER, .min = 1, .max = 9, .description = "how big" },
	{ "loud", RPC_BOOL, .description = "noise" },
	{ "kind", RPC_STRING, .nullable = true, .choices = "on|off|half",
	  .description = "k" },
	{ "one", RPC_OBJECT, .fields = inner, .description = "o" },
	{ "many", RPC_ARRAY, .fields = inner, .description = "m" },
	{ NULL },
};
static const int no_errors[] = { 0 };
static const struct rpc_method method = { "test.do", "Does.", RPC_RIGHT_VIEW,
					  params,    params,  no_errors };

/* NULL: taken. */
static const struct {
	const char *in, *message;
} rows[] = {
	{ "{}", "test.do: 'name' is missing (who)" },
	{ "7", "params must be an object or an array" },
	{ "\"name\"", "params must be an object or an array" },
	{ "{\"name\":7}", "test.do: 'name' must be of type string" },
	{ "{\"name\":null}", "'name' must be of type string" },
	{ "{\"name\":\"a\",\"nam\":1}", "there is no 'nam' here" },
	{ "{\"name\":\"a\",\"size\":0}", "'size' must be between 1 and 9" },
	{ "{\"name\":\"a\",\"size\":10}", "between 1 and 9" },
	{ "{\"name\":\"a\",\"size\":1.5}", "'size' must be of type integer" },
	{ "{\"name\":\"a\",\"size\":true}", "of type integer" },
	{ "{\"name\":\"a\",\"loud\":1}", "of type boolean" },
	{ "{\"name\":\"a\",\"kind\":\"o\"}", "must be one of on|off|half" },
	{ "{\"name\":\"a\",\"kind\":\"\"}", "must be one of" },
	{ "{\"name\":\"a\",\"kind\":\"on|off\"}", "must be one of" },
	{ "{\"name\":\"a\",\"one\":[]}", "of type object" },
	{ "{\"name\":\"a\",\"one\":{}}", "test.do: one: 'x' is missing" },
	{ "{\"name\":\"a\",\"one\":{\"x\":1,\"y\":2}}", "there is no 'y' here" },
	{ "{\"name\":\"a\",\"many\":[{\"x\":1},{\"x\":\"\"}]}",
	  "many[1]: 'x' must be of" },
	{ "{\"name\":\"a\",\"many\":[7]}", "many[0] must be an object" },
	{ "[]", "'name' is missing" },
	{ "[7]", "'name' must be of type string" },
	{ "[\"a\",1,true,null,{\"x\":1},[],7]", "takes 6 parameters, not 7" },
	{ "{\"name\":\"a\"}", NULL },
	{ "{\"name\":\"a\",\"size\":9,\"loud\":false,\"kind\":null,\"one\":{\"x\":1},"
	  "\"many\":[{\"x\":-1}]}",
	  NULL },
	{ "{\"name\":\"a\",\"kind\":\"half\"}", NULL },
	{ "[\"a\",1,true,\"on\",{\"x\":1},[]]", NULL },
};

START_TEST(checks)
{
	json_t *in = json_loads(rows[_i].in, JSON_DECODE_ANY, NULL), *out = NULL;
	struct rpc_error e = { 0 };
	int r = rpc_params_check(&method, in, &out, &e);

	ck_assert_ptr_nonnull(in);
	if (rows[_i].message) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_int_eq(e.code, RPC_INVALID_PARAMS);
		ck_assert_msg(strstr(e.message, rows[_i].message), "%s: %s", rows[_i].in,
			      e.message);
		ck_assert_ptr_null(out);
	} else {
		ck_assert_msg(r == 0, "%s: %s", rows[_i].in, e.message);
		ck_assert_str_eq(json_string_value(json_object_get(out, "name")), "a");
		json_decref(out);
	}
	json_decref(in);
}
END_TEST

START_TEST(none_is_an_empty_object)
{
	struct rpc_error e;
	json_t *out;

	ck_assert_int_eq(rpc_params_check(rpc_method_find(&rpc_vmms_methods, "vm.list"),
					  NULL, &out, &e),
			 0);
	ck_assert(json_is_object(out));
	json_decref(out);
	ck_assert_int_eq(rpc_params_check(&method, NULL, &out, &e), -EINVAL);
}
END_TEST

/* ---- the tables themselves ---- */

static const struct rpc_methods *const tables[] = { &rpc_vmms_methods,
						    &rpc_worker_methods };

static void check_fields(const struct rpc_field *f, const char *where)
{
	for (; f->name; f++) {
		ck_assert_msg(f->description && f->description[0], "%s: %s", where,
			      f->name);
		ck_assert_msg(f->min <= f->max, "%s: %s", where, f->name);
		ck_assert_msg(!f->choices || f->type == RPC_STRING, "%s: %s", where,
			      f->name);
		for (const struct rpc_field *g = f + 1; g->name; g++)
			ck_assert_msg(strcmp(f->name, g->name) != 0, "%s: %s", where,
				      f->name);
		if (f->fields)
			check_fields(f->fields, where);
	}
}

START_TEST(every_row_is_whole)
{
	const struct rpc_methods *m = tables[_i];

	for (size_t i = 0; i < m->count; i++) {
		const struct rpc_method *row = &m->table[i];

		ck_assert_ptr_eq(rpc_method_find(m, row->name),
				 row); /* so no name is twice */
		ck_assert_int_eq(row->summary[strlen(row->summary) - 1], '.');
		ck_assert_int_ne(row->right, RPC_RIGHT_NONE);
		check_fields(row->params, row->name);
		check_fields(row->result, row->name);
		for (const int *e = row->errors; *e; e++)
			ck_assert_ptr_nonnull(rpc_code_name(*e));
	}
	ck_assert_ptr_null(rpc_method_find(m, "vm.nothing"));
}
END_TEST

START_TEST(discover_describes_every_method)
{
	const struct rpc_methods *m = tables[_i];
	json_t *doc = rpc_discover(m), *methods = json_object_get(doc, "methods");

	ck_assert_uint_eq(json_array_size(methods), m->count);
	for (size_t i = 0; i < m->count; i++) {
		const json_t *d = json_array_get(methods, i);
		const json_t *schema =
			json_object_get(json_object_get(d, "result"), "schema");
		size_t params_count = 0;

		while (m->table[i].params[params_count].name)
			params_count++;
		ck_assert_str_eq(json_string_value(json_object_get(d, "name")),
				 m->table[i].name);
		ck_assert_uint_eq(json_array_size(json_object_get(d, "params")),
				  params_count);
		ck_assert_str_eq(json_string_value(json_object_get(schema, "type")),
				 "object");
	}
	json_decref(doc);
}
END_TEST

START_TEST(discover_has_choices_bounds_and_null)
{
	const struct rpc_methods one = { "t", "d", &method, 1 };
	json_t *doc = rpc_discover(&one), *props;
	char *text = json_dumps(doc, JSON_SORT_KEYS | JSON_COMPACT);

	props = json_object_get(
		json_object_get(
			json_object_get(
				json_array_get(json_object_get(doc, "methods"), 0),
				"result"),
			"schema"),
		"properties");
	ck_assert_ptr_nonnull(strstr(text, "\"enum\":[\"on\",\"off\",\"half\",null]"));
	ck_assert_ptr_nonnull(strstr(text, "\"type\":[\"string\",\"null\"]"));
	ck_assert_ptr_nonnull(strstr(text, "\"maximum\":9,\"minimum\":1"));
	ck_assert_ptr_nonnull(json_object_get(
		json_object_get(json_object_get(json_object_get(props, "many"), "items"),
				"properties"),
		"x"));
	free(text);
	json_decref(doc);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rpc");
	TCase *t = tcase_create("params");

	tcase_add_loop_test(t, checks, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, none_is_an_empty_object);
	tcase_add_loop_test(t, every_row_is_whole, 0, ARRAY_SIZE(tables));
	tcase_add_loop_test(t, discover_describes_every_method, 0, ARRAY_SIZE(tables));
	tcase_add_test(t, discover_has_choices_bounds_and_null);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
