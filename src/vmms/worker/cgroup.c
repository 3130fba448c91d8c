/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/worker/cgroup.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/log.h"
#include "vmms/worker/cgroup_priv.h"

#define CGROUP_MOUNT "/sys/fs/cgroup"

static void __printf(3, 4) say(struct cgroups *c, bool note, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
	c->note = note;
}

static void use_folder(struct cgroups *c, const char *path)
{
	char missing[64];
	int r = cgroup_folder_open(path, &c->root, missing, sizeof(missing));

	if (r < 0) {
		say(c, true,
		    "none: %s cannot be divided (%s), so CPU, memory and I/O settings of "
		    "VMs "
		    "have no effect; run vmms under systemd, or set \"cgroups\"",
		    path, strerror(-r));
		return;
	}
	c->kind = CGROUP_FOLDER;
	if (missing[0])
		say(c, true,
		    "below %s/vmms, without %s: that setting of VMs has no effect", path,
		    missing);
	else
		say(c, false, "one for each worker below %s/vmms", path);
}

static void find(struct cgroups *c, struct event_base *base)
{
	struct statfs fs;

	if (cgroup_systemd_there()) {
		c->systemd = cgroup_systemd_new(base);
		if (c->systemd) {
			c->kind = CGROUP_SYSTEMD;
			say(c, false, "a systemd scope for each worker, in vmms.slice");
			return;
		}
	}
	if (statfs(CGROUP_MOUNT, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC) {
		say(c, true,
		    "none: " CGROUP_MOUNT
		    " is not version 2, so CPU, memory and I/O settings "
		    "of VMs have no effect; start the host with "
		    "systemd.unified_cgroup_hierarchy=1");
		return;
	}
	use_folder(c, CGROUP_MOUNT);
}

void cgroup_init(struct cgroups *c, struct event_base *base, const char *choice)
{
	*c = (struct cgroups){ .root = -1 };
	if (strcmp(choice, "off") == 0)
		say(c, true,
		    "SWITCHED OFF: CPU, memory and I/O settings of VMs have no effect");
	else if (choice[0] == '/')
		use_folder(c, choice);
	else
		find(c, base);
	log_line(c->note ? LOG_LVL_WARNING : LOG_LVL_INFO, "control groups: %s", c->text);
}

void cgroup_done(struct cgroups *c)
{
	cgroup_systemd_free(c->systemd);
	c->systemd = NULL;
	if (c->root >= 0)
		close(c->root);
	c->root = -1;
	c->kind = CGROUP_NONE;
}

void cgroup_add(struct cgroups *c, const char *id, const char *name, pid_t pid,
		const struct cgroup_limits *limits, cgroup_fn fn, void *arg)
{
	switch (c->kind) {
	case CGROUP_SYSTEMD:
		cgroup_systemd_add(c->systemd, id, name, pid, limits, fn, arg);
		break;
	case CGROUP_FOLDER:
		fn(arg, cgroup_folder_add(c->root, id, pid, limits));
		break;
	case CGROUP_NONE:
		fn(arg, 0);
		break;
	}
}

int cgroup_set(struct cgroups *c, const char *id, const struct cgroup_limits *limits)
{
	switch (c->kind) {
	case CGROUP_SYSTEMD:
		return cgroup_systemd_set(c->systemd, id, limits);
	case CGROUP_FOLDER:
		return cgroup_folder_set(c->root, id, limits);
	case CGROUP_NONE:
		break;
	}
	return 0;
}

void cgroup_drop(struct cgroups *c, const char *id)
{
	if (c->kind == CGROUP_SYSTEMD)
		cgroup_systemd_drop(c->systemd, id);
	else if (c->kind == CGROUP_FOLDER)
		cgroup_folder_drop(c->root, id);
}
