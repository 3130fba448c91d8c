/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What VPs did, in numbers: exits by kind, which each VP's thread counts alone, its processor time, and what only the kernel sees
 * (halts, interrupts, page faults). The last come from KVM's binary statistics, a file a VP: Linux' Documentation/virt/kvm/api.rst,
 * 4.131 KVM_GET_STATS_FD. Where a host's KVM has none they are unknown. Reading takes none of the VP's locks.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "vid/partition_priv.h"

#define DESCS_MAX 512u
#define NAME_MAX_BYTES 256u

static const char *const names[VP_KSTATS] = {
	[VP_KSTAT_EXITS] = "exits",
	[VP_KSTAT_HLT] = "halt_exits",
	[VP_KSTAT_INTERRUPTS] = "irq_injections",
	[VP_KSTAT_PAGE_FAULTS] = "pf_taken",
};

static void take_desc(struct vp_kstats *k, const struct kvm_stats_desc *d,
		      const char *name, uint32_t data_offset)
{
	for (unsigned int i = 0; i < VP_KSTATS; i++) {
		if (strcmp(names[i], name) == 0 && d->size == 1)
			k->at[i] = data_offset + d->offset;
	}
}

/* Where the numbers stand in the file; all are found, or it is not used. */
static bool find_all(struct vp_kstats *k)
{
	struct kvm_stats_header h;
	cleanup_free char *descs = NULL;
	size_t step, bytes;

	if (pread(k->fd, &h, sizeof(h), 0) != sizeof(h) || h.num_desc > DESCS_MAX ||
	    h.name_size == 0 || h.name_size > NAME_MAX_BYTES)
		return false;
	step = sizeof(struct kvm_stats_desc) + h.name_size;
	bytes = step * h.num_desc;
	descs = malloc(bytes + 1);
	if (!descs || pread(k->fd, descs, bytes, h.desc_offset) != (ssize_t)bytes)
		return false;
	for (uint32_t i = 0; i < h.num_desc; i++) {
		struct kvm_stats_desc d;
		char *name = descs + i * step + sizeof(d);

		memcpy(&d, descs + i * step, sizeof(d));
		name[h.name_size - 1] = '\0';
		take_desc(k, &d, name, h.data_offset);
	}
	for (unsigned int i = 0; i < VP_KSTATS; i++) {
		if (!k->at[i])
			return false;
	}
	return true;
}

void vp_kstats_open(struct vp *vp)
{
	struct vp_kstats *k = &vp->kstats;

	memset(k->at, 0, sizeof(k->at));
	k->fd = ioctl(vp->fd, KVM_GET_STATS_FD, NULL);
	if (k->fd < 0 || find_all(k))
		return;
	close(k->fd);
	k->fd = -1;
}

/* All zeros where the VP has none. */
static void kstats_read(const struct vp *vp, uint64_t ret[VP_KSTATS])
{
	const struct vp_kstats *k = &vp->kstats;

	for (unsigned int i = 0; i < VP_KSTATS; i++) {
		ret[i] = 0;
		if (k->fd >= 0 &&
		    pread(k->fd, &ret[i], sizeof(ret[i]), k->at[i]) != sizeof(ret[i]))
			ret[i] = 0;
	}
}

void vp_kstats_close(struct vp *vp)
{
	struct vp_kstats *k = &vp->kstats;
	uint64_t last[VP_KSTATS];

	if (k->fd < 0)
		return;
	kstats_read(vp, last);
	for (unsigned int i = 0; i < VP_KSTATS; i++)
		k->past[i] += last[i];
	close(k->fd);
	k->fd = -1;
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void vp_run_time_keep_locked(struct vp *vp)
{
	vp->past_run_us += clock_us(vp->cpu_clock);
}

static uint64_t run_time_locked(struct vp *vp)
{
	uint64_t us = vp->past_run_us + (vp->started ? clock_us(vp->cpu_clock) : 0);

	vp->told_run_us = MAX(vp->told_run_us, us);
	return vp->told_run_us;
}

void partition_vp_stats(const struct partition *cp, unsigned int index,
			struct vp_stats *ret)
{
	struct partition *p = (struct partition *)(uintptr_t)cp;
	struct vp *vp = &p->vp[index];
	uint64_t n[VP_EXIT_KINDS];

	*ret = (struct vp_stats){ 0 };
	for (unsigned int i = 0; i < VP_EXIT_KINDS; i++) {
		n[i] = atomic_load_explicit(&vp->exits[i], memory_order_relaxed);
		ret->exits += n[i];
	}
	ret->pio = n[VP_EXIT_PIO];
	ret->mmio = n[VP_EXIT_MMIO];
	ret->msr = n[VP_EXIT_MSR];
	ret->hypercall = n[VP_EXIT_HYPERCALL];
	ret->interrupted = n[VP_EXIT_INTERRUPTED];
	ret->other = n[VP_EXIT_OTHER];
	pthread_mutex_lock(&p->lock);
	ret->run_time_us = run_time_locked(vp);
	pthread_mutex_unlock(&p->lock);
}

bool partition_vp_kernel_stats(const struct partition *p, unsigned int index,
			       struct vp_kernel_stats *ret)
{
	const struct vp *vp = &p->vp[index];
	uint64_t n[VP_KSTATS];

	if (vp->kstats.fd < 0)
		return false;
	kstats_read(vp, n);
	for (unsigned int i = 0; i < VP_KSTATS; i++)
		n[i] += vp->kstats.past[i];
	*ret = (struct vp_kernel_stats){ .exits = n[VP_KSTAT_EXITS],
					 .hlt = n[VP_KSTAT_HLT],
					 .interrupts = n[VP_KSTAT_INTERRUPTS],
					 .page_faults = n[VP_KSTAT_PAGE_FAULTS] };
	return true;
}
