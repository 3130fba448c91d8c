/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SCSI as far as disks and DVD drives speak it: operation codes, sense, and the data that commands carry.
 * Sources: SAM-5 (status), SPC-4 (commands for all devices), SBC-3 (disks), MMC-6 (CD and DVD); the section stands beside each.
 * All fields big-endian.
 */
#ifndef PROTO_SCSI_H
#define PROTO_SCSI_H

#include <assert.h>
#include "proto/be.h"

/* SPC-4 annex E.3.1, MMC-6 6. */
enum scsi_opcode {
	SCSI_TEST_UNIT_READY = 0x00,
	SCSI_REQUEST_SENSE = 0x03,
	SCSI_READ_6 = 0x08,
	SCSI_WRITE_6 = 0x0a,
	SCSI_INQUIRY = 0x12,
	SCSI_MODE_SELECT_6 = 0x15,
	SCSI_MODE_SENSE_6 = 0x1a,
	SCSI_START_STOP_UNIT = 0x1b,
	SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL = 0x1e,
	SCSI_READ_CAPACITY_10 = 0x25,
	SCSI_READ_10 = 0x28,
	SCSI_WRITE_10 = 0x2a,
	SCSI_WRITE_AND_VERIFY_10 = 0x2e,
	SCSI_VERIFY_10 = 0x2f,
	SCSI_SYNCHRONIZE_CACHE_10 = 0x35,
	SCSI_WRITE_SAME_10 = 0x41,
	SCSI_UNMAP = 0x42,
	SCSI_READ_TOC = 0x43,
	SCSI_GET_CONFIGURATION = 0x46,
	SCSI_GET_EVENT_STATUS_NOTIFICATION = 0x4a,
	SCSI_READ_DISC_INFORMATION = 0x51,
	SCSI_MODE_SENSE_10 = 0x5a,
	SCSI_PERSISTENT_RESERVE_IN = 0x5e,
	SCSI_PERSISTENT_RESERVE_OUT = 0x5f,
	SCSI_READ_16 = 0x88,
	SCSI_WRITE_16 = 0x8a,
	SCSI_WRITE_AND_VERIFY_16 = 0x8e,
	SCSI_VERIFY_16 = 0x8f,
	SCSI_SYNCHRONIZE_CACHE_16 = 0x91,
	SCSI_WRITE_SAME_16 = 0x93,
	SCSI_SERVICE_ACTION_IN_16 = 0x9e,
	SCSI_REPORT_LUNS = 0xa0,
	SCSI_MAINTENANCE_IN = 0xa3,
	SCSI_READ_12 = 0xa8,
	SCSI_WRITE_12 = 0xaa,
	SCSI_MECHANISM_STATUS = 0xbd,
};

#define SCSI_SA_READ_CAPACITY_16 0x10u /* of SERVICE ACTION IN (16) */
#define SCSI_SA_GET_LBA_STATUS 0x12u
#define SCSI_CDB_MAX 16u
#define SCSI_CONTROL_NACA 0x04u /* SAM-5 5.2: not for us */

/* SAM-5 5.3.1 */
enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
};

/* SPC-4 4.5.6 */
enum scsi_sense_key {
	SCSI_KEY_NO_SENSE = 0x0,
	SCSI_KEY_NOT_READY = 0x2,
	SCSI_KEY_MEDIUM_ERROR = 0x3,
	SCSI_KEY_HARDWARE_ERROR = 0x4,
	SCSI_KEY_ILLEGAL_REQUEST = 0x5,
	SCSI_KEY_UNIT_ATTENTION = 0x6,
	SCSI_KEY_DATA_PROTECT = 0x7,
};

