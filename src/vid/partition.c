/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition's life. A reset makes a new VM in KVM rather than putting registers back: everything that KVM keeps (local APICs, IOAPIC,
 * PIC, PIT, MSRs, pending interrupts) is then as at power-on by construction, and start and reset are one path. Memory, iobus, SynIC
 * doorbells and ports are ours and stay.
 */
#include "vid/partition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>
#include "vid/partition_priv.h"

#define APIC_TIMER_HZ 1000000000ull /* KVM's local APIC counts nanoseconds */
#define MONOTONIC_KHZ 1000000u

static uint64_t tsc_now(void)
{
	return __rdtsc();
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t hv_runtime(void *opaque, unsigned int vp)
{
	struct timespec ts = { 0 };

	(void)opaque;
	(void)vp;
	/* On the VP's own thread. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 10000000 + (uint64_t)ts.tv_nsec / 100;
}

/* Foreign bytes for people: ASCII that prints, tabs and newlines; the rest is '?'. A NUL ends it. */
static void text_take(char *to, size_t size, const char *from, size_t len)
{
	size_t n = 0;

	for (; n < len && n + 1 < size && from[n]; n++) {
		char c = from[n];

		to[n] = (c >= ' ' && c <= '~') || c == '\n' || c == '\t' ? c : '?';
	}
	to[n] = '\0';
}

static void hv_crash(void *opaque, unsigned int vp, const uint64_t params[5],
		     const char *text, size_t len)
{
	struct partition *p = opaque;
	struct partition_event e = { .type = PARTITION_CRASHED, .vp = vp };

	memcpy(e.crash_params, params, sizeof(e.crash_params));
	text_take(e.text, sizeof(e.text), text, len);
	events_put(&p->events, &e);
}

static void hv_reset(void *opaque, unsigned int vp)
{
	struct partition *p = opaque;
	struct partition_event e = { .type = PARTITION_RESET_ASKED, .vp = vp };

	if (vps_halt(p))
		events_put(&p->events, &e);
}

static bool hv_assist(void *opaque, unsigned int vp, uint64_t value)
{
	struct partition *p = opaque;

	return vp_state_assist(&p->vp[vp], value);
}

static int kvm_facts(struct partition *p)
{
	int version = ioctl(p->config.kvm_fd, KVM_GET_API_VERSION, 0ul);
	int bytes = ioctl(p->config.kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0ul);

	if (version < 0 || bytes < 0)
		return -errno;
	if (version != KVM_API_VERSION || bytes < (int)sizeof(struct kvm_run))
		return -EOPNOTSUPP;
	p->run_bytes = (size_t)bytes;
	p->cpuid = calloc(1, sizeof(*p->cpuid));
	if (!p->cpuid)
		return -ENOMEM;
	p->cpuid->nent = CPUID_ENTRIES_MAX;
	if (ioctl(p->config.kvm_fd, KVM_GET_SUPPORTED_CPUID, p->cpuid) < 0)
		return -errno;
	p->lazy_eoi = ioctl(p->config.kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_HYPERV) > 0;
	return cpuid_build(p->cpuid, p->config.vps, PARTITION_VPS_MAX, p->lazy_eoi);
}

static int synic_make(struct partition *p)
{
	const struct synic_env env = {
		.mem = p->mem, .inject = vm_inject, .doorbell = vm_doorbell, .opaque = p
	};

	return synic_new(&env, p->config.vps, &p->synic);
}

/* KVM_GET_TSC_KHZ is the VM's; it answers once there is a VM. */
static int time_make(struct partition *p)
{
	int khz = ioctl(p->vm_fd, KVM_GET_TSC_KHZ, 0ul);

	if (khz <= 0)
		khz = ioctl(p->vp[0].fd, KVM_GET_TSC_KHZ, 0ul);
	if (khz <= 0)
		return -EOPNOTSUPP;
	p->tsc_khz = (uint64_t)khz;
	return reftime_init(&p->reftime, p->tsc_khz, tsc_now);
}

static int hvmsr_make(struct partition *p)
{
	const struct hvmsr_config config = {
		.mem = p->mem,
		.synic = p->synic,
		.reftime = &p->reftime,
		.vps = p->config.vps,
		.tsc_hz = p->tsc_khz * 1000,
		.apic_hz = APIC_TIMER_HZ,
		.crash = hv_crash,
		.reset = hv_reset,
		.runtime = hv_runtime,
		.assist = p->lazy_eoi ? hv_assist : NULL,
		.opaque = p,
	};

	return hvmsr_new(&config, &p->hvmsr);
}

static int parts_make(struct partition *p)
{
	int r = kvm_facts(p);

	if (!r)
		r = guestmem_new(p->config.memory_bytes, &p->mem);
	if (!r)
		r = iobus_new(&p->bus);
	if (!r)
		r = synic_make(p);
	if (!r)
		r = vm_open(p);
	if (!r)
		r = vps_open(p);
	if (!r)
		r = time_make(p);
	if (!r)
		r = hvmsr_make(p);
	return r;
}

int partition_new(const struct partition_config *config, struct partition **ret)
{
	struct partition *p;
	int r;

	if (!config->vps || config->vps > PARTITION_VPS_MAX)
		return -EINVAL;
	p = calloc(1, sizeof(*p) + config->vps * sizeof(p->vp[0]));
	if (!p)
		return -ENOMEM;
	p->config = *config;
	p->vm_fd = p->events.fd = -1;
	p->irq = (struct irq_env){ .set = vm_irq_set, .msi = vm_irq_msi, .opaque = p };
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->go, NULL);
	pthread_cond_init(&p->stood, NULL);
	for (unsigned int i = 0; i < config->vps; i++) {
		p->vp[i].p = p;
		p->vp[i].index = i;
		p->vp[i].fd = p->vp[i].kstats.fd = -1;
	}
	r = events_init(&p->events);
	if (!r)
		r = parts_make(p);
	if (r) {
		partition_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void partition_free(struct partition *p)
{
	if (!p)
		return;
	vps_close(p);
	if (p->vm_fd >= 0)
		close(p->vm_fd);
	hvmsr_free(p->hvmsr);
	synic_free(p->synic);
	iobus_free(p->bus);
	guestmem_free(p->mem);
	free(p->cpuid);
	events_done(&p->events);
	reftime_done(&p->reftime);
	pthread_cond_destroy(&p->stood);
	pthread_cond_destroy(&p->go);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

struct guestmem *partition_mem(struct partition *p)
{
	return p->mem;
}

struct iobus *partition_bus(struct partition *p)
{
	return p->bus;
}

const struct irq_env *partition_irq(struct partition *p)
{
	return &p->irq;
}

struct synic *partition_synic(struct partition *p)
{
	return p->synic;
}

int partition_prepare(struct partition *p, unsigned int vp, const struct vp_start *start)
{
	if (vp >= p->config.vps)
		return -EINVAL;
	if (p->started)
		return -EBUSY;
	return vp_state_enter(&p->vp[vp], start);
}

/* A guest computes time on any VP: the page serves only when all VPs' TSCs are ours. They stand. */
static bool tsc_ours(struct partition *p)
{
	bool ours = true;

	for (unsigned int i = 0; i < p->config.vps && ours; i++)
		ours = vp_state_tsc_ours(&p->vp[i]);
	return ours;
}

/* The host's TSC counts the reference time as long as it can be trusted, else the kernel's own clock. Both rates are in bounds. */
static int time_source(struct partition *p, bool ours)
{
	atomic_store(&p->tsc_ours, ours);
	return ours ? reftime_source(&p->reftime, p->tsc_khz, tsc_now)
		    : reftime_source(&p->reftime, MONOTONIC_KHZ, monotonic_ns);
}

void partition_tsc_lost(struct partition *p)
{
	if (time_source(p, false) == 0)
		hvmsr_tsc_lost(p->hvmsr);
}

static int run(struct partition *p)
{
	bool ours = tsc_ours(p);
	int r = time_source(p, ours);

	if (r)
		return r;
	reftime_start(&p->reftime);
	hvmsr_time_started(p->hvmsr, ours);
	if (vps_run(p))
		return 0;
	reftime_stop(&p->reftime);
	return -ESHUTDOWN;
}

int partition_start(struct partition *p)
{
	int r;

	if (p->started)
		return -EBUSY;
	if (!p->vp[0].prepared)
		return -EINVAL;
	r = run(p);
	p->started = !r;
	return r;
}

int partition_pause(struct partition *p)
{
	if (!p->started)
		return -EINVAL;
	vps_stand(p);
	reftime_stop(&p->reftime);
	return 0;
}

int partition_resume(struct partition *p)
{
	return p->started ? run(p) : -EINVAL;
}

int partition_reset(struct partition *p)
{
	int r;

	vps_close(p);
	p->started = p->halted = false;
	events_clear(&p->events);
	reftime_reset(&p->reftime);
	hvmsr_reset(p->hvmsr);
	synic_reset(p->synic);
	r = guestmem_discard(p->mem);
	if (!r)
		r = vm_open(p);
	if (!r) {
		synic_doorbells_restore(p->synic);
		r = vps_open(p);
	}
	return r;
}

void partition_stop(struct partition *p)
{
	vps_close(p);
	reftime_stop(&p->reftime);
	p->started = false;
}

bool partition_running(const struct partition *p)
{
	return p->started && atomic_load(&p->want) == VP_RUN;
}

int partition_event_fd(const struct partition *p)
{
	return p->events.fd;
}

bool partition_event_next(struct partition *p, struct partition_event *ret)
{
	return events_next(&p->events, ret);
}

uint64_t partition_reference_time(const struct partition *p)
{
	/* The lock inside is all that it changes. */
	return reftime_now(&((struct partition *)(uintptr_t)p)->reftime);
}
