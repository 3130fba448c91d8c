/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What drives do, in numbers. A disk's minimum is a promise that the host's storage keeps or not; what can be done here is to notice: a disk that always had
 * work in an interval, and got less than its minimum done, is told of in the log and the status, once until it is well again.
 */
#include <event2/event.h>

#include "back/scsi.h"
#include "util/log.h"
#include "vmwp/drives.h"
#include "vmwp/drives_priv.h"
#include "vsp/storvsp/storvsp.h"

#define INTERVAL_S 10u

static void look(struct drive *d, struct scsi_dev *dev)
{
	uint64_t units = atomic_load(&dev->limit.units);
	bool busy = !atomic_exchange(&dev->was_idle, atomic_load(&dev->active) == 0);
	bool below;

	d->rate = (uint32_t)MIN((units - d->units) / INTERVAL_S, (uint64_t)UINT32_MAX);
	d->units = units;
	below = busy && d->rate < d->min_iops;
	if (below && !d->below_minimum)
		log_warning("%s gets %u IOPS of 8 KiB, less than its minimum of %u",
			    d->name, d->rate, d->min_iops);
	d->below_minimum = below;
}

static void on_interval(evutil_socket_t fd, short what, void *opaque)
{
	struct machine *m = opaque;
	struct drive *d;

	if (m->state != MACHINE_RUNNING)
		return;
	list_for_each (d, &m->drives, link) {
		struct scsi_dev *dev = storvsp_unit(m->scsi[d->controller], d->lun);

		if (dev)
			look(d, dev);
		scsi_dev_unref(dev);
	}
}

void machine_qos_watch(struct machine *m)
{
	static const struct timeval interval = { .tv_sec = INTERVAL_S };
	bool wanted = false;
	struct drive *d;

	list_for_each (d, &m->drives, link)
		wanted |= d->min_iops > 0;
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
	return json_pack("{s:i, s:i, s:s, s:I, s:I, s:b, s:b}", "controller",
			 (int)d->controller, "lun", (int)d->lun, "kind",
			 d->kind == DRIVE_DVD ? "dvd" : "disk", "bytes",
			 (json_int_t)dev->ops->bytes(dev), "units",
			 (json_int_t)atomic_load(&dev->limit.units), "loaded",
			 dev->ops->bytes(dev) != 0, "below_minimum", d->below_minimum);
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
