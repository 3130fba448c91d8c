/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The drives of a machine: from descriptors to a logical unit and back, and what can change while the guest runs. Part of machine.h's
 * contract; thread and errors as there.
 */
#ifndef VMWP_DRIVES_H
#define VMWP_DRIVES_H

#include <jansson.h>
#include "vhd/image.h"
#include "vmwp/machine.h"

#define DRIVE_FILES_MAX IMAGE_CHAIN_MAX

/*
 * The files of an image, the leaf first, each the parent of the one before it. A name says its file's format; those of parents are borrowed. Who is given one
 * takes over the descriptors in any case.
 */
struct drive_files {
	unsigned int n; /* 0: a DVD drive without a medium */
	int fds[DRIVE_FILES_MAX];
	const char *names[DRIVE_FILES_MAX]; /* [0]: the drive's path */
	int reservations;                   /* the file of a shared disk's; -1: none */
};
void drive_files_close(struct drive_files *files);

/*
 * A drive of this configuration on its controller and LUN, before or after the start, when a controller that is not there yet comes with it. -EEXIST,
 * -ENODEV, -EINVAL (not an image), -ENOMEM.
 */
int machine_drive_attach(struct machine *m, const struct drive_config *drive,
			 struct drive_files *files,
			 struct machine_error *error) __must_check;
/*
 * The guest sees it gone at once. done() when its image is closed and its lock gone, which the requests under way come before; maybe before the
 * return. -ENODEV, -ENOENT: nothing began.
 */
int machine_drive_detach(struct machine *m, unsigned int controller, unsigned int lun,
			 machine_done_fn done, void *opaque,
			 struct machine_error *error) __must_check;
/* The policies of a configuration that can change at any time: rates and what an error does. -ENODEV, -ENOENT. */
int machine_drive_set(struct machine *m, const struct drive_config *drive,
		      struct machine_error *error) __must_check;
/*
 * Makes a disk's image so large, or with 0 looks how large it has become, and tells the guest. -ENODEV, -ENOENT, -EINVAL (it would shrink; a
 * DVD), -EROFS, -EOPNOTSUPP (not in this format).
 */
int machine_drive_resize(struct machine *m, unsigned int controller, unsigned int lun,
			 uint64_t bytes, uint64_t *ret_bytes,
			 struct machine_error *error) __must_check;
/*
 * Another medium for a DVD drive, or none; its one name is for messages. done() when the one before is closed. -ENOENT, -EINVAL when it is a
 * disk; without `force` -EBUSY when the guest has locked the tray.
 */
int machine_dvd_change(struct machine *m, unsigned int controller, unsigned int lun,
		       bool force, struct drive_files *files, machine_done_fn done,
		       void *opaque, struct machine_error *error) __must_check;

/* Of each drive, as the status document has it. */
json_t *drives_json(const struct machine *m);

/* ---- for the machine ---- */

/* asked_fd was written: a disk has stalled, or an image was closed. */
void drives_asked(struct machine *m);
/* Before the devices go on. */
void drives_resume(struct machine *m);
/* The devices are gone. */
void drives_free(struct machine *m);

#endif