/* Key, additional sense code and its qualifier as one number: SPC-4 annex E.2. */
#define SCSI_SENSE(key, asc, ascq) ((key) << 16 | (asc) << 8 | (ascq))
enum scsi_sense {
	SCSI_NO_SENSE = 0,
	SCSI_MEDIUM_NOT_PRESENT = SCSI_SENSE(SCSI_KEY_NOT_READY, 0x3a, 0x00),
	SCSI_MEDIUM_NOT_PRESENT_TRAY_OPEN = SCSI_SENSE(SCSI_KEY_NOT_READY, 0x3a, 0x02),
	SCSI_WRITE_ERROR = SCSI_SENSE(SCSI_KEY_MEDIUM_ERROR, 0x0c, 0x00),
	SCSI_UNRECOVERED_READ_ERROR = SCSI_SENSE(SCSI_KEY_MEDIUM_ERROR, 0x11, 0x00),
	SCSI_INTERNAL_TARGET_FAILURE = SCSI_SENSE(SCSI_KEY_HARDWARE_ERROR, 0x44, 0x00),
	SCSI_PARAMETER_LIST_LENGTH_ERROR =
		SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x1a, 0x00),
	SCSI_INVALID_OPCODE = SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x20, 0x00),
	SCSI_LBA_OUT_OF_RANGE = SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x21, 0x00),
	SCSI_INVALID_FIELD_IN_CDB = SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x24, 0x00),
	SCSI_LUN_NOT_SUPPORTED = SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x25, 0x00),
	SCSI_INVALID_FIELD_IN_PARAMETERS =
		SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x26, 0x00),
	SCSI_INVALID_RELEASE = SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x26, 0x04),
	SCSI_INSUFFICIENT_REGISTRATION_RESOURCES =
		SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x55, 0x04),
	SCSI_SAVING_NOT_SUPPORTED = SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x39, 0x00),
	SCSI_MEDIUM_REMOVAL_PREVENTED = SCSI_SENSE(SCSI_KEY_ILLEGAL_REQUEST, 0x53, 0x02),
	SCSI_MEDIUM_CHANGED = SCSI_SENSE(SCSI_KEY_UNIT_ATTENTION, 0x28, 0x00),
	SCSI_DEVICE_RESET = SCSI_SENSE(SCSI_KEY_UNIT_ATTENTION, 0x29, 0x03),
	SCSI_RESERVATIONS_PREEMPTED = SCSI_SENSE(SCSI_KEY_UNIT_ATTENTION, 0x2a, 0x03),
	SCSI_RESERVATIONS_RELEASED = SCSI_SENSE(SCSI_KEY_UNIT_ATTENTION, 0x2a, 0x04),
	SCSI_REGISTRATIONS_PREEMPTED = SCSI_SENSE(SCSI_KEY_UNIT_ATTENTION, 0x2a, 0x05),
	SCSI_REPORTED_LUNS_CHANGED = SCSI_SENSE(SCSI_KEY_UNIT_ATTENTION, 0x3f, 0x0e),
	SCSI_CAPACITY_CHANGED = SCSI_SENSE(SCSI_KEY_UNIT_ATTENTION, 0x2a, 0x09),
	SCSI_WRITE_PROTECTED = SCSI_SENSE(SCSI_KEY_DATA_PROTECT, 0x27, 0x00),
	SCSI_SPACE_ALLOCATION_FAILED = SCSI_SENSE(SCSI_KEY_DATA_PROTECT, 0x27, 0x07),
};

#define SCSI_SENSE_FIXED 0x70u      /* current, fixed format: SPC-4 4.5.3 */
#define SCSI_SENSE_DESCRIPTOR 0x72u /* current, descriptor format: SPC-4 4.5.2 */
struct scsi_sense_fixed {
	uint8_t response_code;
	uint8_t obsolete;
	uint8_t key;
	uint8_t information[4];
	uint8_t additional_bytes; /* behind this byte */
	uint8_t command_specific[4];
	uint8_t asc, ascq;
	uint8_t fru;
	uint8_t key_specific[3];
};
static_assert(sizeof(struct scsi_sense_fixed) == 18, "size");
struct scsi_sense_descriptor {
	uint8_t response_code;
	uint8_t key;
	uint8_t asc, ascq;
	uint8_t reserved[3];
	uint8_t additional_bytes;
};
static_assert(sizeof(struct scsi_sense_descriptor) == 8, "size");

/* INQUIRY: SPC-4 6.6.2. */
#define SCSI_TYPE_DISK 0x00u
#define SCSI_TYPE_DVD 0x05u
#define SCSI_TYPE_NO_LUN 0x7fu /* qualifier 011b, type 1fh: SPC-4 6.6.2 */
#define SCSI_INQUIRY_EVPD 0x01u
#define SCSI_VERSION_SPC4 0x06u
#define SCSI_INQUIRY_RMB 0x80u
#define SCSI_INQUIRY_CMDQUE 0x02u
struct scsi_inquiry {
	uint8_t type;
	uint8_t removable;
	uint8_t version;
	uint8_t response_format; /* 2, and HISUP 10h: REPORT LUNS addresses */
	uint8_t additional_bytes;
	uint8_t flags5, flags6, flags7;
	char vendor[8];
	char product[16];
	char revision[4];
};
static_assert(sizeof(struct scsi_inquiry) == 36, "size");

