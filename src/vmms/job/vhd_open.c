/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/job/vhd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmms/disk/images.h"
#include "vmms/vmms.h"

bool vhd_has_format(const char *path)
{
	static const char *const ends[] = { ".vhd", ".avhd", ".vhdx", ".avhdx" };
	const char *end = path ? strrchr(path, '.') : NULL;

	for (size_t i = 0; end && i < ARRAY_SIZE(ends); i++) {
		if (strcasecmp(end, ends[i]) == 0)
			return true;
	}
	return false;
}

static const char *advice(int r, bool write)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
		return "; look for it, or name another";
	case -EACCES:
	case -EPERM:
		return write ? "; let vmms read and write it" : "; let vmms read it";
	case -EROFS:
		return "; copy it to where it can be written, with 'vmctl vhd convert'";
	default:
		return "";
	}
}

/* -ETXTBSY is the lock's; the descriptor is then given all the same. */
static int open_locked(const struct registry *r, const char *path, bool write, int *ret,
		       struct rpc_error *e)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int n, flags;

	if (path[0] != '/')
		return rpc_error_set(e, -EINVAL, "'%s' is not an absolute path", path);
	fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		n = -errno;
		return rpc_error_set(e, n, "%s cannot be opened: %s%s", path,
				     strerror(-n), advice(n, write));
	}
	if (!S_ISREG(st.st_mode) && (write || !S_ISBLK(st.st_mode)))
		return rpc_error_set(e, -EINVAL, "%s is no regular file", path);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return rpc_error_set(e, -errno, "%s: %s", path, strerror(errno));
	n = image_lock(r, path, fd, write, e);
	if (n == 0 || n == -ETXTBSY)
		*ret = take_fd(&fd);
	return n;
}

int vhd_open(struct vmms *v, const char *path, bool write, struct vhd_files *files,
	     struct rpc_error *e)
{
	cleanup_fd int fd = -1;
	int r = open_locked(&v->registry, path, write, &fd, e);

	if (r < 0)
		return r;
	r = vhd_files_add(files, take_fd(&fd), path, -1);
	return r < 0 ? rpc_error_set(e, r, "no memory") : 0;
}

int vhd_open_to_look(struct vmms *v, const char *path, struct vhd_files *files,
		     struct rpc_error *e)
{
	cleanup_fd int fd = -1;
	int r = open_locked(&v->registry, path, false, &fd, e);

	if (r < 0 && r != -ETXTBSY)
		return r;
	r = vhd_files_add(files, take_fd(&fd), path, -1);
	return r < 0 ? rpc_error_set(e, r, "no memory") : 0;
}
