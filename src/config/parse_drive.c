/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of a configuration that says which drives stand on which controller. */
#include "config/parse_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int read_lun(struct reader *r, const struct member *m, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n >= CONFIG_LUNS_MAX)
		return parse_bad(r, "lun: must be an integer from 0 to %u",
				 CONFIG_LUNS_MAX - 1);
	r->drive->lun = (unsigned int)n;
	return 0;
}

static int read_kind(struct reader *r, const struct member *m, const json_t *v)
{
	const char *s = json_string_value(v);

	if (s && strcmp(s, "disk") == 0)
		r->drive->kind = DRIVE_DISK;
	else if (s && strcmp(s, "dvd") == 0)
		r->drive->kind = DRIVE_DVD;
	else
		return parse_bad(r, "kind: must be \"disk\" or \"dvd\"");
	return 0;
}

/* What every initiator's page has room for (SPC-4 7.8.15), of characters that need no quoting anywhere. */
static int read_serial(struct reader *r, const struct member *m, const json_t *v)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	const char *s = json_string_value(v);

	if (json_is_null(v)) {
		r->drive->serial[0] = 0;
		return 0;
	}
	if (!s || !*s || json_string_length(v) > CONFIG_SERIAL_MAX ||
	    strspn(s, allowed) != json_string_length(v))
		return parse_bad(r,
				 "%s: must be 1 to %u letters, digits, '-', '_' or '.'",
				 m->name, CONFIG_SERIAL_MAX);
	strcpy(r->drive->serial, s);
	return 0;
}

static int read_cache(struct reader *r, const struct member *m, const json_t *v)
{
	const char *s = json_string_value(v);

	if (s && strcmp(s, "writeback") == 0)
		r->drive->cache = DRIVE_WRITEBACK;
	else if (s && strcmp(s, "none") == 0)
		r->drive->cache = DRIVE_UNCACHED;
	else if (s && strcmp(s, "unsafe") == 0)
		r->drive->cache = DRIVE_UNSAFE;
	else
		return parse_bad(r, "%s: must be \"writeback\", \"none\" or \"unsafe\"",
				 m->name);
	return 0;
}

static int read_iops(struct reader *r, const struct member *m, const json_t *v)
{
	uint32_t *ret = (uint32_t *)(void *)((char *)r->drive + m->offset);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > CONFIG_IOPS_MAX)
		return parse_bad(r, "%s: must be an integer from 0 to %u", m->name,
				 CONFIG_IOPS_MAX);
	*ret = (uint32_t)n;
	return 0;
}

static int read_on_error(struct reader *r, const struct member *m, const json_t *v)
{
	const char *s = json_string_value(v);

	if (!s || (strcmp(s, "report") != 0 && strcmp(s, "pause") != 0))
		return parse_bad(r, "%s: must be \"report\" or \"pause\"", m->name);
	r->drive->pause_on_error = strcmp(s, "pause") == 0;
	return 0;
}

static const struct member drive_members[] = {
	{ "lun", true, read_lun },
	{ "kind", true, read_kind },
	{ "path", false, parse_path, offsetof(struct drive_config, path),
	  CONFIG_PATH_MAX },
	{ "read_only", false, parse_bool, offsetof(struct drive_config, read_only) },
	{ "serial", false, read_serial },
	{ "cache", false, read_cache },
	{ "min_iops", false, read_iops, offsetof(struct drive_config, min_iops) },
	{ "max_iops", false, read_iops, offsetof(struct drive_config, max_iops) },
	{ "on_error", false, read_on_error },
	{ "shared", false, parse_bool, offsetof(struct drive_config, shared) },
	{ NULL },
};

/* A format with tables of its own, which two processes can not both change. */
static bool has_tables(const char *path)
{
	static const char *const ends[] = { ".vhd", ".avhd", ".vhdx", ".avhdx" };
	const char *end = strrchr(path, '.');

	for (size_t i = 0; end && i < ARRAY_SIZE(ends); i++) {
		if (strcasecmp(end, ends[i]) == 0)
			return true;
	}
	return false;
}

