/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/hvmsr.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "vid/hypercall.h"

#define PAGE_MASK (~0xfffull)
#define PAGE_REG_RESERVED 0xffeull /* of REFERENCE_TSC and VP_ASSIST_PAGE */
#define HYPERCALL_RESERVED 0xffcull

struct hvmsr {
	/* fixed after init */
	struct hvmsr_config c;
	/* under lock */
	pthread_mutex_t lock;
	bool tsc_ours;
	uint64_t guest_os_id, hypercall, reference_tsc, crash[5];
	uint64_t vp_assist[];
};

struct row {
	uint32_t first, last;
	bool (*read)(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret);
	bool (*write)(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t value);
};

int hvmsr_new(const struct hvmsr_config *config, struct hvmsr **ret)
{
	struct hvmsr *h = calloc(1, sizeof(*h) + config->vps * sizeof(h->vp_assist[0]));

	if (!h)
		return -ENOMEM;
	h->c = *config;
	pthread_mutex_init(&h->lock, NULL);
	*ret = h;
	return 0;
}

void hvmsr_free(struct hvmsr *h)
{
	if (!h)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void hvmsr_reset(struct hvmsr *h)
{
	pthread_mutex_lock(&h->lock);
	h->guest_os_id = h->hypercall = h->reference_tsc = 0;
	memset(h->crash, 0, sizeof(h->crash));
	memset(h->vp_assist, 0, h->c.vps * sizeof(h->vp_assist[0]));
	pthread_mutex_unlock(&h->lock);
}

static bool os_id_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	*ret = h->guest_os_id;
	return true;
}

/* TLFS 3.13: taking the identity away turns the hypercall page off. */
static bool os_id_write(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t value)
{
	h->guest_os_id = value;
	if (!value)
		h->hypercall &= ~HV_MSR_ENABLE;
	return true;
}

static bool hypercall_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	*ret = h->hypercall;
	return true;
}

/* TLFS 3.13: without an identity the page stays off; once locked, the MSR stands until reset. */
static bool hypercall_write(struct hvmsr *h, unsigned int vp, uint32_t msr,
			    uint64_t value)
{
	if (h->hypercall & HV_MSR_HYPERCALL_LOCKED || value & HYPERCALL_RESERVED)
		return false;
	if (!h->guest_os_id)
		value &= ~HV_MSR_ENABLE;
	if (value & HV_MSR_ENABLE && hypercall_page_write(h->c.mem, value & PAGE_MASK))
		return false;
	h->hypercall = value;
	return true;
}

static bool vp_index_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	*ret = vp;
	return true;
}

static bool reset_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	*ret = 0;
	return true;
}

static bool reset_write(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t value)
{
	if (value & 1)
		h->c.reset(h->c.opaque, vp);
	return true;
}

static bool runtime_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	*ret = h->c.runtime(h->c.opaque, vp);
	return true;
}

/* The sequence is 0 while the rest changes, so that a reader on another VP turns to the MSR meanwhile (TLFS 12.7). */
static bool tsc_page_write(struct hvmsr *h)
{
	struct hv_reference_tsc_page now, *page;

	page = guestmem_ptr(h->c.mem, h->reference_tsc & PAGE_MASK, HV_PAGE_SIZE);
	if (!page)
		return false;
	reftime_page(h->c.reftime, &now);
	atomic_store((_Atomic uint32_t *)&page->tsc_sequence, 0);
	page->tsc_scale = now.tsc_scale;
	page->tsc_offset = now.tsc_offset;
	if (h->tsc_ours)
		atomic_store((_Atomic uint32_t *)&page->tsc_sequence, now.tsc_sequence);
	return true;
}

static bool ref_tsc_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	*ret = h->reference_tsc;
	return true;
}

static bool ref_tsc_write(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t value)
{
	uint64_t old = h->reference_tsc;

	if (value & PAGE_REG_RESERVED)
		return false;
	h->reference_tsc = value;
	if (!(value & HV_MSR_ENABLE) || tsc_page_write(h))
		return true;
	h->reference_tsc = old;
	return false;
}

void hvmsr_time_started(struct hvmsr *h, bool tsc_ours)
{
	pthread_mutex_lock(&h->lock);
	h->tsc_ours = tsc_ours;
	if (h->reference_tsc & HV_MSR_ENABLE)
		(void)tsc_page_write(
			h); /* it was RAM when the guest named it, and is still */
	pthread_mutex_unlock(&h->lock);
}

void hvmsr_tsc_lost(struct hvmsr *h)
{
	hvmsr_time_started(h, false);
}

