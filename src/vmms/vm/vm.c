/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/vm.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmms/vm/meter.h"
#include "vmms/worker/worker.h"

static const char *const heartbeats[] = { "Ok", "No contact", "Lost communication",
					  "Disabled" };

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct vm *vm_new(const struct guid *id, struct vm_config *config)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->id = *id;
	guid_format(id, vm->id_text);
	vm->config = *config;
	*config = (struct vm_config){ 0 };
	list_init(&vm->link);
	list_init(&vm->waits);
	return vm;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	meter_free(vm->meter);
	config_done(&vm->config);
	json_decref(vm->status);
	json_decref(vm->at_start);
	if (vm->automatic.due)
		event_free(vm->automatic.due);
	free(vm);
}

void vm_clean_text(char *ret, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		ret[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
	/* A character that was cut in two is dropped whole, so that the text stays UTF-8. */
	if (*text && ((unsigned char)*text & 0xc0) == 0x80) {
		while (n && ((unsigned char)ret[n - 1] & 0xc0) == 0x80)
			n--;
		n -= n > 0;
	}
	ret[n] = 0;
}

/* ---- what a worker says ---- */

static const char *heartbeat_of(const json_t *doc)
{
	const char *s = json_string_value(json_object_get(doc, "heartbeat"));

	for (size_t i = 0; s && i < ARRAY_SIZE(heartbeats); i++) {
		if (strcmp(heartbeats[i], s) == 0)
			return heartbeats[i];
	}
	return NULL;
}

static int apply_state(struct vm *vm, const json_t *doc)
{
	const char *name = json_string_value(json_object_get(doc, "state"));
	const char *health = json_string_value(json_object_get(doc, "health"));
	const char *reason = json_string_value(json_object_get(doc, "reason"));
	enum vm_health h;
	enum vm_state s;
	int mask = 0;

	if (!name || !health || state_parse(name, &s) < 0)
		return -EPROTO;
	if (s == VM_OFF)
		s = VM_STOPPING;
	vm->worker_state = s;
	/* While the guest was asked to stop, Running is no news. */
	if (vm->state == VM_STOPPING && s == VM_RUNNING)
		s = VM_STOPPING;
	if (s != vm->state)
		mask |= VM_CHANGED_STATE;
	vm->state = s;
	h = strcmp(health, "Critical") == 0 ? VM_CRITICAL : VM_OK;
	if (h != vm->health)
		mask |= VM_CHANGED_HEALTH;
	vm->health = h;
	vm_clean_text(vm->reason, sizeof(vm->reason), reason ? reason : "");
	return mask;
}

static int apply_guest(struct vm *vm, const json_t *doc)
{
	const char *beat = heartbeat_of(doc);
	const char *version = json_string_value(json_object_get(doc, "vmbus_version"));
	const json_t *crash = json_object_get(doc, "crash");
	int64_t crashes = json_integer_value(json_object_get(crash, "count"));
	char text[sizeof(vm->vmbus_version)];
	int mask = 0;

	if (beat != vm->heartbeat)
		mask |= VM_CHANGED_HEARTBEAT;
	vm->heartbeat = beat;
	vm_clean_text(text, sizeof(text), version ? version : "");
	if (strcmp(text, vm->vmbus_version) != 0)
		mask |= VM_CHANGED_VMBUS;
	strcpy(vm->vmbus_version, text);
	if (crashes > vm->crashes)
		mask |= VM_CHANGED_CRASH;
	vm->crashes = crashes;
	vm->resets = json_integer_value(json_object_get(doc, "resets"));
	return mask;
}

static int apply_drives(struct vm *vm, const json_t *doc)
{
	json_t *drives = json_object_get(doc, "drives"), *d;
	struct vm_drive_flags now = { 0 };
	size_t i;

	json_array_foreach (drives, i, d) {
		json_int_t c = json_integer_value(json_object_get(d, "controller"));
		json_int_t lun = json_integer_value(json_object_get(d, "lun"));

		if (c < 0 || c >= CONFIG_CONTROLLERS_MAX || lun < 0 ||
		    lun >= CONFIG_LUNS_MAX)
			continue;
		if (json_is_true(json_object_get(d, "below_minimum")))
			now.below_minimum[c] |= UINT64_C(1) << lun;
		if (json_is_true(json_object_get(d, "ejected")))
			now.ejected[c] |= UINT64_C(1) << lun;
	}
	vm->drives = now;
	return memcmp(&now, &vm->drives_told, sizeof(now)) ? VM_CHANGED_DRIVES : 0;
}

int vm_apply_status(struct vm *vm, const json_t *doc)
{
	json_int_t up = json_integer_value(json_object_get(doc, "uptime_us"));
	int mask;

	if (!json_is_object(doc))
		return -EPROTO;
	if (json_dumpb(doc, NULL, 0, JSON_COMPACT) > VM_STATUS_MAX)
		return -EFBIG;
	mask = apply_state(vm, doc);
	if (mask < 0)
		return mask;
	mask |= apply_guest(vm, doc) | apply_drives(vm, doc);
	vm->uptime_us = up > 0 ? (uint64_t)up : 0;
	vm->uptime_at_us = now_us();
	json_decref(vm->status);
	vm->status = json_deep_copy(doc);
	return mask;
}

void vm_set_off(struct vm *vm, enum vm_health health, const char *reason)
{
	vm->state = vm->worker_state = VM_OFF;
	vm->health = health;
	vm_clean_text(vm->reason, sizeof(vm->reason), reason ? reason : "");
	vm->heartbeat = NULL;
	vm->uptime_us = 0;
	vm->resets = vm->crashes = 0;
	vm->vmbus_version[0] = 0;
	vm->drives = vm->drives_told = (struct vm_drive_flags){ 0 };
	json_decref(vm->status);
	vm->status = NULL;
	json_decref(vm->at_start);
	vm->at_start = NULL;
}

/* ---- documents ---- */

/* Whether the worker says that it has a service otherwise than the configuration wants it. */
static bool service_waits(const struct vm *vm)
{
	const struct vm_config *c = &vm->config;
	const struct {
		const char *name;
		bool on;
	} services[] = { { "heartbeat", c->integration.heartbeat },
			 { "shutdown", c->integration.shutdown },
			 { "time_sync", c->integration.time_sync } };
	const json_t *all = json_object_get(vm->status, "integration");

	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		const json_t *is = json_object_get(json_object_get(all, services[i].name),
						   "enabled");

		if (json_is_boolean(is) && json_is_true(is) != services[i].on)
			return true;
	}
	return false;
}

