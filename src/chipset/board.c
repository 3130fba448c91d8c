/* SPDX-License-Identifier: BSD-2-Clause */
#include "chipset/board.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "chipset/acpi.h"
#include "chipset/device_priv.h"

/* Every device, in the order in which they are made and reset; they are freed in the opposite one. */
enum { BOARD_COM, BOARD_RTC, BOARD_PM, BOARD_RESET, BOARD_POST, BOARD_DEVICES };

static const struct device_ops *const board_devices[BOARD_DEVICES] = {
	[BOARD_COM] = &com_device,   [BOARD_RTC] = &rtc_device,
	[BOARD_PM] = &pm_device,     [BOARD_RESET] = &reset_device,
	[BOARD_POST] = &post_device,
};

struct board {
	struct board_env env;
	void *devices[BOARD_DEVICES];
};

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t device_realtime_ns(const struct board_env *env)
{
	if (env->clock)
		return env->clock->realtime_ns(env->clock->opaque);
	return clock_ns(CLOCK_REALTIME);
}

uint64_t device_monotonic_ns(const struct board_env *env)
{
	if (env->clock)
		return env->clock->monotonic_ns(env->clock->opaque);
	return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

void board_free(struct board *b)
{
	if (!b)
		return;
	for (size_t i = BOARD_DEVICES; i--;) {
		if (b->devices[i])
			board_devices[i]->free(b->devices[i]);
	}
	free(b);
}

int board_new(const struct board_env *env, struct board **ret)
{
	struct board *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->env = *env;
	for (size_t i = 0; i < BOARD_DEVICES; i++) {
		int r = board_devices[i]->new (&b->env, &b->devices[i]);

		if (r < 0) {
			board_free(b);
			return r;
		}
	}
	*ret = b;
	return 0;
}

void board_reset(struct board *b)
{
	for (size_t i = 0; i < BOARD_DEVICES; i++)
		board_devices[i]->reset(b->devices[i]);
}

int board_write_tables(struct board *b, uint64_t *ret_rsdp)
{
	return acpi_write(b->env.mem, b->env.vps, ret_rsdp);
}

uint8_t board_post_code(const struct board *b)
{
	return post_code(b->devices[BOARD_POST]);
}
