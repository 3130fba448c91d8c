/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs on a VM's drives. */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "vmctl/table.h"

struct place {
	unsigned int controller, lun;
};

/* "1:0"; nothing before, between or behind. */
static int parse_place(const char *text, struct place *ret)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	ret->controller = (unsigned int)strtoul(text, &end, 10);
	if (end[0] != ':' || end[1] < '0' || end[1] > '9')
		return -EINVAL;
	ret->lun = (unsigned int)strtoul(end + 1, &end, 10);
	return *end || ret->controller > 3 || ret->lun > 63 ? -EINVAL : 0;
}

/* --at; a status. *ret_given says whether it was there. */
static int option_place(const struct vmctl *v, const struct args *a, struct place *ret,
			bool *ret_given)
{
	const struct arg_value *at = args_find(a, "at");

	*ret_given = at;
	if (!at || parse_place(at->text, ret) == 0)
		return VMCTL_DONE;
	return fail_usage(v,
			  "--at wants a controller (0 to 3) and a LUN (0 to 63), such as "
			  "0:1, not \"%s\"",
			  at->text);
}

/* ---- policies and shape ---- */

static const struct {
	const char *option, *member;
} members[] = {
	{ "min-iops", "min_iops" }, { "max-iops", "max_iops" },
	{ "on-error", "on_error" }, { "read-only", "read_only" },
	{ "serial", "serial" },     { "cache", "cache" },
	{ "shared", "shared" },
};

static int parse_iops(const char *text, json_int_t *ret)
{
	char *end;

	*ret = 0;
	if (strcmp(text, "none") == 0)
		return 0;
	*ret = strtoll(text, &end, 10);
	return text[0] < '0' || text[0] > '9' || *end ? -EINVAL : 0;
}

/* What the options say, as members of a drive; a status. */
static int add_members(const struct vmctl *v, const struct args *a, json_t *drive)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct arg_value *value = args_find(a, members[i].option);
		json_int_t n;
		json_t *j;

		if (!value)
			continue;
		if (value->option->kind == OPT_FLAG) {
			j = json_true();
		} else if (!strstr(members[i].option, "iops")) {
			j = json_string(value->text);
		} else {
			if (parse_iops(value->text, &n) < 0)
				return fail_usage(v,
						  "--%s wants a number or none, not "
						  "\"%s\"",
						  members[i].option, value->text);
			j = json_integer(n);
		}
		if (json_object_set_new(drive, members[i].member, j) < 0)
			return fail(v, "\"%s\" is not UTF-8 text", value->text);
	}
	return VMCTL_DONE;
}

/* ---- which drive ---- */

/* The place of a drive that was named by it or by its file; a status. */
static int find_drive(struct vmctl *v, const char *vm, const char *word,
		      struct place *ret)
{
	cleanup_free char *path = NULL;
	json_auto_t *answer = NULL;
	json_t *d;
	size_t i;
	int status;

	if (parse_place(word, ret) == 0)
		return VMCTL_DONE;
	path = args_absolute(word);
	if (!path)
		return fail(v, "out of memory");
	status = call(v, "disk.list", json_pack("{s:s}", "vm", vm), &answer);
	if (status)
		return status;
	json_array_foreach (json_object_get(answer, "drives"), i, d) {
		if (strcmp(field_text(json_object_get(d, "drive"), "path"), path) != 0)
			continue;
		ret->controller = (unsigned int)field_number(d, "controller");
		ret->lun = (unsigned int)field_number(d, "lun");
		return VMCTL_DONE;
	}
	return fail(v, "%s has no drive with %s; 'vmctl disk list %s' says what it has",
		    vm, path, vm);
}

static json_t *place_params(const char *vm, const struct place *at)
{
	return json_pack("{s:s, s:i, s:i}", "vm", vm, "controller", (int)at->controller,
			 "lun", (int)at->lun);
}

/* ---- the verbs ---- */

static void format_rate(uint64_t iops, bool low, char ret[32])
{
	if (iops)
		snprintf(ret, 32, "%llu%s", (unsigned long long)iops, low ? " LOW" : "");
	else
		strcpy(ret, "-");
}

static int add_row(struct table *t, const json_t *d)
{
	const json_t *drive = json_object_get(d, "drive");
	const char *path = json_string_value(json_object_get(drive, "path"));
	const json_t *bytes = json_object_get(d, "bytes");
	char at[24], size[TEXT_SIZE_MAX] = "-", least[32], most[32];

	snprintf(at, sizeof(at), "%u:%u", (unsigned int)field_number(d, "controller"),
		 (unsigned int)field_number(d, "lun"));
	if (json_integer_value(bytes) > 0)
		text_format_size((uint64_t)json_integer_value(bytes), size);
	format_rate(field_number(drive, "min_iops"),
		    json_is_true(json_object_get(d, "below_minimum")), least);
	format_rate(field_number(drive, "max_iops"), false, most);
	return table_add(
		t, (const char *[]){ at, field_text(drive, "kind"), size,
				     json_is_true(json_object_get(drive, "read_only"))
					     ? "ro"
					     : "rw",
				     least, most, field_text(drive, "serial"),
				     path ? path : "(no medium)" });
}

