/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of each VP's SynIC (TLFS 11.8) and what messages and signals do with them.
 *
 * A VP writes its own registers on its own thread; posters and signallers read them from any thread. Signals take no lock: each register is an
 * atomic, and a guest that turns its SIEFP page off while a signal is under way finds a bit in a page that was its own. Posts to one VP
 * exclude each other and register writes, since a slot takes several stores.
 *
 * A post that finds the slot taken leaves its SINT's bit in `refused`. The bit is taken back, and slot_free called, when EOM comes or when a
 * register write may have changed the answer (a page turned off makes the next post fail for good, and the poster must learn it).
 */
#include "vid/synic.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "vid/guestmem.h"
#include "vid/synic_page.h"

#define SYNIC_VPS_MAX 64u
#define PAGE_MASK (~0xfffull)
#define FIRST_VECTOR 16u

struct synic_vp {
	_Atomic uint64_t scontrol, siefp, simp, sint[HV_SINT_COUNT];
	pthread_mutex_t
		lock;     /* the message page's slots, refused, and writes to the above */
	uint32_t refused; /* under lock: a bit a SINT */
};

struct doorbell {
	uint32_t id;
	int eventfd;
	bool in_kernel;
};

struct port {
	uint32_t id;
	synic_message_fn fn;
	void *opaque;
};

struct synic {
	/* fixed after init */
	struct synic_env env;
	unsigned int nvps;
	synic_slot_free_fn slot_free;
	void *slot_free_opaque;
	/* under ports_lock: read-held while a receiver runs, so that taking one away waits for it */
	pthread_rwlock_t ports_lock;
	struct port port[SYNIC_PORTS_MAX];
	/* under doorbells_lock */
	pthread_rwlock_t doorbells_lock;
	struct doorbell doorbell[SYNIC_DOORBELLS_MAX];
	size_t ndoorbells;

	struct synic_vp vp[];
};

/* Writers first: a guest that posts and rings without end must not hold off the host's changes. */
static void rwlock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
				      PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

int synic_new(const struct synic_env *env, unsigned int vps, struct synic **ret)
{
	struct synic *s;

	if (!vps || vps > SYNIC_VPS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s) + vps * sizeof(s->vp[0]));
	if (!s)
		return -ENOMEM;
	s->env = *env;
	s->nvps = vps;
	rwlock_init(&s->ports_lock);
	rwlock_init(&s->doorbells_lock);
	for (unsigned int i = 0; i < vps; i++)
		pthread_mutex_init(&s->vp[i].lock, NULL);
	synic_reset(s);
	*ret = s;
	return 0;
}

void synic_free(struct synic *s)
{
	if (!s)
		return;
	for (unsigned int i = 0; i < s->nvps; i++)
		pthread_mutex_destroy(&s->vp[i].lock);
	pthread_rwlock_destroy(&s->ports_lock);
	pthread_rwlock_destroy(&s->doorbells_lock);
	free(s);
}

void synic_reset(struct synic *s)
{
	for (unsigned int i = 0; i < s->nvps; i++) {
		struct synic_vp *v = &s->vp[i];

		pthread_mutex_lock(&v->lock);
		v->scontrol = v->siefp = v->simp = 0;
		for (unsigned int n = 0; n < HV_SINT_COUNT; n++)
			v->sint[n] = HV_SINT_MASKED;
		v->refused = 0;
		pthread_mutex_unlock(&v->lock);
	}
}

/* The page that a SIMP or SIEFP value names, or NULL when it is off (a write has checked that it is RAM). */
static void *shared_page(const struct synic *s, uint64_t reg)
{
	if (!(reg & HV_MSR_ENABLE))
		return NULL;
	return guestmem_ptr(s->env.mem, reg & PAGE_MASK, HV_PAGE_SIZE);
}

/* The SINT takes something now: the SynIC is on, and the source not masked. */
static bool sint_open(const struct synic_vp *v, unsigned int sint, uint64_t *ret)
{
	*ret = v->sint[sint];
	return (v->scontrol & HV_MSR_ENABLE) && !(*ret & HV_SINT_MASKED);
}

static void interrupt(struct synic *s, unsigned int vp, uint64_t sint)
{
	if (!(sint & HV_SINT_POLLING))
		s->env.inject(s->env.opaque, vp, sint & HV_SINT_VECTOR_MASK);
}

static int op_post(struct synic *s, unsigned int vp, unsigned int sint,
		   const struct hv_message *msg)
{
	struct synic_vp *v;
	uint64_t reg;
	void *page;
	int r = -ENXIO;

	if (vp >= s->nvps || sint >= HV_SINT_COUNT)
		return -ENXIO;
	v = &s->vp[vp];
	pthread_mutex_lock(&v->lock);
	page = shared_page(s, v->simp);
	if (page && sint_open(v, sint, &reg))
		r = synic_page_post(page, sint, msg);
	if (r == -EBUSY)
		v->refused |= 1u << sint;
	pthread_mutex_unlock(&v->lock);
	if (!r)
		interrupt(s, vp, reg);
	return r;
}

