/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables are laid out one behind another from ACPI_RSDP_GPA on in a buffer, with final addresses and checksums, and copied into
 * the guest's memory as one. Order: RSDP, FACS (64-byte aligned), DSDT, FADT, MADT, XSDT.
 */
#include "chipset/acpi.h"

#include <errno.h>
#include <string.h>
#include "chipset/dsdt.h"
#include "chipset/pm.h"
#include "proto/acpi.h"
#include "util/cleanup.h"

#define LOCAL_APIC_GPA 0xfee00000u
#define IO_APIC_GPA 0xfec00000u
#define LOW_WINDOW_END IO_APIC_GPA
#define HIGH_WINDOW_BASE 0xfe0000000ull /* as Hyper-V: the last 512 MiB below 64 GiB */
#define HIGH_WINDOW_BYTES 0x20000000ull
#define APIC_IDS_MAX 254u /* xAPIC */
#define TABLES_BYTES (ACPI_END_GPA - ACPI_RSDP_GPA)
#define CMOS_CENTURY 0x32u

struct tables {
	uint8_t *buf; /* stands for [ACPI_RSDP_GPA, + TABLES_BYTES) */
	size_t len;
	bool full;
};

static uint8_t checksum(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *b++);
	return (uint8_t)-sum;
}

/* Room for one more table: its place in the buffer, and its address. NULL when there is none. */
static void *table_add(struct tables *t, size_t len, size_t align, uint64_t *ret_gpa)
{
	size_t at = align_up(t->len, align);

	if (t->full || !range_ok(at, len, TABLES_BYTES)) {
		t->full = true;
		return NULL;
	}
	t->len = at + len;
	*ret_gpa = ACPI_RSDP_GPA + at;
	return t->buf + at;
}

static void header_set(struct acpi_header *h, const char *signature, uint8_t revision,
		       size_t len)
{
	memcpy(h->signature, signature, sizeof(h->signature));
	h->length = (uint32_t)len;
	h->revision = revision;
	memcpy(h->oem_id, "VMMS  ", sizeof(h->oem_id));
	memcpy(h->oem_table_id, "VMMS", 4);
	memcpy(h->oem_table_id + 4, signature, 4);
	h->oem_revision = 1;
	memcpy(h->creator_id, "VMMS", sizeof(h->creator_id));
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = checksum(h, len);
}

static struct acpi_gas gas_io(uint32_t port, unsigned int bytes, uint8_t access)
{
	return (struct acpi_gas){ .space_id = ACPI_SPACE_IO,
				  .bit_width = (uint8_t)(bytes * 8),
				  .access_size = access,
				  .address = port };
}

static void add_facs(struct tables *t, uint64_t *ret_gpa)
{
	struct acpi_facs *facs = table_add(t, sizeof(*facs), 64, ret_gpa);

	if (!facs)
		return;
	memcpy(facs->signature, "FACS", 4);
	facs->length = sizeof(*facs);
	facs->version = 2;
}

static void add_dsdt(struct tables *t, const struct guestmem *mem, uint64_t *ret_gpa)
{
	const struct guestmem_bank *banks;
	size_t n = guestmem_banks(mem, &banks), start = align_up(t->len, 16);
	const uint64_t end = banks[n - 1].gpa + banks[n - 1].bytes;
	const struct dsdt_windows w = {
		.low_base = GUESTMEM_HOLE_BASE,
		.low_bytes = LOW_WINDOW_END - GUESTMEM_HOLE_BASE,
		.high_base = MAX(HIGH_WINDOW_BASE, align_up(end, HIGH_WINDOW_BYTES)),
		.high_bytes = HIGH_WINDOW_BYTES,
	};
	size_t room =
		TABLES_BYTES - MIN(TABLES_BYTES, start + sizeof(struct acpi_header));
	struct acpi_header *h;
	ssize_t body;

	if (t->full)
		return;
	body = dsdt_write(t->buf + TABLES_BYTES - room, room, &w);
	if (body < 0) {
		t->full = true;
		return;
	}
	h = table_add(t, sizeof(*h) + (size_t)body, 16, ret_gpa);
	if (h)
		header_set(h, "DSDT", 2, sizeof(*h) + (size_t)body);
}

static void fadt_registers(struct acpi_fadt *f)
{
	f->sci_int = PM_SCI_GSI;
	f->pm1a_evt_blk = PM1_EVENT_PORT;
	f->pm1a_cnt_blk = PM1_CONTROL_PORT;
	f->pm_tmr_blk = PM_TIMER_PORT;
	f->pm1_evt_len = PM1_EVENT_BYTES;
	f->pm1_cnt_len = PM1_CONTROL_BYTES;
	f->pm_tmr_len = PM_TIMER_BYTES;
	f->x_pm1a_evt_blk = gas_io(PM1_EVENT_PORT, PM1_EVENT_BYTES, ACPI_ACCESS_WORD);
	f->x_pm1a_cnt_blk = gas_io(PM1_CONTROL_PORT, PM1_CONTROL_BYTES, ACPI_ACCESS_WORD);
	f->x_pm_tmr_blk = gas_io(PM_TIMER_PORT, PM_TIMER_BYTES, ACPI_ACCESS_DWORD);
	f->reset_reg = gas_io(RESET_PORT, 1, ACPI_ACCESS_BYTE);
	f->reset_value = RESET_VALUE;
}

