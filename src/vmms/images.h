/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens the files that a VM names, checks what they are, and locks images. The lock is an open file description
 * lock (fcntl(2), F_OFD_SETLK): a write lock on a disk that is written, a read lock on one that is not. It lives
 * with the description that the worker is given, so exactly as long as the worker.
 * vmms reads no byte of them. Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_IMAGES_H
#define VMMS_IMAGES_H

#include "config/config.h"
#include "rpc/error.h"
#include "vmms/registry.h"

/* A drive's image, open as the drive says, and locked. -ETXTBSY when it is in use, with who uses it. */
int image_open(const struct registry *r, const struct vm *vm,
	       const struct drive_config *d, int *ret_fd,
	       struct rpc_error *e) __must_check;
/*
 * The file of the reservations of a shared disk, by its open image, in the state folder: the same for every VM that has the disk. It stays; what it says outlives
 * VMs only where a guest asked for that.
 */
int image_reservations(int state_fd, const struct drive_config *d, int image_fd,
		       int *ret_fd, struct rpc_error *e) __must_check;
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
/* A VM, in whatever state, of which this is a drive; NULL: none. */
const struct vm *image_attached(const struct registry *r, int fd);

#endif
