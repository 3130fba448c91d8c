/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives on the SCSI controllers: from a descriptor to a logical unit, and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "back/scsi.h"
#include "util/cleanup.h"
#include "vhd/image.h"
#include "vmwp/machine_priv.h"
#include "vsp/storvsp/storvsp.h"

/* The same drive has the same serial number at every start. */
static void drive_id(const struct machine *m, unsigned int controller, unsigned int lun,
		     struct guid *ret)
{
	char place[32];

	snprintf(place, sizeof(place), "scsi/%u/%u", controller, lun);
	guid_derive(&m->env.id, place, ret);
}

static struct storvsp *controller_find(struct machine *m, unsigned int controller,
				       struct machine_error *error)
{
	if (controller < CONFIG_CONTROLLERS_MAX && m->scsi[controller])
		return m->scsi[controller];
	machine_fail(error, -ENODEV, "the VM has no SCSI controller %u", controller);
	return NULL;
}

static int drive_open(const struct guid *id, int fd, bool dvd, bool read_only,
		      const char *name, struct disk **ret, struct machine_error *error)
{
	const struct image_file file = { .fd = fd,
					 .format = dvd ? IMAGE_RAW
						       : image_format_of(name) };
	const struct image_params params = {
		.files = &file, .nfiles = 1, .read_only = dvd || read_only, .id = *id
	};
	struct image_error e;
	int r = image_open(&params, ret, &e);

	return r < 0 ? machine_fail(error, r, "%s %s", name, e.message) : 0;
}

/* A device for the drive; `fd` is -1 for an empty DVD drive, and is taken over in any case. */
static int device_new(const struct guid *id, const struct drive_config *d, int fd_,
		      struct scsi_dev **ret, struct machine_error *error)
{
	cleanup_fd int fd = fd_;
	struct disk *disk = NULL;
	bool dvd = d->kind == DRIVE_DVD;
	int r;

	if (fd >= 0) {
		r = drive_open(id, fd, dvd, d->read_only, d->path ? d->path : "the image",
			       &disk, error);
		if (r < 0)
			return r;
		fd = -1; /* the disk's */
	} else if (!dvd) {
		return machine_fail(error, -EINVAL, "no descriptor came for %s", d->path);
	}
	r = dvd ? scsi_dvd_new(disk, id, ret) : scsi_disk_new(disk, ret);
	if (r < 0) {
		disk_unref(disk);
		return machine_fail(error, r, "cannot use %s: %s",
				    d->path ? d->path : "the drive",
				    r == -EINVAL ? "it is smaller than one DVD sector"
						 : strerror(-r));
	}
	return 0;
}

int machine_drive_attach(struct machine *m, const struct drive_config *drive, int fd_,
			 struct machine_error *error)
{
	cleanup_fd int fd = fd_;
	struct storvsp *s = controller_find(m, drive->controller, error);
	struct scsi_dev *dev;
	struct guid id;
	int r;

	if (!s)
		return -ENODEV;
	drive_id(m, drive->controller, drive->lun, &id);
	r = device_new(&id, drive, take_fd(&fd), &dev, error);
	if (r < 0)
		return r;
	r = storvsp_attach(s, drive->lun, dev);
	if (r < 0) {
		scsi_dev_unref(dev);
		return machine_fail(error, r, "controller %u, LUN %u: %s",
				    drive->controller, drive->lun,
				    r == -EEXIST ? "there is a drive already"
						 : strerror(-r));
	}
	return 0;
}

int machine_drive_detach(struct machine *m, unsigned int controller, unsigned int lun,
			 struct machine_error *error)
{
	struct storvsp *s = controller_find(m, controller, error);
	int r;

	if (!s)
		return -ENODEV;
	r = storvsp_detach(s, lun);
	return r < 0 ? machine_fail(error, r,
				    "there is no drive at controller %u, LUN %u",
				    controller, lun)
		     : 0;
}

int machine_dvd_change(struct machine *m, unsigned int controller, unsigned int lun,
		       int fd_, struct machine_error *error)
{
	cleanup_fd int fd = fd_;
	struct storvsp *s = controller_find(m, controller, error);
	struct disk *medium = NULL;
	struct guid id;
	int r;

	if (!s)
		return -ENODEV;
	if (fd >= 0) {
		drive_id(m, controller, lun, &id);
		r = drive_open(&id, fd, true, true, "the medium", &medium, error);
		if (r < 0)
			return r;
		fd = -1; /* the disk's */
	}
	r = storvsp_change_medium(s, lun, medium);
	if (r == 0)
		return 0;
	disk_unref(medium);
	if (r == -ENOENT)
		return machine_fail(error, r,
				    "there is no drive at controller %u, LUN %u",
				    controller, lun);
	return machine_fail(
		error, r,
		"controller %u, LUN %u is no DVD drive, or the medium is smaller than "
		"one sector",
		controller, lun);
}
