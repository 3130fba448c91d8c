/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/disk/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* proc(5), /proc/PID/mountinfo: the third word is the device, the fifth where it is mounted. */
static bool is_mounted(const char *root, dev_t dev, char *ret, size_t size)
{
	cleanup_file FILE *f = NULL;
	cleanup_free char *path = NULL, *line = NULL;
	size_t room = 0;

	if (asprintf(&path, "%s/proc/self/mountinfo", root) < 0) {
		path = NULL;
		return false;
	}
	f = fopen(path, "re");
	while (f && getline(&line, &room, f) > 0) {
		unsigned int major_, minor_;
		char where[256];

		if (sscanf(line, "%*u %*u %u:%u %*s %255s", &major_, &minor_, where) ==
			    3 &&
		    makedev(major_, minor_) == dev) {
			snprintf(ret, size, "mounted on %s", where);
			return true;
		}
	}
	return false;
}

/* proc(5), /proc/swaps: the first word is a path, of a device or a file. */
static bool is_swap(const char *root, dev_t dev, char *ret, size_t size)
{
	cleanup_file FILE *f = NULL;
	cleanup_free char *path = NULL, *line = NULL;
	size_t room = 0;

	if (asprintf(&path, "%s/proc/swaps", root) < 0) {
		path = NULL;
		return false;
	}
	f = fopen(path, "re");
	while (f && getline(&line, &room, f) > 0) {
		struct stat st;

		line[strcspn(line, " \t\n")] = 0;
		if (stat(line, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev) {
			snprintf(ret, size, "used for swap");
			return true;
		}
	}
	return false;
}

/* sysfs: a device that is built on this one. */
static bool has_holder(const char *root, dev_t dev, char *ret, size_t size)
{
	cleanup_free char *path = NULL;
	struct dirent *entry;
	bool found = false;
	DIR *d;

	if (asprintf(&path, "%s/sys/dev/block/%u:%u/holders", root, major(dev),
		     minor(dev)) < 0) {
		path = NULL;
		return false;
	}
	d = opendir(path);
	while (d && !found && (entry = readdir(d))) {
		found = entry->d_name[0] != '.';
		if (found)
			snprintf(ret, size, "part of %.64s", entry->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

static bool used_itself(const char *root, dev_t dev, char *ret, size_t size)
{
	return is_mounted(root, dev, ret, size) || is_swap(root, dev, ret, size) ||
	       has_holder(root, dev, ret, size);
}

/* The number of a partition, from its folder in that of its device. */
static bool partition_of(int dir, const char *name, dev_t *ret)
{
	char path[300];
	cleanup_free char *text = NULL;
	unsigned int major_, minor_;
	size_t len;

	snprintf(path, sizeof(path), "%.255s/partition", name);
	if (faccessat(dir, path, F_OK, 0) < 0)
		return false;
	snprintf(path, sizeof(path), "%.255s/dev", name);
	if (io_read_file(dir, path, 64, &text, &len) < 0 ||
	    sscanf(text, "%u:%u", &major_, &minor_) != 2)
		return false;
	*ret = makedev(major_, minor_);
	return true;
}

static bool partition_used(const char *root, dev_t dev, char *ret, size_t size)
{
	cleanup_free char *path = NULL;
	struct dirent *entry;
	bool used = false;
	char who[300];
	DIR *d;

	if (asprintf(&path, "%s/sys/dev/block/%u:%u", root, major(dev), minor(dev)) < 0) {
		path = NULL;
		return false;
	}
	d = opendir(path);
	while (d && !used && (entry = readdir(d))) {
		dev_t part;

		used = entry->d_name[0] != '.' &&
		       partition_of(dirfd(d), entry->d_name, &part) &&
		       used_itself(root, part, who, sizeof(who));
		if (used)
			snprintf(ret, size, "its partition %.64s is %s", entry->d_name,
				 who);
	}
	if (d)
		closedir(d);
	return used;
}

bool device_user(const char *root, dev_t dev, char *ret, size_t size)
{
	char who[300];

	ret[0] = 0;
	if (used_itself(root, dev, who, sizeof(who))) {
		snprintf(ret, size, "it is %s", who);
		return true;
	}
	return partition_used(root, dev, ret, size);
}

static int say_busy(const char *path, struct rpc_error *e)
{
	char who[400] = "";
	struct stat st;

	if (stat(path, &st) == 0)
		device_user("", st.st_rdev, who, sizeof(who));
	return rpc_error_set(e, -EBUSY, "the device %s is in use on this host: %s; %s",
			     path, who[0] ? who : "something has claimed it",
			     "take it out of that use, or attach another");
}

int device_open(const char *path, bool write, bool claim, int *ret_fd,
		struct rpc_error *e)
{
	int flags = (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	cleanup_fd int fd = open(path, flags | O_EXCL);

	if (fd >= 0 && !claim) {
		close(take_fd(&fd));
		fd = open(path, flags);
	}
	if (fd < 0)
		return errno == EBUSY ? say_busy(path, e)
				      : rpc_error_set(e, -errno, "the device %s: %s",
						      path, strerror(errno));
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return rpc_error_set(e, -errno, "the device %s: %s", path,
				     strerror(errno));
	*ret_fd = take_fd(&fd);
	return 0;
}
