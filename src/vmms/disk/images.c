/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/disk/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmms/disk/device.h"

/* The advice for an open that failed. */
static const char *advice(int r, bool write)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
		return "make it, or name another";
	case -EACCES:
	case -EPERM:
		return write ? "let vmms read and write it, or attach it read-only"
			     : "let vmms read it";
	case -EROFS:
		return "its file system is read-only; attach it read-only";
	default:
		return "see to it and try again";
	}
}

static int open_path(const char *path, const char *what, bool write, int *ret_fd,
		     struct stat *ret_st, struct rpc_error *e)
{
	/* Non-blocking, so that a FIFO or a drive without medium cannot hold vmms up. */
	cleanup_fd int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC |
					       O_NONBLOCK | O_NOCTTY);
	int r, flags;

	if (fd < 0) {
		r = -errno;
		return rpc_error_set(e, r, "the %s %s cannot be opened: %s; %s", what,
				     path, strerror(-r), advice(r, write));
	}
	if (fstat(fd, ret_st) < 0)
		return rpc_error_set(e, -errno, "the %s %s: %s", what, path,
				     strerror(errno));
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return rpc_error_set(e, -errno, "the %s %s: %s", what, path,
				     strerror(errno));
	*ret_fd = take_fd(&fd);
	return 0;
}

int image_open_file(const char *path, const char *what, int *ret_fd, struct rpc_error *e)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int r = open_path(path, what, false, &fd, &st, e);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return rpc_error_set(e, -EINVAL, "the %s %s is no regular file", what,
				     path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* ---- opening ---- */

/* A lock for reading is what readers and those who share have: they are not to meet. */
static int check_sharing(const struct registry *r, const struct vm *self,
			 const struct drive_config *d, int fd, struct rpc_error *e)
{
	struct stat st, other;
	struct vm *vm;

	if (fstat(fd, &st) < 0)
		return rpc_error_set(e, -errno, "%s: %s", d->path, strerror(errno));
	list_for_each (vm, &r->vms, link) {
		for (size_t i = 0;
		     vm != self && vm->state != VM_OFF && i < vm->config.drive_count;
		     i++) {
			const struct drive_config *o = &vm->config.drives[i];

			if (o->path && o->shared != d->shared &&
			    stat(o->path, &other) == 0 && image_same_file(&st, &other))
				return rpc_error_set(e, -ETXTBSY,
						     "the image %s is in use by the VM "
						     "%s, where it is "
						     "%sshared; both must say the same",
						     d->path, vm->config.name,
						     o->shared ? "" : "not ");
		}
	}
	return 0;
}

static int lock_image(const struct registry *r, const struct vm *vm,
		      const struct drive_config *d, int fd, struct rpc_error *e)
{
	struct flock l = { .l_type = d->read_only || d->shared ? F_RDLCK : F_WRLCK,
			   .l_whence = SEEK_SET };
	char holder[CONFIG_NAME_SIZE + 16];

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return rpc_error_set(e, -errno, "the image %s cannot be locked: %s",
				     d->path, strerror(errno));
	image_holder(r, vm, fd, !d->read_only, holder, sizeof(holder));
	if (strcmp(holder, "another process") == 0 &&
	    images_check_once(&vm->config, e) < 0)
		return -ETXTBSY;
	return rpc_error_set(e, -ETXTBSY,
			     "the image %s is in use by %s; stop that first, or attach "
			     "another image",
			     d->path, holder);
}

int image_lock(const struct registry *r, const char *path, int fd, bool write,
	       struct rpc_error *e)
{
	struct flock l = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	char holder[CONFIG_NAME_SIZE + 16];

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return rpc_error_set(e, -errno, "%s cannot be locked: %s", path,
				     strerror(errno));
	image_holder(r, NULL, fd, write, holder, sizeof(holder));
	return rpc_error_set(e, -ETXTBSY,
			     "%s is in use by %s; wait until it is free, or stop that",
			     path, holder);
}

int image_open(const struct registry *r, const struct vm *vm,
	       const struct drive_config *d, int *ret_fd, struct rpc_error *e)
{
	const char *what = d->kind == DRIVE_DVD ? "DVD image" : "disk";
	cleanup_fd int fd = -1;
	struct stat st;
	int n = open_path(d->path, what, !d->read_only, &fd, &st, e);

	if (n < 0)
		return n;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return rpc_error_set(
			e, -EINVAL,
			"the %s %s is neither a regular file nor a block device", what,
			d->path);
	if (S_ISBLK(st.st_mode)) {
		close(take_fd(&fd));
		n = device_open(d->path, !d->read_only, !d->read_only && !d->shared, &fd,
				e);
		if (n < 0)
			return n;
	}
	n = lock_image(r, vm, d, fd, e);
	if (n == 0)
		n = check_sharing(r, vm, d, fd, e);
	if (n < 0)
		return n;
	*ret_fd = take_fd(&fd);
	return 0;
}
