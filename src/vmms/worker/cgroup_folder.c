/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control groups by their files (Linux, Documentation/admin-guide/cgroup-v2.rst). A controller that the host does not have, or
 * does not pass on, has no file in the group: what it would limit is then not limited.
 */
#include "vmms/worker/cgroup_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"

#define TEXT_MAX 64

static int open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

/* One write(2) is one command to the kernel. */
static int write_file(int group, const char *name, const char *text)
{
	cleanup_fd int fd = openat(group, name, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* ---- the folder of this vmms ---- */

/* Passes the controllers on to the groups below; in `ret`, those that cannot be. */
static void pass_on(int group, char *ret, size_t size)
{
	static const char *const wanted[] = { "cpu", "memory", "io" };
	size_t n = 0;

	ret[0] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		char text[TEXT_MAX];

		snprintf(text, sizeof(text), "+%s", wanted[i]);
		if (write_file(group, "cgroup.subtree_control", text) == 0)
			continue;
		n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "",
				      wanted[i]);
		n = MIN(n, size - 1);
	}
}

int cgroup_folder_open(const char *path, int *ret_root, char *ret_missing, size_t size)
{
	cleanup_fd int above = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), root = -1;

	if (above < 0)
		return -errno;
	/* Here and not there: the folder alone would say nothing. */
	if (faccessat(above, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		return -errno;
	pass_on(above, ret_missing, size);
	if (mkdirat(above, "vmms", 0755) < 0 && errno != EEXIST)
		return -errno;
	root = open_folder(above, "vmms");
	if (root < 0)
		return root;
	pass_on(root, ret_missing, size);
	*ret_root = take_fd(&root);
	return 0;
}

/* ---- a group ---- */

static int set_number(int group, const char *name, uint64_t value)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return write_file(group, name, text);
}

static int set_limit(int group, const char *name, uint64_t value)
{
	return value ? set_number(group, name, value) : write_file(group, name, "max");
}

static int set_cpu_max(int group, uint64_t us)
{
	char text[TEXT_MAX];

	if (!us)
		return write_file(group, "cpu.max", "max");
	snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, us, CGROUP_PERIOD_US);
	return write_file(group, "cpu.max", text);
}

static int set_all(int group, const struct cgroup_limits *l)
{
	const int results[] = {
		set_number(group, "cpu.weight", l->cpu_weight),
		set_cpu_max(group, l->cpu_us),
		set_limit(group, "memory.max", l->memory_max),
		set_number(group, "memory.low", l->memory_low),
		set_number(group, "io.weight", l->io_weight),
	};

	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		if (results[i] < 0 && results[i] != -ENOENT)
			return results[i];
	}
	return 0;
}

int cgroup_folder_set(int root, const char *id, const struct cgroup_limits *limits)
{
	cleanup_fd int group = open_folder(root, id);

	return group < 0 ? group : set_all(group, limits);
}

int cgroup_folder_add(int root, const char *id, pid_t pid,
		      const struct cgroup_limits *limits)
{
	int r = mkdirat(root, id, 0755) < 0 && errno != EEXIST ? -errno : 0;
	cleanup_fd int group = r < 0 ? r : open_folder(root, id);

	if (group < 0)
		return group;
	r = set_all(group, limits);
	if (r == 0)
		r = set_number(group, "cgroup.procs", (uint64_t)pid);
	if (r < 0)
		unlinkat(root, id, AT_REMOVEDIR);
	return r;
}

void cgroup_folder_drop(int root, const char *id)
{
	if (unlinkat(root, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
		log_warning("control group vmms/%s: cannot be removed: %s", id,
			    strerror(errno));
}
