/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/images.h"

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
#include "vmms/device.h"
#include "vmms/job.h"
#include "vmms/worker.h"

#define RESERVATIONS "../reservations" /* beside the folder of VMs */

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

/* ---- who uses an image ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool vm_uses(const struct vm *vm, const struct stat *st)
{
	for (size_t i = 0; i < vm->config.drive_count; i++) {
		struct stat other;

		if (vm->config.drives[i].path &&
		    stat(vm->config.drives[i].path, &other) == 0 && same_file(st, &other))
			return true;
	}
	return false;
}

/* Whether one of a process's descriptors is this file; proc(5), /proc/PID/fd. */
static bool process_uses(const char *pid, const struct stat *st)
{
	char path[64];
	struct dirent *entry;
	bool uses = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	d = opendir(path);
	while (d && !uses && (entry = readdir(d))) {
		struct stat other;

		uses = entry->d_name[0] != '.' &&
		       fstatat(dirfd(d), entry->d_name, &other, 0) == 0 &&
		       same_file(st, &other);
	}
	if (d)
		closedir(d);
	return uses;
}

/*
 * A description's lock names no process (F_OFD_GETLK says -1), so the first other process that has the file open is the
 * best answer there is.
 */
static void find_process(const struct stat *st, char *ret, size_t size)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;
	char path[64], own[16];

	snprintf(ret, size, "another process");
	snprintf(own, sizeof(own), "%d", (int)getpid());
	while (d && (entry = readdir(d))) {
		cleanup_free char *name = NULL;
		size_t len;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
		    strcmp(entry->d_name, own) == 0 || !process_uses(entry->d_name, st))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/comm", entry->d_name);
		if (io_read_file(AT_FDCWD, path, 64, &name, &len) == 0 && len)
			name[len - 1] = 0;
		snprintf(ret, size, "process %.16s (%.32s)", entry->d_name,
			 name ? name : "?");
		break;
	}
	if (d)
		closedir(d);
}

/* Parents too, which no configuration names: what its worker has open. */
static bool worker_uses(const struct vm *vm, const struct stat *st)
{
	char pid[16];

	if (!vm->worker || worker_pid(vm->worker) <= 0)
		return false;
	snprintf(pid, sizeof(pid), "%d", (int)worker_pid(vm->worker));
	return process_uses(pid, st);
}

void image_holder(const struct registry *r, const struct vm *self, int fd, bool write,
		  char *ret, size_t size)
{
	struct flock l = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	int64_t job = 0;
	struct stat st;
	struct vm *vm;

	if (fstat(fd, &st) < 0) {
		snprintf(ret, size, "another process");
		return;
	}
	list_for_each (vm, &r->vms, link) {
		if (vm != self && vm->state != VM_OFF &&
		    (vm_uses(vm, &st) || worker_uses(vm, &st))) {
			snprintf(ret, size, "the VM %s", vm->config.name);
			return;
		}
	}
	if (r->jobs)
		job = jobs_holder(r->jobs, st.st_dev, st.st_ino);
	if (job)
		snprintf(ret, size, "job %lld", (long long)job);
	else if (fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK && l.l_pid > 0)
		snprintf(ret, size, "process %d", (int)l.l_pid);
	else
		find_process(&st, ret, size);
}

const struct vm *image_attached(const struct registry *r, int fd)
{
	struct stat st;
	struct vm *vm;

	if (fstat(fd, &st) < 0)
		return NULL;
	list_for_each (vm, &r->vms, link) {
		if (vm_uses(vm, &st))
			return vm;
	}
	return NULL;
}

/* The same image twice in one VM would fail against its own lock. */
static bool twice_in_vm(const struct vm *vm, const struct drive_config *d, int fd)
{
	struct stat st, other;

	if (fstat(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < vm->config.drive_count; i++) {
		const struct drive_config *o = &vm->config.drives[i];

		if ((o->controller != d->controller || o->lun != d->lun) && o->path &&
		    stat(o->path, &other) == 0 && same_file(&st, &other))
			return true;
	}
	return false;
}

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
			    stat(o->path, &other) == 0 && same_file(&st, &other))
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
	if (strcmp(holder, "another process") == 0 && twice_in_vm(vm, d, fd))
		return rpc_error_set(
			e, -ETXTBSY,
			"the image %s is attached to this VM twice; detach one", d->path);
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

int image_reservations(int state_fd, const struct drive_config *d, int image_fd,
		       int *ret_fd, struct rpc_error *e)
{
	cleanup_fd int dir = -1;
	struct stat st;
	char name[64];
	int fd;

	if (fstat(image_fd, &st) < 0)
		return rpc_error_set(e, -errno, "%s: %s", d->path, strerror(errno));
	if (S_ISBLK(st.st_mode))
		snprintf(name, sizeof(name), "block-%llx",
			 (unsigned long long)st.st_rdev);
	else
		snprintf(name, sizeof(name), "file-%llx-%llx",
			 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	if (mkdirat(state_fd, RESERVATIONS, 0700) < 0 && errno != EEXIST)
		return rpc_error_set(e, -errno, "the folder of reservations: %s",
				     strerror(errno));
	dir = openat(state_fd, RESERVATIONS,
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	fd = dir < 0 ? -1
		     : openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return rpc_error_set(e, -errno, "the reservations of %s: %s", d->path,
				     strerror(errno));
	*ret_fd = fd;
	return 0;
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
