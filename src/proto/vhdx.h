/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VHDX format on disk. Little-endian; 4 KiB is the unit that is written whole. The first megabyte is the header section; log,
 * block allocation table (BAT), metadata and payload blocks stand anywhere behind it, at megabytes.
 * GUIDs are uint8_t[16], the bytes of a struct guid; their values are for GUID_INIT() of util/guid.h.
 * Source: [MS-VHDX], the section named at each struct.
 */
#ifndef PROTO_VHDX_H
#define PROTO_VHDX_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define VHDX_SIGNATURE_FILE 0x656c696678646876ull     /* "vhdxfile" */
#define VHDX_SIGNATURE_METADATA 0x617461646174656dull /* "metadata" */
#define VHDX_SIGNATURE_HEAD 0x64616568u               /* "head" */
#define VHDX_SIGNATURE_REGI 0x69676572u               /* "regi" */
#define VHDX_SIGNATURE_LOGE 0x65676f6cu               /* "loge" */
#define VHDX_SIGNATURE_ZERO 0x6f72657au               /* "zero" */
#define VHDX_SIGNATURE_DESC 0x63736564u               /* "desc" */
#define VHDX_SIGNATURE_DATA 0x61746164u               /* "data" */

#define VHDX_MIB (1ull << 20)
#define VHDX_SECTOR_BYTES 4096u
#define VHDX_HEADER_SECTION_BYTES VHDX_MIB
#define VHDX_HEADER_OFFSET_1 (64u << 10)
#define VHDX_HEADER_OFFSET_2 (128u << 10)
#define VHDX_REGION_OFFSET_1 (192u << 10)
#define VHDX_REGION_OFFSET_2 (256u << 10)
#define VHDX_REGION_TABLE_BYTES (64u << 10)
#define VHDX_METADATA_TABLE_BYTES (64u << 10)
#define VHDX_TABLE_ENTRIES_MAX 2047u /* of the region and of the metadata table */

#define VHDX_DISK_BYTES_MAX (64ull << 40)
#define VHDX_BLOCK_BYTES_MIN (1u << 20)
#define VHDX_BLOCK_BYTES_MAX (256u << 20)
/* Sectors whose bitmap fills one sector bitmap block of 1 MiB: 2.5. */
#define VHDX_CHUNK_SECTORS (1ull << 23)

/* 2.2.1 File Type Identifier, at 0. */
struct vhdx_file_id {
	uint64_t signature;
	uint16_t creator[256]; /* UTF-16, for people */
};
static_assert(sizeof(struct vhdx_file_id) == 520, "MS-VHDX 2.2.1");

/* 2.2.2 Headers. The checksum of each struct is CRC-32C with this field as 0. */
#define VHDX_VERSION 1u
#define VHDX_LOG_VERSION 0u
struct vhdx_header {
	uint32_t signature;
	uint32_t checksum; /* over 4 KiB */
	uint64_t sequence;
	uint8_t file_write_guid[16]; /* changes before the first write after an open */
	uint8_t data_write_guid[16]; /* and this before what the guest sees changes */
	uint8_t log_guid[16];        /* null: the log is empty */
	uint16_t log_version;
	uint16_t version;
	uint32_t log_length;
	uint64_t log_offset;
	uint8_t reserved[4016];
};
static_assert(offsetof(struct vhdx_header, log_guid) == 48, "MS-VHDX 2.2.2");
static_assert(offsetof(struct vhdx_header, log_offset) == 72, "MS-VHDX 2.2.2");
static_assert(sizeof(struct vhdx_header) == VHDX_SECTOR_BYTES, "MS-VHDX 2.2.2");

/* 2.2.3.1 Region Table Header. */
struct vhdx_region_table {
	uint32_t signature;
	uint32_t checksum; /* over 64 KiB */
	uint32_t entries;
	uint32_t reserved;
};
static_assert(sizeof(struct vhdx_region_table) == 16, "MS-VHDX 2.2.3.1");

/* 2.2.3.2 Region Table Entry. */
#define VHDX_REGION_BAT GUID_INIT(0x2dc27766, 0xf623, 0x4200, 0x9d64, 0x115e9bfd4a08)
#define VHDX_REGION_METADATA GUID_INIT(0x8b7ca206, 0x4790, 0x4b9a, 0xb8fe, 0x575f050f886e)
#define VHDX_REGION_REQUIRED 1u
struct vhdx_region_entry {
	uint8_t guid[16];
	uint64_t offset;
	uint32_t length;
	uint32_t flags;
};
static_assert(sizeof(struct vhdx_region_entry) == 32, "MS-VHDX 2.2.3.2");

/* 2.3.1.1 Log Entry Header; the descriptors follow it at once, the data sectors on the next multiple of 4 KiB. */
struct vhdx_log_header {
	uint32_t signature;
	uint32_t checksum; /* over the whole entry */
	uint32_t length;
	uint32_t tail; /* offset in the log of the oldest entry that counts */
	uint64_t sequence;
	uint32_t descriptors;
	uint32_t reserved;
	uint8_t log_guid[16];
	uint64_t flushed_file_offset; /* the file was at least this long, durably */
	uint64_t last_file_offset;    /* and is to be this long after a replay */
};
static_assert(offsetof(struct vhdx_log_header, log_guid) == 32, "MS-VHDX 2.3.1.1");
static_assert(sizeof(struct vhdx_log_header) == 64, "MS-VHDX 2.3.1.1");

/* 2.3.1.2 Zero Descriptor, 2.3.1.3 Data Descriptor: of one size, told apart by the signature. */
struct vhdx_log_zero {
	uint32_t signature;
	uint32_t reserved;
	uint64_t length;
	uint64_t file_offset;
	uint64_t sequence;
};
static_assert(sizeof(struct vhdx_log_zero) == 32, "MS-VHDX 2.3.1.2");

