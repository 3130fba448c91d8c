/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmms/metrics/prometheus.h"
#include "vmms/vm/restart.h"

#define SETTINGS_MAX 65536u
/*
 * Where neither people nor services have users, nor containers (systemd, UIDS-GIDS): above those, below 2^31.
 */
#define DEFAULT_UIDS_FIRST 1900000000u
#define DEFAULT_UIDS_COUNT 65536u
#define UIDS_MOST (1u << 24)
#define DEFAULT_CONFIG "/etc/vmms/vmms.conf"

int settings_parse_level(const char *name, int *ret)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{ "error", LOG_LVL_ERR },
		{ "warning", LOG_LVL_WARNING },
		{ "info", LOG_LVL_INFO },
		{ "debug", LOG_LVL_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(levels[i].name, name) == 0) {
			*ret = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

/* ---- the file ---- */

/* "FIRST-LAST". Not root, and not what (uid_t)-1 means. */
static int parse_uids(const char *text, struct uid_range *ret)
{
	uint32_t first, last;
	int end = 0;

	if (sscanf(text, "%" SCNu32 "-%" SCNu32 "%n", &first, &last, &end) != 2 ||
	    text[end] || first == 0 || last < first || last == UINT32_MAX ||
	    last - first >= UIDS_MOST)
		return -EINVAL;
	*ret = (struct uid_range){ .first = first, .count = last - first + 1 };
	return 0;
}

/* What concerns the sandbox: 1, or 0 when it is another member. */
static int take_sandbox(struct settings *s, const char *path, const char *key,
			const char *value, struct rpc_error *e)
{
	if (strcmp(key, "sandbox") == 0) {
		if (!value || (strcmp(value, "on") != 0 && strcmp(value, "off") != 0))
			return rpc_error_set(e, -EINVAL, "%s: sandbox: must be on or off",
					     path);
		s->no_sandbox |= strcmp(value, "off") == 0;
		return 1;
	}
	if (strcmp(key, "worker_uids") != 0)
		return 0;
	if (!value || parse_uids(value, &s->worker_uids) < 0)
		return rpc_error_set(e, -EINVAL,
				     "%s: worker_uids: must be FIRST-LAST, two numbers "
				     "of users, as in 1900000000-1900065535",
				     path);
	return 1;
}

static int take_cgroups(struct settings *s, const char *path, const char *value,
			struct rpc_error *e)
{
	if (!value ||
	    (value[0] != '/' && strcmp(value, "auto") != 0 && strcmp(value, "off") != 0))
		return rpc_error_set(
			e, -EINVAL,
			"%s: cgroups: must be auto, off or the absolute path "
			"of a control group",
			path);
	s->cgroups = strdup(value);
	return s->cgroups ? 0 : rpc_error_set(e, -ENOMEM, "no memory");
}

/* An array of absolute paths. */
static int take_folders(struct settings *s, const char *path, const json_t *list,
			struct rpc_error *e)
{
	const json_t *item;
	size_t i;

	s->vhd_folders = calloc(json_array_size(list) + 1, sizeof(*s->vhd_folders));
	if (!s->vhd_folders)
		return rpc_error_set(e, -ENOMEM, "no memory");
	json_array_foreach (list, i, item) {
		const char *folder = json_string_value(item);

		s->vhd_folders[i] = folder && folder[0] == '/' ? strdup(folder) : NULL;
		if (!s->vhd_folders[i])
			break;
	}
	if (!json_is_array(list) || i < json_array_size(list))
		return rpc_error_set(e, -EINVAL,
				     "%s: vhd_folders: must be a list of absolute paths",
				     path);
	return 0;
}

static int take_metrics(struct settings *s, const char *path, const char *value,
			struct rpc_error *e)
{
	if (!value || !prometheus_where_ok(value))
		return rpc_error_set(e, -EINVAL,
				     "%s: metrics: must be the absolute path of a "
				     "socket, or 127.0.0.1:PORT or [::1]:PORT",
				     path);
	if (!s->metrics)
		s->metrics = strdup(value);
	return 0;
}

static int take_delay(struct settings *s, const char *path, const json_t *member,
		      struct rpc_error *e)
{
	json_int_t ms = json_integer_value(member);

	if (ms < 1 || ms > 3600000)
		return rpc_error_set(e, -EINVAL,
				     "%s: restart_delay_ms: must be an integer from 1 to "
				     "3600000",
				     path);
	s->restart_delay_ms = (uint32_t)ms;
	return 0;
}

static int take_member(struct settings *s, const char *path, const char *key,
		       const json_t *member, struct rpc_error *e)
{
	const char *value = json_string_value(member);
	int r = take_sandbox(s, path, key, value, e);
	const struct {
		const char *name;
		char **to;
	} members[] = {
		{ "state_dir", &s->state_dir },   { "run_dir", &s->run_dir },
		{ "socket", &s->socket },         { "vmwp", &s->vmwp },
		{ "vmvhd", &s->vmvhd },           { "vmnat", &s->vmnat },
		{ "kvm_device", &s->kvm_device }, { "group", &s->group },
		{ "view_group", &s->view_group }, { "boot_id_file", &s->boot_id_file },
	};

	if (r != 0)
		return r < 0 ? r : 0;
	if (strcmp(key, "log_level") == 0) {
		int level;

		if (!value || settings_parse_level(value, &level) < 0)
			return rpc_error_set(
				e, -EINVAL,
				"%s: log_level: must be error, warning, info or "
				"debug",
				path);
		s->log_level = s->log_level ? s->log_level : level;
		return 0;
	}
	if (strcmp(key, "cgroups") == 0)
		return take_cgroups(s, path, value, e);
	if (strcmp(key, "metrics") == 0)
		return take_metrics(s, path, value, e);
	if (strcmp(key, "restart_delay_ms") == 0)
		return take_delay(s, path, member, e);
	if (strcmp(key, "vhd_folders") == 0)
		return take_folders(s, path, member, e);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		bool is_path =
			members[i].to != &s->group && members[i].to != &s->view_group;

		if (strcmp(members[i].name, key) != 0)
			continue;
		if (!value || (value[0] != '/' && is_path))
			return rpc_error_set(e, -EINVAL, "%s: %s: must be %s", path, key,
					     is_path ? "an absolute path" : "a string");
		if (!*members[i].to)
			*members[i].to = strdup(value);
		return 0;
	}
	return rpc_error_set(e, -EINVAL, "%s: %.64s: there is no such setting", path,
			     key);
}

