/* SPDX-License-Identifier: BSD-2-Clause */
/* A scripted guest drives the UART as Linux' 8250 driver and its early console do. */
#include "chipset/uart.h"

#include <string.h>
#include "unit/test.h"

#define GSI 4u
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

/* The far end: takes at most `room` bytes more. */
static char out[512];
static size_t out_len, room;
static unsigned int ready_calls, edges;
static bool level;
static struct uart *u;

static void fake_set(void *opaque, unsigned int gsi, bool now)
{
	ck_assert_uint_eq(gsi, GSI);
	ck_assert(now != level);
	level = now;
	edges++;
}

static size_t fake_output(void *opaque, const uint8_t *buf, size_t len)
{
	size_t n = MIN(len, room);

	ck_assert_uint_le(out_len + n, sizeof(out));
	memcpy(out + out_len, buf, n);
	out_len += n;
	room -= n;
	return n;
}

static void fake_input_ready(void *opaque)
{
	ready_calls++;
}

static const struct irq_env irq = { .set = fake_set };
static const struct uart_host host = { .output = fake_output,
				       .input_ready = fake_input_ready };

static void setup(void)
{
	out_len = 0;
	room = sizeof(out);
	ready_calls = edges = 0;
	level = false;
	ck_assert_int_eq(uart_new(&irq, GSI, &host, &u), 0);
}

static void teardown(void)
{
	uart_free(u);
}

static uint8_t in(unsigned int reg)
{
	return (uint8_t)uart_ops.read(u, reg, 1);
}

static void outb(unsigned int reg, uint8_t v)
{
	uart_ops.write(u, reg, 1, v);
}

static size_t type(const char *s)
{
	return uart_input(u, (const uint8_t *)s, strlen(s));
}

/* Opens as the driver does: FIFOs on, OUT2 as the gate. */
static void open_port(uint8_t fcr, uint8_t ier)
{
	outb(FCR, fcr);
	outb(LCR, 3);
	outb(MCR, 0x0b);
	outb(IER, ier);
}

START_TEST(hostile_accesses_do_nothing_bad)
{
	static const uint64_t values[] = { 0, 0xff, 0x1234, ~0ull };
	static const unsigned int lens[] = { 1, 2, 4, 8 };

	for (unsigned int reg = 0; reg < UART_PORTS; reg++) {
		for (unsigned int l = 0; l < ARRAY_SIZE(lens); l++) {
			if (reg + lens[l] > UART_PORTS)
				continue;
			for (unsigned int v = 0; v < ARRAY_SIZE(values); v++)
				uart_ops.write(u, reg, lens[l], values[v]);
			uart_ops.read(u, reg, lens[l]);
		}
	}
	for (int i = 0; i < 100; i++)
		outb(DATA, 'x');
	uart_reset(u);
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert(!level);
}
END_TEST

START_TEST(wide_accesses_are_bytes)
{
	uart_ops.write(u, LCR, 2, 0x1b03); /* LCR and MCR */
	ck_assert_uint_eq(in(LCR), 0x03);
	ck_assert_uint_eq(in(MCR), 0x1b);
	ck_assert_uint_eq(uart_ops.read(u, LCR, 2), 0x1b03);
}
END_TEST

START_TEST(probe_finds_a_16550a)
{
	outb(IER, 0);
	ck_assert_uint_eq(in(IER)&0x0f, 0);
	outb(IER, 0x0f);
	ck_assert_uint_eq(in(IER), 0x0f);
	outb(IER, 0xf0); /* no sleep modes, no XScale bits */
	ck_assert_uint_eq(in(IER), 0);
	outb(MCR, 0x1a); /* loopback, OUT2, RTS */
	ck_assert_uint_eq(in(MSR)&0xf0, 0x90);
	outb(MCR, 0);
	outb(LCR, 0xbf); /* no enhanced features behind it */
	outb(FCR, 0x21);
	ck_assert_uint_eq(in(IIR)&0xe0, 0xc0);
	outb(LCR, 0);
	outb(FCR, 0);
	ck_assert_uint_eq(in(IIR), 0x01);
	outb(SCR, 0xa5);
	ck_assert_uint_eq(in(SCR), 0xa5);
	outb(LCR, 0x80);
	outb(DATA, 1);
	outb(IER, 0);
	ck_assert_uint_eq(in(DATA), 1);
	outb(LCR, 3);
	ck_assert_uint_eq(in(IER), 0);
	ck_assert_uint_eq(out_len, 0);
}
END_TEST

