/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse_priv.h"

static json_t *controller_to_json(const struct vm_config *c, unsigned int number)
{
	json_t *drives = json_array();

	for (size_t i = 0; i < c->drive_count; i++) {
		if (c->drives[i].controller != number)
			continue;
		if (json_array_append_new(drives, config_drive_to_json(&c->drives[i])) <
		    0) {
			json_decref(drives);
			return NULL;
		}
	}
	return json_pack("{s:o}", "drives", drives);
}

static json_t *scsi_to_json(const struct vm_config *c)
{
	json_t *controllers = json_array();

	for (unsigned int i = 0; i < c->controllers; i++) {
		if (json_array_append_new(controllers, controller_to_json(c, i)) < 0) {
			json_decref(controllers);
			return NULL;
		}
	}
	return controllers;
}

static json_t *nics_to_json(const struct vm_config *c)
{
	json_t *nics = json_array();

	for (size_t i = 0; i < c->nic_count; i++) {
		if (json_array_append_new(nics, config_nic_to_json(&c->nics[i])) < 0) {
			json_decref(nics);
			return NULL;
		}
	}
	return nics;
}

static json_t *tags_to_json(const struct vm_config *c)
{
	json_t *tags = json_array();

	for (size_t i = 0; i < c->tag_count; i++) {
		if (json_array_append_new(tags, json_string(c->tags[i])) < 0) {
			json_decref(tags);
			return NULL;
		}
	}
	return tags;
}

static json_t *limits_to_json(const struct limits_config *l, const char *which)
{
	if (strcmp(which, "cpu") == 0)
		return json_pack("{s:i, s:i, s:i}", "weight", (int)l->cpu_weight, "limit",
				 (int)l->cpu_limit, "reserve", (int)l->cpu_reserve);
	if (strcmp(which, "io") == 0)
		return json_pack("{s:i}", "weight", (int)l->io_weight);
	return json_pack("{s:I, s:I}", "limit", (json_int_t)l->memory_limit, "reserve",
			 (json_int_t)l->memory_reserve);
}

json_t *config_to_json(const struct vm_config *c)
{
	return json_pack(
		"{s:i, s:s, s:s, s:{s:i}, s:{s:I}, s:{s:s?, s:s?, s:s}, s:o, "
		"s:i, s:o, s:{s:b, s:b, s:b}, s:s, s:o, s:o, s:o, s:s?, s:o, "
		"s:{s:s, s:i, s:s, s:i}, s:s}",
		"schema", CONFIG_SCHEMA, "name", c->name, "notes", c->notes, "processors",
		"count", (int)c->processors, "memory", "bytes",
		(json_int_t)c->memory_bytes, "boot", "kernel", c->kernel, "initrd",
		c->initrd, "cmdline", c->cmdline, "scsi", scsi_to_json(c),
		"disk_channels", (int)c->disk_channels, "nics", nics_to_json(c),
		"integration", "heartbeat", c->integration.heartbeat, "shutdown",
		c->integration.shutdown, "time_sync", c->integration.time_sync,
		"on_triple_fault",
		c->on_triple_fault == TRIPLE_FAULT_OFF ? "off" : "reset", "cpu",
		limits_to_json(&c->limits, "cpu"), "io", limits_to_json(&c->limits, "io"),
		"host_memory", limits_to_json(&c->limits, "host_memory"), "group",
		c->group[0] ? c->group : NULL, "tags", tags_to_json(c), "automatic",
		"start", config_auto_start(c->automatic.start), "delay_s",
		(int)c->automatic.delay_s, "stop", config_auto_stop(c->automatic.stop),
		"stop_timeout_s", (int)c->automatic.stop_timeout_s, "restart",
		config_restart(c->restart));
}

/* RFC 7396, 2: a member that is null goes, an object is merged, all else replaces. Depth is bounded by jansson's parser. */
int config_merge(json_t *target, const json_t *patch)
{
	const char *key;
	json_t *value, *old;

	json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
		if (json_is_null(value)) {
			json_object_del(target, key);
			continue;
		}
		old = json_object_get(target, key);
		if (!json_is_object(value)) {
			if (json_object_set(target, key, value) < 0)
				return -ENOMEM;
			continue;
		}
		if (!json_is_object(old)) {
			old = json_object();
			if (json_object_set_new(target, key, old) < 0)
				return -ENOMEM;
		}
		if (config_merge(old, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

int config_patch(const struct vm_config *c, const json_t *patch, struct vm_config *ret,
		 struct config_error *e)
{
	json_t *text = config_to_json(c);
	int r = -ENOMEM;

	snprintf(e->message, sizeof(e->message), "no memory");
	if (text && !json_is_object(patch)) {
		snprintf(e->message, sizeof(e->message), "the patch must be an object");
		r = -EINVAL;
	} else if (text && config_merge(text, patch) == 0) {
		r = config_from_json(text, ret, e);
	}
	json_decref(text);
	return r;
}
