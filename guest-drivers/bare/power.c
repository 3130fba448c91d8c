/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/power.h"

#include "bare/acpi.h"
#include "bare/console.h"
#include "bare/time.h"
#include "bare/vp.h"
#include "proto/acpi.h"
#include "proto/hv.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define CMOS_RESETS \
	0x60 /* behind all that firmware uses: how often reset= has reset, ... */
#define CMOS_MAGIC 0x61 /* ... valid with this beside it */
#define MAGIC 0xb5

static void settle(void)
{
	uint64_t until = rdtsc() + time_us_to_tsc(1000000);

	while (rdtsc() < until)
		__builtin_ia32_pause();
}

static void reset_acpi(void)
{
	const struct acpi *a = acpi_get();

	if (a->reset_port)
		outb(a->reset_port, a->reset_value);
}

static void reset_cf9(void)
{
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
}

static void reset_keyboard(void)
{
	outb(0x64, 0xfe);
}

static void reset_hv(void)
{
	vp_wrmsr(HV_X64_MSR_RESET, 1);
}

static void reset_triplefault(void)
{
	vp_triple_fault();
}

static const struct {
	const char *name;
	void (*reset)(void);
} methods[] = {
	{ "acpi", reset_acpi },
	{ "cf9", reset_cf9 },
	{ "hv", reset_hv },
	{ "keyboard", reset_keyboard },
	{ "triplefault", reset_triplefault },
};

void power_reset(void)
{
	reset_acpi();
	settle();
	reset_cf9();
	settle();
	reset_keyboard();
	settle();
	vp_triple_fault();
}

void power_off(void)
{
	const struct acpi *a = acpi_get();

	if (a->pm1a_control && a->has_s5) {
		outw(a->pm1a_control,
		     (uint16_t)(a->slp_typ_s5 << ACPI_PM1_CNT_SLP_TYP_SHIFT |
				ACPI_PM1_CNT_SLP_EN));
		settle();
		say("power off did nothing");
	}
	power_reset();
}

static uint8_t cmos_read(uint8_t index)
{
	outb(CMOS_INDEX, index);
	return inb(CMOS_DATA);
}

static void cmos_write(uint8_t index, uint8_t v)
{
	outb(CMOS_INDEX, index);
	outb(CMOS_DATA, v);
}

static bool reset_by(struct arg name)
{
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (arg_is(name, methods[i].name)) {
			say("reset by %s", methods[i].name);
			methods[i].reset();
			settle();
			say("reset by %s did nothing", methods[i].name);
			return false;
		}
	}
	say("unknown way to reset");
	return false;
}

bool word_reset(struct args args)
{
	unsigned int count = cmos_read(CMOS_MAGIC) == MAGIC ? cmos_read(CMOS_RESETS) : 0;
	unsigned int i;
	struct arg name;

	for (i = 0; args_next(&args, &name); i++) {
		if (i < count)
			continue;
		cmos_write(CMOS_RESETS, (uint8_t)(count + 1));
		cmos_write(CMOS_MAGIC, MAGIC);
		return reset_by(name);
	}
	cmos_write(CMOS_MAGIC, 0);
	say("resets %u survived", count);
	return true;
}
