/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block devices of the host that a VM is to have. One that the host itself uses is refused: what two write that do not know of each other is lost. The kernel knows
 * (open(2), O_EXCL on a block device fails for one that is mounted, swap, or part of another, its partitions too); sysfs and proc say by whom.
 * Thread: the event loop's. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_DISK_DEVICE_H
#define VMMS_DISK_DEVICE_H

#include <sys/types.h>
#include "rpc/error.h"

/*
 * Opens a device that nobody on the host uses. `claim`: for as long as the descriptor lives nobody can begin to; else (several VMs have it, or it is only
 * read) it is only looked at now. -EBUSY with who uses it.
 */
int device_open(const char *path, bool write, bool claim, int *ret_fd,
		struct rpc_error *e) __must_check;

/*
 * Who uses a device, by the files of a root folder ("" for the host's own): "mounted on /srv", "used for swap", "part of dm-0", the same of a partition. False, and an
 * empty text, when that is not known.
 */
bool device_user(const char *root, dev_t dev, char *ret, size_t size);

#endif
