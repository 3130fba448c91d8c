/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RSDP, XSDT or RSDT, then MADT and FADT; ACPI 6.4 chapter 5. Of the DSDT's AML only the package \_S5_ is looked for, by its bytes:
 * NameOp, "_S5_", PackageOp, PkgLength, count, then SLP_TYPa as a ByteConst, ZeroOp or OneOp (20.2).
 */
#include "bare/acpi.h"

#include <stddef.h>
#include "core/mem.h"
#include "proto/acpi.h"

#define TABLE_MAX (1u << 20)
#define TABLES_MAX 64u
#define AML_PACKAGE 0x12
#define AML_BYTE 0x0a

static struct acpi acpi;

static const void *at(uint64_t gpa)
{
	return (const void *)(uintptr_t)gpa;
}

static const struct acpi_rsdp *find_rsdp(uint64_t gpa)
{
	if (gpa)
		return at(gpa);
	for (gpa = 0xe0000; gpa < 0x100000; gpa += 16) {
		if (!memcmp(at(gpa), "RSD PTR ", 8))
			return at(gpa);
	}
	return NULL;
}

static void read_madt(const struct acpi_header *h)
{
	const uint8_t *p = (const uint8_t *)h + sizeof(struct acpi_madt);
	const uint8_t *end = (const uint8_t *)h + h->length;
	struct acpi_madt_local_apic apic;

	for (; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1]) {
		if (p[0] != ACPI_MADT_LOCAL_APIC || p[1] < sizeof(apic))
			continue;
		memcpy(&apic, p, sizeof(apic));
		if (apic.flags & ACPI_MADT_ENABLED && acpi.apics < BARE_VPS_MAX)
			acpi.apic_ids[acpi.apics++] = apic.apic_id;
	}
}

static void read_s5(const struct acpi_header *dsdt)
{
	const uint8_t *p = (const uint8_t *)dsdt + sizeof(*dsdt);
	const uint8_t *end = (const uint8_t *)dsdt + dsdt->length;

	for (; p + 12 <= end; p++) {
		if (memcmp(p, "_S5_", 4) || p[4] != AML_PACKAGE)
			continue;
		p += 5 + 1 + (p[5] >> 6) +
		     1; /* PkgLength has up to three more bytes; count */
		acpi.slp_typ_s5 = *p == AML_BYTE ? p[1] : *p;
		acpi.has_s5 = true;
		return;
	}
}

static void read_fadt(const struct acpi_header *h)
{
	struct acpi_fadt f = { .flags = 0 };
	uint64_t dsdt;

	memcpy(&f, h, h->length < sizeof(f) ? h->length : sizeof(f));
	acpi.pm1a_control = (uint16_t)f.pm1a_cnt_blk;
	if (f.flags & ACPI_FADT_RESET_REG && f.reset_reg.space_id == ACPI_SPACE_IO) {
		acpi.reset_port = (uint16_t)f.reset_reg.address;
		acpi.reset_value = f.reset_value;
	}
	dsdt = f.x_dsdt ? f.x_dsdt : f.dsdt;
	if (dsdt && dsdt < UINT32_MAX)
		read_s5(at(dsdt));
}

static void read_table(uint64_t gpa)
{
	const struct acpi_header *h = at(gpa);

	if (!gpa || gpa >= UINT32_MAX || h->length < sizeof(*h) || h->length > TABLE_MAX)
		return;
	if (!memcmp(h->signature, "APIC", 4))
		read_madt(h);
	else if (!memcmp(h->signature, "FACP", 4))
		read_fadt(h);
}

void acpi_init(uint64_t rsdp_gpa)
{
	const struct acpi_rsdp *rsdp = find_rsdp(rsdp_gpa);
	const struct acpi_header *root;
	size_t width, n, i;

	if (!rsdp)
		return;
	width = rsdp->revision >= 2 && rsdp->xsdt_address ? 8 : 4;
	root = at(width == 8 ? rsdp->xsdt_address : rsdp->rsdt_address);
	if (!root || root->length < sizeof(*root) || root->length > TABLE_MAX)
		return;
	n = (root->length - sizeof(*root)) / width;
	for (i = 0; i < n && i < TABLES_MAX; i++) {
		uint64_t gpa = 0;

		memcpy(&gpa, (const uint8_t *)(root + 1) + i * width, width);
		read_table(gpa);
	}
}

const struct acpi *acpi_get(void)
{
	return &acpi;
}
