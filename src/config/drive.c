/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One drive of a configuration. A change goes by the JSON form of the whole, so that what comes out has passed the one
 * validator.
 */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/parse_priv.h"
#include "util/guid.h"

json_t *config_drive_to_json(const struct drive_config *d)
{
	static const char *const caches[] = { [DRIVE_WRITEBACK] = "writeback",
					      [DRIVE_UNCACHED] = "none",
					      [DRIVE_UNSAFE] = "unsafe" };

	return json_pack("{s:i, s:s, s:s?, s:b, s:s?, s:s, s:I, s:I, s:s, s:b}", "lun",
			 (int)d->lun, "kind", d->kind == DRIVE_DVD ? "dvd" : "disk",
			 "path", d->path, "read_only", d->read_only, "serial",
			 d->serial[0] ? d->serial : NULL, "cache", caches[d->cache],
			 "min_iops", (json_int_t)d->min_iops, "max_iops",
			 (json_int_t)d->max_iops, "on_error",
			 d->pause_on_error ? "pause" : "report", "shared", d->shared);
}

const struct drive_config *config_drive_at(const struct vm_config *c,
					   unsigned int controller, unsigned int lun)
{
	for (size_t i = 0; i < c->drive_count; i++) {
		if (c->drives[i].controller == controller && c->drives[i].lun == lun)
			return &c->drives[i];
	}
	return NULL;
}

void config_give_serials(struct vm_config *c)
{
	for (size_t i = 0; i < c->drive_count; i++) {
		struct drive_config *d = &c->drives[i];
		struct guid id;

		if (d->kind != DRIVE_DISK || d->serial[0] || d->shared)
			continue;
		guid_new(&id);
		for (size_t n = 0; n < sizeof(id.b); n++)
			snprintf(d->serial + 2 * n, 3, "%02x", id.b[n]);
	}
}

/* The list of a controller's drives in a configuration's text; borrowed, NULL when there is no such controller. */
static json_t *drives_of(const json_t *text, unsigned int controller)
{
	return json_object_get(json_array_get(json_object_get(text, "scsi"), controller),
			       "drives");
}

static size_t index_of(const json_t *drives, unsigned int lun)
{
	size_t i;
	json_t *d;

	json_array_foreach (drives, i, d) {
		if (json_integer_value(json_object_get(d, "lun")) == (json_int_t)lun)
			break;
	}
	return i;
}

static int no_memory(struct config_error *e)
{
	snprintf(e->message, sizeof(e->message), "no memory");
	return -ENOMEM;
}

/* Controllers up to this one. */
static int add_controllers(json_t *text, unsigned int controller)
{
	json_t *scsi = json_object_get(text, "scsi");

	while (json_array_size(scsi) <= controller) {
		if (json_array_append_new(scsi, json_pack("{s:[]}", "drives")) < 0)
			return -ENOMEM;
	}
	return 0;
}

int config_drive_add(const struct vm_config *c, unsigned int controller,
		     const json_t *drive, struct vm_config *ret, struct config_error *e)
{
	json_auto_t *text = config_to_json(c);
	json_t *lun = json_object_get(drive, "lun");

	if (controller >= CONFIG_CONTROLLERS_MAX) {
		snprintf(e->message, sizeof(e->message),
			 "controller: must be from 0 to %u", CONFIG_CONTROLLERS_MAX - 1);
		return -EINVAL;
	}
	if (json_is_integer(lun) &&
	    config_drive_at(c, controller, (unsigned int)json_integer_value(lun))) {
		snprintf(e->message, sizeof(e->message),
			 "there is a drive at %u:%u already", controller,
			 (unsigned int)json_integer_value(lun));
		return -EEXIST;
	}
	if (!text || add_controllers(text, controller) < 0 ||
	    json_array_append(drives_of(text, controller), (json_t *)(uintptr_t)drive) <
		    0)
		return no_memory(e);
	return config_from_json(text, ret, e);
}

static int no_drive(unsigned int controller, unsigned int lun, struct config_error *e)
{
	snprintf(e->message, sizeof(e->message), "there is no drive at %u:%u", controller,
		 lun);
	return -ENOENT;
}

int config_drive_remove(const struct vm_config *c, unsigned int controller,
			unsigned int lun, struct vm_config *ret, struct config_error *e)
{
	json_auto_t *text = config_to_json(c);
	json_t *drives = text ? drives_of(text, controller) : NULL;

	if (!config_drive_at(c, controller, lun))
		return no_drive(controller, lun, e);
	if (!text || json_array_remove(drives, index_of(drives, lun)) < 0)
		return no_memory(e);
	return config_from_json(text, ret, e);
}

int config_drive_patch(const struct vm_config *c, unsigned int controller,
		       unsigned int lun, const json_t *patch, struct vm_config *ret,
		       struct config_error *e)
{
	json_auto_t *text = config_to_json(c);
	json_t *drives = text ? drives_of(text, controller) : NULL;

	if (!config_drive_at(c, controller, lun))
		return no_drive(controller, lun, e);
	if (!json_is_object(patch)) {
		snprintf(e->message, sizeof(e->message), "the patch must be an object");
		return -EINVAL;
	}
	if (!text ||
	    config_merge(json_array_get(drives, index_of(drives, lun)), patch) < 0)
		return no_memory(e);
	return config_from_json(text, ret, e);
}