int verb_disk_list(struct vmctl *v, const struct args *a)
{
	static const struct table_column columns[] = {
		{ "AT" },
		{ "KIND" },
		{ "SIZE", .right = true },
		{ "USE" },
		{ "MIN", .right = true },
		{ "MAX", .right = true },
		{ "SERIAL", .shrinks = true },
		{ "FILE", .shrinks = true },
	};
	json_auto_t *answer = NULL;
	struct table *t;
	json_t *d;
	size_t i;
	int r = 0, status = call(v, v->verb->method,
				 json_pack("{s:s}", "vm", a->words[0]), &answer);

	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	t = table_new(columns, ARRAY_SIZE(columns));
	json_array_foreach (json_object_get(answer, "drives"), i, d) {
		if (t && r == 0)
			r = add_row(t, d);
	}
	if (t && r == 0)
		table_print(t, stdout, 0, v->width);
	table_free(t);
	return t && r == 0 ? VMCTL_DONE : fail(v, "out of memory");
}

/* One line about the drive that a method answered with. */
static int print_drive(const struct vmctl *v, const char *vm, const json_t *doc,
		       const char *what)
{
	if (v->json)
		return print_json(doc);
	print_line(stdout, "%s: drive %u:%u %s", vm,
		   (unsigned int)field_number(doc, "controller"),
		   (unsigned int)field_number(doc, "lun"), what);
	return VMCTL_DONE;
}

int verb_disk_attach(struct vmctl *v, const struct args *a)
{
	cleanup_free char *path = args_absolute(a->words[1]);
	json_auto_t *drive = NULL, *doc = NULL;
	struct place at;
	json_t *params;
	bool given;
	int status = option_place(v, a, &at, &given);

	if (status)
		return status;
	drive = json_pack("{s:s, s:s}", "kind", args_has(a, "dvd") ? "dvd" : "disk",
			  "path", path ? path : "");
	if (!drive)
		return fail(v, "\"%s\" is not UTF-8 text", a->words[1]);
	status = add_members(v, a, drive);
	if (status)
		return status;
	params = json_pack("{s:s, s:O}", "vm", a->words[0], "drive", drive);
	if (given) {
		json_object_set_new(drive, "lun", json_integer(at.lun));
		json_object_set_new(params, "controller", json_integer(at.controller));
	}
	status = call(v, v->verb->method, params, &doc);
	return status ? status : print_drive(v, a->words[0], doc, "is attached");
}

int verb_disk_detach(struct vmctl *v, const struct args *a)
{
	json_auto_t *nothing = NULL;
	struct place at;
	int status = find_drive(v, a->words[0], a->words[1], &at);

	if (!status)
		status = call(v, v->verb->method, place_params(a->words[0], &at),
			      &nothing);
	if (status)
		return status;
	if (v->json)
		return print_json(nothing);
	print_line(stdout, "%s: drive %u:%u is detached", a->words[0], at.controller,
		   at.lun);
	return VMCTL_DONE;
}

int verb_disk_set(struct vmctl *v, const struct args *a)
{
	json_auto_t *patch = json_object(), *doc = NULL;
	int status = add_members(v, a, patch);
	struct place at;
	json_t *params;

	if (status)
		return status;
	if (json_object_size(patch) == 0)
		return fail_usage(v, "it wants an option that says what to change");
	status = find_drive(v, a->words[0], a->words[1], &at);
	if (status)
		return status;
	params = place_params(a->words[0], &at);
	if (params)
		json_object_set(params, "patch", patch);
	status = call(v, v->verb->method, params, &doc);
	return status ? status : print_drive(v, a->words[0], doc, "is changed");
}

int verb_disk_resize(struct vmctl *v, const struct args *a)
{
	const struct arg_value *size = args_find(a, "size");
	json_auto_t *doc = NULL;
	char text[TEXT_SIZE_MAX];
	struct place at;
	json_t *params;
	int status = find_drive(v, a->words[0], a->words[1], &at);

	if (status)
		return status;
	params = place_params(a->words[0], &at);
	if (params && size)
		json_object_set_new(params, "bytes",
				    json_integer((json_int_t)size->number));
	status = call(v, v->verb->method, params, &doc);
	if (status)
		return status;
	if (v->json)
		return print_json(doc);
	text_format_size(field_number(doc, "bytes"), text);
	print_line(stdout, "%s: drive %u:%u has %s", a->words[0], at.controller, at.lun,
		   text);
	return VMCTL_DONE;
}

/* The medium's path, or NULL to take it out. */
static int change_medium(struct vmctl *v, const struct args *a, const char *path,
			 const char *what)
{
	json_auto_t *doc = NULL;
	struct place at = { 0 };
	json_t *params;
	bool given;
	int status = option_place(v, a, &at, &given);

	if (status)
		return status;
	params = json_pack("{s:s, s:s*}", "vm", a->words[0], "path", path);
	if (params && given) {
		json_object_set_new(params, "controller", json_integer(at.controller));
		json_object_set_new(params, "lun", json_integer(at.lun));
	}
	if (params && args_has(a, "force"))
		json_object_set_new(params, "force", json_true());
	status = call(v, v->verb->method, params, &doc);
	return status ? status : print_drive(v, a->words[0], doc, what);
}

int verb_dvd_insert(struct vmctl *v, const struct args *a)
{
	cleanup_free char *path = args_absolute(a->words[1]);

	if (!path)
		return fail(v, "out of memory");
	return change_medium(v, a, path, "has the medium");
}

int verb_dvd_eject(struct vmctl *v, const struct args *a)
{
	return change_medium(v, a, NULL, "is empty");
}
