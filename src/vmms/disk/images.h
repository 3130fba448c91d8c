/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens the files that a VM names, checks what they are, and locks images. The lock is an open file description
 * lock (fcntl(2), F_OFD_SETLK): a write lock on a disk that is written, a read lock on one that is not. It lives
 * with the description that the worker is given, so exactly as long as the worker.
 * vmms reads no byte of them. Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_DISK_IMAGES_H
#define VMMS_DISK_IMAGES_H

#include <sys/stat.h>
#include "config/config.h"
#include "rpc/error.h"
#include "vmms/vm/registry.h"

/* A drive's image, open as the drive says, and locked. -ETXTBSY when it is in use, with who uses it. */
int image_open(const struct registry *r, const struct vm *vm,
	       const struct drive_config *d, int *ret_fd,
	       struct rpc_error *e) __must_check;
/* A regular file to be read: `what` it is to be ("kernel"). */
int image_open_file(const char *path, const char *what, int *ret_fd,
		    struct rpc_error *e) __must_check;
/*
 * Locks an image that a job or a chain uses: for reading, or for writing (then nobody else has it). -ETXTBSY with who uses it.
 */
int image_lock(const struct registry *r, const char *path, int fd, bool write,
	       struct rpc_error *e) __must_check;
/* Who has an image that could not be locked: "the VM web1", "job 3", "process 12 (qemu-img)", "another process". */
void image_holder(const struct registry *r, const struct vm *self, int fd, bool write,
		  char *ret, size_t size);
/*
 * That no file is two drives of a VM, unless both only read it. By device and inode, or by name what is not there yet. -EINVAL.
 */
int images_check_once(const struct vm_config *c, struct rpc_error *e) __must_check;
/* Whether two are one file, or one device. */
bool image_same_file(const struct stat *a, const struct stat *b);
/* Whether two paths lead to one file or device that is there. */
bool image_same(const char *a, const char *b);
/* A VM, in whatever state, of which this is a drive; NULL: none. */
const struct vm *image_attached(const struct registry *r, int fd);

#endif
