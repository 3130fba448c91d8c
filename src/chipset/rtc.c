/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real-time clock with its 128 bytes of CMOS memory: an MC146818 at 0x70 (index) and 0x71 (data). It runs in UTC on the
 * host's clock; a guest that sets it changes the difference to that clock, and no more. The year's upper digits are at 0x32, as
 * the FADT says. Update-in-progress shows before each new second, as drivers look for it. No interrupt comes from it: the
 * periodic, alarm and update flags are there to be polled in register C (periodic: as often as it is read).
 * Source: Motorola MC146818A data sheet, "Registers" and "Update cycle"; ACPI 6.4, 5.2.9 (CENTURY).
 */
#include "chipset/device_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RTC_PORT 0x70u
#define CMOS_BYTES 128u
#define NS_PER_S 1000000000ll
#define UPDATE_NS 244000ll /* UIP rises this long before the registers change */

enum {
	RTC_SECONDS = 0,
	RTC_SECONDS_ALARM = 1,
	RTC_MINUTES = 2,
	RTC_MINUTES_ALARM = 3,
	RTC_HOURS = 4,
	RTC_HOURS_ALARM = 5,
	RTC_WEEKDAY = 6,
	RTC_DAY = 7,
	RTC_MONTH = 8,
	RTC_YEAR = 9,
	RTC_A = 10,
	RTC_B = 11,
	RTC_C = 12,
	RTC_D = 13,
	RTC_CENTURY = 0x32,
};

#define A_UIP 0x80u
#define A_DEFAULT 0x26u /* 32,768 Hz, 1,024 Hz */
#define B_SET 0x80u
#define B_BINARY 0x04u
#define B_24H 0x02u
#define C_UF 0x10u
#define D_VALID 0x80u
#define HOURS_PM 0x80u

struct rtc {
	const struct board_env *env; /* fixed after init */

	pthread_mutex_t lock;
	/* under lock */
	uint8_t index;
	uint8_t cmos
		[CMOS_BYTES]; /* the time's registers only while SET stops the clock */
	int64_t offset_s;     /* guest's time minus the host's */
	int64_t polled_s;     /* the second in which register C was read last */
};

static bool is_time(unsigned int reg)
{
	return reg == RTC_CENTURY || (reg <= RTC_YEAR && reg != RTC_SECONDS_ALARM &&
				      reg != RTC_MINUTES_ALARM && reg != RTC_HOURS_ALARM);
}

