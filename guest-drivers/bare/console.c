/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/console.h"

#include <stdbool.h>
#include <stdint.h>
#include "bare/vp.h"

#define UART 0x3f8
#define UART_FIFO_BYTES 16
#define UART_LSR_THRE 0x20

static uint32_t lock;

struct out {
	char *p, *end;
};

static void put(struct out *o, char c)
{
	if (o->p < o->end)
		*o->p++ = c;
}

static void put_number(struct out *o, uint64_t v, unsigned int base, unsigned int width,
		       char pad)
{
	char digits[20];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (width > n) {
		put(o, pad);
		width--;
	}
	while (n)
		put(o, digits[--n]);
}

static void put_string(struct out *o, const char *s)
{
	while (*s)
		put(o, *s++);
}

/* One conversion behind '%'; gives where the format goes on. */
static const char *convert(struct out *o, const char *f, va_list *ap)
{
	unsigned int width = 0, longs = 0;
	char pad = ' ';
	uint64_t v;

	if (*f == '0')
		pad = *f++;
	while (*f >= '0' && *f <= '9')
		width = width * 10 + (unsigned int)(*f++ - '0');
	for (; *f == 'l' || *f == 'z'; f++)
		longs++;
	switch (*f) {
	case 's':
		put_string(o, va_arg(*ap, const char *));
		return f + 1;
	case 'c':
		put(o, (char)va_arg(*ap, int));
		return f + 1;
	case 'd':
		v = longs ? va_arg(*ap, uint64_t) : (uint64_t)va_arg(*ap, int);
		if ((int64_t)v < 0) {
			put(o, '-');
			v = -v;
		}
		put_number(o, v, 10, width, pad);
		return f + 1;
	case 'u':
	case 'x':
		v = longs ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned int);
		put_number(o, v, *f == 'u' ? 10 : 16, width, pad);
		return f + 1;
	default:
		put(o, *f);
		return *f ? f + 1 : f;
	}
}

/* A FIFO's worth at a time by one string instruction: two exits for 16 bytes instead of 32. */
static void write_uart(const char *p, size_t n)
{
	while (n) {
		size_t chunk = n < UART_FIFO_BYTES ? n : UART_FIFO_BYTES;

		while (!(inb(UART + 5) & UART_LSR_THRE))
			__builtin_ia32_pause();
		n -= chunk;
		__asm__ volatile("rep outsb"
				 : "+S"(p), "+c"(chunk)
				 : "d"((uint16_t)UART)
				 : "memory");
	}
}

void console_init(void)
{
	outb(UART + 1, 0);    /* no interrupts */
	outb(UART + 3, 0x03); /* 8 bits, no parity */
	outb(UART + 2, 0x01); /* FIFO on */
}

void console_break_lock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void say_v(const char *fmt, va_list ap)
{
	char line[CONSOLE_LINE_MAX];
	struct out o = { line, line + sizeof(line) - 1 };
	va_list args;

	va_copy(args, ap);
	put_string(&o, "bare: ");
	while (*fmt) {
		if (*fmt != '%')
			put(&o, *fmt++);
		else
			fmt = convert(&o, fmt + 1, &args);
	}
	va_end(args);
	*o.p++ = '\n';
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
	write_uart(line, (size_t)(o.p - line));
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(fmt, ap);
	va_end(ap);
}
