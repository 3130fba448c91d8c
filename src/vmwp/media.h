/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open images, and when they are closed. A unit's disk goes with its last command, on whatever thread that ends; only then is the file free for
 * others. This keeps a second descriptor on the same open file description, by which its lock is dropped at that moment for certain: the kernel may hold
 * the description a little longer for an I/O engine that has just finished.
 * Thread: the worker's loop, unless said otherwise.
 */
#ifndef VMWP_MEDIA_H
#define VMWP_MEDIA_H

#include "util/list.h"
#include "vhd/disk.h"
#include "vmwp/drives.h"
#include "vmwp/machine_priv.h"

struct medium;

/*
 * Opens an image as a drive's, whose descriptors are the disk's on success. *ret_disk is the caller's reference. The medium is freed by media_collect()
 * once the disk is closed.
 */
int medium_open(struct machine *m, const struct guid *id, struct drive_files *files,
		const struct drive_config *drive, struct disk **ret_disk,
		struct medium **ret, struct machine_error *error) __must_check;
/* Where the medium is kept, so that NULL stands there once it is freed; slot NULL: nowhere. */
void medium_keep(struct medium *medium, struct medium **slot);
/* done() when it is closed, maybe at once; NULL medium is closed. One a medium. */
void medium_await(struct medium *medium, machine_done_fn done, void *opaque);
/* Frees those that were closed; `all`: no disk is left, whatever they say. */
void media_collect(struct machine *m, bool all);

#endif
