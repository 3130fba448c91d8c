/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives on the SCSI controllers. What a disk's error holds back (back/scsi.h) stops the whole VM: the serving thread notes the error and writes
 * asked_fd, the loop pauses the machine and says why, and the operator's resume has the commands executed anew.
 */
#include "vmwp/drives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "back/scsi.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "vmwp/drives_priv.h"
#include "vmwp/media.h"
#include "vsp/storvsp/storvsp.h"

/* ---- identity ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A serial number of the form that vmms makes is an identity in digits. */
static bool id_of_digits(const char *serial, struct guid *ret)
{
	if (strlen(serial) != 2 * sizeof(ret->b))
		return false;
	for (size_t i = 0; i < sizeof(ret->b); i++) {
		int high = hex_digit(serial[2 * i]), low = hex_digit(serial[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret->b[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/*
 * The same at every start: of the serial number; without one, of the place in the VM, or for a shared disk, which is the same disk in each VM, of
 * the file.
 */
void drive_id(const struct machine *m, const struct drive_config *d, struct guid *ret)
{
	static const struct guid host_wide;
	char place[32];

	snprintf(place, sizeof(place), "scsi/%u/%u", d->controller, d->lun);
	if (d->serial[0] && !id_of_digits(d->serial, ret))
		guid_derive(&host_wide, d->serial, ret);
	else if (!d->serial[0] && d->shared)
		guid_derive(&host_wide, d->path, ret);
	else if (!d->serial[0])
		guid_derive(&m->env.id, place, ret);
}

/* ---- finding ---- */

struct storvsp *controller_find(struct machine *m, unsigned int controller,
				struct machine_error *error)
{
	if (controller < CONFIG_CONTROLLERS_MAX && m->scsi[controller])
		return m->scsi[controller];
	machine_fail(error, -ENODEV, "the VM has no SCSI controller %u", controller);
	return NULL;
}

struct drive *drive_find(struct machine *m, unsigned int controller, unsigned int lun,
			 struct machine_error *error)
{
	struct drive *d;

	list_for_each (d, &m->drives, link) {
		if (d->controller == controller && d->lun == lun)
			return d;
	}
	machine_fail(error, -ENOENT, "there is no drive at controller %u, LUN %u",
		     controller, lun);
	return NULL;
}

/* ---- attach ---- */

/* Serving thread: a command of the drive is held. */
static void on_stalled(void *opaque, int r)
{
	struct drive *d = opaque;

	atomic_store(&d->stalled, r);
	eventfd_write(d->m->asked_fd, 1);
}

/* Serving thread: the guest took the medium out. */
static void on_ejected(void *opaque)
{
	struct drive *d = opaque;

	atomic_store(&d->ejected, DRIVE_EJECTED_NEW);
	eventfd_write(d->m->asked_fd, 1);
}

void drive_apply_policies(struct drive *d, struct scsi_dev *dev,
			  const struct drive_config *c)
{
	qos_set(&d->qos, c->min_iops);
	throttle_set(&dev->limit, c->max_iops);
	atomic_store(&dev->stalls_on_io_error, c->pause_on_error);
}

/* The VM is one initiator, by whatever controller and channel. */
static int share(struct drive *d, struct scsi_dev *dev, struct drive_files *files,
		 struct machine_error *error)
{
	int r = files->reservations < 0
			? -EINVAL
			: scsi_disk_share(dev, &d->m->env.id, files->reservations);

	if (r < 0)
		return machine_fail(error, r,
				    "the reservations of the shared disk %s cannot be "
				    "used: %s",
				    d->name,
				    r == -EIO ? "their file is damaged" : strerror(-r));
	files->reservations = -1; /* the device's */
	return 0;
}

/* Takes over the disk. */
static int device_new(struct drive *d, const struct drive_config *c,
		      struct drive_files *files, const struct guid *id, struct disk *disk,
		      struct scsi_dev **ret, struct machine_error *error)
{
	bool dvd = c->kind == DRIVE_DVD;
	int r = dvd ? scsi_dvd_new(disk, id, ret) : scsi_disk_new(disk, ret);

	if (r < 0) {
		disk_unref(disk);
		return machine_fail(error, r, "cannot use %s: %s", d->name,
				    r == -EINVAL ? "it is smaller than one DVD sector"
						 : strerror(-r));
	}
	if (c->shared) {
		r = share(d, *ret, files, error);
		if (r < 0) {
			scsi_dev_unref(*ret);
			return r;
		}
	}
	if (c->serial[0])
		strcpy((*ret)->serial, c->serial);
	(*ret)->told_opaque = d;
	if (dvd)
		(*ret)->ejected = on_ejected;
	else
		(*ret)->stalled = on_stalled;
	drive_apply_policies(d, *ret, c);
	return 0;
}

static struct drive *drive_new(struct machine *m, const struct drive_config *c)
{
	struct drive *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->m = m;
	d->controller = c->controller;
	d->lun = c->lun;
	d->kind = c->kind;
	d->name = strdup(c->path ? c->path : "the DVD drive");
	if (!d->name) {
		free(d);
		return NULL;
	}
	return d;
}

static void drive_free(struct drive *d)
{
	free(d->name);
	free(d);
}

static int attach(struct drive *d, const struct drive_config *c, struct storvsp *s,
		  struct drive_files *files, struct disk *disk, const struct guid *id,
		  struct machine_error *error)
{
	struct scsi_dev *dev;
	int r = device_new(d, c, files, id, disk, &dev, error);

	if (r < 0)
		return r;
	r = storvsp_attach(s, c->lun, dev);
	if (r == 0)
		return 0;
	scsi_dev_unref(dev);
	return machine_fail(error, r, "controller %u, LUN %u: %s", c->controller, c->lun,
			    r == -EEXIST ? "there is a drive already" : strerror(-r));
}

/* The first drive of a controller brings it along. */
static int controller_need(struct machine *m, unsigned int controller,
			   struct machine_error *error)
{
	if (m->state != MACHINE_OFF && m->state != MACHINE_RUNNING &&
	    m->state != MACHINE_PAUSED)
		return machine_fail(error, -EBUSY,
				    "the VM is %s; try again when it is Running",
				    machine_state_name(m->state));
	if (controller < CONFIG_CONTROLLERS_MAX && m->scsi[controller])
		return 0;
	if (controller >= CONFIG_CONTROLLERS_MAX)
		return machine_fail(error, -ENODEV, "the VM has no SCSI controller %u",
				    controller);
	if (m->state == MACHINE_PAUSED)
		return machine_fail(error, -EBUSY,
				    "the VM gets SCSI controller %u only while it runs; "
				    "resume it first",
				    controller);
	return devices_offer_scsi(m, controller, error);
}

static int drive_make(struct machine *m, const struct drive_config *c,
		      struct drive_files *files, struct machine_error *error)
{
	struct drive *d = drive_new(m, c);
	struct disk *disk = NULL;
	struct guid id;
	int r = 0;

	if (!d)
		return machine_fail(error, -ENOMEM, "out of memory");
	drive_id(m, c, &id);
	if (files->n)
		r = medium_open(m, &id, files, c, &disk, &d->medium, error);
	if (r == 0)
		r = attach(d, c, m->scsi[c->controller], files, disk, &id, error);
	if (r < 0) {
		media_collect(m, false);
		drive_free(d);
		return r;
	}
	medium_keep(d->medium, &d->medium);
	list_add_tail(&m->drives, &d->link);
	machine_qos_watch(m);
	return 0;
}

int machine_drive_attach(struct machine *m, const struct drive_config *c,
			 struct drive_files *files, struct machine_error *error)
{
	int r = controller_need(m, c->controller, error);

	if (r == 0 && !files->n && c->kind == DRIVE_DISK)
		r = machine_fail(error, -EINVAL, "no descriptor came for %s", c->path);
	if (r == 0)
		r = drive_make(m, c, files, error);
	drive_files_close(files);
	return r;
}

/* ---- detach ---- */

/* Its image is closed, so that no command of it is left that could name the drive. */
static void detached(void *opaque, int r, const struct machine_error *error)
{
	struct drive *d = opaque;
	struct machine_op op = d->detach_op;

	drive_free(d);
	machine_finish(&op, r, error);
}

int machine_drive_detach(struct machine *m, unsigned int controller, unsigned int lun,
			 machine_done_fn done, void *opaque, struct machine_error *error)
{
	struct storvsp *s = controller_find(m, controller, error);
	struct drive *d = s ? drive_find(m, controller, lun, error) : NULL;
	int r;

	if (!d)
		return s ? -ENOENT : -ENODEV;
	r = storvsp_detach(s, lun);
	if (r < 0)
		return machine_fail(error, r, "controller %u, LUN %u: %s", controller,
				    lun, strerror(-r));
	list_del(&d->link);
	d->detach_op = (struct machine_op){ done, opaque };
	/* A drive whose medium is out has no command that could stall. */
	medium_await(d->medium, detached, d);
	return 0;
}

/* ---- what drives tell ---- */

static void stalled(struct machine *m, const struct drive *d, int r)
{
	char why[300];

	snprintf(why, sizeof(why), "the disk %s (%u:%u): %s; %s, then resume the VM",
		 d->name, d->controller, d->lun, strerror(-r),
		 r == -ENOSPC || r == -EDQUOT ? "make room where it lies" : "see to it");
	log_err("%s", why);
	machine_stall(m, why);
}

void drives_asked(struct machine *m)
{
	struct drive *d;

	media_collect(m, false);
	list_for_each (d, &m->drives, link) {
		int r = atomic_exchange(&d->stalled, 0), fresh = DRIVE_EJECTED_NEW;

		if (r)
			stalled(m, d, r);
		if (!atomic_compare_exchange_strong(&d->ejected, &fresh, DRIVE_EJECTED))
			continue;
		log_info("%s (%u:%u): ejected by the guest", d->name, d->controller,
			 d->lun);
		machine_changed(m);
	}
}

void drives_resume(struct machine *m)
{
	struct drive *d;

	list_for_each (d, &m->drives, link)
		atomic_store(&d->stalled, 0);
}

void drives_free(struct machine *m)
{
	struct drive *d, *next;

	machine_qos_unwatch(m);
	media_collect(m, true);
	list_for_each_safe (d, next, &m->drives, link) {
		list_del(&d->link);
		drive_free(d);
	}
}
