/* SPDX-License-Identifier: BSD-2-Clause */
/* What can change in a drive while the guest runs: its policies, its size, the medium of a DVD drive. */
#include <errno.h>
#include <string.h>

#include "back/scsi.h"
#include "util/log.h"
#include "vmwp/drives.h"
#include "vmwp/drives_priv.h"
#include "vmwp/media.h"
#include "vsp/storvsp/storvsp.h"

/* The unit of a drive, referenced. */
static struct scsi_dev *unit_of(const struct drive *d)
{
	return storvsp_unit(d->m->scsi[d->controller], d->lun);
}

int machine_drive_set(struct machine *m, const struct drive_config *c,
		      struct machine_error *error)
{
	struct storvsp *s = controller_find(m, c->controller, error);
	struct drive *d = s ? drive_find(m, c->controller, c->lun, error) : NULL;
	struct scsi_dev *dev = d ? unit_of(d) : NULL;
	bool was_below;

	if (!dev)
		return s ? -ENOENT : -ENODEV;
	was_below = d->qos.below;
	drive_apply_policies(d, dev, c);
	scsi_dev_unref(dev);
	storvsp_rates_changed(s);
	machine_qos_watch(m);
	if (d->qos.below != was_below)
		machine_changed(m);
	return 0;
}

static int resize(struct scsi_dev *dev, const struct drive *d, uint64_t bytes,
		  uint64_t *ret_bytes, struct machine_error *error)
{
	struct disk *disk = scsi_disk_disk(dev);
	int r = disk ? disk_resize(disk, bytes) : -ENOTBLK;

	switch (r) {
	case 0:
		*ret_bytes = disk_bytes(disk);
		return 0;
	case -ENOTBLK:
		return machine_fail(error, -EINVAL, "%s is a DVD", d->name);
	case -EINVAL:
		return machine_fail(error, r,
				    "%s cannot have that size: a disk that is in use "
				    "can only grow, by whole sectors",
				    d->name);
	case -EROFS:
		return machine_fail(error, r, "%s is read-only", d->name);
	case -EOPNOTSUPP:
		return machine_fail(error, r,
				    "%s has a format, or is a device, whose size cannot "
				    "be set while the VM uses it",
				    d->name);
	default:
		return machine_fail(error, r, "%s: %s", d->name, strerror(-r));
	}
}

int machine_drive_resize(struct machine *m, unsigned int controller, unsigned int lun,
			 uint64_t bytes, uint64_t *ret_bytes, struct machine_error *error)
{
	struct storvsp *s = controller_find(m, controller, error);
	struct drive *d = s ? drive_find(m, controller, lun, error) : NULL;
	struct scsi_dev *dev = d ? unit_of(d) : NULL;
	uint64_t before;
	int r;

	if (!dev)
		return s ? -ENOENT : -ENODEV;
	before = dev->ops->bytes(dev);
	r = resize(dev, d, bytes, ret_bytes, error);
	if (r == 0 && *ret_bytes != before) {
		log_info("%s: now %llu bytes", d->name, (unsigned long long)*ret_bytes);
		scsi_dev_attention(dev, SCSI_UA_CAPACITY_CHANGED);
		storvsp_rescan(s);
	}
	scsi_dev_unref(dev);
	return r;
}

/* As a drive's button: a guest that has locked the tray is asked, and has its say. */
static int check_lock(const struct drive *d, struct machine_error *error)
{
	struct scsi_dev *dev = unit_of(d);
	int r = dev ? scsi_dvd_ask_eject(dev) : 0;

	scsi_dev_unref(dev);
	return r == -EBUSY
		       ? machine_fail(error, r,
				      "the guest has locked the tray of %u:%u, for it "
				      "uses the medium, and was asked to let it go; "
				      "unmount it there, or take it with --force",
				      d->controller, d->lun)
		       : 0;
}

static int change(struct machine *m, struct drive *d, bool force,
		  struct drive_files *files, struct medium **ret_old,
		  struct machine_error *error)
{
	const struct drive_config c = { .controller = d->controller,
					.lun = d->lun,
					.kind = DRIVE_DVD };
	struct medium *medium = NULL;
	struct disk *disk = NULL;
	struct guid id;
	int r = 0;

	if (d->kind != DRIVE_DVD)
		return machine_fail(error, -EINVAL,
				    "controller %u, LUN %u is no DVD drive",
				    d->controller, d->lun);
	if (!force)
		r = check_lock(d, error);
	drive_id(m, &c, &id);
	if (r == 0 && files->n)
		r = medium_open(m, &id, files, &c, &disk, &medium, error);
	if (r < 0)
		return r;
	atomic_store(&d->ejected, DRIVE_NOT_EJECTED);
	r = storvsp_change_medium(m->scsi[d->controller], d->lun, disk);
	if (r < 0) {
		disk_unref(disk);
		media_collect(m, false);
		return machine_fail(error, r, "the medium cannot be used: %s",
				    r == -EINVAL ? "it is smaller than one DVD sector"
						 : strerror(-r));
	}
	*ret_old = d->medium;
	medium_keep(*ret_old, NULL);
	d->medium = medium;
	medium_keep(medium, &d->medium);
	return 0;
}

int machine_dvd_change(struct machine *m, unsigned int controller, unsigned int lun,
		       bool force, struct drive_files *files, machine_done_fn done,
		       void *opaque, struct machine_error *error)
{
	struct storvsp *s = controller_find(m, controller, error);
	struct drive *d = s ? drive_find(m, controller, lun, error) : NULL;
	struct medium *old = NULL;
	int r = s ? -ENOENT : -ENODEV;

	if (d)
		r = change(m, d, force, files, &old, error);
	drive_files_close(files);
	if (r == 0)
		medium_await(old, done, opaque);
	return r;
}
