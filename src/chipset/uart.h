/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A UART as the guest's serial drivers know it, with 16 byte FIFOs. Baud rate and line format are accepted and
 * mean nothing. Input that the receiver has no room for stays with the host's side; output that the host's side has no room for
 * stays in the transmitter, and THRE says so: nothing is lost in either direction, and no VP waits.
 * Source: National Semiconductor PC16550D data sheet (June 1995), section 8 "Registers".
 *
 * Thread: any; one mutex. The host's functions are called with it held.
 */
#ifndef CHIPSET_UART_H
#define CHIPSET_UART_H

#include "vid/iobus.h"
#include "vid/irq.h"

struct uart;

#define UART_PORTS 8u

struct uart_host {
	/* Bytes sent; returns how many were taken, and after less than all uart_writable() follows. Never waits. */
	size_t (*output)(void *opaque, const uint8_t *buf, size_t len);
	/* There is room for input again after uart_input() took less than it was given. */
	void (*input_ready)(void *opaque);
	void *opaque;
};

/* irq and host (copied) outlive it. -ENOMEM. */
int uart_new(const struct irq_env *irq, unsigned int gsi, const struct uart_host *host,
	     struct uart **ret) __must_check;
void uart_free(struct uart *u);
void uart_reset(struct uart *u);
/* Returns the count taken, 0..len. */
size_t uart_input(struct uart *u, const uint8_t *buf, size_t len);
void uart_writable(struct uart *u);

/* For the bus; `opaque` is the uart. */
extern const struct iobus_ops uart_ops;

#endif
