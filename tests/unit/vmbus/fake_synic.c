/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vmbus/fake_synic.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static_assert(sizeof(((struct fake_vp *)0)->slots) == 4096, "TLFS 11.8.3");
static_assert(sizeof(((struct fake_vp *)0)->flags) == 4096, "TLFS 11.8.4");

static void interrupt(struct synic *s, unsigned int vp, unsigned int sint)
{
	if (s->interrupt)
		s->interrupt(s->interrupt_opaque, vp, sint);
}

static bool reachable(const struct synic *s, unsigned int vp, unsigned int sint)
{
	return vp < s->vps && sint < HV_SINT_COUNT && !s->vp[vp].off;
}

static bool occupied(const struct hv_message *slot)
{
	return __atomic_load_n(&slot->message_type, __ATOMIC_SEQ_CST) != HVMSG_NONE;
}

/* The guest empties the slot and then looks at the flag; so it is set, and then the slot looked at once more. */
static bool must_wait(struct hv_message *slot)
{
	if (!occupied(slot))
		return false;
	__atomic_fetch_or(&slot->message_flags, HV_MESSAGE_FLAG_PENDING,
			  __ATOMIC_SEQ_CST);
	return occupied(slot);
}

/* Payload first, type last; the flags by themselves, because the guest may still be looking at them. */
static void fill(struct hv_message *slot, const struct hv_message *msg)
{
	slot->payload_size = msg->payload_size;
	slot->sender = msg->sender;
	memcpy(slot->payload, msg->payload, sizeof(msg->payload));
	__atomic_store_n(&slot->message_flags, msg->message_flags, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->message_type, msg->message_type, __ATOMIC_SEQ_CST);
}

static int post(struct synic *s, unsigned int vp, unsigned int sint,
		const struct hv_message *msg)
{
	struct hv_message *slot;
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (!reachable(s, vp, sint)) {
		pthread_mutex_unlock(&s->lock);
		return -ENXIO;
	}
	slot = &s->vp[vp].slots[sint];
	if (must_wait(slot)) {
		s->vp[vp].refused[sint] = true;
		r = -EBUSY;
	} else {
		fill(slot, msg);
		s->posts++;
	}
	pthread_mutex_unlock(&s->lock);
	if (!r)
		interrupt(s, vp, sint);
	return r;
}

static int signal_event(struct synic *s, unsigned int vp, unsigned int sint,
			unsigned int flag)
{
	uint64_t bit = 1ull << (flag % 64);

	if (!reachable(s, vp, sint) || flag >= HV_EVENT_FLAGS_COUNT)
		return -ENXIO;
	s->signals++;
	if (!(atomic_fetch_or(&s->vp[vp].flags[sint][flag / 64], bit) & bit))
		interrupt(s, vp, sint);
	return 0;
}

static int find_doorbell_locked(const struct synic *s, uint32_t id)
{
	for (unsigned int i = 0; i < s->doorbell_count; i++) {
		if (s->doorbells[i].id == id)
			return (int)i;
	}
	return -1;
}