#define VHDX_LOG_LEADING_BYTES 8u
#define VHDX_LOG_DATA_BYTES 4084u
#define VHDX_LOG_TRAILING_BYTES 4u
struct vhdx_log_desc {
	uint32_t signature;
	uint8_t trailing[VHDX_LOG_TRAILING_BYTES];
	uint8_t leading[VHDX_LOG_LEADING_BYTES];
	uint64_t file_offset;
	uint64_t sequence;
};
static_assert(sizeof(struct vhdx_log_desc) == 32, "MS-VHDX 2.3.1.3");

/* 2.3.1.4 Data Sector: the middle of a sector; its ends stand in the descriptor. */
struct vhdx_log_data {
	uint32_t signature;
	uint32_t sequence_high;
	uint8_t data[VHDX_LOG_DATA_BYTES];
	uint32_t sequence_low;
};
static_assert(sizeof(struct vhdx_log_data) == VHDX_SECTOR_BYTES, "MS-VHDX 2.3.1.4");

/* Descriptors in the entry's first sector, which is all that we write; others may use more. */
#define VHDX_LOG_FIRST_DESCRIPTORS                              \
	((VHDX_SECTOR_BYTES - sizeof(struct vhdx_log_header)) / \
	 sizeof(struct vhdx_log_desc))

/* 2.5 BAT. An entry: 2.5.1. */
#define VHDX_BAT_STATE(entry) ((unsigned int)((entry)&7u))
#define VHDX_BAT_OFFSET(entry) ((entry) & ~(VHDX_MIB - 1))
enum vhdx_block_state { /* 2.5.1.1; 4 and 5 are reserved */
			VHDX_BLOCK_NOT_PRESENT = 0,
			VHDX_BLOCK_UNDEFINED = 1,
			VHDX_BLOCK_ZERO = 2,
			VHDX_BLOCK_UNMAPPED = 3,
			VHDX_BLOCK_FULLY_PRESENT = 6,
			VHDX_BLOCK_PARTIALLY_PRESENT = 7, /* differencing only */
};

#define VHDX_BITMAP_PRESENT 6u /* 2.5.1.2, of a sector bitmap; 0: not present */

/* 2.6.1.1 Metadata Table Header. */
struct vhdx_metadata_table {
	uint64_t signature;
	uint16_t reserved;
	uint16_t entries;
	uint32_t reserved2[5];
};
static_assert(sizeof(struct vhdx_metadata_table) == 32, "MS-VHDX 2.6.1.1");

/* 2.6.1.2 Metadata Table Entry. */
#define VHDX_METADATA_USER 1u
#define VHDX_METADATA_VIRTUAL_DISK 2u
#define VHDX_METADATA_REQUIRED 4u
struct vhdx_metadata_entry {
	uint8_t item[16];
	uint32_t offset; /* from the region's start, at least VHDX_METADATA_TABLE_BYTES */
	uint32_t length;
	uint32_t flags;
	uint32_t reserved;
};
static_assert(sizeof(struct vhdx_metadata_entry) == 32, "MS-VHDX 2.6.1.2");

/* 2.6.2 the known items. */
#define VHDX_ITEM_FILE_PARAMETERS \
	GUID_INIT(0xcaa16737, 0xfa36, 0x4d43, 0xb3b6, 0x33f0aa44e76b)
#define VHDX_ITEM_DISK_SIZE GUID_INIT(0x2fa54224, 0xcd1b, 0x4876, 0xb211, 0x5dbed83bf4b8)
#define VHDX_ITEM_DISK_ID GUID_INIT(0xbeca12ab, 0xb2e6, 0x4523, 0x93ef, 0xc309e000c746)
#define VHDX_ITEM_LOGICAL_SECTOR \
	GUID_INIT(0x8141bf1d, 0xa96f, 0x4709, 0xba47, 0xf233a8faab5f)
#define VHDX_ITEM_PHYSICAL_SECTOR \
	GUID_INIT(0xcda348c7, 0x445d, 0x4471, 0x9cc9, 0xe9885251c556)
#define VHDX_ITEM_PARENT_LOCATOR \
	GUID_INIT(0xa8d35f2d, 0xb30b, 0x454d, 0xabf7, 0xd3d84834ab0c)

/* 2.6.2.1 File Parameters. */
#define VHDX_PARAM_LEAVE_ALLOCATED 1u
#define VHDX_PARAM_HAS_PARENT 2u
struct vhdx_file_parameters {
	uint32_t block_bytes;
	uint32_t flags;
};
static_assert(sizeof(struct vhdx_file_parameters) == 8, "MS-VHDX 2.6.2.1");

/* 2.6.2.6 Parent Locator: offsets are from the item's start, texts UTF-16 without a final NUL. 2.6.2.6.3: the keys. */
#define VHDX_LOCATOR_TYPE GUID_INIT(0xb04aefb7, 0xd19e, 0x4a81, 0xb789, 0x25b8e9445913)
struct vhdx_locator {
	uint8_t type[16];
	uint16_t reserved;
	uint16_t pairs;
};
static_assert(sizeof(struct vhdx_locator) == 20, "MS-VHDX 2.6.2.6.1");

struct vhdx_locator_entry {
	uint32_t key_offset;
	uint32_t value_offset;
	uint16_t key_length;
	uint16_t value_length;
};
static_assert(sizeof(struct vhdx_locator_entry) == 12, "MS-VHDX 2.6.2.6.2");

#endif