/* Vital product data: SPC-4 7.8, SBC-3 6.6. */
#define SCSI_VPD_SUPPORTED 0x00u
#define SCSI_VPD_SERIAL 0x80u
#define SCSI_VPD_IDENTIFICATION 0x83u
#define SCSI_VPD_BLOCK_LIMITS 0xb0u
#define SCSI_VPD_BLOCK_CHARACTERISTICS 0xb1u
#define SCSI_VPD_PROVISIONING 0xb2u
struct scsi_vpd_header {
	uint8_t type;
	uint8_t page;
	be16_t page_bytes; /* behind this field */
};
static_assert(sizeof(struct scsi_vpd_header) == 4, "size");

struct scsi_vpd_designator {
	uint8_t code_set; /* 1 binary, 2 ASCII */
	uint8_t type;     /* 1 T10 vendor, 3 NAA; logical unit */
	uint8_t reserved;
	uint8_t bytes;
};
static_assert(sizeof(struct scsi_vpd_designator) == 4, "size");

struct scsi_vpd_block_limits { /* SBC-3 6.6.4 */
	struct scsi_vpd_header header;
	uint8_t wsnz;
	uint8_t max_compare_and_write;
	be16_t optimal_granularity;
	be32_t max_transfer;
	be32_t optimal_transfer;
	be32_t max_prefetch;
	be32_t max_unmap_blocks;
	be32_t max_unmap_descriptors;
	be32_t unmap_granularity;
	be32_t unmap_alignment; /* bit 31: valid */
	be64_t max_write_same;
	uint8_t reserved[20];
};
static_assert(sizeof(struct scsi_vpd_block_limits) == 64, "size");

struct scsi_vpd_block_characteristics { /* SBC-3 6.6.3 */
	struct scsi_vpd_header header;
	be16_t rotation_rate; /* 1: it does not rotate */
	uint8_t product_type;
	uint8_t form_factor;
	uint8_t reserved[56];
};
static_assert(sizeof(struct scsi_vpd_block_characteristics) == 64, "size");

struct scsi_vpd_provisioning { /* SBC-3 6.6.5 */
	struct scsi_vpd_header header;
	uint8_t threshold_exponent;
	uint8_t flags;
	uint8_t type; /* 2: thin */
	uint8_t reserved;
};
static_assert(sizeof(struct scsi_vpd_provisioning) == 8, "size");
#define SCSI_LBPU 0x80u    /* UNMAP */
#define SCSI_LBPWS 0x40u   /* WRITE SAME (16) with UNMAP */
#define SCSI_LBPWS10 0x20u /* WRITE SAME (10) with UNMAP */
#define SCSI_LBPRZ 0x04u   /* unmapped reads as zeros */

struct scsi_capacity_10 { /* SBC-3 5.15.2, MMC-6 6.21.3 */
	be32_t last_lba;
	be32_t block_bytes;
};
static_assert(sizeof(struct scsi_capacity_10) == 8, "size");

struct scsi_capacity_16 { /* SBC-3 5.16.2 */
	be64_t last_lba;
	be32_t block_bytes;
	uint8_t protection;
	uint8_t physical_exponent; /* logical blocks a physical one, as power of 2 */
	uint8_t provisioning;      /* LBPME 80h, LBPRZ 40h; alignment */
	uint8_t alignment;
	uint8_t reserved[16];
};
static_assert(sizeof(struct scsi_capacity_16) == 32, "size");
#define SCSI_CAPACITY_LBPME 0x80u
#define SCSI_CAPACITY_LBPRZ 0x40u

/* UNMAP: SBC-3 5.28.2. */
struct scsi_unmap_header {
	be16_t data_bytes;       /* behind this field */
	be16_t descriptor_bytes; /* of all descriptors */
	uint8_t reserved[4];
};
static_assert(sizeof(struct scsi_unmap_header) == 8, "size");
struct scsi_unmap_descriptor {
	be64_t lba;
	be32_t blocks;
	uint8_t reserved[4];
};
static_assert(sizeof(struct scsi_unmap_descriptor) == 16, "size");

/* GET LBA STATUS: SBC-3 5.6.2. */
struct scsi_lba_status_header {
	be32_t data_bytes; /* behind this field */
	uint8_t reserved[4];
};
static_assert(sizeof(struct scsi_lba_status_header) == 8, "size");
#define SCSI_LBA_MAPPED 0u /* or not known */
#define SCSI_LBA_DEALLOCATED 1u
struct scsi_lba_status_descriptor {
	be64_t lba;
	be32_t blocks;
	uint8_t status; /* in its low four bits */
	uint8_t reserved[3];
};
static_assert(sizeof(struct scsi_lba_status_descriptor) == 16, "size");