static uint8_t encode(const struct rtc *r, int v)
{
	return (uint8_t)(r->cmos[RTC_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static int decode(const struct rtc *r, uint8_t v)
{
	return r->cmos[RTC_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct rtc *r, int hour)
{
	if (r->cmos[RTC_B] & B_24H)
		return encode(r, hour);
	return encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOURS_PM : 0);
}

static int decode_hour(const struct rtc *r, uint8_t v)
{
	if (r->cmos[RTC_B] & B_24H)
		return decode(r, v);
	return decode(r, v & (uint8_t)~HOURS_PM) % 12 + (v & HOURS_PM ? 12 : 0);
}

static int64_t now_s_locked(const struct rtc *r)
{
	return device_realtime_ns(r->env) / NS_PER_S + r->offset_s;
}

/* Writes the present time into the time's registers. */
static void load_time_locked(struct rtc *r)
{
	time_t t = (time_t)now_s_locked(r);
	struct tm tm;
	int year;

	if (!gmtime_r(&t, &tm))
		return;
	year = tm.tm_year + 1900;
	r->cmos[RTC_SECONDS] = encode(r, tm.tm_sec);
	r->cmos[RTC_MINUTES] = encode(r, tm.tm_min);
	r->cmos[RTC_HOURS] = encode_hour(r, tm.tm_hour);
	r->cmos[RTC_WEEKDAY] = encode(r, tm.tm_wday + 1);
	r->cmos[RTC_DAY] = encode(r, tm.tm_mday);
	r->cmos[RTC_MONTH] = encode(r, tm.tm_mon + 1);
	r->cmos[RTC_YEAR] = encode(r, year % 100);
	r->cmos[RTC_CENTURY] = encode(r, year / 100 % 100);
}

/* The guest set the time's registers: the clock goes on from there. Out-of-range values carry over, as timegm() has it. */
static void store_time_locked(struct rtc *r)
{
	struct tm tm = {
		.tm_sec = decode(r, r->cmos[RTC_SECONDS]),
		.tm_min = decode(r, r->cmos[RTC_MINUTES]),
		.tm_hour = decode_hour(r, r->cmos[RTC_HOURS]),
		.tm_mday = decode(r, r->cmos[RTC_DAY]),
		.tm_mon = decode(r, r->cmos[RTC_MONTH]) - 1,
		.tm_year = decode(r, r->cmos[RTC_CENTURY]) * 100 +
			   decode(r, r->cmos[RTC_YEAR]) - 1900,
	};

	r->offset_s += (int64_t)timegm(&tm) - now_s_locked(r);
}

static uint8_t read_a_locked(const struct rtc *r)
{
	int64_t left = NS_PER_S - device_realtime_ns(r->env) % NS_PER_S;
	bool updating = !(r->cmos[RTC_B] & B_SET) && left <= UPDATE_NS;

	return (r->cmos[RTC_A] & (uint8_t)~A_UIP) | (updating ? A_UIP : 0);
}

static uint8_t read_c_locked(struct rtc *r)
{
	int64_t now = now_s_locked(r);
	uint8_t v = now != r->polled_s && !(r->cmos[RTC_B] & B_SET) ? C_UF : 0;

	r->polled_s = now;
	return v;
}

static uint8_t read_reg_locked(struct rtc *r, unsigned int reg)
{
	if (is_time(reg) && !(r->cmos[RTC_B] & B_SET))
		load_time_locked(r);
	switch (reg) {
	case RTC_A:
		return read_a_locked(r);
	case RTC_C:
		return read_c_locked(r);
	case RTC_D:
		return D_VALID;
	default:
		return r->cmos[reg];
	}
}

static void write_b_locked(struct rtc *r, uint8_t v)
{
	uint8_t old = r->cmos[RTC_B];

	if ((v & B_SET) && !(old & B_SET))
		load_time_locked(r);
	r->cmos[RTC_B] = v;
	/* The format may change with the same write that starts the clock: the registers are read in the new one. */
	if (!(v & B_SET) && (old & B_SET))
		store_time_locked(r);
}

static void write_reg_locked(struct rtc *r, unsigned int reg, uint8_t v)
{
	bool running = !(r->cmos[RTC_B] & B_SET);

	if (is_time(reg)) {
		if (running)
			load_time_locked(r);
		r->cmos[reg] = v;
		if (running)
			store_time_locked(r);
	} else if (reg == RTC_B) {
		write_b_locked(r, v);
	} else if (reg != RTC_C && reg != RTC_D) {
		r->cmos[reg] = v;
	}
}

static uint64_t rtc_read(void *opaque, uint64_t off, unsigned int len)
{
	struct rtc *r = opaque;
	uint64_t v = ~0ull;

	if (off != 1 || len != 1)
		return v; /* the index is write-only on a PC */
	pthread_mutex_lock(&r->lock);
	v = read_reg_locked(r, r->index);
	pthread_mutex_unlock(&r->lock);
	return v;
}

static void rtc_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct rtc *r = opaque;

	if (len > 2 || (len == 2 && off))
		return;
	pthread_mutex_lock(&r->lock);
	if (off == 0) /* bit 7 masks the NMI, which nothing raises here */
		r->index = value & (CMOS_BYTES - 1);
	if (len == 2)
		value >>= 8;
	if (off == 1 || len == 2)
		write_reg_locked(r, r->index, (uint8_t)value);
	pthread_mutex_unlock(&r->lock);
}

static const struct iobus_ops rtc_ops = { .read = rtc_read, .write = rtc_write };

/* The reset line clears interrupt enables and flags and leaves clock and memory, as the data sheet says of RESET. */
static void rtc_reset(void *dev)
{
	struct rtc *r = dev;

	pthread_mutex_lock(&r->lock);
	r->index = 0;
	if (r->cmos[RTC_B] & B_SET)
		store_time_locked(r);
	r->cmos[RTC_A] = A_DEFAULT;
	r->cmos[RTC_B] = B_24H;
	r->polled_s = now_s_locked(r);
	pthread_mutex_unlock(&r->lock);
}

static void rtc_free(void *dev)
{
	struct rtc *r = dev;

	iobus_del(r->env->bus, IOBUS_PIO, RTC_PORT);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int rtc_new(const struct board_env *env, void **ret)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));
	int r;

	if (!rtc)
		return -ENOMEM;
	rtc->env = env;
	pthread_mutex_init(&rtc->lock, NULL);
	rtc_reset(rtc);
	r = iobus_add(env->bus, IOBUS_PIO, RTC_PORT, 2, "rtc", &rtc_ops, rtc);
	if (r < 0) {
		pthread_mutex_destroy(&rtc->lock);
		free(rtc);
		return r;
	}
	*ret = rtc;
	return 0;
}

const struct device_ops rtc_device = { "rtc", rtc_new, rtc_reset, rtc_free };