/* What no member says alone. */
static int check_drive(struct reader *r, const struct drive_config *d)
{
	if (d->kind == DRIVE_DISK && !d->path)
		return parse_bad(r, "path: a disk needs one");
	if (d->max_iops && d->min_iops > d->max_iops)
		return parse_bad(r, "min_iops: %u is above max_iops, %u", d->min_iops,
				 d->max_iops);
	if (!d->shared)
		return 0;
	if (d->kind == DRIVE_DVD)
		return parse_bad(r, "shared: a DVD is read-only, which needs no sharing");
	if (d->cache == DRIVE_UNSAFE)
		return parse_bad(r, "cache: a shared disk can not be \"unsafe\"");
	if (has_tables(d->path))
		return parse_bad(r, "shared: only a raw image or a block device can be "
				    "shared");
	return 0;
}

static int read_drive(struct reader *r, const json_t *v, struct drive_config *ret)
{
	struct drive_config d = { .controller = r->controller };
	int n;

	r->drive = &d;
	n = parse_members(r, drive_members, v, "drive");
	r->drive = NULL;
	if (n == 0)
		n = check_drive(r, &d);
	if (n < 0) {
		config_drive_done(&d);
		return n;
	}
	d.read_only |= d.kind == DRIVE_DVD;
	*ret = d;
	return 0;
}

static int read_drives(struct reader *r, const struct member *m, const json_t *v)
{
	struct vm_config *c = r->config;
	const char *outer = r->where;
	const json_t *item;
	uint64_t seen = 0;
	char where[64];
	size_t i;
	int ret = 0;

	if (!json_is_array(v) || json_array_size(v) > CONFIG_LUNS_MAX)
		return parse_bad(r, "drives: must be an array of at most %u drives",
				 CONFIG_LUNS_MAX);
	r->where = where;
	json_array_foreach (v, i, item) {
		struct drive_config *d = &c->drives[c->drive_count];

		snprintf(where, sizeof(where), "%sdrives[%zu].", outer, i);
		ret = read_drive(r, item, d);
		if (ret < 0)
			break;
		c->drive_count++;
		if (seen & UINT64_C(1) << d->lun) {
			ret = parse_bad(r, "lun: %u is taken by another drive", d->lun);
			break;
		}
		seen |= UINT64_C(1) << d->lun;
	}
	r->where = outer;
	return ret;
}

static int by_place(const void *a, const void *b)
{
	const struct drive_config *x = a, *y = b;

	if (x->controller != y->controller)
		return x->controller < y->controller ? -1 : 1;
	return x->lun < y->lun ? -1 : x->lun > y->lun;
}

int parse_scsi(struct reader *r, const struct member *m, const json_t *v)
{
	static const struct member table[] = { { "drives", false, read_drives },
					       { NULL } };
	struct vm_config *c = r->config;
	const json_t *item;
	char name[32];
	size_t i;
	int ret;

	if (!json_is_array(v) || json_array_size(v) > CONFIG_CONTROLLERS_MAX)
		return parse_bad(r, "scsi: must be an array of at most %u controllers",
				 CONFIG_CONTROLLERS_MAX);
	c->drives = calloc(CONFIG_CONTROLLERS_MAX * CONFIG_LUNS_MAX, sizeof(*c->drives));
	if (!c->drives)
		return parse_no_memory(r);
	json_array_foreach (v, i, item) {
		snprintf(name, sizeof(name), "scsi[%zu]", i);
		r->controller = (unsigned int)i;
		ret = parse_level(r, table, item, name);
		if (ret < 0)
			return ret;
	}
	c->controllers = (unsigned int)json_array_size(v);
	qsort(c->drives, c->drive_count, sizeof(*c->drives), by_place);
	return 0;
}

int config_drive_from_json(const json_t *text, unsigned int controller,
			   struct drive_config *ret, struct config_error *e)
{
	struct reader r = { .controller = controller, .where = "drive.", .e = e };

	return read_drive(&r, text, ret);
}

void config_drive_done(struct drive_config *d)
{
	free(d->path);
	d->path = NULL;
}