static void add_fadt(struct tables *t, uint64_t facs, uint64_t dsdt, uint64_t *ret_gpa)
{
	struct acpi_fadt *f = table_add(t, sizeof(*f), 16, ret_gpa);

	if (!f)
		return;
	f->firmware_ctrl = (uint32_t)facs;
	f->dsdt = (uint32_t)dsdt;
	f->x_dsdt = dsdt;
	fadt_registers(f);
	f->p_lvl2_lat = 0xffff; /* no C2, no C3 */
	f->p_lvl3_lat = 0xffff;
	f->century = CMOS_CENTURY;
	f->iapc_boot_arch = ACPI_IAPC_LEGACY_DEVICES | ACPI_IAPC_NO_VGA;
	f->flags = ACPI_FADT_WBINVD | ACPI_FADT_PROC_C1 | ACPI_FADT_PWR_BUTTON |
		   ACPI_FADT_SLP_BUTTON | ACPI_FADT_TMR_VAL_EXT | ACPI_FADT_RESET_REG;
	f->minor_version = 0;
	header_set(&f->header, "FACP", 6, sizeof(*f));
}

static void *madt_entry(uint8_t **at, uint8_t type, uint8_t len)
{
	uint8_t *e = *at;

	e[0] = type;
	e[1] = len;
	*at += len;
	return e;
}

static void add_madt(struct tables *t, unsigned int vps, uint64_t *ret_gpa)
{
	size_t len =
		sizeof(struct acpi_madt) + vps * sizeof(struct acpi_madt_local_apic) +
		sizeof(struct acpi_madt_io_apic) + sizeof(struct acpi_madt_override) +
		sizeof(struct acpi_madt_local_nmi);
	struct acpi_madt *m = table_add(t, len, 16, ret_gpa);
	uint8_t *at = (uint8_t *)(m + 1);
	struct acpi_madt_local_apic *lapic;
	struct acpi_madt_io_apic *ioapic;
	struct acpi_madt_override *sci;
	struct acpi_madt_local_nmi *nmi;

	if (!m)
		return;
	m->local_apic_address = LOCAL_APIC_GPA;
	m->flags = ACPI_MADT_PCAT_COMPAT;
	for (unsigned int i = 0; i < vps; i++) {
		lapic = madt_entry(&at, ACPI_MADT_LOCAL_APIC, sizeof(*lapic));
		lapic->processor_uid = lapic->apic_id = (uint8_t)i;
		lapic->flags = ACPI_MADT_ENABLED;
	}
	ioapic = madt_entry(&at, ACPI_MADT_IO_APIC, sizeof(*ioapic));
	ioapic->id = (uint8_t)vps;
	ioapic->address = IO_APIC_GPA;
	/* Input n is IRQ n, the timer's too; the SCI alone is not as the ISA bus has it. */
	sci = madt_entry(&at, ACPI_MADT_OVERRIDE, sizeof(*sci));
	sci->source = PM_SCI_GSI;
	sci->gsi = PM_SCI_GSI;
	sci->flags = ACPI_INTI_HIGH_LEVEL;
	nmi = madt_entry(&at, ACPI_MADT_LOCAL_NMI, sizeof(*nmi));
	nmi->processor_uid = 0xff; /* all */
	nmi->flags = ACPI_INTI_CONFORMS;
	nmi->lint = 1;
	header_set(&m->header, "APIC", 4, len);
}

static void add_xsdt(struct tables *t, const uint64_t *gpas, size_t n, uint64_t *ret_gpa)
{
	size_t len = sizeof(struct acpi_header) + n * sizeof(*gpas);
	struct acpi_header *h = table_add(t, len, 16, ret_gpa);

	if (!h)
		return;
	memcpy(h + 1, gpas, n * sizeof(*gpas));
	header_set(h, "XSDT", 1, len);
}

static void set_rsdp(struct acpi_rsdp *rsdp, uint64_t xsdt)
{
	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem_id, "VMMS  ", 6);
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt_address = xsdt;
	rsdp->checksum = checksum(rsdp, 20);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

int acpi_write(struct guestmem *mem, unsigned int vps, uint64_t *ret_rsdp)
{
	cleanup_free uint8_t *buf = calloc(1, TABLES_BYTES);
	struct tables t = { .buf = buf };
	uint64_t rsdp_gpa = 0, facs = 0, dsdt = 0, xsdt = 0, listed[2] = { 0 };
	struct acpi_rsdp *rsdp;
	int r;

	if (vps == 0 || vps > APIC_IDS_MAX)
		return -EINVAL;
	if (!buf)
		return -ENOMEM;
	rsdp = table_add(&t, sizeof(*rsdp), 16, &rsdp_gpa);
	add_facs(&t, &facs);
	add_dsdt(&t, mem, &dsdt);
	add_fadt(&t, facs, dsdt, &listed[0]);
	add_madt(&t, vps, &listed[1]);
	add_xsdt(&t, listed, ARRAY_SIZE(listed), &xsdt);
	if (t.full)
		return -ENOSPC;
	set_rsdp(rsdp, xsdt);
	r = guestmem_write(mem, ACPI_RSDP_GPA, buf, t.len);
	if (r < 0)
		return r;
	*ret_rsdp = rsdp_gpa;
	return 0;
}
