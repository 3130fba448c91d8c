/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an emulated device is to the board, and the clocks it may read. Internal to src/chipset, and what its tests fake.
 */
#ifndef CHIPSET_DEVICE_PRIV_H
#define CHIPSET_DEVICE_PRIV_H

#include "chipset/board.h"

/* One const table a device. The board calls new once, then reset any number of times, then free. */
struct device_ops {
	const char *name;
	/* Adds itself to env->bus; registers at power-on. env outlives the device. */
	int (*new)(const struct board_env *env, void **ret);
	void (*reset)(void *dev);
	void (*free)(void *dev); /* takes itself off the bus */
};

extern const struct device_ops com_device, rtc_device, pm_device, reset_device,
	post_device;

/* The post device's last byte. Thread: any. */
uint8_t post_code(const void *dev);

/* CLOCK_REALTIME since 1970 and CLOCK_MONOTONIC, in ns; from env->clock where a test gives one. */
int64_t device_realtime_ns(const struct board_env *env);
uint64_t device_monotonic_ns(const struct board_env *env);

#endif
