/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *	DefinitionBlock ("", "DSDT", 2, "VMMS  ", "VMMSDSDT", 1)
 *	{
 *		Name (\_S5, Package () { 5, 0, 0, 0 })
 *		Scope (\_SB) {
 *			Device (VMOD) {
 *				Name (_HID, "ACPI0004")		// module device
 *				Name (_UID, 0)
 *				Name (_CRS, ResourceTemplate () { QWordMemory (ResourceProducer, …) × 2 })
 *				Device (VMBS) {
 *					Name (_HID, "VMBus")
 *					Name (_DDN, "VMBUS")
 *					Name (_UID, 0)
 *					Name (_STA, 0x0F)
 *					Name (_CRS, ResourceTemplate () { IRQNoFlags () { 5 } })
 *					Method (_PS0) {}
 *					Method (_PS3) {}
 *				}
 *			}
 *			Device (COM1) { Name (_HID, EISAID ("PNP0501")) Name (_UID, 1) Name (_CRS, … IO 0x3f8, IRQ 4) }
 *			Device (RTC0) { Name (_HID, EISAID ("PNP0B00")) Name (_CRS, … IO 0x70) }
 *		}
 *	}
 *
 * VMBus is found by its own hardware id, which is no valid PNP or ACPI id (iasl wants -f for it). The IRQ is what Hyper-V
 * names; guests on x86 take the vector from their own IDT instead.
 */
#include "chipset/dsdt.h"

#include "chipset/aml.h"
#include "chipset/com.h"
#include "chipset/pm.h"

#define VMBUS_IRQ 5u
#define RTC_PORT 0x70u
#define RTC_PORTS 2u
#define STA_PRESENT 0x0fu /* present, enabled, shown, working */

static void sleep_states(struct aml *a)
{
	aml_name(a, "\\_S5");
	aml_package(a, 4);
	aml_integer(a, PM_SLP_TYP_S5);
	for (int i = 0; i < 3; i++)
		aml_integer(a, 0);
	aml_close(a);
}

static void empty_method(struct aml *a, const char *name)
{
	aml_method(a, name, 0);
	aml_close(a);
}

static void vmbus(struct aml *a)
{
	aml_device(a, "VMBS");
	aml_name(a, "_HID");
	aml_string(a, "VMBus");
	aml_name(a, "_DDN");
	aml_string(a, "VMBUS");
	aml_name(a, "_UID");
	aml_integer(a, 0);
	aml_name(a, "_STA");
	aml_integer(a, STA_PRESENT);
	aml_resources(a);
	aml_irq(a, VMBUS_IRQ);
	aml_resources_end(a);
	empty_method(a, "_PS0");
	empty_method(a, "_PS3");
	aml_close(a);
}

static void module(struct aml *a, const struct dsdt_windows *w)
{
	aml_device(a, "VMOD");
	aml_name(a, "_HID");
	aml_string(a, "ACPI0004");
	aml_name(a, "_UID");
	aml_integer(a, 0);
	aml_resources(a);
	if (w->low_bytes)
		aml_memory_window(a, w->low_base, w->low_bytes, true);
	if (w->high_bytes)
		aml_memory_window(a, w->high_base, w->high_bytes, true);
	aml_resources_end(a);
	vmbus(a);
	aml_close(a);
}

static void com1(struct aml *a)
{
	aml_device(a, "COM1");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0501");
	aml_name(a, "_UID");
	aml_integer(a, 1);
	aml_resources(a);
	aml_io(a, COM1_PORT, 8);
	aml_irq(a, COM1_GSI);
	aml_resources_end(a);
	aml_close(a);
}

static void rtc0(struct aml *a)
{
	aml_device(a, "RTC0");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0B00");
	aml_resources(a);
	aml_io(a, RTC_PORT, RTC_PORTS);
	aml_resources_end(a);
	aml_close(a);
}

ssize_t dsdt_write(void *buf, size_t size, const struct dsdt_windows *w)
{
	struct aml a;

	aml_init(&a, buf, size);
	sleep_states(&a);
	aml_scope(&a, "\\_SB");
	module(&a, w);
	com1(&a);
	rtc0(&a);
	aml_close(&a);
	return aml_done(&a);
}
