/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/counters.h"

#include <ctype.h>
#include <string.h>
#include "unit/test.h"

static void check_key(const char *key)
{
	for (const char *p = key; *p; p++)
		ck_assert_msg(islower((unsigned char)*p) || *p == '_', "%s", key);
}

static bool has(const struct counter_set *set, const char *key)
{
	for (const struct counter *c = set->counters; c->key; c++) {
		if (strcmp(c->key, key) == 0)
			return true;
	}
	return false;
}

/* What JSON, Prometheus and tables need of the rows. */
START_TEST(rows_are_sound)
{
	for (size_t i = 0; i < counter_sets_count; i++) {
		const struct counter_set *s = &counter_sets[i];
		unsigned int columns = s->instances != NULL;

		check_key(s->key);
		ck_assert_ptr_eq(counter_set_find(s->key), s);
		for (const struct counter *c = s->counters; c->key; c++) {
			check_key(c->key);
			for (const struct counter *d = c + 1; d->key; d++)
				ck_assert_str_ne(c->key, d->key);
			ck_assert(!c->per || has(s, c->per));
			ck_assert_int_eq(c->help[strlen(c->help) - 1], '.');
			ck_assert_ptr_null(strchr(c->help, '\n'));
			columns += c->column != NULL;
		}
		ck_assert_uint_le(columns, 10);
	}
	ck_assert_ptr_null(counter_set_find("nothing"));
	ck_assert_ptr_null(counter_set_find(NULL));
}
END_TEST

/* What is taken of what a worker says, with '~' for a quotation mark. */
static const struct {
	const char *in, *out;
} rows[] = {
	{ "[]", "[]" },
	{ "[7,null,[],{}]", "[]" },
	{ "[{~set~:~nothing~,~instance~:~0~,~counters~:{~io~:1}}]", "[]" },
	/* those that vmms tells */
	{ "[{~set~:~memory~,~instance~:~~,~counters~:{~physical_bytes~:1}}]", "[]" },
	{ "[{~set~:~health~,~instance~:~~,~counters~:{~ok~:1}}]", "[]" },
	{ "[{~set~:~vp~,~instance~:~0~,~counters~:{~io~:-1,~hlt~:~1~,~msr~:1.5,~other~:"
	  "7,~mmio~:true}}]",
	  "[{~set~:~vp~,~instance~:~0~,~counters~:{}}]" },
	{ "[{~set~:~vp~,~instance~:7,~counters~:[]},{~set~:~vp~}]",
	  "[{~set~:~vp~,~instance~:~~,~counters~:{}}]" },
	/* an instance once */
	{ "[{~set~:~vp~,~instance~:~0~,~counters~:{~io~:1}},{~set~:~vp~,~instance~:~0~,"
	  "~counters~:{~io~:2}}]",
	  "[{~set~:~vp~,~instance~:~0~,~counters~:{~io~:1}}]" },
	{ "[{~set~:~vmbus~,~instance~:~a\\n\\u001b[2J\\u00e9~,~counters~:{~faults~:1},~"
	  "more~:1}]",
	  "[{~set~:~vmbus~,~instance~:~a??[2J??~,~counters~:{~faults~:1}}]" },
	{ "[{~set~:~vp~,~instance~:~0~,~counters~:{~io~:9223372036854775807}}]",
	  "[{~set~:~vp~,~instance~:~0~,~counters~:{~io~:9223372036854775807}}]" },
};

static json_t *parse(const char *text)
{
	char buf[1024];
	json_t *j;

	ck_assert_uint_lt(strlen(text), sizeof(buf));
	strcpy(buf, text);
	for (char *p = buf; *p; p++)
		*p = *p == '~' ? '"' : *p;
	j = json_loads(buf, 0, NULL);
	ck_assert_ptr_nonnull(j);
	return j;
}

START_TEST(foreign_sets_are_copied)
{
	json_t *in = parse(rows[_i].in), *want = parse(rows[_i].out);
	json_t *out = counters_copy(in);

	ck_assert_ptr_nonnull(out);
	ck_assert_msg(json_equal(out, want), "%s", json_dumps(out, 0));
	json_decref(in);
	json_decref(want);
	json_decref(out);
}
END_TEST

START_TEST(what_is_no_array)
{
	json_t *object = json_object();

	ck_assert_ptr_null(counters_copy(NULL));
	ck_assert_ptr_null(counters_copy(object));
	json_decref(object);
}
END_TEST

START_TEST(long_names_and_many)
{
	char name[COUNTER_INSTANCE_MAX * 2];
	json_t *in = json_array(), *out;
	const char *instance;

	for (unsigned int i = 0; i < COUNTER_INSTANCES_MAX * 2; i++) {
		snprintf(name, sizeof(name), "%04u", i);
		memset(name + 4, 'x', sizeof(name) - 5);
		name[sizeof(name) - 1] = '\0';
		ck_assert_int_eq(counters_add(in, "vp", name, json_object()), 0);
	}
	out = counters_copy(in);
	ck_assert_uint_eq(json_array_size(out), COUNTER_INSTANCES_MAX);
	instance = json_string_value(json_object_get(json_array_get(out, 0), "instance"));
	ck_assert_uint_eq(strlen(instance), COUNTER_INSTANCE_MAX - 1);
	json_decref(in);
	json_decref(out);
}
END_TEST

static Suite *counters_suite(void)
{
	Suite *s = suite_create("rpc/counters");
	TCase *t = tcase_create("counters");

	tcase_add_test(t, rows_are_sound);
	tcase_add_loop_test(t, foreign_sets_are_copied, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, what_is_no_array);
	tcase_add_test(t, long_names_and_many);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(counters_suite)