/* MODE SENSE: SPC-4 7.5.5. */
#define SCSI_MODE_DBD 0x08u
#define SCSI_MODE_LLBAA 0x10u
#define SCSI_MODE_WP 0x80u
#define SCSI_MODE_DPOFUA 0x10u
#define SCSI_PAGE_RECOVERY 0x01u
#define SCSI_PAGE_CACHING 0x08u /* SBC-3 6.5.5 */
#define SCSI_PAGE_CONTROL 0x0au
#define SCSI_PAGE_EXCEPTIONS 0x1cu
#define SCSI_PAGE_CAPABILITIES 0x2au /* MMC-3 6.3.10 */
#define SCSI_PAGE_ALL 0x3fu
#define SCSI_CACHING_WCE 0x04u
struct scsi_mode_header_6 {
	uint8_t data_bytes; /* behind this field */
	uint8_t medium_type;
	uint8_t device_specific;
	uint8_t descriptor_bytes;
};
static_assert(sizeof(struct scsi_mode_header_6) == 4, "size");
struct scsi_mode_header_10 {
	be16_t data_bytes; /* behind this field */
	uint8_t medium_type;
	uint8_t device_specific;
	uint8_t long_lba;
	uint8_t reserved;
	be16_t descriptor_bytes;
};
static_assert(sizeof(struct scsi_mode_header_10) == 8, "size");
struct scsi_mode_descriptor { /* SBC-3 6.5.2.2: short LBA */
	be32_t blocks;
	be32_t block_bytes; /* in its low three bytes */
};
static_assert(sizeof(struct scsi_mode_descriptor) == 8, "size");

/* START STOP UNIT byte 4: SBC-3 5.25, MMC-6 6.42 */
#define SCSI_START 0x01u
#define SCSI_LOEJ 0x02u

/* REPORT LUNS: SPC-4 6.33. A be64_t for each follows. */
struct scsi_lun_list {
	be32_t bytes; /* of the LUNs */
	uint8_t reserved[4];
};
static_assert(sizeof(struct scsi_lun_list) == 8, "size");

/* MMC-6: profiles (5.3), features (5.3), the media class of events (6.6.2.7). */
#define MMC_PROFILE_DVD_ROM 0x0010u
#define MMC_PROFILE_CD_ROM 0x0008u
#define MMC_EVENT_CLASS_OPERATIONAL 1u
#define MMC_EVENT_CLASS_MEDIA 4u
#define MMC_EVENT_EJECT_REQUEST 1u
#define MMC_EVENT_NEW_MEDIA 2u
#define MMC_EVENT_MEDIA_REMOVAL 3u
#define MMC_MEDIA_TRAY_OPEN 0x01u
#define MMC_MEDIA_PRESENT 0x02u

struct mmc_feature_header { /* MMC-6 6.5.2 */
	be32_t data_bytes;  /* behind this field */
	be16_t reserved;
	be16_t current_profile;
};
static_assert(sizeof(struct mmc_feature_header) == 8, "size");

struct mmc_event_header {  /* MMC-6 6.6.2.1 */
	be16_t data_bytes; /* behind this field */
	uint8_t class;     /* 80h: none of the classes asked for */
	uint8_t supported; /* a bit a class */
};
static_assert(sizeof(struct mmc_event_header) == 4, "size");

struct mmc_disc_information { /* MMC-6 6.22.3.1 */
	be16_t data_bytes;    /* behind this field */
	uint8_t status;       /* 0eh: complete session, finalized */
	uint8_t first_track, sessions, first_track_last_session, last_track_last_session;
	uint8_t flags;
	uint8_t type;
	uint8_t sessions_msb, first_track_msb, last_track_msb;
	uint8_t id[4], lead_in[4], lead_out[4], bar_code[8];
	uint8_t application_code, opc_entries;
};
static_assert(sizeof(struct mmc_disc_information) == 34, "size");

struct mmc_toc_track { /* MMC-6 6.26.3.2.1 */
	uint8_t reserved;
	uint8_t adr_control; /* 14h: a data track */
	uint8_t track;       /* aah: the lead-out */
	uint8_t reserved2;
	be32_t start; /* LBA, or 0, minute, second, frame */
};
static_assert(sizeof(struct mmc_toc_track) == 8, "size");

#endif
