/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks the tables as a guest does: RSDP by its signature, XSDT, each table by its length and checksum. */
#include "chipset/acpi.h"

#include <errno.h>
#include <string.h>
#include "proto/acpi.h"
#include "unit/test.h"

static struct guestmem *mem;

static void setup(void)
{
	ck_assert_int_eq(guestmem_new(64 << 20, &mem), 0);
}

static void teardown(void)
{
	guestmem_free(mem);
}

static uint8_t sum(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *b++);
	return s;
}

/* A table at its address: inside the reserved range, its checksum right. */
static const struct acpi_header *table(uint64_t gpa, const char *signature)
{
	const struct acpi_header *h = guestmem_ptr(mem, gpa, sizeof(*h));

	ck_assert_ptr_nonnull(h);
	ck_assert_uint_ge(gpa, ACPI_RSDP_GPA);
	ck_assert_uint_le(gpa + h->length, ACPI_END_GPA);
	ck_assert_mem_eq(h->signature, signature, 4);
	ck_assert_uint_eq(sum(h, h->length), 0);
	return h;
}

static const struct acpi_header *find(const char *signature)
{
	const struct acpi_rsdp *rsdp = guestmem_ptr(mem, ACPI_RSDP_GPA, sizeof(*rsdp));
	const struct acpi_header *xsdt = table(rsdp->xsdt_address, "XSDT");
	size_t n = (xsdt->length - sizeof(*xsdt)) / sizeof(uint64_t);

	for (size_t i = 0; i < n; i++) {
		const struct acpi_header *h;
		uint64_t gpa;

		memcpy(&gpa, (const uint8_t *)(xsdt + 1) + i * sizeof(gpa), sizeof(gpa));
		h = guestmem_ptr(mem, gpa, sizeof(*h));
		if (memcmp(h->signature, signature, 4) == 0)
			return table(gpa, signature);
	}
	ck_abort_msg("no %s", signature);
}

START_TEST(impossible_counts_are_refused)
{
	uint64_t rsdp = 77;

	ck_assert_int_eq(acpi_write(mem, 0, &rsdp), -EINVAL);
	ck_assert_int_eq(acpi_write(mem, 255, &rsdp), -EINVAL);
	ck_assert_int_eq(acpi_write(mem, ~0u, &rsdp), -EINVAL);
	ck_assert_uint_eq(rsdp, 77);
}
END_TEST

START_TEST(rsdp_is_found)
{
	const struct acpi_rsdp *rsdp;
	uint64_t gpa;

	ck_assert_int_eq(acpi_write(mem, 1, &gpa), 0);
	ck_assert_uint_eq(gpa, ACPI_RSDP_GPA);
	rsdp = guestmem_ptr(mem, gpa, sizeof(*rsdp));
	ck_assert_mem_eq(rsdp->signature, "RSD PTR ", 8);
	ck_assert_uint_eq(sum(rsdp, 20), 0);
	ck_assert_uint_eq(sum(rsdp, sizeof(*rsdp)), 0);
	ck_assert_uint_eq(rsdp->revision, 2);
	ck_assert_uint_eq(rsdp->rsdt_address, 0);
}
END_TEST

START_TEST(fadt_points_on)
{
	const struct acpi_fadt *f;
	const struct acpi_facs *facs;
	uint64_t gpa;

	ck_assert_int_eq(acpi_write(mem, 1, &gpa), 0);
	f = (const void *)find("FACP");
	table(f->x_dsdt, "DSDT");
	ck_assert_uint_eq(f->x_dsdt, f->dsdt);
	facs = guestmem_ptr(mem, f->firmware_ctrl, sizeof(*facs));
	ck_assert_mem_eq(facs->signature, "FACS", 4);
	ck_assert(is_aligned(f->firmware_ctrl, 64));
	ck_assert_uint_eq(f->smi_cmd, 0);
	ck_assert_uint_eq(f->sci_int, 9);
	ck_assert_uint_eq(f->pm1a_evt_blk, 0x600);
	ck_assert_uint_eq(f->x_pm1a_cnt_blk.address, 0x604);
	ck_assert_uint_eq(f->reset_reg.address, 0xcf9);
	ck_assert_uint_eq(f->iapc_boot_arch & ACPI_IAPC_8042, 0);
	ck_assert_uint_eq(f->iapc_boot_arch & ACPI_IAPC_NO_CMOS_RTC, 0);
	ck_assert_uint_eq(f->flags & (1u << 20), 0); /* not hardware-reduced */
}
END_TEST

START_TEST(madt_lists_every_processor_once)
{
	static const unsigned int counts[] = { 1, 2, 4, 64, 254 };

	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		unsigned int types[256] = { 0 }, ids[256] = { 0 };
		const struct acpi_header *h;
		uint64_t gpa;

		ck_assert_int_eq(acpi_write(mem, counts[c], &gpa), 0);
		h = find("APIC");
		for (uint32_t at = sizeof(struct acpi_madt); at < h->length;) {
			const uint8_t *e = (const uint8_t *)h + at;

			ck_assert_uint_ge(e[1], 2);
			types[e[0]]++;
			if (e[0] == ACPI_MADT_LOCAL_APIC)
				ids[((const struct acpi_madt_local_apic *)e)->apic_id]++;
			at += e[1];
			ck_assert_uint_le(at, h->length);
		}
		ck_assert_uint_eq(types[ACPI_MADT_LOCAL_APIC], counts[c]);
		ck_assert_uint_eq(types[ACPI_MADT_IO_APIC], 1);
		ck_assert_uint_eq(types[ACPI_MADT_OVERRIDE], 1);
		ck_assert_uint_eq(types[ACPI_MADT_LOCAL_NMI], 1);
		for (unsigned int i = 0; i < 256; i++)
			ck_assert_uint_eq(ids[i], i < counts[c]);
	}
}
END_TEST

START_TEST(windows_lie_outside_memory)
{
	const struct acpi_fadt *f;
	const struct acpi_header *dsdt;
	const uint8_t *p, *end;
	unsigned int windows = 0;
	uint64_t gpa;

	ck_assert_int_eq(acpi_write(mem, 1, &gpa), 0);
	f = (const void *)find("FACP");
	dsdt = table(f->x_dsdt, "DSDT");
	end = (const uint8_t *)dsdt + dsdt->length;
	for (p = (const uint8_t *)(dsdt + 1); p + 46 <= end; p++) {
		uint64_t range[4];

		if (memcmp(p, "\x8a\x2b\x00\x00\x0c", 5) != 0)
			continue;
		memcpy(range, p + 14, sizeof(range)); /* min, max, translation, length */
		windows++;
		ck_assert_ptr_null(guestmem_ptr(mem, range[0], 1));
		ck_assert_uint_eq(range[1] - range[0] + 1, range[3]);
		/* Clear of the IOAPIC and LAPIC. */
		ck_assert(range[1] < 0xfec00000 || range[0] >= 0x100000000);
	}
	ck_assert_uint_eq(windows, 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("acpi");
	TCase *t = tcase_create("acpi");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, impossible_counts_are_refused);
	tcase_add_test(t, rsdp_is_found);
	tcase_add_test(t, fadt_points_on);
	tcase_add_test(t, madt_lists_every_processor_once);
	tcase_add_test(t, windows_lie_outside_memory);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
