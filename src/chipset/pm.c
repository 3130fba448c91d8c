/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI fixed hardware: PM1a event and control registers and the power management timer. Writing SLP_EN with the S5 type that
 * the DSDT names powers the machine off. ACPI mode is always on (there is no SMI command port). There are no fixed buttons, so the
 * one event that can happen is the timer's carry, whose status is worked out when it is read; it raises no SCI, as an OS
 * that reads a 32-bit timer every few seconds has no use for it.
 * Source: ACPI 6.4, 4.8.3.
 */
#include "chipset/pm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "chipset/device_priv.h"
#include "proto/acpi.h"

#define PM1_ENABLE_MASK \
	(ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_SLPBTN | ACPI_PM1_RTC)
#define NS_PER_S 1000000000ull

struct pm {
	const struct board_env *env; /* fixed after init */

	pthread_mutex_t lock;
	/* under lock */
	uint16_t enable, control;
	uint32_t carry; /* the timer's top bit when TMR_STS was cleared last */
};

static uint32_t timer(const struct pm *pm)
{
	uint64_t ns = device_monotonic_ns(pm->env), s = ns / NS_PER_S;

	return (uint32_t)(s * ACPI_PM_TIMER_HZ +
			  ns % NS_PER_S * ACPI_PM_TIMER_HZ / NS_PER_S);
}

static uint16_t status_locked(const struct pm *pm)
{
	return timer(pm) >> 31 != pm->carry ? ACPI_PM1_TMR : 0;
}

static uint64_t pm_event_read(void *opaque, uint64_t off, unsigned int len)
{
	struct pm *pm = opaque;
	uint64_t v;

	pthread_mutex_lock(&pm->lock);
	v = (uint64_t)status_locked(pm) | (uint64_t)pm->enable << 16;
	pthread_mutex_unlock(&pm->lock);
	return v >> (8 * off);
}

static void pm_event_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct pm *pm = opaque;
	uint64_t bits = (len < 4 ? value & ((1ull << (8 * len)) - 1) : value)
			<< (8 * off);
	uint64_t covers = ((1ull << (8 * len)) - 1) << (8 * off);

	pthread_mutex_lock(&pm->lock);
	if (bits & ACPI_PM1_TMR) /* status bits clear by writing 1 */
		pm->carry = timer(pm) >> 31;
	pm->enable = (uint16_t)(((pm->enable & ~(covers >> 16)) | bits >> 16) &
				PM1_ENABLE_MASK);
	pthread_mutex_unlock(&pm->lock);
}

static const struct iobus_ops pm_event_ops = { .read = pm_event_read,
					       .write = pm_event_write };

static uint64_t pm_control_read(void *opaque, uint64_t off, unsigned int len)
{
	struct pm *pm = opaque;
	uint64_t v;

	pthread_mutex_lock(&pm->lock);
	v = pm->control | ACPI_PM1_CNT_SCI_EN;
	pthread_mutex_unlock(&pm->lock);
	return v >> (8 * off);
}

static void pm_control_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct pm *pm = opaque;
	unsigned int shift = (unsigned int)(8 * off);
	uint16_t covers = (uint16_t)((len == 1 ? 0xffu : 0xffffu) << shift);
	uint16_t bits = (uint16_t)(value << shift) & covers;
	bool off_now;

	pthread_mutex_lock(&pm->lock);
	pm->control = (uint16_t)((pm->control & ~covers) | bits);
	off_now =
		(pm->control & ACPI_PM1_CNT_SLP_EN) &&
		(pm->control & ACPI_PM1_CNT_SLP_TYP_MASK) >> ACPI_PM1_CNT_SLP_TYP_SHIFT ==
			PM_SLP_TYP_S5;
	pm->control &= (uint16_t)~ACPI_PM1_CNT_SLP_EN; /* write-only */
	pthread_mutex_unlock(&pm->lock);
	if (off_now)
		pm->env->power_off(pm->env->opaque);
}

static const struct iobus_ops pm_control_ops = { .read = pm_control_read,
						 .write = pm_control_write };

static uint64_t pm_timer_read(void *opaque, uint64_t off, unsigned int len)
{
	return (uint64_t)timer(opaque) >> (8 * off);
}

static void pm_timer_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	/* The timer is read-only. */
}

static const struct iobus_ops pm_timer_ops = { .read = pm_timer_read,
					       .write = pm_timer_write };

static const struct {
	uint64_t port, bytes;
	const char *name;
	const struct iobus_ops *ops;
} pm_regions[] = {
	{ PM1_EVENT_PORT, PM1_EVENT_BYTES, "pm1 event", &pm_event_ops },
	{ PM1_CONTROL_PORT, PM1_CONTROL_BYTES, "pm1 control", &pm_control_ops },
	{ PM_TIMER_PORT, PM_TIMER_BYTES, "pm timer", &pm_timer_ops },
};

static void pm_reset(void *dev)
{
	struct pm *pm = dev;

	pthread_mutex_lock(&pm->lock);
	pm->enable = pm->control = 0;
	pm->carry = timer(pm) >> 31;
	pthread_mutex_unlock(&pm->lock);
}

static void remove_regions(struct pm *pm, size_t n)
{
	while (n--)
		iobus_del(pm->env->bus, IOBUS_PIO, pm_regions[n].port);
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}

static void pm_free(void *dev)
{
	remove_regions(dev, ARRAY_SIZE(pm_regions));
}

static int pm_new(const struct board_env *env, void **ret)
{
	struct pm *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return -ENOMEM;
	pm->env = env;
	pthread_mutex_init(&pm->lock, NULL);
	pm_reset(pm);
	for (size_t i = 0; i < ARRAY_SIZE(pm_regions); i++) {
		int r = iobus_add(env->bus, IOBUS_PIO, pm_regions[i].port,
				  pm_regions[i].bytes, pm_regions[i].name,
				  pm_regions[i].ops, pm);

		if (r < 0) {
			remove_regions(pm, i);
			return r;
		}
	}
	*ret = pm;
	return 0;
}

const struct device_ops pm_device = { "pm", pm_new, pm_reset, pm_free };
