/* SPDX-License-Identifier: BSD-2-Clause */
/* The board on a real bus, with clocks of the test's own: clock, PM block, reset, POST port, COM1. */
#include "chipset/board.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "back/chardev.h"
#include "chipset/pm.h"
#include "proto/acpi.h"
#include "unit/test.h"

#define NS 1000000000ll
#define Y2026 1795253400ll /* 2026-11-21 09:30:00 UTC, a Saturday */

static int64_t real_ns;
static uint64_t mono_ns;
static unsigned int offs, resets;
static struct iobus *bus;
static struct board *b;
static struct guestmem *mem;

static int64_t fake_real(void *opaque)
{
	return real_ns;
}

static uint64_t fake_mono(void *opaque)
{
	return mono_ns;
}

static void fake_set(void *opaque, unsigned int gsi, bool level)
{
}

static void on_off(void *opaque)
{
	offs++;
}

static void on_reset(void *opaque)
{
	resets++;
}

static const struct board_clock fake_clock = { fake_real, fake_mono, NULL };
static const struct irq_env irq = { .set = fake_set };

static struct board_env env(void)
{
	return (struct board_env){ .bus = bus,
				   .irq = &irq,
				   .mem = mem,
				   .vps = 2,
				   .clock = &fake_clock,
				   .power_off = on_off,
				   .reset = on_reset };
}

static void setup(void)
{
	struct board_env e;

	real_ns = Y2026 * NS;
	mono_ns = 0;
	offs = resets = 0;
	ck_assert_int_eq(guestmem_new(2 << 20, &mem), 0);
	ck_assert_int_eq(iobus_new(&bus), 0);
	e = env();
	ck_assert_int_eq(board_new(&e, &b), 0);
}

static void teardown(void)
{
	board_free(b);
	iobus_free(bus);
	guestmem_free(mem);
}

static uint64_t in(uint64_t port, unsigned int len)
{
	return iobus_read(bus, IOBUS_PIO, port, len);
}

static void out(uint64_t port, unsigned int len, uint64_t v)
{
	iobus_write(bus, IOBUS_PIO, port, len, v);
}

static uint8_t cmos(uint8_t reg)
{
	out(0x70, 1, reg);
	return (uint8_t)in(0x71, 1);
}

static void cmos_set(uint8_t reg, uint8_t v)
{
	out(0x70, 1, reg);
	out(0x71, 1, v);
}

START_TEST(hostile_port_accesses)
{
	static const uint64_t ports[] = {
		0x64,  0x70,  0x71,  0x80,  0x92,  0x3f8, 0x600,
		0x602, 0x604, 0x606, 0x608, 0xcf8, 0xcf9, 0xcfc
	};

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		for (unsigned int len = 1; len <= 4; len *= 2) {
			for (uint64_t at = ports[i] - 3; at <= ports[i] + 3; at++) {
				out(at, len, ~0ull);
				in(at, len);
				out(at, len, 0);
			}
		}
	}
	board_reset(b);
	ck_assert_uint_eq(cmos(13), 0x80);
}
END_TEST

START_TEST(taken_ports_are_an_error)
{
	struct board_env e = env();
	struct board *second = NULL;

	ck_assert_int_eq(board_new(&e, &second), -EEXIST);
	ck_assert_ptr_null(second);
	/* Nothing of the second is left, nothing of the first is gone. */
	ck_assert_uint_eq(cmos(13), 0x80);
	board_free(b);
	ck_assert_int_eq(board_new(&e, &b), 0);
}
END_TEST