static int doorbell_add(struct synic *s, uint32_t id, int fd)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (find_doorbell_locked(s, id) >= 0) {
		r = -EEXIST;
	} else if (s->doorbell_count == FAKE_SYNIC_DOORBELLS) {
		r = -ENOSPC;
	} else {
		s->doorbells[s->doorbell_count].id = id;
		s->doorbells[s->doorbell_count++].fd = fd;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void doorbell_del(struct synic *s, uint32_t id)
{
	int i;

	pthread_mutex_lock(&s->lock);
	i = find_doorbell_locked(s, id);
	if (i >= 0)
		s->doorbells[i] = s->doorbells[--s->doorbell_count];
	pthread_mutex_unlock(&s->lock);
}

static int message_port(struct synic *s, uint32_t id, synic_message_fn fn, void *opaque)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (id >= ARRAY_SIZE(s->ports) || (fn && s->ports[id].fn)) {
		r = -EEXIST;
	} else {
		s->ports[id].fn = fn;
		s->ports[id].opaque = opaque;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void on_slot_free(struct synic *s, synic_slot_free_fn fn, void *opaque)
{
	s->slot_free = fn;
	s->slot_free_opaque = opaque;
}

static unsigned int vps(struct synic *s)
{
	return s->vps;
}

const struct synic_ops fake_synic_ops = {
	.post = post,
	.signal = signal_event,
	.doorbell_add = doorbell_add,
	.doorbell_del = doorbell_del,
	.message_port = message_port,
	.on_slot_free = on_slot_free,
	.vps = vps,
};

void fake_synic_init(struct synic *s, unsigned int count)
{
	memset(s, 0, sizeof(*s));
	s->vps = count;
	pthread_mutex_init(&s->lock, NULL);
}

void fake_synic_done(struct synic *s)
{
	pthread_mutex_destroy(&s->lock);
}

uint16_t fake_synic_post(struct synic *s, unsigned int vp, uint32_t id,
			 const void *payload, size_t len)
{
	uint8_t copy[HV_MESSAGE_PAYLOAD_MAX];
	synic_message_fn fn = NULL;
	void *opaque = NULL;

	if (len > sizeof(copy))
		return HV_STATUS_INVALID_PARAMETER;
	memcpy(copy, payload, len);
	pthread_mutex_lock(&s->lock);
	if (id < ARRAY_SIZE(s->ports)) {
		fn = s->ports[id].fn;
		opaque = s->ports[id].opaque;
	}
	pthread_mutex_unlock(&s->lock);
	if (!fn)
		return HV_STATUS_INVALID_CONNECTION_ID;
	return fn(opaque, vp, HVMSG_CHANNEL, copy, len);
}

uint16_t fake_synic_signal(struct synic *s, uint32_t id)
{
	uint16_t status = HV_STATUS_INVALID_CONNECTION_ID;
	uint64_t one = 1;
	int i;

	pthread_mutex_lock(&s->lock);
	i = find_doorbell_locked(s, id);
	if (i >= 0 && write(s->doorbells[i].fd, &one, sizeof(one)) == sizeof(one))
		status = HV_STATUS_SUCCESS;
	pthread_mutex_unlock(&s->lock);
	return status;
}

void fake_synic_eom(struct synic *s, unsigned int vp)
{
	for (unsigned int sint = 0; sint < HV_SINT_COUNT; sint++) {
		bool now;

		pthread_mutex_lock(&s->lock);
		now = s->vp[vp].refused[sint] &&
		      __atomic_load_n(&s->vp[vp].slots[sint].message_type,
				      __ATOMIC_ACQUIRE) == HVMSG_NONE;
		if (now)
			s->vp[vp].refused[sint] = false;
		pthread_mutex_unlock(&s->lock);
		if (now && s->slot_free)
			s->slot_free(s->slot_free_opaque, vp, sint);
	}
}

bool fake_synic_take(struct synic *s, unsigned int vp, unsigned int sint,
		     struct hv_message *ret)
{
	struct hv_message *slot = &s->vp[vp].slots[sint];
	bool pending;

	if (__atomic_load_n(&slot->message_type, __ATOMIC_ACQUIRE) == HVMSG_NONE)
		return false;
	pthread_mutex_lock(&s->lock);
	*ret = *slot;
	__atomic_store_n(&slot->message_type, HVMSG_NONE, __ATOMIC_RELEASE);
	pending = s->vp[vp].refused[sint];
	pthread_mutex_unlock(&s->lock);
	if (pending)
		fake_synic_eom(s, vp);
	return true;
}

bool fake_synic_take_flag(struct synic *s, unsigned int vp, unsigned int sint,
			  unsigned int flag)
{
	uint64_t bit = 1ull << (flag % 64);

	return (atomic_fetch_and(&s->vp[vp].flags[sint][flag / 64], ~bit) & bit) != 0;
}
