/* SPDX-License-Identifier: BSD-2-Clause */
/* Time: the TSC and the local APIC's timer, with the frequencies that the hypervisor tells. */
#ifndef BARE_TIME_H
#define BARE_TIME_H

#include <stdint.h>

/* Without frequencies (no Hyper-V interface) it takes 1 GHz for both: then a wait may be wrong by a factor, and only there. */
void time_init(uint64_t tsc_hz, uint64_t apic_hz);
uint64_t time_us_to_tsc(uint64_t us);
uint64_t time_us_to_timer(uint64_t us);
uint64_t time_tsc_to_ns(uint64_t ticks);
uint64_t time_now_us(void);

#endif
