/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/ic/ic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "vsp/ic/ic_priv.h"

#define IC_PACKET_BYTES_MAX 4096u
#define NS_PER_S 1000000000ull

/* Every service, in the order of enum ic_service, which is that of the offers. */
static const struct ic_ops *const ic_services[IC_SERVICES] = {
	[IC_HEARTBEAT] = &ic_heartbeat_ops,
	[IC_SHUTDOWN] = &ic_shutdown_ops,
	[IC_TIME_SYNC] = &ic_time_sync_ops,
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t ic_now_ns(const struct ic *ic)
{
	const struct ic_clock *c = ic->env.clock;

	return c ? c->monotonic_ns(c->opaque) : clock_ns(CLOCK_MONOTONIC);
}

uint64_t ic_wall_100ns(const struct ic *ic)
{
	const struct ic_clock *c = ic->env.clock;
	uint64_t ns = c ? c->realtime_ns(c->opaque) : clock_ns(CLOCK_REALTIME);

	return ns / 100 + IC_TIME_UNIX_EPOCH;
}

void ic_changed(struct ic *ic)
{
	if (ic->env.changed)
		ic->env.changed(ic->env.opaque);
}

void ic_heartbeat_set(struct ic *ic, enum ic_heartbeat_state state)
{
	if (ic->heartbeat == state)
		return;
	ic->heartbeat = state;
	ic_changed(ic);
}

/* The state while no guest says anything. */
static void heartbeat_follow(struct ic *ic)
{
	ic_heartbeat_set(ic, ic_enabled(ic, IC_HEARTBEAT) ? IC_HEARTBEAT_NO_CONTACT
							  : IC_HEARTBEAT_DISABLED);
}

static int offer(struct ic_slot *slot)
{
	const uint32_t pipe = VMBUS_PIPE_TYPE_MESSAGE;
	struct vmbus_offer_params p = {
		.type = slot->ops->type,
		.instance = slot->ops->instance,
		.name = slot->ops->title,
		.flags = VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE |
			 VMBUS_CHANNEL_NAMED_PIPE_MODE,
		.max_packet_bytes = IC_PACKET_BYTES_MAX,
	};

	memcpy(p.user_defined, &pipe, sizeof(pipe));
	return vsp_new(slot->ic->env.bus, slot->ic->env.loop, &p, VSP_ON_LOOP,
		       &ic_channel_ops, slot, &slot->vsp);
}

static void removal_done(struct ic *ic)
{
	void (*done)(void *) = ic->removed;
	void *opaque = ic->removed_opaque;

	if (--ic->removals || !ic->leaving)
		return;
	free(ic);
	if (done)
		done(opaque);
}

static void on_removed(void *opaque)
{
	struct ic_slot *slot = opaque;

	slot->vsp = NULL;
	slot->removing = false;
	removal_done(slot->ic);
}

static void take_back(struct ic_slot *slot)
{
	if (!slot->vsp || slot->removing)
		return;
	slot->removing = true;
	slot->ic->removals++;
	vsp_remove(slot->vsp, on_removed, slot);
}

void ic_remove(struct ic *ic, void (*done)(void *opaque), void *opaque)
{
	ic->env.changed = NULL;
	ic->leaving = true;
	ic->removals++;
	ic->removed = done;
	ic->removed_opaque = opaque;
	for (size_t i = 0; i < IC_SERVICES; i++)
		take_back(&ic->slots[i]);
	removal_done(ic);
}

static void pause_done(void *opaque)
{
	struct ic *ic = opaque;

	if (--ic->pauses == 0)
		ic->paused(ic->paused_opaque);
}

void ic_pause(struct ic *ic, void (*done)(void *opaque), void *opaque)
{
	ic->pauses = 1;
	ic->paused = done;
	ic->paused_opaque = opaque;
	for (size_t i = 0; i < IC_SERVICES; i++) {
		if (!ic->slots[i].vsp || ic->slots[i].removing)
			continue;
		ic->pauses++;
		vsp_pause(ic->slots[i].vsp, pause_done, ic);
	}
	pause_done(ic);
}

void ic_resume(struct ic *ic)
{
	for (size_t i = 0; i < IC_SERVICES; i++) {
		struct ic_slot *slot = &ic->slots[i];

		if (!slot->vsp || slot->removing)
			continue;
		vsp_resume(slot->vsp);
		if (slot->channel && slot->channel->phase == IC_READY &&
		    slot->ops->resumed) {
			slot->ops->resumed(slot->channel);
			vsp_channel_kick(slot->channel->vc);
		}
	}
}

int ic_enable(struct ic *ic, enum ic_service service, bool enabled)
{
	struct ic_slot *slot = &ic->slots[service];
	int r = 0;

	if (slot->removing)
		return enabled ? -EBUSY : 0;
	if (enabled && !slot->vsp)
		r = offer(slot);
	else if (!enabled)
		take_back(slot);
	if (r == 0 && service == IC_HEARTBEAT && (!enabled || !slot->channel))
		heartbeat_follow(ic);
	return r;
}

int ic_new(const struct ic_env *env, unsigned int enabled, struct ic **ret)
{
	struct ic *ic = calloc(1, sizeof(*ic));
	int r = 0;

	if (!ic)
		return -ENOMEM;
	ic->env = *env;
	for (size_t i = 0; i < IC_SERVICES; i++) {
		ic->slots[i].ic = ic;
		ic->slots[i].ops = ic_services[i];
	}
	for (size_t i = 0; i < IC_SERVICES && r == 0; i++) {
		if (enabled & (1u << i))
			r = offer(&ic->slots[i]);
	}
	if (r < 0) {
		/* No guest has seen them yet; the memory goes with the last of them. */
		ic_remove(ic, NULL, NULL);
		return r;
	}
	ic->heartbeat = ic_enabled(ic, IC_HEARTBEAT) ? IC_HEARTBEAT_NO_CONTACT
						     : IC_HEARTBEAT_DISABLED;
	*ret = ic;
	return 0;
}

bool ic_enabled(const struct ic *ic, enum ic_service service)
{
	return ic->slots[service].vsp && !ic->slots[service].removing;
}

const char *ic_name(enum ic_service service)
{
	return ic_services[service]->name;
}

int ic_by_name(const char *name, enum ic_service *ret)
{
	for (unsigned int i = 0; i < IC_SERVICES; i++) {
		if (strcmp(ic_services[i]->name, name) == 0) {
			*ret = (enum ic_service)i;
			return 0;
		}
	}
	return -ENOENT;
}

bool ic_message_version(const struct ic *ic, enum ic_service service,
			struct ic_version *ret)
{
	const struct ic_channel *ch = ic->slots[service].channel;

	if (!ch || ch->phase != IC_READY)
		return false;
	*ret = ch->message;
	return true;
}

enum ic_heartbeat_state ic_heartbeat(const struct ic *ic)
{
	return ic->heartbeat;
}

const char *ic_heartbeat_name(enum ic_heartbeat_state state)
{
	static const char *const names[] = {
		[IC_HEARTBEAT_DISABLED] = "Disabled",
		[IC_HEARTBEAT_NO_CONTACT] = "No contact",
		[IC_HEARTBEAT_OK] = "Ok",
		[IC_HEARTBEAT_LOST] = "Lost communication",
	};

	return names[state];
}
