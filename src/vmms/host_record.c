/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/host_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define RECORD_MAX (4u << 20)

/* A copy of an array's strings; what is none of it is left out. */
static json_t *strings_of(const json_t *list)
{
	json_t *copy = json_array(), *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (json_is_string(item))
			json_array_append(copy, item);
	}
	return copy;
}

int host_record_read(int vms_dir, struct host_record *ret)
{
	struct host_record r = { .boot_id = "" };
	cleanup_free char *text = NULL;
	json_auto_t *j = NULL;
	const char *boot;
	size_t len;

	if (io_read_file(vms_dir, "../" HOST_RECORD, RECORD_MAX, &text, &len) == 0)
		j = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	boot = json_string_value(json_object_get(j, "boot_id"));
	snprintf(r.boot_id, sizeof(r.boot_id), "%s", boot ? boot : "");
	r.began_s = (uint64_t)json_integer_value(json_object_get(j, "began_s"));
	r.starting = strings_of(json_object_get(j, "starting"));
	r.running = strings_of(json_object_get(j, "running"));
	if (!r.starting || !r.running) {
		host_record_done(&r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

int host_record_write(int vms_dir, const struct host_record *r)
{
	cleanup_fd int dir = openat(vms_dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	json_auto_t *j = json_pack("{s:s, s:I, s:O, s:O}", "boot_id", r->boot_id,
				   "began_s", (json_int_t)r->began_s, "starting",
				   r->starting, "running", r->running);
	cleanup_free char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	if (dir < 0)
		return -errno;
	return text ? io_replace_file(dir, HOST_RECORD, text, strlen(text), 0640)
		    : -ENOMEM;
}

void host_record_done(struct host_record *r)
{
	json_decref(r->starting);
	json_decref(r->running);
	r->starting = r->running = NULL;
}

bool host_record_has(const json_t *ids, const char *id)
{
	json_t *item;
	size_t i;

	json_array_foreach (ids, i, item) {
		if (strcmp(json_string_value(item), id) == 0)
			return true;
	}
	return false;
}

bool host_record_drop(json_t *ids, const char *id)
{
	for (size_t i = 0; i < json_array_size(ids); i++) {
		if (strcmp(json_string_value(json_array_get(ids, i)), id) == 0)
			return json_array_remove(ids, i) == 0;
	}
	return false;
}

int host_record_boot_id(const char *path, char ret[BOOT_ID_SIZE])
{
	cleanup_free char *text = NULL;
	int r = io_read_file(AT_FDCWD, path, 4096, &text, NULL);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = 0;
	if (!text[0] || strlen(text) >= BOOT_ID_SIZE)
		return -EPROTO;
	strcpy(ret, text);
	return 0;
}
