/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COM1: a UART at 0x3f8 and IRQ 4, with the console's character device as its other end.
 */
#include "chipset/com.h"

#include <errno.h>
#include <stdlib.h>
#include "back/chardev.h"
#include "chipset/device_priv.h"
#include "chipset/uart.h"

struct com {
	const struct board_env *env; /* fixed after init */
	struct uart *uart;
};

static size_t com_output(void *opaque, const uint8_t *buf, size_t len)
{
	struct com *c = opaque;

	return c->env->console ? chardev_output(c->env->console, buf, len) : len;
}

static void com_input_ready(void *opaque)
{
	struct com *c = opaque;

	if (c->env->console)
		chardev_input_ready(c->env->console);
}

static size_t com_input(void *opaque, const uint8_t *buf, size_t len)
{
	struct com *c = opaque;

	return uart_input(c->uart, buf, len);
}

static void com_writable(void *opaque)
{
	struct com *c = opaque;

	uart_writable(c->uart);
}

static void com_reset(void *dev)
{
	struct com *c = dev;

	uart_reset(c->uart);
}

static void com_free(void *dev)
{
	struct com *c = dev;

	if (c->env->console)
		chardev_set_handler(c->env->console, NULL);
	iobus_del(c->env->bus, IOBUS_PIO, COM1_PORT);
	uart_free(c->uart);
	free(c);
}

static int com_new(const struct board_env *env, void **ret)
{
	struct com *c = calloc(1, sizeof(*c));
	const struct uart_host host = { com_output, com_input_ready, c };
	const struct chardev_handler handler = { com_input, com_writable, c };
	int r;

	if (!c)
		return -ENOMEM;
	c->env = env;
	r = uart_new(env->irq, COM1_GSI, &host, &c->uart);
	if (r == 0)
		r = iobus_add(env->bus, IOBUS_PIO, COM1_PORT, UART_PORTS, "com1",
			      &uart_ops, c->uart);
	if (r < 0) {
		uart_free(c->uart);
		free(c);
		return r;
	}
	if (env->console)
		chardev_set_handler(env->console, &handler);
	*ret = c;
	return 0;
}

const struct device_ops com_device = { "com1", com_new, com_reset, com_free };
