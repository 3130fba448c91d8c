/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A KVM that is a function: ioctl() is wrapped (-Wl,--wrap=ioctl), so partition.c, vm.c, vp.c and vp_exit.c run as they are, and the
 * test decides what KVM_RUN comes back with. It keeps KVM's contract about kicks: KVM_RUN returns -EINTR when immediate_exit is set
 * on entry, or when a signal comes while it runs.
 *
 * Thread: the script is set while no VP runs; the counters are read at any time.
 */
#ifndef TESTS_UNIT_VID_KVMFAKE_H
#define TESTS_UNIT_VID_KVMFAKE_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdint.h>
#include "util/macros.h"

#define KVMFAKE_NAME_BYTES 24u

struct kvmfake_stats {
	struct kvm_stats_header header;
	const char *names[6]; /* ends with NULL */
	uint64_t value;       /* of the first; the next has one more */
};

struct kvmfake {
	/*
	 * One call of KVM_RUN, by the VP of this index: fills the run page and returns 0, or returns an errno; KVMFAKE_BLOCK: runs guest code until
	 * it is kicked.
	 */
	int (*run)(unsigned int vp, struct kvm_run *run);
	/* A request that fails with this errno; 0: none. VP threads ask too, for they make their own vCPUs. */
	unsigned long fail_request;
	_Atomic int fail_errno;
	unsigned int fail_times; /* so often, then it succeeds; 0: always */
	/* What VPs' TSCs differ from the host's. */
	_Atomic int64_t tsc_offset;
	/* What a VP's statistics hold: its header as given here, the names that follow, and each the value. NULL: this KVM has none. */
	const struct kvmfake_stats *stats;
	_Atomic unsigned int runs, inside, vms, vcpus;
};

#define KVMFAKE_BLOCK (-1)

extern struct kvmfake kvmfake;

/* Blocks like guest code does: until a signal, or immediate_exit. EINTR. */
int kvmfake_block(struct kvm_run *run);

#endif