START_TEST(early_console_polls)
{
	for (const char *s = "hello"; *s; s++) {
		ck_assert_uint_eq(in(LSR)&0x60, 0x60);
		outb(DATA, (uint8_t)*s);
	}
	ck_assert_uint_eq(out_len, 5);
	ck_assert_mem_eq(out, "hello", 5);
	ck_assert_uint_eq(edges, 0);
}
END_TEST

/* Serves the interrupt as the driver does: a FIFO full for each cause that it reads. Returns the count of those. */
static int serve_tx(const char **from)
{
	int rounds = 0;

	for (; !(in(IIR)&1) && rounds < 10; rounds++) {
		ck_assert_uint_eq(in(LSR)&0x20, 0x20);
		for (int n = 0; **from && n < 16; n++, (*from)++)
			outb(DATA, (uint8_t) * *from);
		if (!**from)
			outb(IER, 0);
	}
	return rounds;
}

START_TEST(transmit_interrupts_drive_a_driver)
{
	const char *text = "forty bytes that need three interrupts..", *at = text;

	open_port(0x01, 0);
	outb(IER, 0x02);
	ck_assert(level);
	ck_assert_int_eq(serve_tx(&at), 3);
	ck_assert_uint_eq(out_len, strlen(text));
	ck_assert_mem_eq(out, text, out_len);
	ck_assert(!level);
}
END_TEST

START_TEST(reading_iir_takes_the_transmit_cause)
{
	open_port(0x01, 0x02);
	ck_assert(level);
	ck_assert_uint_eq(in(IIR), 0xc2);
	ck_assert(!level);
	ck_assert_uint_eq(in(IIR), 0xc1);
	outb(IER, 0);
	outb(IER, 0x02); /* enabling it anew while empty brings it back */
	ck_assert(level);
}
END_TEST

START_TEST(a_full_far_end_holds_output_back)
{
	open_port(0x01, 0x02);
	in(IIR);
	room = 3;
	for (int i = 0; i < 8; i++)
		outb(DATA, (uint8_t)('a' + i));
	ck_assert_uint_eq(out_len, 3);
	ck_assert_uint_eq(in(LSR)&0x60, 0);
	ck_assert_uint_eq(in(IIR), 0xc1);
	room = 2;
	uart_writable(u);
	ck_assert_uint_eq(out_len, 5);
	ck_assert(!level);
	room = 100;
	uart_writable(u);
	ck_assert_mem_eq(out, "abcdefgh", 8);
	ck_assert_uint_eq(in(LSR)&0x60, 0x60);
	ck_assert(level);
	ck_assert_uint_eq(in(IIR), 0xc2);
}
END_TEST

START_TEST(a_guest_that_ignores_thre_loses_its_own_bytes)
{
	open_port(0x01, 0);
	room = 0;
	for (int i = 0; i < 40; i++)
		outb(DATA, (uint8_t)('A' + i));
	room = 100;
	uart_writable(u);
	ck_assert_uint_eq(out_len, 16);
	ck_assert_mem_eq(out, "ABCDEFGHIJKLMNOP", 16);
	room = 0;
	outb(FCR, 0); /* without FIFOs there is one place */
	outb(DATA, '1');
	outb(DATA, '2');
	room = 100;
	uart_writable(u);
	ck_assert_uint_eq(out_len, 17);
}
END_TEST

START_TEST(clearing_the_transmitter_drops_what_waits)
{
	open_port(0x01, 0);
	room = 0;
	outb(DATA, 'x');
	outb(FCR, 0x05);
	ck_assert_uint_eq(in(LSR)&0x60, 0x60);
	room = 10;
	uart_writable(u);
	ck_assert_uint_eq(out_len, 0);
}
END_TEST

START_TEST(input_interrupts_at_the_trigger_and_below)
{
	open_port(0x81, 0x01); /* 8 bytes */
	ck_assert_uint_eq(type("abc"), 3);
	ck_assert(level);
	ck_assert_uint_eq(in(IIR), 0xcc);
	ck_assert_uint_eq(type("defgh"), 5);
	ck_assert_uint_eq(in(IIR), 0xc4);
	for (const char *s = "abcdefgh"; *s; s++) {
		ck_assert_uint_eq(in(LSR)&1, 1);
		ck_assert_uint_eq(in(DATA), (uint8_t)*s);
	}
	ck_assert_uint_eq(in(LSR)&1, 0);
	ck_assert_uint_eq(in(IIR), 0xc1);
	ck_assert(!level);
	ck_assert_uint_eq(in(DATA), 0);
}
END_TEST

