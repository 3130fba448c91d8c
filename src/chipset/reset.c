/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The three ways in which a PC is told to reset: the reset control register at 0xcf9 (the FADT's), the reset pulse of the
 * keyboard controller at 0x64, and bit 0 of system control port A at 0x92. There is no keyboard controller behind 0x64: its status reads as
 * all ones, by which drivers see at once that none is there.
 * Source: Intel 82371SB (PIIX3) data sheet, "Reset control register"; IBM PS/2 technical reference for ports 0x64 and 0x92.
 */
#include "chipset/pm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "chipset/device_priv.h"

#define PCI_CONFIG_PORT 0xcf8u /* address, and data at 0xcfc */
#define PCI_CONFIG_BYTES 8u
#define KBC_COMMAND_PORT 0x64u
#define KBC_PULSE_RESET 0xfeu
#define PORT_A 0x92u
#define PORT_A_RESET 0x01u
#define PORT_A_A20 0x02u
#define RESET_CPU 0x04u /* of 0xcf9: from 0 to 1 resets; the rest says how */
#define RESET_KEPT 0x0au

struct reset {
	const struct board_env *env; /* fixed after init */
	_Atomic uint8_t control, port_a;
};

/* A byte at 0xcf9 is this register; anything else there speaks to PCI configuration space, which is absent. */
static bool is_control(uint64_t off, unsigned int len)
{
	return off == RESET_PORT - PCI_CONFIG_PORT && len == 1;
}

static uint64_t control_read(void *opaque, uint64_t off, unsigned int len)
{
	struct reset *rs = opaque;

	return is_control(off, len) ? rs->control : ~0ull;
}

static void control_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct reset *rs = opaque;

	if (!is_control(off, len))
		return;
	rs->control = value & RESET_KEPT;
	if (value & RESET_CPU)
		rs->env->reset(rs->env->opaque);
}

static const struct iobus_ops control_ops = { .read = control_read,
					      .write = control_write };

static uint64_t kbc_read(void *opaque, uint64_t off, unsigned int len)
{
	return ~0ull;
}

static void kbc_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct reset *rs = opaque;

	if ((value & 0xff) == KBC_PULSE_RESET)
		rs->env->reset(rs->env->opaque);
}

static const struct iobus_ops kbc_ops = { .read = kbc_read, .write = kbc_write };

static uint64_t port_a_read(void *opaque, uint64_t off, unsigned int len)
{
	struct reset *rs = opaque;

	return rs->port_a;
}

/* The A20 gate is always open; its bit reads back, as those who wait for it expect. */
static void port_a_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct reset *rs = opaque;

	rs->port_a = value & PORT_A_A20;
	if (value & PORT_A_RESET)
		rs->env->reset(rs->env->opaque);
}

static const struct iobus_ops port_a_ops = { .read = port_a_read, .write = port_a_write };

static const struct {
	uint64_t port, bytes;
	const char *name;
	const struct iobus_ops *ops;
} reset_regions[] = {
	{ PCI_CONFIG_PORT, PCI_CONFIG_BYTES, "reset control", &control_ops },
	{ KBC_COMMAND_PORT, 1, "keyboard controller", &kbc_ops },
	{ PORT_A, 1, "system control port A", &port_a_ops },
};

static void reset_reset(void *dev)
{
	struct reset *rs = dev;

	rs->control = 0;
	rs->port_a = PORT_A_A20;
}

static void remove_regions(struct reset *rs, size_t n)
{
	while (n--)
		iobus_del(rs->env->bus, IOBUS_PIO, reset_regions[n].port);
	free(rs);
}

static void reset_free(void *dev)
{
	remove_regions(dev, ARRAY_SIZE(reset_regions));
}

static int reset_new(const struct board_env *env, void **ret)
{
	struct reset *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return -ENOMEM;
	rs->env = env;
	reset_reset(rs);
	for (size_t i = 0; i < ARRAY_SIZE(reset_regions); i++) {
		int r = iobus_add(env->bus, IOBUS_PIO, reset_regions[i].port,
				  reset_regions[i].bytes, reset_regions[i].name,
				  reset_regions[i].ops, rs);

		if (r < 0) {
			remove_regions(rs, i);
			return r;
		}
	}
	*ret = rs;
	return 0;
}

const struct device_ops reset_device = { "reset", reset_new, reset_reset, reset_free };
