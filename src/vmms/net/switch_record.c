/* SPDX-License-Identifier: BSD-2-Clause */
/* STATE/switches/<uuid>.json: what a switch is to be, what is being done with it, and what is to go back to its interface. */
#include "vmms/net/switch_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"

#define RECORD_MAX (4u << 20)
#define NAME_SIZE (GUID_STR_LEN + 5)
#define SCHEMA 1

static const char *const phases[] = {
	[SWITCH_CREATING] = "creating",
	[SWITCH_MOVING] = "moving",
	[SWITCH_READY] = "ready",
	[SWITCH_DELETING] = "deleting",
};

static void name_of(const char *id_text, char ret[NAME_SIZE])
{
	snprintf(ret, NAME_SIZE, "%s.json", id_text);
}

static const char *boot_id(char ret[GUID_STR_LEN])
{
	cleanup_free char *text = NULL;

	ret[0] = 0;
	if (io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL) ==
	    0)
		snprintf(ret, GUID_STR_LEN, "%.36s", text);
	return ret;
}

int switch_record_write(const struct vswitch *s, struct rpc_error *e)
{
	char boot[GUID_STR_LEN];
	json_auto_t *record = json_pack("{s:i, s:s, s:s, s:o, s:o}", "schema", SCHEMA,
					"phase", phases[s->phase], "boot", boot_id(boot),
					"config", switch_config_to_json(&s->config),
					"moved", snapshot_to_json(&s->moved));
	cleanup_free char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
	char name[NAME_SIZE];
	int r;

	if (!text)
		return rpc_error_set(e, -ENOMEM, "no memory");
	name_of(s->id_text, name);
	r = io_replace_file(s->all->dir, name, text, strlen(text), 0600);
	return r < 0 ? rpc_error_set(e, r,
				     "the record of switch %s cannot be written: %s",
				     s->config.name, strerror(-r))
		     : 0;
}

int switch_record_remove(const struct vswitch *s)
{
	char name[NAME_SIZE];

	dhcp_forget(s);
	name_of(s->id_text, name);
	if (unlinkat(s->all->dir, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return fsync(s->all->dir) < 0 ? -errno : 0;
}

/* ---- at the start of vmms ---- */

static int read_phase(const char *text, enum switch_phase *ret)
{
	for (size_t i = 0; text && i < ARRAY_SIZE(phases); i++) {
		if (strcmp(phases[i], text) == 0) {
			*ret = (enum switch_phase)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int take_record(struct switches *all, const struct guid *id, const json_t *record,
		       struct config_error *e)
{
	struct snapshot moved = { .address_count = 0 };
	const char *boot = json_string_value(json_object_get(record, "boot"));
	struct switch_config c;
	enum switch_phase phase;
	char now[GUID_STR_LEN];
	struct vswitch *s;
	int r = switch_config_from_json(json_object_get(record, "config"), &c, e);

	if (r < 0)
		return r;
	snprintf(e->message, sizeof(e->message), "it is not as vmms writes it");
	if (json_integer_value(json_object_get(record, "schema")) != SCHEMA ||
	    read_phase(json_string_value(json_object_get(record, "phase")), &phase) < 0 ||
	    snapshot_from_json(json_object_get(record, "moved"), &moved) < 0)
		return -EPROTO;
	s = switch_new(all, id, &c);
	if (!s) {
		snapshot_done(&moved);
		snprintf(e->message, sizeof(e->message), "no memory");
		return -ENOMEM;
	}
	s->phase = phase;
	s->moved = moved;
	s->same_boot = boot && strcmp(boot, boot_id(now)) == 0;
	return 0;
}

static void load_one(struct switches *all, const char *name)
{
	cleanup_free char *text = NULL;
	char id_text[GUID_STR_LEN], canonical[NAME_SIZE];
	struct config_error why;
	json_t *record = NULL;
	struct guid id;
	size_t len;
	int r;

	snprintf(id_text, sizeof(id_text), "%.36s", name);
	name_of(id_text, canonical);
	if (guid_parse(id_text, &id) < 0)
		return;
	if (strcmp(name, canonical) != 0) {
		/* What io_replace_file() leaves when it is cut off; the rest is the name server's. */
		if (strstr(name, ".json.new"))
			unlinkat(all->dir, name, 0);
		return;
	}
	r = io_read_file(all->dir, name, RECORD_MAX, &text, &len);
	if (r < 0)
		snprintf(why.message, sizeof(why.message), "%s", strerror(-r));
	else
		r = frame_parse(text, len, &record, why.message, sizeof(why.message));
	if (r == 0)
		r = take_record(all, &id, record, &why);
	json_decref(record);
	if (r < 0)
		log_err("the record switches/%s cannot be used: %s; its bridge is left "
			"as it is",
			name, why.message);
	all->unreadable |= r < 0;
}

int switch_records_load(struct switches *all)
{
	int fd = openat(all->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((entry = readdir(d)))
		load_one(all, entry->d_name);
	closedir(d);
	return 0;
}
