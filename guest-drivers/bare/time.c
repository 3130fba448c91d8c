/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/time.h"

#include "bare/vp.h"

static uint64_t tsc_hz = 1000000000, apic_hz = 1000000000;

void time_init(uint64_t tsc, uint64_t apic)
{
	tsc_hz = tsc ? tsc : tsc_hz;
	apic_hz = apic ? apic : apic_hz;
}

static uint64_t scale(uint64_t v, uint64_t mul, uint64_t div)
{
	/* both quotients and remainders fit: no 128-bit division, which would need a library */
	return v / div * mul + v % div * mul / div;
}

uint64_t time_us_to_tsc(uint64_t us)
{
	return scale(us, tsc_hz, 1000000);
}

uint64_t time_us_to_timer(uint64_t us)
{
	return scale(us, apic_hz, 1000000);
}

uint64_t time_tsc_to_ns(uint64_t ticks)
{
	return scale(ticks, 1000000000, tsc_hz);
}

uint64_t time_now_us(void)
{
	return scale(rdtsc(), 1000000, tsc_hz);
}
