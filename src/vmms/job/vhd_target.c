/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/job/vhd_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/guid.h"
#include "util/log.h"
#include "vmms/disk/images.h"

#define FILE_MODE 0600 /* a disk holds secrets; the operator may open it to others */

static const char *name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static const char *advice(int r)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
		return "; make the folder first";
	case -EACCES:
	case -EPERM:
		return "; let vmms write there, or choose another folder";
	case -EROFS:
		return "; choose a folder that can be written";
	case -ENOSPC:
	case -EDQUOT:
		return "; free some room there, or choose another folder";
	default:
		return "";
	}
}

static int fail(const struct vhd_target *t, int r, struct rpc_error *e)
{
	return rpc_error_set(e, r, "%s cannot be made: %s%s", t->path, strerror(-r),
			     advice(r));
}

/* ---- before ---- */

/* The file that is to be replaced: a regular one that nobody uses. It stays locked, so that nobody begins to. */
static int hold_old(const struct registry *r, struct vhd_target *t, struct rpc_error *e)
{
	struct stat st;

	t->old_fd = openat(t->dir, name_of(t->path),
			   O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (t->old_fd < 0 && errno == ENOENT)
		return 0;
	if (t->old_fd < 0 || fstat(t->old_fd, &st) < 0)
		return rpc_error_set(e, -errno, "%s cannot be replaced: %s%s", t->path,
				     strerror(errno), advice(-errno));
	if (!S_ISREG(st.st_mode))
		return rpc_error_set(e, -EEXIST,
				     "%s is no regular file and is not replaced; choose "
				     "another name",
				     t->path);
	return image_lock(r, t->path, t->old_fd, true, e);
}

static int prepare(const struct registry *r, struct vhd_target *t, bool force,
		   struct rpc_error *e)
{
	cleanup_free char *folder = strdup(t->path);
	char id[GUID_STR_LEN];
	struct guid guid;
	struct stat st;

	if (!folder)
		return rpc_error_set(e, -ENOMEM, "no memory");
	folder[MAX(name_of(t->path) - t->path - 1, 1)] = 0;
	guid_new(&guid);
	guid_format(&guid, id);
	if (asprintf(&t->hidden, "%s/.vmms-%s", folder[1] ? folder : "", id) < 0) {
		t->hidden = NULL;
		return rpc_error_set(e, -ENOMEM, "no memory");
	}
	t->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0)
		return fail(t, -errno, e);
	if (faccessat(t->dir, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return fail(t, -errno, e);
	if (force)
		return hold_old(r, t, e);
	if (fstatat(t->dir, name_of(t->path), &st, AT_SYMLINK_NOFOLLOW) == 0)
		return rpc_error_set(e, -EEXIST,
				     "%s exists already; choose another name, or replace "
				     "it with --force",
				     t->path);
	return errno == ENOENT ? 0 : fail(t, -errno, e);
}

int vhd_target_prepare(const struct registry *r, const char *path, bool force,
		       struct vhd_target *ret, struct rpc_error *e)
{
	struct vhd_target t = { .dir = -1, .fd = -1, .old_fd = -1 };
	int n;

	if (path[0] != '/' || !name_of(path)[0])
		return rpc_error_set(e, -EINVAL,
				     "'%s' is not the absolute path of a file", path);
	t.path = strdup(path);
	n = t.path ? prepare(r, &t, force, e) : rpc_error_set(e, -ENOMEM, "no memory");
	if (n < 0)
		vhd_target_done(&t);
	else
		*ret = t;
	return n;
}

/* ---- the file ---- */

int vhd_target_open(struct vhd_target *t, bool no_tmpfile, struct rpc_error *e)
{
	t->fd = no_tmpfile
			? -1
			: openat(t->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
	/* EISDIR: a kernel or file system that takes it for an open of the folder (open(2)). */
	if (no_tmpfile || (t->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))) {
		t->fd = openat(t->dir, name_of(t->hidden),
			       O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW,
			       FILE_MODE);
		t->named = t->fd >= 0;
	}
	return t->fd < 0 ? fail(t, -errno, e) : 0;
}

/* What replaces a file belongs to whom that belonged, as far as vmms may say so. */
static void take_over(struct vhd_target *t)
{
	struct stat st;

	if (t->old_fd < 0 || fstat(t->old_fd, &st) < 0)
		return;
	if (fchown(t->fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(t->fd, st.st_mode & 07777) < 0)
		log_info("%s: owner and mode are not those of the file that it replaces",
			 t->path);
}

/* A name for a file that has none. */
static int give_name(struct vhd_target *t, const char *name)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, self, t->dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int put_in_place(struct vhd_target *t)
{
	const char *hidden = name_of(t->hidden), *name = name_of(t->path);
	unsigned int flags = t->old_fd < 0 ? RENAME_NOREPLACE : 0;
	int r;

	if (!t->named && flags)
		return give_name(t, name);
	if (!t->named) {
		r = give_name(t, hidden);
		if (r < 0)
			return r;
		t->named = true;
	}
	if (renameat2(t->dir, hidden, t->dir, name, flags) < 0)
		return -errno;
	t->named = false;
	return 0;
}

int vhd_target_commit(struct vhd_target *t, struct rpc_error *e)
{
	int r;

	take_over(t);
	r = put_in_place(t);
	if (r == -EEXIST)
		return rpc_error_set(e, r,
				     "%s was made by another meanwhile and is left as it "
				     "is; choose another name",
				     t->path);
	if (r == 0 && fsync(t->dir) < 0)
		r = -errno;
	return r < 0 ? fail(t, r, e) : 0;
}

void vhd_target_done(struct vhd_target *t)
{
	if (t->named && unlinkat(t->dir, name_of(t->hidden), 0) < 0)
		log_warning("%s cannot be removed: %s", t->hidden, strerror(errno));
	t->named = false;
	if (t->fd >= 0)
		close(t->fd);
	if (t->old_fd >= 0)
		close(t->old_fd);
	if (t->dir >= 0)
		close(t->dir);
	t->fd = t->old_fd = t->dir = -1;
	free(take_ptr(&t->path));
	free(take_ptr(&t->hidden));
}
