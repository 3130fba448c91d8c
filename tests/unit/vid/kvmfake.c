/* SPDX-License-Identifier: BSD-2-Clause */
#include "kvmfake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#define RUN_BYTES 12288
#define VCPUS_MAX 64

int __wrap_ioctl(int fd, unsigned long request, ...);

struct kvmfake kvmfake;

/* Which VP a descriptor is, and its run page. */
static struct {
	int fd;
	struct kvm_run *run;
} vcpu[VCPUS_MAX];
static pthread_mutex_t vcpu_lock = PTHREAD_MUTEX_INITIALIZER;

static int vcpu_create(unsigned long index)
{
	int fd = memfd_create("vcpu", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, RUN_BYTES) < 0)
		return -1;
	pthread_mutex_lock(&vcpu_lock);
	if (vcpu[index].run)
		munmap(vcpu[index].run, RUN_BYTES);
	vcpu[index].fd = fd;
	vcpu[index].run =
		mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pthread_mutex_unlock(&vcpu_lock);
	kvmfake.vcpus++;
	return fd;
}

static unsigned int vcpu_find(int fd, struct kvm_run **ret)
{
	unsigned int i;

	pthread_mutex_lock(&vcpu_lock);
	for (i = 0; i < VCPUS_MAX - 1 && vcpu[i].fd != fd; i++)
		;
	*ret = vcpu[i].run;
	pthread_mutex_unlock(&vcpu_lock);
	return i;
}

/*
 * The check of immediate_exit and the wait for a signal are one step, as in the kernel: the signal is blocked until ppoll() waits, so one that
 * comes after the check ends the wait.
 */
int kvmfake_block(struct kvm_run *run)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	if (!atomic_load((_Atomic uint8_t *)&run->immediate_exit))
		(void)ppoll(NULL, 0, NULL, &old);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return EINTR;
}

static int vcpu_run(int fd)
{
	struct kvm_run *run;
	unsigned int vp = vcpu_find(fd, &run);
	int r = EINTR;

	/* Widens the window between a VP's look at what it shall do and its entry, where a kick could be lost. */
	if (kvmfake.runs % 4 == 0)
		sched_yield();
	kvmfake.inside++;
	if (!atomic_load((_Atomic uint8_t *)&run->immediate_exit)) {
		kvmfake.runs++;
		r = kvmfake.run(vp, run);
		if (r == KVMFAKE_BLOCK)
			r = kvmfake_block(run);
	}
	kvmfake.inside--;
	errno = r;
	return r ? -1 : 0;
}

static int cpuid_get(struct kvm_cpuid2 *c)
{
	c->nent = 1;
	c->entries[0] = (struct kvm_cpuid_entry2){ .function = 1 };
	return 0;
}

static int msrs_get(struct kvm_msrs *m)
{
	m->entries[0].data = __rdtsc() + (uint64_t)kvmfake.tsc_offset;
	return 1;
}

/* The errno that the script has for this call, 0 for none. */
static int failure_of(unsigned long request)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int err;

	pthread_mutex_lock(&lock);
	err = request == kvmfake.fail_request ? kvmfake.fail_errno : 0;
	if (err && kvmfake.fail_times && --kvmfake.fail_times == 0)
		kvmfake.fail_errno = 0;
	pthread_mutex_unlock(&lock);
	return err;
}

/* A file as KVM's: header, descriptors, values. */
static int stats_open(void)
{
	const struct kvmfake_stats *s = kvmfake.stats;
	const size_t step = sizeof(struct kvm_stats_desc) + KVMFAKE_NAME_BYTES;
	int fd;

	if (!s) {
		errno = ENOTTY;
		return -1;
	}
	fd = memfd_create("stats", MFD_CLOEXEC);
	if (pwrite(fd, &s->header, sizeof(s->header), 0) < 0)
		abort();
	for (size_t i = 0; s->names[i]; i++) {
		uint8_t desc[sizeof(struct kvm_stats_desc) + KVMFAKE_NAME_BYTES];
		struct kvm_stats_desc d = { .size = 1, .offset = (uint32_t)(i * 8) };
		uint64_t value = s->value + i;

		memset(desc, 0, step);
		memcpy(desc, &d, sizeof(d));
		snprintf((char *)desc + sizeof(d), KVMFAKE_NAME_BYTES, "%s", s->names[i]);
		if (pwrite(fd, desc, step, (off_t)(s->header.desc_offset + i * step)) <
			    0 ||
		    pwrite(fd, &value, sizeof(value),
			   (off_t)(s->header.data_offset + i * 8)) < 0)
			abort();
	}
	return fd;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int err;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	err = failure_of(request);
	if (err) {
		errno = err;
		return -1;
	}
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_BYTES;
	case KVM_GET_SUPPORTED_CPUID:
		return cpuid_get(arg);
	case KVM_CREATE_VM:
		kvmfake.vms++;
		return eventfd(0, EFD_CLOEXEC);
	case KVM_CREATE_VCPU:
		return vcpu_create((unsigned long)arg);
	case KVM_GET_STATS_FD:
		return stats_open();
	case KVM_GET_TSC_KHZ:
		return 2500000;
	case KVM_SET_MSRS:
		return 1;
	case KVM_GET_MSRS:
		return msrs_get(arg);
	case KVM_GET_REGS:
		memset(arg, 0, sizeof(struct kvm_regs));
		return 0;
	case KVM_GET_SREGS:
		memset(arg, 0, sizeof(struct kvm_sregs));
		return 0;
	case KVM_RUN:
		return vcpu_run(fd);
	default:
		return 0;
	}
}
