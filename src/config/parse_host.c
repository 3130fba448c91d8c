/* SPDX-License-Identifier: BSD-2-Clause */
/* The members that are for vmms alone: how people sort VMs, and what happens to one without anybody asking. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse_priv.h"

static const char *const starts[] = { "nothing", "if_running", "always" };
static const char *const stops[] = { "shutdown", "turn_off" };
static const char *const restarts[] = { "never", "on_failure" };

const char *config_auto_start(enum auto_start s)
{
	return starts[s];
}

const char *config_auto_stop(enum auto_stop s)
{
	return stops[s];
}

const char *config_restart(enum restart_policy p)
{
	return restarts[p];
}

/* The place of a text in a list, or the error that shows the list. */
static int choose(struct reader *r, const struct member *m, const json_t *v,
		  const char *const *names, size_t n)
{
	const char *s = json_string_value(v);
	char list[80];
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (s && strcmp(s, names[i]) == 0)
			return (int)i;
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s\"%s\"",
				       i == 0       ? ""
				       : i + 1 == n ? " or "
						    : ", ",
				       names[i]);
	}
	return parse_bad(r, "%s: must be %s", m->name, list);
}

static int read_start(struct reader *r, const struct member *m, const json_t *v)
{
	int n = choose(r, m, v, starts, ARRAY_SIZE(starts));

	if (n >= 0)
		r->config->automatic.start = (enum auto_start)n;
	return MIN(n, 0);
}

static int read_stop(struct reader *r, const struct member *m, const json_t *v)
{
	int n = choose(r, m, v, stops, ARRAY_SIZE(stops));

	if (n >= 0)
		r->config->automatic.stop = (enum auto_stop)n;
	return MIN(n, 0);
}

static int read_seconds(struct reader *r, const struct member *m, const json_t *v)
{
	unsigned int *ret = (unsigned int *)(void *)((char *)r->config + m->offset);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > CONFIG_SECONDS_MAX)
		return parse_bad(r, "%s: must be an integer from 0 to %u", m->name,
				 CONFIG_SECONDS_MAX);
	*ret = (unsigned int)n;
	return 0;
}

int parse_automatic(struct reader *r, const struct member *m, const json_t *v)
{
	static const struct member table[] = {
		{ "start", false, read_start },
		{ "delay_s", false, read_seconds,
		  offsetof(struct vm_config, automatic.delay_s) },
		{ "stop", false, read_stop },
		{ "stop_timeout_s", false, read_seconds,
		  offsetof(struct vm_config, automatic.stop_timeout_s) },
		{ NULL },
	};

	return parse_level(r, table, v, m->name);
}

int parse_restart(struct reader *r, const struct member *m, const json_t *v)
{
	int n = choose(r, m, v, restarts, ARRAY_SIZE(restarts));

	if (n >= 0)
		r->config->restart = (enum restart_policy)n;
	return MIN(n, 0);
}

/* ---- group, tags ---- */

/* Words that a command line can hold as they are, and a list of them with commas between. */
static int take_label(struct reader *r, const char *what, const json_t *v,
		      char ret[CONFIG_LABEL_MAX + 1])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/=";
	const char *s = json_string_value(v);

	if (!s || !*s || json_string_length(v) > CONFIG_LABEL_MAX ||
	    strspn(s, allowed) != json_string_length(v))
		return parse_bad(r,
				 "%s: must be 1 to %u letters, digits, '-', '_', '.', "
				 "':', '/' or '='",
				 what, CONFIG_LABEL_MAX);
	strcpy(ret, s);
	return 0;
}

int parse_group(struct reader *r, const struct member *m, const json_t *v)
{
	if (json_is_null(v)) {
		r->config->group[0] = 0;
		return 0;
	}
	return take_label(r, m->name, v, r->config->group);
}

int parse_tags(struct reader *r, const struct member *m, const json_t *v)
{
	struct vm_config *c = r->config;
	const json_t *item;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > CONFIG_TAGS_MAX)
		return parse_bad(r, "tags: must be an array of at most %u",
				 CONFIG_TAGS_MAX);
	if (json_array_size(v) == 0)
		return 0;
	c->tags = calloc(json_array_size(v), sizeof(*c->tags));
	if (!c->tags)
		return parse_no_memory(r);
	json_array_foreach (v, i, item) {
		char what[40];
		int n;

		snprintf(what, sizeof(what), "tags[%zu]", i);
		n = take_label(r, what, item, c->tags[i]);
		if (n < 0)
			return n;
		if (config_has_tag(c, c->tags[i]))
			return parse_bad(r, "%s: \"%s\" is there already", what,
					 c->tags[i]);
		c->tag_count = i + 1;
	}
	return 0;
}

bool config_has_tag(const struct vm_config *c, const char *tag)
{
	for (size_t i = 0; i < c->tag_count; i++) {
		if (strcmp(c->tags[i], tag) == 0)
			return true;
	}
	return false;
}
