/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of the persistent reservations of shared disks, STATE/reservations: one for each image or device, by its device and inode, which every
 * VM that has the disk uses (back/scsi_reserve.h says how). vmms makes and removes them, and reads none. One stays as long as a configuration
 * names its disk or a worker has it open; what it says outlives VMs only where a guest asked for that.
 * Thread: the event loop's.
 */
#ifndef VMMS_DISK_RESERVATIONS_H
#define VMMS_DISK_RESERVATIONS_H

#include "config/config.h"
#include "rpc/error.h"
#include "vmms/vm/registry.h"

/* The file for a shared disk, by its open image; made when there is none. state_fd is STATE/vms. */
int reservations_open(int state_fd, const struct drive_config *d, int image_fd,
		      int *ret_fd, struct rpc_error *e) __must_check;
/*
 * Removes the files of disks that no configuration names any more and no worker uses. A vmms that ends before it is here leaves them to the next one's
 * start. Nothing is removed while a shared disk cannot be looked at.
 */
void reservations_sweep(const struct registry *r, int state_fd);

#endif
