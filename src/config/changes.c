/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/config.h"

#include <string.h>

/* What is not here waits for a start. */
static const struct {
	const char *member;
	enum config_when when;
} rules[] = {
	{ "name", CONFIG_NOW },        { "notes", CONFIG_NOW },
	{ "group", CONFIG_NOW },       { "tags", CONFIG_NOW },
	{ "automatic", CONFIG_NOW },   { "restart", CONFIG_NOW },
	{ "integration", CONFIG_NOW }, { "schema", CONFIG_NOW },
	{ "cpu", CONFIG_NOW },         { "io", CONFIG_NOW },
	{ "host_memory", CONFIG_NOW }, { "scsi", CONFIG_OWN_WAY },
	{ "nics", CONFIG_OWN_WAY },
};

enum config_when config_when(const char *member)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (strcmp(rules[i].member, member) == 0)
			return rules[i].when;
	}
	return CONFIG_NEXT_START;
}

/* The names of x's members that y has otherwise. */
static json_t *differences(const json_t *x, const json_t *y)
{
	json_t *names = x && y ? json_array() : NULL;
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)x, key, value) {
		if (names && !json_equal(value, json_object_get(y, key)) &&
		    json_array_append_new(names, json_string(key)) < 0) {
			json_decref(names);
			return NULL;
		}
	}
	return names;
}

json_t *config_diff(const struct vm_config *a, const struct vm_config *b)
{
	json_auto_t *x = config_to_json(a), *y = config_to_json(b);

	return differences(x, y);
}

json_t *config_at_start(const struct vm_config *c)
{
	json_t *all = config_to_json(c);
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(all, next, key, value)
	{
		if (config_when(key) != CONFIG_NEXT_START)
			json_object_del(all, key);
	}
	return all;
}

json_t *config_waiting(const struct vm_config *c, const json_t *at_start)
{
	json_auto_t *now = config_to_json(c);

	return differences(at_start, now);
}
