/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts. The line is high while an enabled cause is present and OUT2 opens the gate of a PC's board. Causes in order:
 * line status (never here: no errors happen), received data at the trigger level, received data below it (the character timeout, which
 * comes at once as no more may follow), transmitter empty, modem status. "Transmitter empty" is a latch: set when the
 * transmitter runs empty or when its enable bit goes from 0 to 1 while it is empty; cleared by reading IIR when that is the
 * cause reported, or by writing THR. Linux' driver writes up to 16 bytes an interrupt, so an output of n bytes costs about n
 * exits for THR and n / 16 rounds of interrupt.
 */
#include "chipset/uart.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FIFO_BYTES 16u

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RDA 0x01u
#define IER_THRE 0x02u
#define IER_MSR 0x08u
#define IER_MASK 0x0fu
#define IIR_NONE 0x01u
#define IIR_MSR 0x00u
#define IIR_THRE 0x02u
#define IIR_RDA 0x04u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFOS 0xc0u
#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_CLEAR_TX 0x04u
#define LCR_DLAB 0x80u
#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu
#define LSR_DR 0x01u
#define LSR_OVERRUN 0x02u
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u
#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u

struct fifo {
	uint8_t b[FIFO_BYTES];
	unsigned int first, count;
};

struct uart {
	/* fixed after init */
	const struct irq_env *irq;
	unsigned int gsi;
	struct uart_host host;

	pthread_mutex_t lock;
	/* under lock */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr; /* as last seen in the upper half, changes in the lower */
	struct fifo rx, tx;
	bool thre_latch, overrun, level, input_refused;
};

static void fifo_put(struct fifo *f, uint8_t v)
{
	f->b[(f->first + f->count++) % FIFO_BYTES] = v;
}

static uint8_t fifo_get(struct fifo *f)
{
	uint8_t v = f->b[f->first];

	f->first = (f->first + 1) % FIFO_BYTES;
	f->count--;
	return v;
}

static unsigned int depth(const struct uart *u)
{
	return u->fcr & FCR_ENABLE ? FIFO_BYTES : 1;
}

static unsigned int trigger(const struct uart *u)
{
	static const uint8_t levels[4] = { 1, 4, 8, 14 };

	return u->fcr & FCR_ENABLE ? levels[u->fcr >> 6] : 1;
}

static uint8_t cause_locked(const struct uart *u)
{
	if ((u->ier & IER_RDA) && u->rx.count)
		return u->rx.count >= trigger(u) ? IIR_RDA : IIR_TIMEOUT;
	if ((u->ier & IER_THRE) && u->thre_latch)
		return IIR_THRE;
	if ((u->ier & IER_MSR) && (u->msr & 0x0f))
		return IIR_MSR;
	return IIR_NONE;
}

static void update_irq_locked(struct uart *u)
{
	bool level = cause_locked(u) != IIR_NONE && (u->mcr & MCR_OUT2) &&
		     !(u->mcr & MCR_LOOP);

	if (level == u->level)
		return;
	u->level = level;
	u->irq->set(u->irq->opaque, u->gsi, level);
}

/* The modem's lines as the other end drives them, or in loopback as our own outputs do; keeps what changed. */
static void update_modem_locked(struct uart *u)
{
	uint8_t now = MSR_CTS | MSR_DSR | MSR_DCD, changed;

	if (u->mcr & MCR_LOOP) {
		now = (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) |
				(u->mcr & MCR_DTR ? MSR_DSR : 0) |
				(u->mcr & MCR_OUT1 ? MSR_RI : 0) |
				(u->mcr & MCR_OUT2 ? MSR_DCD : 0));
	}
	changed = (now ^ u->msr) & 0xf0;
	if (now & MSR_RI) /* only its trailing edge counts */
		changed &= (uint8_t)~MSR_RI;
	u->msr = (uint8_t)(now | (u->msr & 0x0f) | changed >> 4);
}

/* Hands the transmitter's bytes to the host as far as it takes them. */
static void transmit_locked(struct uart *u)
{
	while (u->tx.count) {
		unsigned int run = MIN(u->tx.count, FIFO_BYTES - u->tx.first);
		size_t n = u->host.output(u->host.opaque, u->tx.b + u->tx.first, run);

		u->tx.first = (u->tx.first + (unsigned int)n) % FIFO_BYTES;
		u->tx.count -= (unsigned int)n;
		if (n < run)
			return;
	}
	u->thre_latch = true;
}

static void receive_locked(struct uart *u, uint8_t v)
{
	if (u->rx.count < depth(u))
		fifo_put(&u->rx, v);
	else
		u->overrun = true;
}

static void write_data_locked(struct uart *u, uint8_t v)
{
	u->thre_latch = false;
	if (u->mcr & MCR_LOOP) {
		receive_locked(u, v);
		u->thre_latch = true;
		return;
	}
	if (u->tx.count == depth(u))
		return; /* LSR said that there is no room */
	fifo_put(&u->tx, v);
	transmit_locked(u);
}

/* Asks for what the host's side keeps, once the receiver has room again. */
static void offer_room_locked(struct uart *u)
{
	if (!u->input_refused || u->rx.count || (u->mcr & MCR_LOOP))
		return;
	u->input_refused = false;
	u->host.input_ready(u->host.opaque);
}

static void clear_rx_locked(struct uart *u)
{
	u->rx.count = 0;
	u->overrun = false;
	offer_room_locked(u);
}

