/* SPDX-License-Identifier: BSD-2-Clause */
/* Who uses an image, and which drives are the same one. */
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
#include "vmms/disk/images.h"
#include "vmms/job/job.h"
#include "vmms/worker/worker.h"

/* ---- the same file ---- */

bool image_same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool image_same(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && image_same_file(&x, &y);
}

static bool vm_uses(const struct vm *vm, const struct stat *st)
{
	for (size_t i = 0; i < vm->config.drive_count; i++) {
		struct stat other;

		if (vm->config.drives[i].path &&
		    stat(vm->config.drives[i].path, &other) == 0 &&
		    image_same_file(st, &other))
			return true;
	}
	return false;
}

/* ---- who uses it ---- */

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
		       image_same_file(st, &other);
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

/* ---- once in a VM ---- */

struct named {
	const struct drive_config *drive;
	struct stat st;
	bool exists;
};

/* What is not there yet is known by its name. */
static bool clash(const struct named *a, const struct named *b)
{
	if (a->drive->read_only && b->drive->read_only)
		return false;
	return a->exists && b->exists ? image_same_file(&a->st, &b->st)
				      : strcmp(a->drive->path, b->drive->path) == 0;
}

int images_check_once(const struct vm_config *c, struct rpc_error *e)
{
	cleanup_free struct named *all = calloc(c->drive_count + 1, sizeof(*all));
	size_t n = 0;

	if (!all)
		return rpc_error_set(e, -ENOMEM, "no memory");
	for (size_t i = 0; i < c->drive_count; i++) {
		struct named *d = &all[n];

		if (!c->drives[i].path)
			continue;
		d->drive = &c->drives[i];
		d->exists = stat(d->drive->path, &d->st) == 0;
		for (size_t k = 0; k < n; k++) {
			if (clash(&all[k], d))
				return rpc_error_set(
					e, -EINVAL,
					"%s: the drives %u:%u and %u:%u are the same "
					"file, %s; give each one of its own",
					c->name, all[k].drive->controller,
					all[k].drive->lun, d->drive->controller,
					d->drive->lun, d->drive->path);
		}
		n++;
	}
	return 0;
}
