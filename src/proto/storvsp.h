/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The synthetic SCSI controller's protocol over a VMBus channel: a VSTOR packet is the payload of each VMBus packet; the pages
 * of a command's data are the GPA-direct ranges beside it. Little-endian, no padding but what is named.
 * Source: the layouts that Linux' drivers/scsi/storvsc_drv.c documents for guests, and OpenVMM's storvsp_protocol.
 */
#ifndef PROTO_STORVSP_H
#define PROTO_STORVSP_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Interface type of the offer, in wire order: ba6163d9-04a1-4d29-b605-72e2ffb1dc7f. */
#define VSTOR_SCSI_TYPE                                                                 \
	{                                                                               \
		0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2, \
			0xff, 0xb1, 0xdc, 0x7f                                          \
	}

enum vstor_operation {
	VSTOR_COMPLETE_IO = 1,
	VSTOR_REMOVE_DEVICE = 2,
	VSTOR_EXECUTE_SRB = 3,
	VSTOR_RESET_LUN = 4,
	VSTOR_RESET_ADAPTER = 5,
	VSTOR_RESET_BUS = 6,
	VSTOR_BEGIN_INITIALIZATION = 7,
	VSTOR_END_INITIALIZATION = 8,
	VSTOR_QUERY_PROTOCOL_VERSION = 9,
	VSTOR_QUERY_PROPERTIES = 10,
	VSTOR_ENUMERATE_BUS = 11, /* from the parent: look for LUNs that came or went */
	VSTOR_FCHBA_DATA = 12,
	VSTOR_CREATE_SUB_CHANNELS = 13,
	VSTOR_EVENT_NOTIFICATION = 14,
};

#define VSTOR_VERSION(major, minor) ((uint16_t)((major) << 8 | (minor)))
#define VSTOR_VERSION_WIN6 VSTOR_VERSION(2, 0)
#define VSTOR_VERSION_WIN7 VSTOR_VERSION(4, 2)
#define VSTOR_VERSION_WIN8 VSTOR_VERSION(5, 1) /* longer requests, sub-channels */
#define VSTOR_VERSION_WIN8_1 VSTOR_VERSION(6, 0)
#define VSTOR_VERSION_WIN10 VSTOR_VERSION(6, 2)

#define VSTOR_PACKET_FLAG_COMPLETION 1u

/* NTSTATUS values ([MS-ERREF] 2.3.1) that answer a VSTOR packet. */
#define VSTOR_STATUS_SUCCESS 0x00000000u
#define VSTOR_STATUS_BUFFER_OVERFLOW 0x80000005u
#define VSTOR_STATUS_DEVICE_BUSY 0x80000011u
#define VSTOR_STATUS_UNSUCCESSFUL 0xc0000001u
#define VSTOR_STATUS_INVALID_PARAMETER 0xc000000du
#define VSTOR_STATUS_INVALID_DEVICE_REQUEST 0xc0000010u
#define VSTOR_STATUS_REVISION_MISMATCH 0xc0000059u
#define VSTOR_STATUS_DEVICE_DOES_NOT_EXIST 0xc00000c0u
#define VSTOR_STATUS_INVALID_DEVICE_STATE 0xc0000184u
#define VSTOR_STATUS_IO_DEVICE_ERROR 0xc0000185u

#define VSTOR_CDB_BYTES 16u
#define VSTOR_SENSE_BYTES 20u      /* what a guest of WIN7 or later takes */
#define VSTOR_SENSE_BYTES_WIN6 18u /* and one before */

/* vstor_srb.data_in */
#define VSTOR_DATA_OUT 0u /* guest to disk */
#define VSTOR_DATA_IN 1u  /* disk to guest */
#define VSTOR_DATA_NONE 2u

#define VSTOR_SRB_FLAG_DATA_IN 0x40u
#define VSTOR_SRB_FLAG_DATA_OUT 0x80u

/* vstor_srb.srb_status: SCSI port driver's codes, of which bit 7 says that sense_data holds sense. */
enum vstor_srb_status {
	VSTOR_SRB_PENDING = 0x00,
	VSTOR_SRB_SUCCESS = 0x01,
	VSTOR_SRB_ABORTED = 0x02,
	VSTOR_SRB_ERROR = 0x04,
	VSTOR_SRB_BUSY = 0x05,
	VSTOR_SRB_INVALID_REQUEST = 0x06,
	VSTOR_SRB_INVALID_PATH_ID = 0x07,
	VSTOR_SRB_NO_DEVICE = 0x08,
	VSTOR_SRB_DATA_OVERRUN = 0x12,
	VSTOR_SRB_BAD_LENGTH = 0x15,
	VSTOR_SRB_INVALID_LUN = 0x20,
	VSTOR_SRB_INVALID_TARGET_ID = 0x21,
};
#define VSTOR_SRB_AUTOSENSE_VALID 0x80u

struct vstor_srb {
	uint16_t length;
	uint8_t srb_status;
	uint8_t scsi_status;
	uint8_t port_number;
	uint8_t path_id;
	uint8_t target_id;
	uint8_t lun;
	uint8_t cdb_length;
	uint8_t sense_info_length;
	uint8_t data_in;
	uint8_t reserved;
	uint32_t data_transfer_length;
	union {
		uint8_t cdb[VSTOR_CDB_BYTES];
		uint8_t sense_data[VSTOR_SENSE_BYTES];
	};
	/* From WIN8 on; before, a packet ends here. */
	uint16_t reserved2;
	uint8_t queue_tag;
	uint8_t queue_action;
	uint32_t srb_flags;
	uint32_t time_out_value;
	uint32_t queue_sort_key;
};
static_assert(sizeof(struct vstor_srb) == 52, "size");
static_assert(offsetof(struct vstor_srb, data_transfer_length) == 12, "offset");
static_assert(offsetof(struct vstor_srb, cdb) == 16, "offset");
static_assert(offsetof(struct vstor_srb, srb_flags) == 40, "offset");

#define VSTOR_PROPERTIES_MULTI_CHANNEL 1u

struct vstor_channel_properties {
	uint32_t reserved;
	uint16_t max_channel_count; /* sub-channels that may be created */
	uint16_t reserved1;
	uint32_t flags;
	uint32_t max_transfer_bytes;
	uint32_t reserved2[2];
};
static_assert(sizeof(struct vstor_channel_properties) == 24, "size");
static_assert(offsetof(struct vstor_channel_properties, max_transfer_bytes) == 12,
	      "offset");

struct vstor_protocol_version {
	uint16_t major_minor;
	uint16_t revision;
};
static_assert(sizeof(struct vstor_protocol_version) == 4, "size");

struct vstor_packet {
	uint32_t operation;
	uint32_t flags;
	uint32_t status;
	union {
		struct vstor_srb srb;
		struct vstor_channel_properties properties;
		struct vstor_protocol_version version;
		uint16_t sub_channel_count;
		uint8_t bytes[52];
	};
};
static_assert(sizeof(struct vstor_packet) == 64, "size");
static_assert(offsetof(struct vstor_packet, srb) == 12, "offset");

#define VSTOR_PACKET_BYTES 64u      /* from WIN8 on */
#define VSTOR_PACKET_BYTES_WIN7 48u /* before: without the four last fields */

#endif
