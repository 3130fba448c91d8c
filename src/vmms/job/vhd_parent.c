/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/job/vhd_parent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

/* What became of one candidate, beside 0 and errors that end the search. */
enum { NOT_THERE = -ENOENT, OUTSIDE = -EXDEV };

/* ---- names ---- */

/* Takes the last name off "/a/b"; "/" stays "". */
static size_t up(const char *path, size_t len)
{
	while (len && path[len - 1] != '/')
		len--;
	return len ? len - 1 : 0;
}

int vhd_path_clean(const char *path, char *ret, size_t size)
{
	size_t len = 0;

	if (path[0] != '/')
		return -EINVAL;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0) {
			len = up(ret, len);
		} else if (n && !(n == 1 && *path == '.')) {
			if (len + 1 + n + 1 > size)
				return -ENAMETOOLONG;
			ret[len++] = '/';
			memcpy(ret + len, path, n);
			len += n;
		}
		path += n + (path[n] == '/');
	}
	if (len == 0)
		ret[len++] = '/';
	ret[len] = 0;
	return 0;
}

/* The whole path of what a child calls by this name. */
static int path_of(const char *child, const char *candidate, char ret[PATH_MAX])
{
	char joined[2 * PATH_MAX];
	const char *end = strrchr(child, '/');

	if (candidate[0] == '/')
		return vhd_path_clean(candidate, ret, PATH_MAX);
	if (strlen(candidate) >= PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(joined, sizeof(joined), "%.*s/%s", (int)(end - child), child, candidate);
	return vhd_path_clean(joined, ret, PATH_MAX);
}

/* The part of `path` behind "folder/"; NULL when it does not lie in it. */
static const char *below(const char *path, const char *folder)
{
	size_t n = strcmp(folder, "/") == 0 ? 0 : strlen(folder);

	if (strncmp(path, folder, n) != 0 || path[n] != '/' || !path[n + 1])
		return NULL;
	return path + n + 1;
}

/* ---- folders ---- */

static int open_beneath(int dir, const char *name, bool write)
{
	const struct open_how how = {
		.flags = (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/*
 * The candidate in one folder: its descriptor, NOT_THERE, OUTSIDE or another error. The folder counts by the name that it was
 * given and by the one that it really has, for a child may say either.
 */
static int open_in(const char *folder, const char *path, bool write)
{
	cleanup_fd int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char link[64], clean[PATH_MAX], real[PATH_MAX];
	const char *name = NULL;
	ssize_t n;

	if (dir < 0)
		return OUTSIDE; /* a folder that is not there holds nothing */
	if (vhd_path_clean(folder, clean, sizeof(clean)) == 0)
		name = below(path, clean);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = name ? -1 : readlink(link, real, sizeof(real) - 1);
	if (n > 0) {
		real[n] = 0;
		name = below(path, real);
	}
	return name ? open_beneath(dir, name, write) : OUTSIDE;
}

static int open_one(const struct vhd_folders *allowed, const char *path, bool write)
{
	cleanup_free char *base = strdup(allowed->image);
	char *end = base ? strrchr(base, '/') : NULL;
	int r, worst = OUTSIDE;

	if (!end)
		return -ENOMEM;
	end[end == base] = 0; /* "/" of "/image" */
	r = open_in(base, path, write);
	for (size_t i = 0; r < 0 && allowed->more && allowed->more[i]; i++) {
		worst = r == OUTSIDE ? worst : r;
		r = open_in(allowed->more[i], path, write);
	}
	return r == OUTSIDE ? worst : r;
}

/* ---- the search ---- */

static int check_file(int fd, const char *child, const char *path, struct rpc_error *e)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (fstat(fd, &st) < 0 || flags < 0 ||
	    fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return rpc_error_set(e, -errno, "%s: its parent %s: %s", child, path,
				     strerror(errno));
	if (!S_ISREG(st.st_mode))
		return rpc_error_set(e, -EINVAL, "%s: its parent %s is no regular file",
				     child, path);
	return 0;
}

static int fail_all(const char *child, const char *missing, const char *outside,
		    struct rpc_error *e)
{
	if (outside[0])
		return rpc_error_set(
			e, -EACCES,
			"%s: its parent %s lies outside of the folders where vmms opens "
			"parents; name its folder as vhd_folders in vmms.conf(5), or say "
			"where the parent is now with 'vmctl vhd set-parent'",
			child, outside);
	return rpc_error_set(
		e, -ENOENT,
		"%s: its parent %s does not exist; bring it back, or say "
		"where it is now with 'vmctl vhd set-parent'",
		child, missing[0] ? missing : "has no name that can be used, so it");
}

int vhd_parent_open(const struct vhd_folders *allowed, const char *child,
		    const char *const *candidates, size_t n, bool write, int *ret_fd,
		    char **ret_path, struct rpc_error *e)
{
	char path[PATH_MAX], missing[PATH_MAX] = "", outside[PATH_MAX] = "";

	for (size_t i = 0; i < n; i++) {
		cleanup_fd int fd = -1;
		int r = path_of(child, candidates[i], path);

		if (r < 0)
			continue;
		fd = open_one(allowed, path, write);
		if (fd >= 0) {
			r = check_file(fd, child, path, e);
			if (r < 0)
				return r;
			*ret_path = strdup(path);
			if (!*ret_path)
				return rpc_error_set(e, -ENOMEM, "no memory");
			*ret_fd = take_fd(&fd);
			return 0;
		}
		if (fd == OUTSIDE && !outside[0])
			strcpy(outside, path);
		else if ((fd == NOT_THERE || fd == -ENOTDIR) && !missing[0])
			strcpy(missing, path);
		else if (fd != OUTSIDE && fd != NOT_THERE && fd != -ENOTDIR)
			return rpc_error_set(e, fd,
					     "%s: its parent %s cannot be opened: %s",
					     child, path, strerror(-fd));
	}
	return fail_all(child, missing, outside, e);
}