static uint8_t read_data_locked(struct uart *u)
{
	uint8_t v = 0;

	if (u->rx.count)
		v = fifo_get(&u->rx);
	offer_room_locked(u);
	return v;
}

static void write_ier_locked(struct uart *u, uint8_t v)
{
	if ((v & IER_THRE) && !(u->ier & IER_THRE) && !u->tx.count)
		u->thre_latch = true;
	u->ier = v & IER_MASK;
}

static void write_fcr_locked(struct uart *u, uint8_t v)
{
	if ((v ^ u->fcr) & FCR_ENABLE) /* a change of mode empties both */
		v |= FCR_CLEAR_RX | FCR_CLEAR_TX;
	if (v & FCR_CLEAR_RX)
		clear_rx_locked(u);
	if ((v & FCR_CLEAR_TX) && u->tx.count) {
		u->tx.count = 0;
		u->thre_latch = true;
	}
	u->fcr = v & FCR_ENABLE ? v & (uint8_t) ~(FCR_CLEAR_RX | FCR_CLEAR_TX) : 0;
}

static uint8_t read_iir_locked(struct uart *u)
{
	uint8_t cause = cause_locked(u);

	if (cause == IIR_THRE)
		u->thre_latch = false;
	return cause | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t read_lsr_locked(struct uart *u)
{
	uint8_t v = 0;

	if (u->rx.count)
		v |= LSR_DR;
	if (u->overrun)
		v |= LSR_OVERRUN;
	if (!u->tx.count)
		v |= LSR_THRE | LSR_TEMT;
	u->overrun = false;
	return v;
}

static uint8_t read_locked(struct uart *u, unsigned int reg)
{
	uint8_t v;

	switch (reg) {
	case REG_DATA:
		return u->lcr & LCR_DLAB ? u->dll : read_data_locked(u);
	case REG_IER:
		return u->lcr & LCR_DLAB ? u->dlm : u->ier;
	case REG_IIR_FCR:
		return read_iir_locked(u);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		return read_lsr_locked(u);
	case REG_MSR:
		v = u->msr;
		u->msr &= 0xf0;
		return v;
	default:
		return u->scr;
	}
}

static void write_locked(struct uart *u, unsigned int reg, uint8_t v)
{
	switch (reg) {
	case REG_DATA:
		if (u->lcr & LCR_DLAB)
			u->dll = v;
		else
			write_data_locked(u, v);
		break;
	case REG_IER:
		if (u->lcr & LCR_DLAB)
			u->dlm = v;
		else
			write_ier_locked(u, v);
		break;
	case REG_IIR_FCR:
		write_fcr_locked(u, v);
		break;
	case REG_LCR:
		u->lcr = v;
		break;
	case REG_MCR:
		u->mcr = v & MCR_MASK;
		update_modem_locked(u);
		offer_room_locked(u);
		break;
	case REG_SCR:
		u->scr = v;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

/* The registers are bytes: a wider access takes the first one and its neighbours, lowest first. */
static uint64_t uart_bus_read(void *opaque, uint64_t off, unsigned int len)
{
	struct uart *u = opaque;
	uint64_t v = 0;

	pthread_mutex_lock(&u->lock);
	for (unsigned int i = 0; i < len; i++)
		v |= (uint64_t)read_locked(u, (unsigned int)off + i) << (8 * i);
	update_irq_locked(u);
	pthread_mutex_unlock(&u->lock);
	return v;
}

static void uart_bus_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct uart *u = opaque;

	pthread_mutex_lock(&u->lock);
	for (unsigned int i = 0; i < len; i++)
		write_locked(u, (unsigned int)off + i, (uint8_t)(value >> (8 * i)));
	update_irq_locked(u);
	pthread_mutex_unlock(&u->lock);
}

const struct iobus_ops uart_ops = { .read = uart_bus_read, .write = uart_bus_write };

size_t uart_input(struct uart *u, const uint8_t *buf, size_t len)
{
	size_t n;

	pthread_mutex_lock(&u->lock);
	n = u->mcr & MCR_LOOP ? 0 : MIN(len, (size_t)(depth(u) - u->rx.count));
	for (size_t i = 0; i < n; i++)
		fifo_put(&u->rx, buf[i]);
	u->input_refused = n < len;
	update_irq_locked(u);
	pthread_mutex_unlock(&u->lock);
	return n;
}

void uart_writable(struct uart *u)
{
	pthread_mutex_lock(&u->lock);
	if (u->tx.count)
		transmit_locked(u);
	update_irq_locked(u);
	pthread_mutex_unlock(&u->lock);
}

void uart_reset(struct uart *u)
{
	pthread_mutex_lock(&u->lock);
	u->ier = u->fcr = u->lcr = u->mcr = u->scr = 0;
	u->dll = 12; /* 9600 baud; any value would do */
	u->dlm = 0;
	u->tx.count = 0;
	u->thre_latch = false;
	u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
	clear_rx_locked(u);
	update_irq_locked(u);
	pthread_mutex_unlock(&u->lock);
}

int uart_new(const struct irq_env *irq, unsigned int gsi, const struct uart_host *host,
	     struct uart **ret)
{
	struct uart *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->irq = irq;
	u->gsi = gsi;
	u->host = *host;
	pthread_mutex_init(&u->lock, NULL);
	uart_reset(u);
	*ret = u;
	return 0;
}

void uart_free(struct uart *u)
{
	if (!u)
		return;
	pthread_mutex_destroy(&u->lock);
	free(u);
}
