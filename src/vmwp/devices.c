/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands on the bus: the integration services, then the SCSI controllers, then network adapters. Each step of a power state asks every one
 * of them and goes on when the last has answered.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmwp/machine_priv.h"
#include "vsp/netvsp/netvsp.h"
#include "vsp/storvsp/storvsp.h"

static uint64_t reference_time(void *opaque)
{
	struct machine *m = opaque;

	return partition_reference_time(m->part);
}

static void ic_changed(void *opaque)
{
	machine_changed(opaque);
}

static int offer_ic(struct machine *m, struct machine_error *error)
{
	const struct ic_env env = { .bus = m->bus,
				    .loop = m->env.loop,
				    .reference_time = reference_time,
				    .changed = ic_changed,
				    .opaque = m };
	unsigned int enabled = 0;
	int r;

	if (m->config->integration.heartbeat)
		enabled |= 1u << IC_HEARTBEAT;
	if (m->config->integration.shutdown)
		enabled |= 1u << IC_SHUTDOWN;
	if (m->config->integration.time_sync)
		enabled |= 1u << IC_TIME_SYNC;
	r = ic_new(&env, enabled, &m->ic);
	return r < 0 ? machine_fail(error, r, "cannot offer the integration services: %s",
				    strerror(-r))
		     : 0;
}

int devices_offer_scsi(struct machine *m, unsigned int controller,
		       struct machine_error *error)
{
	struct storvsp_params params = {
		.bus = m->bus,
		.loop = m->env.loop,
		.controller = controller,
		.max_sub_channels = config_disk_channels(m->config) - 1,
	};
	char name[32];
	int r;

	snprintf(name, sizeof(name), "scsi/%u", controller);
	guid_derive(&m->env.id, name, &params.instance);
	r = storvsp_new(&params, &m->scsi[controller]);
	return r < 0 ? machine_fail(error, r, "cannot offer SCSI controller %u: %s",
				    controller, strerror(-r))
		     : 0;
}

int devices_offer(struct machine *m, struct machine_error *error)
{
	int r = offer_ic(m, error);

	for (unsigned int i = 0; r == 0 && i < m->config->controllers; i++)
		r = devices_offer_scsi(m, i, error);
	return r;
}

/* One of those that were asked has answered. */
static void answered(void *opaque)
{
	struct machine *m = opaque;

	if (--m->waiting == 0)
		m->all_answered(m);
}

/*
 * Begins a round. It counts as one itself until the caller has asked all and says answered(), so that answers that come at
 * once do not end it early.
 */
static void round_begin(struct machine *m, void (*all_answered)(struct machine *m))
{
	m->waiting = 1;
	m->all_answered = all_answered;
}

void devices_pause(struct machine *m, void (*all_answered)(struct machine *m))
{
	round_begin(m, all_answered);
	vmbus_pause(m->bus);
	m->waiting++;
	ic_pause(m->ic, answered, m);
	for (unsigned int i = 0; i < CONFIG_CONTROLLERS_MAX; i++) {
		if (!m->scsi[i])
			continue;
		m->waiting++;
		vsp_pause(storvsp_vsp(m->scsi[i]), answered, m);
	}
	for (unsigned int i = 0; i < CONFIG_NICS_MAX; i++) {
		if (!m->nics[i])
			continue;
		m->waiting++;
		vsp_pause(netvsp_vsp(m->nics[i]), answered, m);
	}
	answered(m);
}

void devices_resume(struct machine *m)
{
	vmbus_resume(m->bus);
	ic_resume(m->ic);
	for (unsigned int i = 0; i < CONFIG_CONTROLLERS_MAX; i++) {
		if (m->scsi[i])
			storvsp_resume(m->scsi[i]);
	}
	for (unsigned int i = 0; i < CONFIG_NICS_MAX; i++) {
		if (m->nics[i])
			vsp_resume(netvsp_vsp(m->nics[i]));
	}
}

static void ic_gone(void *opaque)
{
	struct machine *m = opaque;

	m->ic = NULL;
	answered(m);
}

void devices_remove(struct machine *m, void (*all_answered)(struct machine *m))
{
	round_begin(m, all_answered);
	m->devices_gone = true;
	if (m->ic) {
		m->waiting++;
		ic_remove(m->ic, ic_gone, m);
	}
	for (unsigned int i = 0; i < CONFIG_CONTROLLERS_MAX; i++) {
		struct storvsp *s = m->scsi[i];

		if (!s)
			continue;
		m->waiting++;
		m->scsi[i] = NULL;
		storvsp_remove(s, answered, m);
	}
	for (unsigned int i = 0; i < CONFIG_NICS_MAX; i++) {
		struct netvsp *n = m->nics[i];

		if (!n)
			continue;
		m->waiting++;
		m->nics[i] = NULL;
		netvsp_remove(n, answered, m);
	}
	answered(m);
}
