/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a configuration member by member: each level lists the members it knows in a table of readers, and whatever
 * is not in it is refused by name. Readers copy one value, check it, and say what is wrong with the member's full name.
 */
#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse_priv.h"
#include "util/cleanup.h"

int parse_bad(struct reader *r, const char *fmt, ...)
{
	size_t n = (size_t)snprintf(r->e->message, sizeof(r->e->message), "%s", r->where);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->e->message + n, sizeof(r->e->message) - n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int parse_no_memory(struct reader *r)
{
	snprintf(r->e->message, sizeof(r->e->message), "no memory");
	return -ENOMEM;
}

static const struct member *member_find(const struct member *m, const char *name)
{
	for (; m->name; m++) {
		if (strcmp(m->name, name) == 0)
			return m;
	}
	return NULL;
}

/* Reads every member of an object by its table. `what` names the object where it is none. */
int parse_members(struct reader *r, const struct member *table, const json_t *v,
		  const char *what)
{
	const char *key;
	json_t *value;
	int ret;

	if (!json_is_object(v))
		return parse_bad(r, "%s: must be an object", what);
	json_object_foreach ((json_t *)(uintptr_t)v, key, value) {
		if (!member_find(table, key))
			return parse_bad(r, "%.64s: there is no such member", key);
	}
	for (const struct member *m = table; m->name; m++) {
		value = json_object_get(v, m->name);
		if (!value && m->required)
			return parse_bad(r, "%s: is missing", m->name);
		ret = value ? m->read(r, m, value) : 0;
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The same for the object that is a member, with its name before those of its own members. */
int parse_level(struct reader *r, const struct member *table, const json_t *v,
		const char *name)
{
	const char *outer = r->where;
	char where[96];
	int ret;

	if (!json_is_object(v))
		return parse_bad(r, "%s: must be an object", name);
	snprintf(where, sizeof(where), "%s%s.", outer, name);
	r->where = where;
	ret = parse_members(r, table, v, name);
	r->where = outer;
	return ret;
}

/* ---- values ---- */

static void *at(struct reader *r, const struct member *m)
{
	char *base = r->drive ? (char *)r->drive : (char *)r->config;

	return base + m->offset;
}

int parse_bool(struct reader *r, const struct member *m, const json_t *v)
{
	bool *ret = at(r, m);

	if (!json_is_boolean(v))
		return parse_bad(r, "%s: must be true or false", m->name);
	*ret = json_is_true(v);
	return 0;
}

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

static int store_text(struct reader *r, const struct member *m, const char *s)
{
	char **ret = at(r, m), *copy = strdup(s);

	if (!copy)
		return parse_no_memory(r);
	free(*ret);
	*ret = copy;
	return 0;
}

/* Free text: newline and tab are allowed. */
static int read_text(struct reader *r, const struct member *m, const json_t *v)
{
	if (!json_is_string(v))
		return parse_bad(r, "%s: must be a string", m->name);
	if (json_string_length(v) > m->max)
		return parse_bad(r, "%s: has %zu bytes, at most %" PRIu64 " are allowed",
				 m->name, json_string_length(v), m->max);
	return store_text(r, m, json_string_value(v));
}

static int read_line(struct reader *r, const struct member *m, const json_t *v)
{
	if (json_is_string(v) && has_control(json_string_value(v)))
		return parse_bad(r, "%s: must hold no control character", m->name);
	return read_text(r, m, v);
}

/* An absolute path, or null. */
int parse_path(struct reader *r, const struct member *m, const json_t *v)
{
	char **ret = at(r, m);

	if (json_is_null(v)) {
		free(*ret);
		*ret = NULL;
		return 0;
	}
	if (json_is_string(v) && json_string_value(v)[0] != '/')
		return parse_bad(r, "%s: '%.100s' must be an absolute path", m->name,
				 json_string_value(v));
	return read_line(r, m, v);
}

/* ---- the tables ---- */

static int read_schema(struct reader *r, const struct member *m, const json_t *v)
{
	if (!json_is_integer(v))
		return parse_bad(r, "schema: must be an integer");
	if (json_integer_value(v) != CONFIG_SCHEMA)
		return parse_bad(r,
				 "schema: version %lld is not known; this program reads "
				 "version %d",
				 (long long)json_integer_value(v), CONFIG_SCHEMA);
	return 0;
}

static int read_name(struct reader *r, const struct member *m, const json_t *v)
{
	int ret;

	if (!json_is_string(v))
		return parse_bad(r, "name: must be a string");
	ret = config_check_name(json_string_value(v), r->e);
	if (ret < 0)
		return ret;
	snprintf(r->config->name, sizeof(r->config->name), "%s", json_string_value(v));
	return 0;
}

static int read_count(struct reader *r, const struct member *m, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return parse_bad(r, "count: must be an integer");
	if (n < 1 || n > CONFIG_PROCESSORS_MAX)
		return parse_bad(r, "count: %lld is not between 1 and %u", (long long)n,
				 CONFIG_PROCESSORS_MAX);
	r->config->processors = (unsigned int)n;
	return 0;
}

static int read_processors(struct reader *r, const struct member *m, const json_t *v)
{
	static const struct member table[] = { { "count", false, read_count }, { NULL } };

	return parse_level(r, table, v, m->name);
}

/* "memory" stands for the whole in messages: it has one member, and people know it by that name. */
static int read_memory(struct reader *r, const struct member *m, const json_t *v)
{
	const json_t *bytes = json_object_get(v, "bytes");
	json_int_t n = json_integer_value(bytes);
	char size[CONFIG_SIZE_STR], min[CONFIG_SIZE_STR], max[CONFIG_SIZE_STR];

	if (!json_is_object(v) || json_object_size(v) != 1 || !json_is_integer(bytes))
		return parse_bad(r,
				 "memory: must be an object with one integer, 'bytes'");
	if (n < 0)
		return parse_bad(r, "memory: %lld bytes is less than nothing",
				 (long long)n);
	config_format_size((uint64_t)n, size);
	config_format_size(CONFIG_MEMORY_MIN, min);
	config_format_size(CONFIG_MEMORY_MAX, max);
	if ((uint64_t)n < CONFIG_MEMORY_MIN)
		return parse_bad(r, "memory: %s is below the minimum of %s", size, min);
	if ((uint64_t)n > CONFIG_MEMORY_MAX)
		return parse_bad(r, "memory: %s is above the maximum of %s", size, max);
	if (!is_aligned((uint64_t)n, CONFIG_MEMORY_STEP))
		return parse_bad(r, "memory: %s is not a multiple of 2M", size);
	r->config->memory_bytes = (uint64_t)n;
	return 0;
}

static int read_boot(struct reader *r, const struct member *m, const json_t *v)
{
	static const struct member table[] = {
		{ "kernel", false, parse_path, offsetof(struct vm_config, kernel),
		  CONFIG_PATH_MAX },
		{ "initrd", false, parse_path, offsetof(struct vm_config, initrd),
		  CONFIG_PATH_MAX },
		{ "cmdline", false, read_line, offsetof(struct vm_config, cmdline),
		  CONFIG_CMDLINE_MAX },
		{ NULL },
	};
	int ret = parse_level(r, table, v, m->name);

	if (ret < 0)
		return ret;
	if (r->config->initrd && !r->config->kernel)
		return parse_bad(r, "boot.initrd: needs a boot.kernel that reads it");
	return 0;
}

static int read_integration(struct reader *r, const struct member *m, const json_t *v)
{
	static const struct member table[] = {
		{ "heartbeat", false, parse_bool,
		  offsetof(struct vm_config, integration.heartbeat) },
		{ "shutdown", false, parse_bool,
		  offsetof(struct vm_config, integration.shutdown) },
		{ "time_sync", false, parse_bool,
		  offsetof(struct vm_config, integration.time_sync) },
		{ NULL },
	};

	return parse_level(r, table, v, m->name);
}

static int read_disk_channels(struct reader *r, const struct member *m, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > CONFIG_PROCESSORS_MAX)
		return parse_bad(r, "%s: must be an integer from 0 to %u", m->name,
				 CONFIG_PROCESSORS_MAX);
	r->config->disk_channels = (unsigned int)n;
	return 0;
}

static int read_triple_fault(struct reader *r, const struct member *m, const json_t *v)
{
	const char *s = json_string_value(v);

	if (s && strcmp(s, "reset") == 0)
		r->config->on_triple_fault = TRIPLE_FAULT_RESET;
	else if (s && strcmp(s, "off") == 0)
		r->config->on_triple_fault = TRIPLE_FAULT_OFF;
	else
		return parse_bad(r, "%s: must be \"reset\" or \"off\"", m->name);
	return 0;
}

/* ---- network adapters ---- */

static bool same_mac(const struct nic_config *a, const struct nic_config *b)
{
	return a->has_mac && b->has_mac && memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

/* Gives adapter i, the last so far, its number and its place in the order. */
static int place_nic(struct reader *r, struct vm_config *c, size_t i)
{
	struct nic_config n = c->nics[i];

	if (n.number == CONFIG_NICS_MAX)
		n.number = i ? r->last_nic + 1 : 0;
	if (n.number >= CONFIG_NICS_MAX)
		return parse_bad(r, "nics[%zu].number: there is none behind %u", i,
				 CONFIG_NICS_MAX - 1);
	r->last_nic = n.number;
	for (size_t k = 0; k < i; k++) {
		if (n.number == c->nics[k].number)
			return parse_bad(
				r, "nics[%zu].number: there is an adapter %u already", i,
				n.number);
		if (same_mac(&n, &c->nics[k]))
			return parse_bad(r, "nics[%zu].mac: adapter %u has the same", i,
					 c->nics[k].number);
	}
	for (; i && c->nics[i - 1].number > n.number; i--)
		c->nics[i] = c->nics[i - 1];
	c->nics[i] = n;
	return 0;
}

static int read_nics(struct reader *r, const struct member *m, const json_t *v)
{
	struct vm_config *c = r->config;
	struct config_error inner;
	const json_t *item;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > CONFIG_NICS_MAX)
		return parse_bad(r, "nics: must be an array of at most %u adapters",
				 CONFIG_NICS_MAX);
	json_array_foreach (v, i, item) {
		if (config_nic_from_json(item, &c->nics[i], &inner) < 0)
			return parse_bad(r, "nics[%zu].%.300s", i, inner.message);
		if (place_nic(r, c, i) < 0)
			return -EINVAL;
		c->nic_count = i + 1;
	}
	return 0;
}

static const struct member top_members[] = {
	{ "schema", true, read_schema },
	{ "name", true, read_name },
	{ "notes", false, read_text, offsetof(struct vm_config, notes),
	  CONFIG_NOTES_MAX },
	{ "processors", false, read_processors },
	{ "memory", true, read_memory },
	{ "cpu", false, parse_cpu },
	{ "io", false, parse_io },
	{ "host_memory", false, parse_host_memory },
	{ "boot", false, read_boot },
	{ "scsi", false, parse_scsi },
	{ "disk_channels", false, read_disk_channels },
	{ "nics", false, read_nics },
	{ "integration", false, read_integration },
	{ "on_triple_fault", false, read_triple_fault },
	{ "group", false, parse_group },
	{ "tags", false, parse_tags },
	{ "automatic", false, parse_automatic },
	{ "restart", false, parse_restart },
	{ NULL },
};

/* ---- entry points ---- */

int config_from_json(const json_t *text, struct vm_config *ret, struct config_error *e)
{
	struct vm_config c = {
		.processors = 1,
		.limits = { .cpu_weight = CONFIG_WEIGHT_DEFAULT,
			    .cpu_limit = 100,
			    .io_weight = CONFIG_WEIGHT_DEFAULT },
		.integration = { .heartbeat = true, .shutdown = true, .time_sync = true },
		.automatic = { .start = AUTO_START_IF_RUNNING,
			       .stop_timeout_s = CONFIG_STOP_SECONDS },
	};
	struct reader r = { .config = &c, .where = "", .e = e };
	int n;

	c.notes = strdup("");
	c.cmdline = strdup("");
	n = c.notes && c.cmdline ? parse_members(&r, top_members, text, "configuration")
				 : parse_no_memory(&r);
	if (n < 0) {
		config_done(&c);
		return n;
	}
	*ret = c;
	return 0;
}

int config_parse(const char *text, size_t len, struct vm_config *ret,
		 struct config_error *e)
{
	json_error_t je;
	json_t *j;
	int r;

	if (len > CONFIG_TEXT_MAX) {
		snprintf(e->message, sizeof(e->message),
			 "is larger than %u bytes, the maximum for a configuration",
			 CONFIG_TEXT_MAX);
		return -EFBIG;
	}
	j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (!j) {
		snprintf(e->message, sizeof(e->message), "line %d, column %d: %s",
			 je.line, je.column, je.text);
		return -EINVAL;
	}
	r = config_from_json(j, ret, e);
	json_decref(j);
	return r;
}

unsigned int config_disk_channels(const struct vm_config *c)
{
	if (c->disk_channels)
		return MIN(c->disk_channels, c->processors);
	return (c->processors + 3) / 4;
}

void config_done(struct vm_config *c)
{
	for (size_t i = 0; i < c->drive_count; i++)
		config_drive_done(&c->drives[i]);
	free(c->drives);
	free(c->notes);
	free(c->kernel);
	free(c->initrd);
	free(c->cmdline);
	free(c->tags);
	*c = (struct vm_config){ 0 };
}
