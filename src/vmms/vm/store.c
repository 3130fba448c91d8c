/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"

#define NEW_PREFIX ".new-"
#define DEL_PREFIX ".del-"
#define TREE_DEPTH_MAX 16
#define REPORT_MAX 65536u

struct vm_path {
	char plain[GUID_STR_LEN], aside[sizeof(NEW_PREFIX) + GUID_STR_LEN],
		gone[sizeof(DEL_PREFIX) + GUID_STR_LEN];
};

static void paths_of(const struct guid *id, struct vm_path *ret)
{
	guid_format(id, ret->plain);
	snprintf(ret->aside, sizeof(ret->aside), NEW_PREFIX "%s", ret->plain);
	snprintf(ret->gone, sizeof(ret->gone), DEL_PREFIX "%s", ret->plain);
}

static void closedir_(DIR **d)
{
	if (*d)
		closedir(*d);
}

static DIR *open_listing(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !d)
		close(fd);
	return d;
}

static int remove_tree(int dir, const char *name, int depth)
{
	__attribute__((cleanup(closedir_))) DIR *d = NULL;
	struct dirent *entry;
	int r = 0, n;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	d = depth < TREE_DEPTH_MAX ? open_listing(dir, name) : NULL;
	if (!d)
		return -errno;
	while ((entry = readdir(d))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		n = remove_tree(dirfd(d), entry->d_name, depth + 1);
		r = r ? r : n;
	}
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
		return r ? r : -errno;
	return r;
}

int store_remove_tree(int dir, const char *name)
{
	return remove_tree(dir, name, 0);
}

static int write_config(int vm_dir, const struct vm_config *c)
{
	json_t *j = config_to_json(c);
	cleanup_free char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
	cleanup_free char *file = NULL;
	int n;

	json_decref(j);
	if (!text)
		return -ENOMEM;
	n = asprintf(&file, "%s\n", text);
	if (n < 0) {
		file = NULL;
		return -ENOMEM;
	}
	return io_replace_file(vm_dir, STORE_CONFIG, file, (size_t)n, 0640);
}

static int make_aside(int dir, const char *name, const struct vm_config *c)
{
	cleanup_fd int fd = -1;

	if (mkdirat(dir, name, 0750) < 0)
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : write_config(fd, c);
}

static int cannot(int r, const char *what, const char *name, struct rpc_error *e)
{
	return rpc_error_set(e, r, "cannot %s %s: %s", what, name,
			     r == -ENOSPC || r == -EDQUOT
				     ? "the state folder's file system is full; make room"
				     : strerror(-r));
}

/* A change that can neither be made durable nor be undone: it is what the next vmms finds, and so it is answered as done. */
static void not_synced(const char *name, int r)
{
	log_err("%s: the state folder cannot be synced (%s), nor the change be undone; a "
		"power cut may undo it",
		name, strerror(-r));
}

int store_create(int dir, const struct guid *id, const struct vm_config *c,
		 struct rpc_error *e)
{
	struct vm_path p;
	int r;

