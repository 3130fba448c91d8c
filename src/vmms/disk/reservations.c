/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/disk/reservations.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

#define FOLDER "../reservations" /* beside the folder of VMs */
#define NAME_SIZE 64

static void name_of(const struct stat *st, char ret[NAME_SIZE])
{
	if (S_ISBLK(st->st_mode))
		snprintf(ret, NAME_SIZE, "block-%llx", (unsigned long long)st->st_rdev);
	else
		snprintf(ret, NAME_SIZE, "file-%llx-%llx", (unsigned long long)st->st_dev,
			 (unsigned long long)st->st_ino);
}

int reservations_open(int state_fd, const struct drive_config *d, int image_fd,
		      int *ret_fd, struct rpc_error *e)
{
	cleanup_fd int dir = -1;
	char name[NAME_SIZE];
	struct stat st;
	int fd;

	if (fstat(image_fd, &st) < 0)
		return rpc_error_set(e, -errno, "%s: %s", d->path, strerror(errno));
	name_of(&st, name);
	if (mkdirat(state_fd, FOLDER, 0700) < 0 && errno != EEXIST)
		return rpc_error_set(e, -errno, "the folder of reservations: %s",
				     strerror(errno));
	dir = openat(state_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	fd = dir < 0 ? -1
		     : openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return rpc_error_set(e, -errno, "the reservations of %s: %s", d->path,
				     strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* ---- removal ---- */

/* Whether a disk that some configuration names has this file; also when that cannot be told. */
static bool is_named(const struct registry *r, const char *name)
{
	char other[NAME_SIZE];
	struct stat st;
	struct vm *vm;

	list_for_each (vm, &r->vms, link) {
		for (size_t i = 0; i < vm->config.drive_count; i++) {
			const struct drive_config *d = &vm->config.drives[i];

			if (!d->shared || !d->path)
				continue;
			if (stat(d->path, &st) < 0)
				return true;
			name_of(&st, other);
			if (strcmp(name, other) == 0)
				return true;
		}
	}
	return false;
}

/* Each worker that uses it has a lock on one of its bytes. */
static bool is_used(int dir, const char *name)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	cleanup_fd int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || fcntl(fd, F_OFD_GETLK, &l) < 0 || l.l_type != F_UNLCK;
}

/* What reservations_open() makes, and nothing else, is ours. */
static bool is_ours(const char *name)
{
	return strncmp(name, "block-", 6) == 0 || strncmp(name, "file-", 5) == 0;
}

void reservations_sweep(const struct registry *r, int state_fd)
{
	int fd =
		openat(state_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (fd >= 0 && !d)
		close(fd);
	while (d && (entry = readdir(d))) {
		const char *name = entry->d_name;

		if (!is_ours(name) || is_named(r, name) || is_used(dirfd(d), name))
			continue;
		if (unlinkat(dirfd(d), name, 0) < 0)
			log_warning("the reservations %s cannot be removed: %s", name,
				    strerror(errno));
	}
	if (d)
		closedir(d);
}