static int take_file(struct settings *s, const char *path, struct rpc_error *e)
{
	cleanup_free char *text = NULL;
	const char *key;
	char why[200];
	json_t *j, *v;
	size_t len;
	int r = io_read_file(AT_FDCWD, path, SETTINGS_MAX, &text, &len);

	if (r == -ENOENT && !s->config_path)
		return 0;
	if (r < 0)
		return rpc_error_set(e, r, "%s: %s", path, strerror(-r));
	if (frame_parse(text, len, &j, why, sizeof(why)) < 0)
		return rpc_error_set(e, -EINVAL, "%s: %s", path, why);
	if (!json_is_object(j))
		r = rpc_error_set(e, -EINVAL, "%s: must hold a JSON object", path);
	json_object_foreach (j, key, v) {
		if (r == 0)
			r = take_member(s, path, key, v, e);
	}
	json_decref(j);
	return r;
}

/* ---- defaults ---- */

static char *join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

/* A folder of the XDG base directory specification, 0.8. NULL when the environment names none. */
static char *xdg(const char *variable, const char *below_home)
{
	const char *dir = getenv(variable), *home = getenv("HOME");
	char *path;

	if (dir && dir[0] == '/')
		return join(dir, "vmms");
	if (!below_home || !home || home[0] != '/' ||
	    asprintf(&path, "%s/%s/vmms", home, below_home) < 0)
		return NULL;
	return path;
}

/* A program that was built or installed with this vmms. */
static char *find_program(const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash, *path;

	if (n > 0) {
		self[n] = 0;
		slash = strrchr(self, '/');
		*slash = 0;
		/* a build folder */
		if (asprintf(&path, "%s/../%s/%s", self, name, name) >= 0) {
			if (access(path, X_OK) == 0)
				return path;
			free(path);
		}
	}
	return join(VMMS_LIBEXECDIR, name);
}

