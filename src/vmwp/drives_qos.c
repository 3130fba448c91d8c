/* SPDX-License-Identifier: BSD-2-Clause */
/* What drives do, in numbers; whether disks get their minimum (back/qos.h) is told in the log and, at once, by the status. */
#include <event2/event.h>
#include <limits.h>
#include <time.h>

#include "back/scsi.h"
#include "util/log.h"
#include "vmwp/drives.h"
#include "vmwp/drives_priv.h"
#include "vsp/storvsp/storvsp.h"

#define INTERVAL_S 10u

/* True when there is news. */
static bool look(struct drive *d, struct scsi_dev *dev, uint64_t now_ns)
{
	bool busy = !atomic_exchange(&dev->was_idle, atomic_load(&dev->active) == 0);

	if (!qos_look(&d->qos, atomic_load(&dev->limit.units), busy, now_ns))
		return false;
	if (d->qos.below)
		log_warning(
			"%s (%u:%u) gets %u IOPS of 8 KiB, less than its minimum of %u",
			d->name, d->controller, d->lun, d->qos.rate, d->qos.min_iops);
	else
		log_info("%s (%u:%u) is not below its minimum of %u IOPS any more",
			 d->name, d->controller, d->lun, d->qos.min_iops);
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_interval(evutil_socket_t fd, short what, void *opaque)
{
	struct machine *m = opaque;
	bool news = false;
	struct drive *d;

	list_for_each (d, &m->drives, link) {
		struct scsi_dev *dev = storvsp_unit(m->scsi[d->controller], d->lun);

		if (m->state != MACHINE_RUNNING)
			qos_skip(&d->qos);
		else if (dev)
			news |= look(d, dev, now_ns());
		scsi_dev_unref(dev);
	}
	if (news)
		machine_changed(m);
}

void machine_qos_watch(struct machine *m)
{
	static const struct timeval interval = { .tv_sec = INTERVAL_S };
	bool wanted = false;
	struct drive *d;

	list_for_each (d, &m->drives, link)
		wanted |= d->qos.min_iops > 0;
	if (!wanted || m->qos_ev)
		return;
	m->qos_ev = event_new(m->env.loop, -1, EV_PERSIST, on_interval, m);
	if (!m->qos_ev || event_add(m->qos_ev, &interval) < 0)
		log_warning("minimum rates of disks are not watched: no memory");
}

void machine_qos_unwatch(struct machine *m)
{
	if (m->qos_ev)
		event_free(m->qos_ev);
	m->qos_ev = NULL;
}

static json_t *drive_json(const struct drive *d, struct scsi_dev *dev)
{
	return json_pack("{s:i, s:i, s:s, s:I, s:I, s:b, s:b, s:i, s:b}", "controller",
			 (int)d->controller, "lun", (int)d->lun, "kind",
			 d->kind == DRIVE_DVD ? "dvd" : "disk", "bytes",
			 (json_int_t)dev->ops->bytes(dev), "units",
			 (json_int_t)atomic_load(&dev->limit.units), "loaded",
			 dev->ops->bytes(dev) != 0, "below_minimum", d->qos.below, "rate",
			 (int)MIN(d->qos.rate, (uint32_t)INT_MAX), "ejected",
			 atomic_load(&d->ejected) != DRIVE_NOT_EJECTED &&
				 dev->ops->bytes(dev) == 0);
}

json_t *drives_json(const struct machine *m)
{
	json_t *all = json_array();
	struct drive *d;

	list_for_each (d, &m->drives, link) {
		struct storvsp *s = m->scsi[d->controller];
		struct scsi_dev *dev = s ? storvsp_unit(s, d->lun) : NULL;

		if (dev)
			json_array_append_new(all, drive_json(d, dev));
		scsi_dev_unref(dev);
	}
	return all;
}