START_TEST(input_has_flow)
{
	open_port(0x01, 0x01);
	ck_assert_uint_eq(type("0123456789abcdefXYZ"), 16);
	ck_assert_uint_eq(type("XYZ"), 0);
	for (int i = 0; i < 15; i++)
		in(DATA);
	ck_assert_uint_eq(ready_calls, 0);
	ck_assert_uint_eq(in(DATA), 'f');
	ck_assert_uint_eq(ready_calls, 1);
	ck_assert_uint_eq(type("XYZ"), 3);
	for (int i = 0; i < 3; i++)
		in(DATA);
	ck_assert_uint_eq(ready_calls, 1); /* nothing was refused since */
	ck_assert_uint_eq(in(LSR)&2, 0);   /* and never an overrun */
}
END_TEST

START_TEST(without_fifos_one_byte_at_a_time)
{
	open_port(0, 0x01);
	ck_assert_uint_eq(type("ab"), 1);
	ck_assert_uint_eq(in(IIR), 0x04);
	ck_assert_uint_eq(in(DATA), 'a');
	ck_assert_uint_eq(ready_calls, 1);
}
END_TEST

START_TEST(clearing_the_receiver_asks_for_more)
{
	open_port(0x01, 0x01);
	ck_assert_uint_eq(type("0123456789abcdefg"), 16);
	outb(FCR, 0x03);
	ck_assert_uint_eq(in(LSR)&1, 0);
	ck_assert(!level);
	ck_assert_uint_eq(ready_calls, 1);
}
END_TEST

START_TEST(the_gate_is_out2)
{
	open_port(0x01, 0x01);
	outb(MCR, 0x03);
	type("a");
	ck_assert(!level);
	outb(MCR, 0x0b);
	ck_assert(level);
}
END_TEST

START_TEST(loopback_sends_to_itself)
{
	open_port(0x01, 0);
	outb(MCR, 0x10);
	ck_assert_uint_eq(type("z"), 0);
	for (int i = 0; i < 17; i++)
		outb(DATA, (uint8_t)('a' + i));
	ck_assert_uint_eq(out_len, 0);
	ck_assert_uint_eq(in(LSR), 0x63); /* 17 into 16: an overrun, shown once */
	ck_assert_uint_eq(in(LSR), 0x61);
	for (int i = 0; i < 16; i++)
		ck_assert_uint_eq(in(DATA), 'a' + i);
	ck_assert_uint_eq(ready_calls, 0);
	outb(MCR, 0x0b);
	ck_assert_uint_eq(ready_calls, 1);
}
END_TEST

START_TEST(modem_changes_interrupt_and_clear)
{
	open_port(0x01, 0);
	in(MSR);
	outb(IER, 0x08);
	ck_assert(!level);
	outb(MCR, 0x18); /* loopback with OUT2: CTS and DSR fall */
	outb(MCR, 0x0b);
	ck_assert(level);
	ck_assert_uint_eq(in(IIR), 0xc0);
	ck_assert_uint_eq(in(MSR)&0x03, 0x03);
	ck_assert(!level);
	ck_assert_uint_eq(in(MSR), 0xb0);
}
END_TEST

START_TEST(reset_is_power_on)
{
	open_port(0xc1, 0x0f);
	outb(SCR, 7);
	type("0123456789abcdef++");
	ck_assert(level);
	uart_reset(u);
	ck_assert(!level);
	ck_assert_uint_eq(ready_calls, 1);
	ck_assert_uint_eq(in(IER), 0);
	ck_assert_uint_eq(in(IIR), 0x01);
	ck_assert_uint_eq(in(LCR), 0);
	ck_assert_uint_eq(in(MCR), 0);
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(SCR), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("uart");
	TCase *t = tcase_create("uart");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, hostile_accesses_do_nothing_bad);
	tcase_add_test(t, wide_accesses_are_bytes);
	tcase_add_test(t, probe_finds_a_16550a);
	tcase_add_test(t, early_console_polls);
	tcase_add_test(t, transmit_interrupts_drive_a_driver);
	tcase_add_test(t, reading_iir_takes_the_transmit_cause);
	tcase_add_test(t, a_full_far_end_holds_output_back);
	tcase_add_test(t, a_guest_that_ignores_thre_loses_its_own_bytes);
	tcase_add_test(t, clearing_the_transmitter_drops_what_waits);
	tcase_add_test(t, input_interrupts_at_the_trigger_and_below);
	tcase_add_test(t, input_has_flow);
	tcase_add_test(t, without_fifos_one_byte_at_a_time);
	tcase_add_test(t, clearing_the_receiver_asks_for_more);
	tcase_add_test(t, the_gate_is_out2);
	tcase_add_test(t, loopback_sends_to_itself);
	tcase_add_test(t, modem_changes_interrupt_and_clear);
	tcase_add_test(t, reset_is_power_on);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