json_t *vm_pending(const struct vm *vm)
{
	json_t *names = vm->worker && vm->at_start
				? config_waiting(&vm->config, vm->at_start)
				: json_array();

	if (names && vm->worker && service_waits(vm) &&
	    json_array_append_new(names, json_string("integration")) < 0) {
		json_decref(names);
		return NULL;
	}
	return names;
}

uint64_t vm_uptime_us(const struct vm *vm)
{
	if (vm->worker_state != VM_RUNNING || !vm->status)
		return vm->uptime_us;
	return vm->uptime_us + (now_us() - vm->uptime_at_us);
}

/* What its worker was started with, or else what it is to have. */
static uint64_t in_force(const struct vm *vm, const char *section, const char *member,
			 uint64_t configured)
{
	const json_t *started = json_object_get(
		json_object_get(vm->worker ? vm->at_start : NULL, section), member);

	return json_is_integer(started) ? (uint64_t)json_integer_value(started)
					: configured;
}

uint64_t vm_memory_bytes(const struct vm *vm)
{
	return in_force(vm, "memory", "bytes", vm->config.memory_bytes);
}

unsigned int vm_processors(const struct vm *vm)
{
	return (unsigned int)in_force(vm, "processors", "count", vm->config.processors);
}

json_t *vm_summary(const struct vm *vm)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:i, s:I, s:I}", "id",
			 vm->id_text, "name", vm->config.name, "state",
			 state_name(vm->state), "health", health_name(vm->health),
			 "reason", vm->reason[0] ? vm->reason : NULL, "heartbeat",
			 vm->heartbeat, "processors", (int)vm_processors(vm),
			 "memory_bytes", (json_int_t)vm_memory_bytes(vm), "uptime_us",
			 (json_int_t)vm_uptime_us(vm));
}

json_t *vm_show(const struct vm *vm, const char *log_path)
{
	json_t *doc = vm_summary(vm), *more;
	const struct worker *w = vm->worker;

	more = json_pack(
		"{s:o, s:o, s:o, s:s?, s:s?, s:s, s:O?}", "config",
		config_to_json(&vm->config), "pending", vm_pending(vm), "worker_pid",
		w && worker_pid(w) ? json_integer(worker_pid(w)) : json_null(),
		"console_socket", w ? worker_console_socket(w) : NULL, "console_pty",
		w ? worker_console_pty(w) : NULL, "log", log_path, "status", vm->status);
	if (!doc || !more || json_object_update_new(doc, more) < 0) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}
