/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables and fixed hardware registers.
 * Source: ACPI Specification 6.4, chapters 4 (fixed hardware) and 5 (tables); the sections are named below. Little-endian, packed.
 */
#ifndef PROTO_ACPI_H
#define PROTO_ACPI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_PACKED __attribute__((packed))

/* 5.2.5.3; found by a scan of [0xe0000, 1 MiB) on 16 byte boundaries. */
struct acpi_rsdp {
	char signature[8]; /* "RSD PTR " */
	uint8_t checksum;  /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision; /* 2 */
	uint32_t rsdt_address;
	uint32_t length;
	uint64_t xsdt_address;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} ACPI_PACKED;
static_assert(sizeof(struct acpi_rsdp) == 36, "5.2.5.3");

/* 5.2.6 */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} ACPI_PACKED;
static_assert(sizeof(struct acpi_header) == 36, "5.2.6");

/* 5.2.3.2: Generic Address Structure */
#define ACPI_SPACE_IO 1u
#define ACPI_ACCESS_BYTE 1u
#define ACPI_ACCESS_WORD 2u
#define ACPI_ACCESS_DWORD 3u
struct acpi_gas {
	uint8_t space_id;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} ACPI_PACKED;
static_assert(sizeof(struct acpi_gas) == 12, "5.2.3.2");

/* 5.2.9.3: IA-PC boot architecture flags */
#define ACPI_IAPC_LEGACY_DEVICES (1u << 0)
#define ACPI_IAPC_8042 (1u << 1)
#define ACPI_IAPC_NO_VGA (1u << 2)
#define ACPI_IAPC_NO_CMOS_RTC (1u << 5)
/* 5.2.9: fixed feature flags */
#define ACPI_FADT_WBINVD (1u << 0)
#define ACPI_FADT_PROC_C1 (1u << 2)
#define ACPI_FADT_PWR_BUTTON (1u << 4) /* no fixed power button */
#define ACPI_FADT_SLP_BUTTON (1u << 5) /* no fixed sleep button */
#define ACPI_FADT_TMR_VAL_EXT (1u << 8)
#define ACPI_FADT_RESET_REG (1u << 10)

/* 5.2.9 */
struct acpi_fadt {
	struct acpi_header header; /* "FACP" */
	uint32_t firmware_ctrl;
	uint32_t dsdt;
	uint8_t reserved1;
	uint8_t preferred_pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt_blk, pm1b_evt_blk, pm1a_cnt_blk, pm1b_cnt_blk;
	uint32_t pm2_cnt_blk, pm_tmr_blk, gpe0_blk, gpe1_blk;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_blk_len, gpe1_blk_len, gpe1_base, cst_cnt;
	uint16_t p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alrm, mon_alrm, century;
	uint16_t iapc_boot_arch;
	uint8_t reserved2;
	uint32_t flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t x_firmware_ctrl, x_dsdt;
	struct acpi_gas x_pm1a_evt_blk, x_pm1b_evt_blk, x_pm1a_cnt_blk, x_pm1b_cnt_blk;
	struct acpi_gas x_pm2_cnt_blk, x_pm_tmr_blk, x_gpe0_blk, x_gpe1_blk;
	struct acpi_gas sleep_control_reg, sleep_status_reg;
	uint64_t hypervisor_vendor;
} ACPI_PACKED;
static_assert(sizeof(struct acpi_fadt) == 276, "5.2.9");
static_assert(offsetof(struct acpi_fadt, flags) == 112, "5.2.9");
static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "5.2.9");

/* 5.2.10 */
struct acpi_facs {
	char signature[4]; /* "FACS" */
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t firmware_waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_firmware_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} ACPI_PACKED;
static_assert(sizeof(struct acpi_facs) == 64, "5.2.10");

/* 5.2.12 */
#define ACPI_MADT_PCAT_COMPAT 1u
struct acpi_madt {
	struct acpi_header header; /* "APIC" */
	uint32_t local_apic_address;
	uint32_t flags;
} ACPI_PACKED;
static_assert(sizeof(struct acpi_madt) == 44, "5.2.12");

#define ACPI_MADT_LOCAL_APIC 0u
#define ACPI_MADT_IO_APIC 1u
#define ACPI_MADT_OVERRIDE 2u
#define ACPI_MADT_LOCAL_NMI 4u
#define ACPI_MADT_ENABLED 1u
/* 5.2.12.5: MPS INTI flags */
#define ACPI_INTI_HIGH_LEVEL 0x000du
#define ACPI_INTI_CONFORMS 0x0000u

struct acpi_madt_local_apic {
	uint8_t type, length, processor_uid, apic_id;
	uint32_t flags;
} ACPI_PACKED;
static_assert(sizeof(struct acpi_madt_local_apic) == 8, "5.2.12.2");

struct acpi_madt_io_apic {
	uint8_t type, length, id, reserved;
	uint32_t address;
	uint32_t gsi_base;
} ACPI_PACKED;
static_assert(sizeof(struct acpi_madt_io_apic) == 12, "5.2.12.3");

struct acpi_madt_override {
	uint8_t type, length, bus, source;
	uint32_t gsi;
	uint16_t flags;
} ACPI_PACKED;
static_assert(sizeof(struct acpi_madt_override) == 10, "5.2.12.5");

struct acpi_madt_local_nmi {
	uint8_t type, length, processor_uid;
	uint16_t flags;
	uint8_t lint;
} ACPI_PACKED;
static_assert(sizeof(struct acpi_madt_local_nmi) == 6, "5.2.12.7");

/* 4.8.3.1: PM1 status and enable */
#define ACPI_PM1_TMR (1u << 0)
#define ACPI_PM1_GBL (1u << 5)
#define ACPI_PM1_PWRBTN (1u << 8)
#define ACPI_PM1_SLPBTN (1u << 9)
#define ACPI_PM1_RTC (1u << 10)
#define ACPI_PM1_STS_WAK (1u << 15)
/* 4.8.3.2: PM1 control */
#define ACPI_PM1_CNT_SCI_EN (1u << 0)
#define ACPI_PM1_CNT_SLP_TYP_SHIFT 10
#define ACPI_PM1_CNT_SLP_TYP_MASK (7u << ACPI_PM1_CNT_SLP_TYP_SHIFT)
#define ACPI_PM1_CNT_SLP_EN (1u << 13)
/* 4.8.3.3 */
#define ACPI_PM_TIMER_HZ 3579545u

#endif