static int op_signal(struct synic *s, unsigned int vp, unsigned int sint,
		     unsigned int flag)
{
	struct synic_vp *v;
	uint64_t reg;
	void *page;

	if (vp >= s->nvps || sint >= HV_SINT_COUNT || flag >= HV_EVENT_FLAGS_COUNT)
		return -ENXIO;
	v = &s->vp[vp];
	page = shared_page(s, v->siefp);
	if (!page || !sint_open(v, sint, &reg))
		return -ENXIO;
	if (synic_page_set_flag(page, sint, flag))
		interrupt(s, vp, reg);
	return 0;
}

static struct doorbell *doorbell_find(struct synic *s, uint32_t id)
{
	for (size_t i = 0; i < s->ndoorbells; i++) {
		if (s->doorbell[i].id == id)
			return &s->doorbell[i];
	}
	return NULL;
}

static bool doorbell_kernel(struct synic *s, const struct doorbell *d, bool add)
{
	return s->env.doorbell &&
	       s->env.doorbell(s->env.opaque, d->id, d->eventfd, add) == 0;
}

static int op_doorbell_add(struct synic *s, uint32_t connection_id, int eventfd)
{
	int r = 0;

	pthread_rwlock_wrlock(&s->doorbells_lock);
	if (doorbell_find(s, connection_id)) {
		r = -EEXIST;
	} else if (s->ndoorbells == SYNIC_DOORBELLS_MAX) {
		r = -ENOSPC;
	} else {
		struct doorbell *d = &s->doorbell[s->ndoorbells++];

		*d = (struct doorbell){ .id = connection_id, .eventfd = eventfd };
		d->in_kernel = doorbell_kernel(s, d, true);
	}
	pthread_rwlock_unlock(&s->doorbells_lock);
	return r;
}

static void op_doorbell_del(struct synic *s, uint32_t connection_id)
{
	struct doorbell *d;

	pthread_rwlock_wrlock(&s->doorbells_lock);
	d = doorbell_find(s, connection_id);
	if (d) {
		if (d->in_kernel)
			(void)doorbell_kernel(s, d, false);
		*d = s->doorbell[--s->ndoorbells];
	}
	pthread_rwlock_unlock(&s->doorbells_lock);
}

void synic_doorbells_restore(struct synic *s)
{
	pthread_rwlock_wrlock(&s->doorbells_lock);
	for (size_t i = 0; i < s->ndoorbells; i++)
		s->doorbell[i].in_kernel = doorbell_kernel(s, &s->doorbell[i], true);
	pthread_rwlock_unlock(&s->doorbells_lock);
}

uint16_t synic_doorbell(struct synic *s, uint32_t connection_id)
{
	static const uint64_t one = 1;
	const struct doorbell *d;

	pthread_rwlock_rdlock(&s->doorbells_lock);
	d = doorbell_find(s, connection_id);
	/* A full counter (EAGAIN) is a signal that is already pending. */
	if (d && write(d->eventfd, &one, sizeof(one)) < 0)
		(void)errno;
	pthread_rwlock_unlock(&s->doorbells_lock);
	return d ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_CONNECTION_ID;
}

/* The port with this id, or a free place when there is none and `place` says so. */
static struct port *port_find(struct synic *s, uint32_t id, bool place)
{
	struct port *free_port = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(s->port); i++) {
		if (s->port[i].fn && s->port[i].id == id)
			return &s->port[i];
		if (!s->port[i].fn && !free_port)
			free_port = &s->port[i];
	}
	return place ? free_port : NULL;
}

static int op_message_port(struct synic *s, uint32_t connection_id, synic_message_fn fn,
			   void *opaque)
{
	struct port *p;
	int r = 0;

	pthread_rwlock_wrlock(&s->ports_lock);
	p = port_find(s, connection_id, fn != NULL);
	if (!fn) {
		if (p)
			p->fn = NULL;
	} else if (!p) {
		r = -ENOSPC;
	} else if (p->fn) {
		r = -EEXIST;
	} else {
		*p = (struct port){ connection_id, fn, opaque };
	}
	pthread_rwlock_unlock(&s->ports_lock);
	return r;
}

uint16_t synic_post_message(struct synic *s, unsigned int vp, uint32_t connection_id,
			    uint32_t type, const void *payload, size_t len)
{
	uint16_t status = HV_STATUS_INVALID_CONNECTION_ID;
	const struct port *p;

	pthread_rwlock_rdlock(&s->ports_lock);
	p = port_find(s, connection_id, false);
	if (p)
		status = p->fn(p->opaque, vp, type, payload, len);
	pthread_rwlock_unlock(&s->ports_lock);
	return status;
}