static int take_defaults(struct settings *s, struct rpc_error *e)
{
	bool root = geteuid() == 0;

	if (!s->state_dir)
		s->state_dir = root ? strdup("/var/lib/vmms")
				    : xdg("XDG_STATE_HOME", ".local/state");
	if (!s->state_dir)
		return rpc_error_set(
			e, -EINVAL,
			"neither XDG_STATE_HOME nor HOME is set; name a folder "
			"with --state-dir");
	if (!s->run_dir)
		s->run_dir = root ? strdup("/run/vmms") : xdg("XDG_RUNTIME_DIR", NULL);
	if (!s->run_dir)
		return rpc_error_set(
			e, -EINVAL,
			"XDG_RUNTIME_DIR is not set; name a folder with --run-dir");
	if (!s->socket)
		s->socket = join(s->run_dir, "vmms.sock");
	if (!s->vmwp)
		s->vmwp = find_program("vmwp");
	if (!s->vmvhd)
		s->vmvhd = find_program("vmvhd");
	if (!s->vmnat)
		s->vmnat = find_program("vmnat");
	if (!s->boot_id_file)
		s->boot_id_file = strdup("/proc/sys/kernel/random/boot_id");
	if (!s->restart_delay_ms)
		s->restart_delay_ms = RESTART_FIRST_MS;
	if (!s->kvm_device)
		s->kvm_device = strdup("/dev/kvm");
	if (!s->group)
		s->group = strdup(root ? "vmms" : "");
	if (!s->cgroups)
		s->cgroups = strdup("auto");
	if (!s->view_group)
		s->view_group = strdup(root ? "vmms-view" : "");
	if (!s->worker_uids.count)
		s->worker_uids =
			(struct uid_range){ DEFAULT_UIDS_FIRST, DEFAULT_UIDS_COUNT };
	if (!s->log_level)
		s->log_level = LOG_LVL_INFO;
	if (!s->socket || !s->vmwp || !s->vmvhd || !s->vmnat || !s->kvm_device ||
	    !s->group || !s->view_group || !s->cgroups || !s->boot_id_file)
		return rpc_error_set(e, -ENOMEM, "no memory");
	return 0;
}

/* Clients get these paths, and their working folder is another. */
static int make_absolute(char **path, struct rpc_error *e)
{
	cleanup_free char *cwd = NULL;
	char *full;

	if (!*path || **path == '/')
		return 0;
	cwd = getcwd(NULL, 0);
	full = cwd ? join(cwd, *path) : NULL;
	if (!full)
		return rpc_error_set(e, -ENOENT, "the working folder is gone: %s",
				     strerror(errno));
	free(*path);
	*path = full;
	return 0;
}

int settings_complete(struct settings *s, struct rpc_error *e)
{
	char **paths[] = { &s->config_path, &s->state_dir, &s->run_dir,
			   &s->socket,      &s->vmwp,      &s->vmnat };
	cleanup_free char *own = geteuid() == 0 ? strdup(DEFAULT_CONFIG)
						: xdg("XDG_CONFIG_HOME", ".config");
	cleanup_free char *user_file =
		geteuid() == 0 || !own ? NULL : join(own, "vmms.conf");
	const char *path = user_file ? user_file : own;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		r = make_absolute(paths[i], e);
		if (r < 0)
			return r;
	}
	if (s->config_path)
		path = s->config_path;
	r = path ? take_file(s, path, e) : 0;
	return r < 0 ? r : take_defaults(s, e);
}

void settings_done(struct settings *s)
{
	free(s->config_path);
	free(s->state_dir);
	free(s->run_dir);
	free(s->socket);
	free(s->vmwp);
	free(s->vmvhd);
	for (size_t i = 0; s->vhd_folders && s->vhd_folders[i]; i++)
		free(s->vhd_folders[i]);
	free(s->vhd_folders);
	free(s->vmnat);
	free(s->boot_id_file);
	free(s->kvm_device);
	free(s->group);
	free(s->view_group);
	free(s->metrics);
	free(s->cgroups);
	*s = (struct settings){ 0 };
}
