/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/storvsp/storvsp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vsp/storvsp/storvsp_priv.h"

int storvsp_new(const struct storvsp_params *params, struct storvsp **ret)
{
	struct vmbus_offer_params offer = {
		.type = { VSTOR_SCSI_TYPE },
		.instance = params->instance,
		.flags = VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE,
		.max_sub_channels = params->max_sub_channels,
	};
	struct storvsp *s;
	int r;

	if (params->controller >= STORVSP_CONTROLLERS ||
	    params->max_sub_channels > UINT16_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->engine = params->engine;
	s->max_sub_channels = params->max_sub_channels;
	snprintf(s->name, sizeof(s->name), "SCSI controller %u", params->controller);
	offer.name = s->name;
	scsi_target_init(&s->target);
	scsi_target_init(&s->nowhere);
	list_init(&s->channels);
	r = vsp_new(params->bus, params->loop, &offer, 0, &storvsp_ops, s, &s->vsp);
	if (r < 0) {
		scsi_target_done(&s->target);
		scsi_target_done(&s->nowhere);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static void removed(void *opaque)
{
	struct storvsp *s = opaque;
	void (*done)(void *) = s->removed;
	void *done_opaque = s->removed_opaque;

	scsi_target_done(&s->target);
	scsi_target_done(&s->nowhere);
	free(s);
	if (done)
		done(done_opaque);
}

void storvsp_remove(struct storvsp *s, void (*done)(void *opaque), void *opaque)
{
	s->removed = done;
	s->removed_opaque = opaque;
	vsp_remove(s->vsp, removed, s);
}

struct vsp *storvsp_vsp(struct storvsp *s)
{
	return s->vsp;
}

static void tell_guest(struct storvsp *s)
{
	atomic_store(&s->rescan, true);
	vsp_kick(s->vsp);
}

int storvsp_attach(struct storvsp *s, unsigned int lun, struct scsi_dev *dev)
{
	int r = scsi_target_attach(&s->target, lun, dev);

	if (r == 0)
		tell_guest(s);
	return r;
}

int storvsp_detach(struct storvsp *s, unsigned int lun)
{
	int r = scsi_target_detach(&s->target, lun);

	if (r == 0)
		tell_guest(s);
	return r;
}

void storvsp_rescan(struct storvsp *s)
{
	tell_guest(s);
}

void storvsp_resume(struct storvsp *s)
{
	vsp_resume(s->vsp);
	atomic_fetch_add(&s->again, 1);
	vsp_kick(s->vsp);
}

void storvsp_rates_changed(struct storvsp *s)
{
	atomic_fetch_add(&s->rates, 1);
	vsp_kick(s->vsp);
}

int storvsp_change_medium(struct storvsp *s, unsigned int lun, struct disk *medium)
{
	struct scsi_dev *dev = scsi_target_get(&s->target, lun);
	int r;

	if (!dev)
		return -ENOENT;
	r = scsi_dvd_change(dev, medium);
	scsi_dev_unref(dev);
	return r;
}

struct scsi_dev *storvsp_unit(struct storvsp *s, unsigned int lun)
{
	return scsi_target_get(&s->target, lun);
}
