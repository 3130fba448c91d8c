/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/reftime.h"

#include <errno.h>

#define TSC_KHZ_MIN 10000ull /* at 10 MHz the scale is 2^64 */
#define TSC_KHZ_MAX 1000000000ull

uint64_t reftime_scale(uint64_t tsc_khz)
{
	return (uint64_t)(((unsigned __int128)10000 << 64) / tsc_khz);
}

static uint64_t scaled(const struct reftime *rt)
{
	return (uint64_t)(((unsigned __int128)rt->tsc() * rt->scale) >> 64);
}

static bool khz_ok(uint64_t khz)
{
	return khz > TSC_KHZ_MIN && khz <= TSC_KHZ_MAX;
}

int reftime_init(struct reftime *rt, uint64_t tsc_khz, uint64_t (*tsc)(void))
{
	if (!khz_ok(tsc_khz))
		return -EINVAL;
	*rt = (struct reftime){ .tsc = tsc, .scale = reftime_scale(tsc_khz) };
	pthread_mutex_init(&rt->lock, NULL);
	return 0;
}

void reftime_done(struct reftime *rt)
{
	pthread_mutex_destroy(&rt->lock);
}

static uint64_t now_locked(const struct reftime *rt)
{
	return rt->running ? scaled(rt) + (uint64_t)rt->offset : rt->held;
}

int reftime_source(struct reftime *rt, uint64_t khz, uint64_t (*counter)(void))
{
	if (!khz_ok(khz))
		return -EINVAL;
	pthread_mutex_lock(&rt->lock);
	rt->held = now_locked(rt);
	rt->tsc = counter;
	rt->scale = reftime_scale(khz);
	rt->offset = (int64_t)(rt->held - scaled(rt));
	pthread_mutex_unlock(&rt->lock);
	return 0;
}

void reftime_reset(struct reftime *rt)
{
	pthread_mutex_lock(&rt->lock);
	rt->running = false;
	rt->held = 0;
	pthread_mutex_unlock(&rt->lock);
}

void reftime_start(struct reftime *rt)
{
	pthread_mutex_lock(&rt->lock);
	if (!rt->running) {
		rt->offset = (int64_t)(rt->held - scaled(rt));
		/* 0 would say that the page is not to be used. */
		if (++rt->sequence == 0)
			rt->sequence = 1;
		rt->running = true;
	}
	pthread_mutex_unlock(&rt->lock);
}

void reftime_stop(struct reftime *rt)
{
	pthread_mutex_lock(&rt->lock);
	rt->held = now_locked(rt);
	rt->running = false;
	pthread_mutex_unlock(&rt->lock);
}

uint64_t reftime_now(struct reftime *rt)
{
	uint64_t now;

	pthread_mutex_lock(&rt->lock);
	now = now_locked(rt);
	pthread_mutex_unlock(&rt->lock);
	return now;
}

void reftime_page(struct reftime *rt, struct hv_reference_tsc_page *ret)
{
	pthread_mutex_lock(&rt->lock);
	*ret = (struct hv_reference_tsc_page){
		.tsc_sequence = rt->sequence,
		.tsc_scale = rt->scale,
		.tsc_offset = rt->offset,
	};
	pthread_mutex_unlock(&rt->lock);
}
