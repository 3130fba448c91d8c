/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/netvsp/netvsp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vsp/netvsp/netvsp_priv.h"

/* ---- a channel ---- */

static void reset_device_locked(struct netvsp *s)
{
	netvsp_drop_recv_locked(s);
	netvsp_drop_send_locked(s);
	nvsp_reset(&s->nvsp, s->max_sub_channels);
	rndis_reset(&s->rndis);
}

static void use_queue(struct netvsp *s, unsigned int queue, bool used)
{
	if (s->nic->ops->use_queue && queue < s->nic->queues)
		s->nic->ops->use_queue(s->nic, queue, used);
}

static int on_open(void *dev, struct vsp_channel *vc, void **ret_state)
{
	struct netvsp *s = dev;
	struct vmbus_channel *vmbus = vsp_channel_vmbus(vc);
	struct netvsp_channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return -ENOMEM;
	ch->s = s;
	ch->vc = vc;
	ch->gm = channel_guestmem(vmbus);
	ch->index = channel_sub_index(vmbus);
	ch->link_told = true;
	pthread_mutex_init(&ch->inbox_lock, NULL);
	netvsp_rx_init(ch);
	pthread_rwlock_wrlock(&s->lock);
	if (!ch->index)
		reset_device_locked(s);
	use_queue(s, ch->index, true);
	s->channels[ch->index] = ch;
	s->open_channels++;
	pthread_rwlock_unlock(&s->lock);
	*ret_state = ch;
	return 0;
}

/* An adapter that was unplugged lets go of its back-end when its last channel is closed, which is on our side alone. */
static void check_idle(struct netvsp *s)
{
	void (*idle)(void *) = s->idle;

	if (!idle || s->open_channels)
		return;
	s->idle = NULL;
	nic_free(take_ptr(&s->nic));
	idle(s->idle_opaque);
}

static void on_close(void *state)
{
	struct netvsp_channel *ch = state;
	struct netvsp *s = ch->s;

	pthread_rwlock_wrlock(&s->lock);
	use_queue(s, ch->index, false);
	s->channels[ch->index] = NULL;
	s->open_channels--;
	netvsp_rx_forget_locked(ch);
	if (!ch->index)
		reset_device_locked(s);
	pthread_rwlock_unlock(&s->lock);
	pthread_mutex_destroy(&ch->inbox_lock);
	free(ch);
	check_idle(s);
}

static int on_packet(void *state, const struct packet *p)
{
	struct netvsp_channel *ch = state;

	if (p->type == VM_PKT_COMP)
		return netvsp_given_back(ch, p->transaction_id);
	if (p->type != VM_PKT_DATA_INBAND && p->type != VM_PKT_DATA_USING_GPA_DIRECT)
		return -EPROTO;
	return netvsp_on_nvsp(ch, p);
}

static void on_io(void *state)
{
	netvsp_receive(state);
}

static void on_kicked(void *state)
{
	struct netvsp_channel *ch = state;

	if (!ch->index)
		netvsp_tell_link(ch);
}

static void on_flush(void *state)
{
	netvsp_deliver(state);
}

const struct vsp_ops netvsp_ops = {
	.open = on_open,
	.packet = on_packet,
	.flush = on_flush,
	.io = on_io,
	.kicked = on_kicked,
	.close = on_close,
};

/* ---- the device ---- */

bool netvsp_link(const struct netvsp *s)
{
	return atomic_load_explicit(&s->link_wanted, memory_order_relaxed) &&
	       !atomic_load_explicit(&s->nic_gone, memory_order_relaxed);
}

static void free_device(struct netvsp *s)
{
	pthread_rwlock_destroy(&s->lock);
	pthread_mutex_destroy(&s->pool_lock);
	nic_free(s->nic);
	free(s);
}

/* Whoever writes must come to it, however busy the readers are. */
static void init_locks(struct netvsp *s)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
				      PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&s->pool_lock, NULL);
}

static void init_rndis(struct netvsp *s, const struct netvsp_params *params)
{
	struct rndis *r = &s->rndis;

	memcpy(r->permanent, params->mac, sizeof(r->permanent));
	snprintf(r->name, sizeof(r->name), "%s", s->name);
	r->frame_bytes = NVSP_FRAME_DEFAULT;
	r->queues = s->max_sub_channels + 1;
	r->can_csum = params->nic->features & NIC_FEATURE_CSUM;
	r->can_lso = params->nic->features & NIC_FEATURE_TSO;
	r->link_up = true;
	rndis_reset(r);
	nvsp_reset(&s->nvsp, s->max_sub_channels);
}

int netvsp_new(const struct netvsp_params *params, struct netvsp **ret)
{
	struct vmbus_offer_params offer = {
		.type = { NVSP_NETWORK_TYPE },
		.instance = params->instance,
		.flags = VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE,
	};
	struct netvsp *s;
	int r;

	if (params->mac[0] & 1)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->max_sub_channels = MIN(params->max_sub_channels, NETVSP_SUB_CHANNELS_MAX);
	snprintf(s->name, sizeof(s->name), "%s", params->name);
	init_locks(s);
	atomic_store(&s->link_wanted, true);
	init_rndis(s, params);
	offer.name = s->name;
	offer.max_sub_channels = s->max_sub_channels;
	r = vsp_new(params->bus, params->loop, &offer, 0, &netvsp_ops, s, &s->vsp);
	if (r < 0) {
		free_device(s);
		return r;
	}
	s->nic = params->nic;
	*ret = s;
	return 0;
}

static void removed(void *opaque)
{
	struct netvsp *s = opaque;
	void (*done)(void *) = s->removed;
	void *done_opaque = s->removed_opaque;

	free_device(s);
	if (done)
		done(done_opaque);
}

void netvsp_remove(struct netvsp *s, void (*done)(void *opaque), void *opaque)
{
	s->removed = done;
	s->removed_opaque = opaque;
	vsp_remove(s->vsp, removed, s);
}

void netvsp_unplug(struct netvsp *s, void (*idle)(void *opaque), void *opaque)
{
	s->idle = idle;
	s->idle_opaque = opaque;
	check_idle(s);
	vsp_remove(s->vsp, removed, s); /* s may be gone after it */
}

struct vsp *netvsp_vsp(struct netvsp *s)
{
	return s->vsp;
}

void netvsp_set_link(struct netvsp *s, bool up)
{
	atomic_store(&s->link_wanted, up);
	vsp_kick(s->vsp);
}

void netvsp_status(struct netvsp *s, struct netvsp_status *ret)
{
	struct netvsp_counters *c = &s->counters;

	pthread_rwlock_rdlock(&s->lock);
	*ret = (struct netvsp_status){
		.kind = s->nic->ops->kind,
		.link_up = netvsp_link(s),
		.ready = s->rndis.ready,
		.nvsp_version = s->nvsp.version,
		.channels = s->open_channels,
		.stats = { atomic_load(&c->sent), atomic_load(&c->received),
			   atomic_load(&c->sent_bytes), atomic_load(&c->received_bytes),
			   atomic_load(&c->send_errors), atomic_load(&c->no_buffer) },
	};
	memcpy(ret->mac, s->rndis.mac, sizeof(ret->mac));
	pthread_rwlock_unlock(&s->lock);
}