START_TEST(clock_reads_the_hosts_time)
{
	static const struct {
		uint8_t reg, bcd;
	} rows[] = { { 0, 0x00 },  { 2, 0x30 },  { 4, 0x09 }, { 6, 0x07 },
		     { 7, 0x21 },  { 8, 0x11 },  { 9, 0x26 }, { 0x32, 0x20 },
		     { 13, 0x80 }, { 11, 0x02 }, { 10, 0x26 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(cmos(rows[i].reg) == rows[i].bcd, "register %u is %02x",
			      rows[i].reg, cmos(rows[i].reg));
	real_ns += 59 * NS;
	ck_assert_uint_eq(cmos(0), 0x59);
	ck_assert_uint_eq(in(0x70, 1), 0xff);
}
END_TEST

START_TEST(clock_formats)
{
	real_ns += (4 * 3600 + 1800) * NS; /* 14:00 */
	cmos_set(11, 0x06);
	ck_assert_uint_eq(cmos(4), 14);
	ck_assert_uint_eq(cmos(9), 26);
	cmos_set(11, 0x04);
	ck_assert_uint_eq(cmos(4), 0x82);
	cmos_set(11, 0x00);
	ck_assert_uint_eq(cmos(4), 0x82);
	real_ns -= 2 * 3600 * NS; /* noon is 12 PM, midnight 12 AM */
	ck_assert_uint_eq(cmos(4), 0x92);
	real_ns -= 12 * 3600 * NS;
	ck_assert_uint_eq(cmos(4), 0x12);
}
END_TEST

START_TEST(update_in_progress_before_the_second)
{
	ck_assert_uint_eq(cmos(10) & 0x80, 0);
	real_ns += NS - 100000;
	ck_assert_uint_eq(cmos(10) & 0x80, 0x80);
	real_ns += 100000;
	ck_assert_uint_eq(cmos(10) & 0x80, 0);
	ck_assert_uint_eq(cmos(12), 0x10);
	ck_assert_uint_eq(cmos(12), 0);
}
END_TEST

START_TEST(guest_sets_the_clock)
{
	cmos_set(11, 0x82);
	real_ns += 100 * NS; /* stopped meanwhile */
	ck_assert_uint_eq(cmos(0), 0x00);
	ck_assert_uint_eq(cmos(2), 0x30);
	cmos_set(0x32, 0x19);
	cmos_set(9, 0x99);
	cmos_set(8, 0x12);
	cmos_set(7, 0x31);
	cmos_set(4, 0x23);
	cmos_set(2, 0x59);
	cmos_set(0, 0x58);
	cmos_set(11, 0x02);
	real_ns += 3 * NS;
	ck_assert_uint_eq(cmos(0), 0x01);
	ck_assert_uint_eq(cmos(4), 0x00);
	ck_assert_uint_eq(cmos(7), 0x01);
	ck_assert_uint_eq(cmos(9), 0x00);
	ck_assert_uint_eq(cmos(0x32), 0x20);
	board_reset(b); /* the battery keeps it */
	ck_assert_uint_eq(cmos(0x32), 0x20);
	ck_assert_uint_eq(cmos(9), 0x00);
}
END_TEST

START_TEST(nonsense_times_are_survived)
{
	for (unsigned int v = 0; v < 256; v += 15) {
		cmos_set(11, 0x82);
		for (uint8_t reg = 0; reg < 10; reg++)
			cmos_set(reg, (uint8_t)v);
		cmos_set(0x32, (uint8_t)v);
		cmos_set(11, (uint8_t)(v & 6));
		for (uint8_t reg = 0; reg < 14; reg++)
			cmos(reg);
	}
}
END_TEST

START_TEST(cmos_memory_keeps)
{
	cmos_set(0x40, 0x5a);
	cmos_set(0xff, 0xa5); /* bit 7 of the index is the NMI's */
	board_reset(b);
	ck_assert_uint_eq(cmos(0x40), 0x5a);
	ck_assert_uint_eq(cmos(0x7f), 0xa5);
	cmos_set(13, 0);
	ck_assert_uint_eq(cmos(13), 0x80);
}
END_TEST

START_TEST(pm_timer_runs_at_its_rate)
{
	uint64_t t0 = in(PM_TIMER_PORT, 4);

	mono_ns += 10 * (uint64_t)NS;
	ck_assert_uint_eq(in(PM_TIMER_PORT, 4) - t0, 10 * ACPI_PM_TIMER_HZ);
	out(PM_TIMER_PORT, 4, 0); /* read-only */
	ck_assert_uint_eq(in(PM_TIMER_PORT, 4) - t0, 10 * ACPI_PM_TIMER_HZ);
	mono_ns = 3600ull * 24 * 365 * 100 *
		  (uint64_t)NS; /* no overflow in a hundred years */
	ck_assert_uint_eq((uint32_t)in(PM_TIMER_PORT, 4),
			  (uint32_t)(3600ull * 24 * 365 * 100 * ACPI_PM_TIMER_HZ));
	ck_assert_uint_eq(in(PM_TIMER_PORT + 1, 1), in(PM_TIMER_PORT, 4) >> 8 & 0xff);
}
END_TEST

START_TEST(pm_timer_carry_shows_once)
{
	ck_assert_uint_eq(in(PM1_EVENT_PORT, 2), 0);
	mono_ns += 601 * (uint64_t)NS; /* past 2^31 ticks */
	ck_assert_uint_eq(in(PM1_EVENT_PORT, 2), ACPI_PM1_TMR);
	out(PM1_EVENT_PORT, 2, ACPI_PM1_TMR);
	ck_assert_uint_eq(in(PM1_EVENT_PORT, 2), 0);
}
END_TEST

START_TEST(pm_enable_keeps_known_bits)
{
	out(PM1_EVENT_PORT + 2, 2, 0xffff);
	ck_assert_uint_eq(in(PM1_EVENT_PORT + 2, 2), 0x0721);
	out(PM1_EVENT_PORT + 3, 1, 0);
	ck_assert_uint_eq(in(PM1_EVENT_PORT + 2, 2), 0x0021);
	ck_assert_uint_eq(in(PM1_CONTROL_PORT, 2) & 1, 1); /* ACPI mode, always */
	board_reset(b);
	ck_assert_uint_eq(in(PM1_EVENT_PORT + 2, 2), 0);
}
END_TEST

START_TEST(s5_powers_off_and_nothing_else_does)
{
	static const struct {
		unsigned int off, len;
		uint64_t value;
		unsigned int offs;
	} rows[] = {
		{ 0, 2, 5 << 10, 0 },           /* type alone */
		{ 0, 2, 1 << 13 | 1 << 10, 0 }, /* S1 */
		{ 0, 2, 1 << 13 | 3 << 10, 0 }, /* S3 */
		{ 0, 1, 0xff, 0 },              /* the low byte has neither */
		{ 0, 2, 1 << 13 | 5 << 10, 1 }, /* S5 */
		{ 1, 1, 1 << 5 | 5 << 2, 1 },   /* the same by bytes */
		{ 0, 2, 1 << 13 | 5 << 10 | 1, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		offs = 0;
		board_reset(b);
		out(PM1_CONTROL_PORT + rows[i].off, rows[i].len, rows[i].value);
		ck_assert_msg(offs == rows[i].offs, "row %zu: %u", i, offs);
	}
	ck_assert_uint_eq(in(PM1_CONTROL_PORT, 2) & ACPI_PM1_CNT_SLP_EN, 0);
	ck_assert_uint_eq(resets, 0);
}
END_TEST

START_TEST(three_ways_to_reset)
{
	static const struct {
		uint64_t port, value;
		unsigned int resets;
	} rows[] = {
		{ 0xcf9, 0x02, 0 }, { 0xcf9, 0x06, 1 }, { 0xcf9, 0x0e, 1 },
		{ 0xcf9, 0x04, 1 }, { 0x64, 0xfe, 1 },  { 0x64, 0x20, 0 },
		{ 0x64, 0xd1, 0 },  { 0x92, 0x02, 0 },  { 0x92, 0x03, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		resets = 0;
		out(rows[i].port, 1, rows[i].value);
		ck_assert_msg(resets == rows[i].resets, "row %zu: %u", i, resets);
	}
	ck_assert_uint_eq(in(0x64, 1), 0xff); /* no controller */
	ck_assert_uint_eq(in(0x92, 1), 0x02);
	ck_assert_uint_eq(in(0xcf8, 4), 0xffffffff); /* and no PCI */
	ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
	resets = 0;
	out(0xcf8, 4, 0x80000600); /* asks PCI for a device, not for a reset */
	out(0xcf8, 2, 0x0600);
	ck_assert_uint_eq(resets, 0);
	ck_assert_uint_eq(offs, 0);
}
END_TEST

START_TEST(post_code_is_kept)
{
	out(0x80, 1, 0x55);
	ck_assert_uint_eq(board_post_code(b), 0x55);
	ck_assert_uint_eq(in(0x80, 1), 0x55);
	board_reset(b);
	ck_assert_uint_eq(board_post_code(b), 0);
}
END_TEST

START_TEST(com1_reaches_the_console)
{
	struct event_base *loop = event_base_new();
	char path[] = "/tmp/test_board.XXXXXX", text[8] = "";
	const struct chardev_config config = {
		.pty = -1, .pty_peer = -1, .socket = -1, .log = mkstemp(path)
	};
	struct chardev *cd;
	struct board_env e = env();
	int fd = open(path, O_RDONLY);

	unlink(path);
	ck_assert_int_eq(chardev_new(loop, &config, &cd), 0);
	board_free(b);
	e.console = cd;
	ck_assert_int_eq(board_new(&e, &b), 0);
	out(0x3f8, 1, 'h');
	out(0x3f8, 1, 'i');
	ck_assert_uint_eq(in(0x3fd, 1), 0x60);
	board_free(b);
	e.console = NULL;
	chardev_free(cd);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 2);
	ck_assert_mem_eq(text, "hi", 2);
	close(fd);
	event_base_free(loop);
	ck_assert_int_eq(board_new(&e, &b), 0);
	out(0x3f8, 1, 'h'); /* no console: dropped, and the guest does not wait */
	ck_assert_uint_eq(in(0x3fd, 1), 0x60);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("board");
	TCase *t = tcase_create("board");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, hostile_port_accesses);
	tcase_add_test(t, taken_ports_are_an_error);
	tcase_add_test(t, clock_reads_the_hosts_time);
	tcase_add_test(t, clock_formats);
	tcase_add_test(t, update_in_progress_before_the_second);
	tcase_add_test(t, guest_sets_the_clock);
	tcase_add_test(t, nonsense_times_are_survived);
	tcase_add_test(t, cmos_memory_keeps);
	tcase_add_test(t, pm_timer_runs_at_its_rate);
	tcase_add_test(t, pm_timer_carry_shows_once);
	tcase_add_test(t, pm_enable_keeps_known_bits);
	tcase_add_test(t, s5_powers_off_and_nothing_else_does);
	tcase_add_test(t, three_ways_to_reset);
	tcase_add_test(t, post_code_is_kept);
	tcase_add_test(t, com1_reaches_the_console);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