static void op_on_slot_free(struct synic *s, synic_slot_free_fn fn, void *opaque)
{
	s->slot_free = fn;
	s->slot_free_opaque = opaque;
}

static unsigned int op_vps(struct synic *s)
{
	return s->nvps;
}

const struct synic_ops synic_ops = {
	.post = op_post,
	.signal = op_signal,
	.doorbell_add = op_doorbell_add,
	.doorbell_del = op_doorbell_del,
	.message_port = op_message_port,
	.on_slot_free = op_on_slot_free,
	.vps = op_vps,
};

/* Tells the posters that were refused and need not be any more. */
static void refused_retry(struct synic *s, unsigned int vp)
{
	struct synic_vp *v = &s->vp[vp];
	uint32_t again = 0;
	const void *page;
	uint64_t reg;

	pthread_mutex_lock(&v->lock);
	page = shared_page(s, v->simp);
	for (unsigned int n = 0; n < HV_SINT_COUNT; n++) {
		if (!page || !sint_open(v, n, &reg) || synic_page_slot_free(page, n))
			again |= v->refused & 1u << n;
	}
	v->refused &= ~again;
	pthread_mutex_unlock(&v->lock);
	for (unsigned int n = 0; n < HV_SINT_COUNT; n++) {
		if (again & 1u << n && s->slot_free)
			s->slot_free(s->slot_free_opaque, vp, n);
	}
}

/*
 * SIMP or SIEFP. A page that comes new is cleared first: what the guest left there would look like a message that was never taken,
 * and delivery would stand for ever.
 */
static bool page_write(struct synic *s, struct synic_vp *v, _Atomic uint64_t *reg,
		       uint64_t value)
{
	bool ok = true;

	pthread_mutex_lock(&v->lock);
	if (value & HV_MSR_ENABLE &&
	    (!(*reg & HV_MSR_ENABLE) || (*reg ^ value) & PAGE_MASK))
		ok = guestmem_zero(s->env.mem, value & PAGE_MASK, HV_PAGE_SIZE) == 0;
	if (ok)
		*reg = value;
	pthread_mutex_unlock(&v->lock);
	return ok;
}

/*
 * Auto-EOI is refused: it cannot be had of KVM's local APIC, the guest was told not to use it (CPUID 0x40000004 EAX bit 9), and without
 * an EOI it would hang after the first interrupt.
 */
static bool sint_write(struct synic_vp *v, unsigned int sint, uint64_t value)
{
	if (value & HV_SINT_AUTO_EOI)
		return false;
	if (!(value & HV_SINT_MASKED) && (value & HV_SINT_VECTOR_MASK) < FIRST_VECTOR)
		return false;
	pthread_mutex_lock(&v->lock);
	v->sint[sint] = value;
	pthread_mutex_unlock(&v->lock);
	return true;
}

static bool is_sint(uint32_t msr)
{
	return msr >= HV_X64_MSR_SINT0 && msr < HV_X64_MSR_SINT0 + HV_SINT_COUNT;
}

bool synic_msr_read(struct synic *s, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	const struct synic_vp *v = &s->vp[vp];

	switch (msr) {
	case HV_X64_MSR_SCONTROL:
		*ret = v->scontrol;
		return true;
	case HV_X64_MSR_SVERSION:
		*ret = HV_SYNIC_VERSION_1;
		return true;
	case HV_X64_MSR_SIEFP:
		*ret = v->siefp;
		return true;
	case HV_X64_MSR_SIMP:
		*ret = v->simp;
		return true;
	case HV_X64_MSR_EOM:
		*ret = 0;
		return true;
	default:
		if (!is_sint(msr))
			return false;
		*ret = v->sint[msr - HV_X64_MSR_SINT0];
		return true;
	}
}

static bool register_write(struct synic *s, struct synic_vp *v, uint32_t msr,
			   uint64_t value)
{
	switch (msr) {
	case HV_X64_MSR_SCONTROL:
		v->scontrol = value;
		return true;
	case HV_X64_MSR_SIEFP:
		return page_write(s, v, &v->siefp, value);
	case HV_X64_MSR_SIMP:
		return page_write(s, v, &v->simp, value);
	case HV_X64_MSR_EOM:
		return true;
	default:
		return is_sint(msr) && sint_write(v, msr - HV_X64_MSR_SINT0, value);
	}
}

bool synic_msr_write(struct synic *s, unsigned int vp, uint32_t msr, uint64_t value)
{
	if (!register_write(s, &s->vp[vp], msr, value))
		return false;
	refused_retry(s, vp);
	return true;
}
