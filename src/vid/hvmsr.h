/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The synthetic MSRs 0x40000000..0x400001ff (TLFS appendix F): one table of rows, each a range with its functions. What has no row, and what
 * a row refuses, is a #GP, as with Hyper-V. Offered: what CPUID 0x40000003 names (cpuid.c), and the VP assist page, which
 * Linux always writes. The APIC's MSRs, where they are offered, never come here: vm.c.
 */
#ifndef VID_HVMSR_H
#define VID_HVMSR_H

#include "util/macros.h"
#include "vid/guestmem.h"
#include "vid/reftime.h"
#include "vid/synic.h"

struct hvmsr_config {
	struct guestmem *mem;
	struct synic *synic;
	struct reftime *reftime;
	unsigned int vps;
	uint64_t tsc_hz, apic_hz;
	/*
	 * The guest reports a crash. `text` is its message, `len` at most HV_CRASH_MESSAGE_MAX bytes of any value, or NULL. It goes on
	 * running. Thread: the VP's, as for all here.
	 */
	void (*crash)(void *opaque, unsigned int vp, const uint64_t params[5],
		      const char *text, size_t len);
	/* HV_X64_MSR_RESET. */
	void (*reset)(void *opaque, unsigned int vp);
	/*
	 * A VP names its assist page, or (HV_MSR_ENABLE clear) takes it back; it is RAM. False: the host cannot, and the VP gets a #GP. NULL: nothing uses
	 * the page.
	 */
	bool (*assist)(void *opaque, unsigned int vp, uint64_t value);
	/* The time that the VP has run, in 100 ns. */
	uint64_t (*runtime)(void *opaque, unsigned int vp);
	void *opaque;
};

struct hvmsr;

/* -ENOMEM. What the config points to outlives it. */
int hvmsr_new(const struct hvmsr_config *config, struct hvmsr **ret) __must_check;
void hvmsr_free(struct hvmsr *h);
/* Power-on values, but for the SynIC's (synic_reset). No VP runs. */
void hvmsr_reset(struct hvmsr *h);
/* False: #GP. Thread: the VP's, several VPs at once. */
bool hvmsr_read(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t *ret);
bool hvmsr_write(struct hvmsr *h, unsigned int vp, uint32_t msr, uint64_t value);
/*
 * After each reftime_start(), before a VP runs: writes the TSC page anew. `tsc_ours` false: the guest's TSC is not the one that reftime
 * reads, and the page says "do not use".
 */
void hvmsr_time_started(struct hvmsr *h, bool tsc_ours);
/* Until the next start the page says "do not use", and the guest reads the counter's MSR. Thread: any. */
void hvmsr_tsc_lost(struct hvmsr *h);

#endif