	paths_of(id, &p);
	r = make_aside(dir, p.aside, c);
	if (r == 0 && renameat2(dir, p.aside, dir, p.plain, RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0) {
		if (remove_tree(dir, p.aside, 0) < 0)
			errno = 0; /* the next start removes it */
		return cannot(r, "keep the VM", c->name, e);
	}
	if (fsync(dir) == 0)
		return 0;
	r = -errno;
	if (renameat(dir, p.plain, dir, p.aside) < 0) {
		not_synced(c->name, r);
		return 0;
	}
	if (remove_tree(dir, p.aside, 0) < 0)
		errno = 0; /* as above */
	return cannot(r, "keep the VM", c->name, e);
}

int store_open(int dir, const struct guid *id, int *ret_fd)
{
	struct vm_path p;
	int fd;

	paths_of(id, &p);
	fd = openat(dir, p.plain, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int store_update(int dir, const struct guid *id, const struct vm_config *c,
		 struct rpc_error *e)
{
	cleanup_fd int fd = -1;
	int r = store_open(dir, id, &fd);

	if (r == 0)
		r = write_config(fd, c);
	return r < 0 ? cannot(r, "keep the changes to", c->name, e) : 0;
}

int store_delete(int dir, const struct guid *id, struct rpc_error *e)
{
	struct vm_path p;

	paths_of(id, &p);
	if (renameat(dir, p.plain, dir, p.gone) < 0)
		return cannot(-errno, "delete the VM", p.plain, e);
	if (fsync(dir) < 0) {
		int r = -errno;

		if (renameat(dir, p.gone, dir, p.plain) == 0)
			return cannot(r, "delete the VM", p.plain, e);
		not_synced(p.plain, r);
	}
	if (remove_tree(dir, p.gone, 0) < 0)
		errno = 0; /* it is no VM any more; the next start tries again */
	return 0;
}

/* ---- at start ---- */

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int load_one(int dir, const struct guid *id, const char *name,
		    struct vm_config *ret, struct config_error *e)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	if (fd < 0) {
		snprintf(e->message, sizeof(e->message), "%s", strerror(errno));
		return -errno;
	}
	unlinkat(fd, STORE_CONFIG ".new", 0);
	unlinkat(fd, STORE_REPORT ".new", 0);
	r = io_read_file(fd, STORE_CONFIG, CONFIG_TEXT_MAX, &text, &len);
	if (r < 0) {
		snprintf(e->message, sizeof(e->message), STORE_CONFIG ": %s",
			 strerror(-r));
		return r;
	}
	return config_parse(text, len, ret, e);
}

int store_load(int dir,
	       void (*found)(void *ctx, const struct guid *id, struct vm_config *c),
	       void (*broken)(void *ctx, const struct guid *id, const char *why),
	       void *ctx)
{
	__attribute__((cleanup(closedir_))) DIR *d = open_listing(dir, ".");
	struct dirent *entry;

	if (!d)
		return -errno;
	while ((entry = readdir(d))) {
		struct vm_config c;
		struct config_error e = { "" };
		struct guid id;

		if (has_prefix(entry->d_name, NEW_PREFIX) ||
		    has_prefix(entry->d_name, DEL_PREFIX)) {
			int r = remove_tree(dir, entry->d_name, 0);

			if (r < 0)
				return r;
			continue;
		}
		if (guid_parse(entry->d_name, &id) < 0)
			continue;
		if (load_one(dir, &id, entry->d_name, &c, &e) == 0)
			found(ctx, &id, &c);
		else
			broken(ctx, &id, e.message);
	}
	return 0;
}

/* ---- reports ---- */

void store_read_report(int vm_dir, struct store_report *ret)
{
	cleanup_free char *text = NULL;
	const char *reason, *health, *follow;
	size_t len;
	json_t *j;

	*ret = (struct store_report){ 0 };
	if (io_read_file(vm_dir, STORE_REPORT, REPORT_MAX, &text, &len) < 0)
		return;
	ret->present = true;
	j = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	reason = json_string_value(json_object_get(j, "reason"));
	health = json_string_value(json_object_get(j, "health"));
	ret->known = json_is_object(j);
	ret->critical = health && strcmp(health, "Critical") == 0;
	follow = json_string_value(json_object_get(j, "follow"));
	if (follow)
		ret->follow =
			strcmp(follow, "restart") == 0 ? STORE_RESTARTS : STORE_SETTLED;
	ret->failures = (unsigned int)json_integer_value(json_object_get(j, "failures"));
	snprintf(ret->reason, sizeof(ret->reason), "%s", reason ? reason : "");
	json_decref(j);
}

int store_write_report(int vm_dir, const struct store_report *report)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:i}", "state", "Off", "health",
			      report->critical ? "Critical" : "Ok", "reason",
			      report->reason, "follow",
			      report->follow == STORE_RESTARTS ? "restart" : "nothing",
			      "failures", (int)report->failures);
	cleanup_free char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!text)
		return -ENOMEM;
	return io_replace_file(vm_dir, STORE_REPORT, text, strlen(text), 0640);
}