static bool frequency_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	*ret = msr == HV_X64_MSR_TSC_FREQUENCY ? h->c.tsc_hz : h->c.apic_hz;
	return true;
}

static bool assist_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	*ret = h->vp_assist[vp];
	return true;
}

static bool assist_write(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t value)
{
	if (value & PAGE_REG_RESERVED)
		return false;
	if (value & HV_MSR_ENABLE &&
	    !guestmem_ptr(h->c.mem, value & PAGE_MASK, HV_PAGE_SIZE))
		return false;
	if (h->c.assist && !h->c.assist(h->c.opaque, vp, value))
		return false;
	h->vp_assist[vp] = value;
	return true;
}

static bool crash_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	if (msr == HV_X64_MSR_CRASH_CTL)
		*ret = HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_NOTIFY_MSG;
	else
		*ret = h->crash[msr - HV_X64_MSR_CRASH_P0];
	return true;
}

/* With NOTIFY_MSG, P3 and P4 are the message's address and length (Linux' hyperv_report_panic_msg). */
static void crash_report(struct hvmsr *h, unsigned int vp, uint64_t ctl)
{
	char text[HV_CRASH_MESSAGE_MAX];
	size_t len = MIN(h->crash[4], sizeof(text));

	if (ctl & HV_CRASH_CTL_NOTIFY_MSG && len &&
	    guestmem_read(h->c.mem, h->crash[3], text, len) == 0)
		h->c.crash(h->c.opaque, vp, h->crash, text, len);
	else
		h->c.crash(h->c.opaque, vp, h->crash, NULL, 0);
}

static bool crash_write(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t value)
{
	if (msr != HV_X64_MSR_CRASH_CTL)
		h->crash[msr - HV_X64_MSR_CRASH_P0] = value;
	else if (value & HV_CRASH_CTL_NOTIFY)
		crash_report(h, vp, value);
	return true;
}

static const struct row rows[] = {
	{ HV_X64_MSR_GUEST_OS_ID, HV_X64_MSR_GUEST_OS_ID, os_id_read, os_id_write },
	{ HV_X64_MSR_HYPERCALL, HV_X64_MSR_HYPERCALL, hypercall_read, hypercall_write },
	{ HV_X64_MSR_VP_INDEX, HV_X64_MSR_VP_INDEX, vp_index_read, NULL },
	{ HV_X64_MSR_RESET, HV_X64_MSR_RESET, reset_read, reset_write },
	{ HV_X64_MSR_VP_RUNTIME, HV_X64_MSR_VP_RUNTIME, runtime_read, NULL },
	{ HV_X64_MSR_REFERENCE_TSC, HV_X64_MSR_REFERENCE_TSC, ref_tsc_read,
	  ref_tsc_write },
	{ HV_X64_MSR_TSC_FREQUENCY, HV_X64_MSR_APIC_FREQUENCY, frequency_read, NULL },
	{ HV_X64_MSR_VP_ASSIST_PAGE, HV_X64_MSR_VP_ASSIST_PAGE, assist_read,
	  assist_write },
	{ HV_X64_MSR_CRASH_P0, HV_X64_MSR_CRASH_CTL, crash_read, crash_write },
};

static const struct row *row_find(uint32_t msr)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (msr >= rows[i].first && msr <= rows[i].last)
			return &rows[i];
	}
	return NULL;
}

/* The SynIC has a lock for each VP and is asked without ours. */
static bool is_synic(uint32_t msr)
{
	return msr >= HV_X64_MSR_SCONTROL && msr < HV_X64_MSR_SINT0 + HV_SINT_COUNT;
}

bool hvmsr_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret)
{
	const struct row *row;
	bool ok;

	if (is_synic(msr))
		return synic_msr_read(h->c.synic, vp, msr, ret);
	/* Without a TSC page this is each look at a clock, of every VP at once: they do not queue for what they do not need. */
	if (msr == HV_X64_MSR_TIME_REF_COUNT) {
		*ret = reftime_now(h->c.reftime);
		return true;
	}
	row = row_find(msr);
	if (!row)
		return false;
	pthread_mutex_lock(&h->lock);
	ok = row->read(h, vp, msr, ret);
	pthread_mutex_unlock(&h->lock);
	return ok;
}

bool hvmsr_write(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t value)
{
	const struct row *row;
	bool ok;

	if (is_synic(msr))
		return msr != HV_X64_MSR_SVERSION &&
		       synic_msr_write(h->c.synic, vp, msr, value);
	row = row_find(msr);
	if (!row || !row->write)
		return false;
	pthread_mutex_lock(&h->lock);
	ok = row->write(h, vp, msr, value);
	pthread_mutex_unlock(&h->lock);
	return ok;
}
