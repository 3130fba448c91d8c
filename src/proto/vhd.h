/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VHD format on disk. Big-endian; sectors of 512 bytes, each written whole. A fixed image is the disk's bytes and a footer. A dynamic or
 * differencing one is a copy of the footer, the dynamic header, the block allocation table (BAT), blocks (each a sector bitmap and data),
 * and the footer; all but the copy and the footer may stand anywhere.
 * Identities are uint8_t[16]; they are only ever compared.
 * Source: Virtual Hard Disk Image Format Specification, version 1.0 (Microsoft, 11 October 2006), the section named at each struct.
 */
#ifndef PROTO_VHD_H
#define PROTO_VHD_H

#include <assert.h>
#include <stddef.h>

#include "proto/be.h"

#define VHD_SECTOR_BYTES 512u
#define VHD_DISK_BYTES_MAX (2040ull << 30)
/* Seconds from 1970 to 1 January 2000, 12:00:00 AM UTC, from which time stamps count. */
#define VHD_EPOCH 946684800ll

enum vhd_type { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };

struct vhd_geometry {
	be16_t cylinders;
	uint8_t heads, sectors;
};

/* Hard Disk Footer Format. */
#define VHD_COOKIE_FOOTER "conectix"
#define VHD_FEATURES_RESERVED 2u /* always set */
#define VHD_VERSION 0x00010000u
#define VHD_NO_OFFSET UINT64_MAX
struct vhd_footer {
	uint8_t cookie[8];
	be32_t features;
	be32_t version;
	be64_t data_offset; /* of the dynamic header; VHD_NO_OFFSET for a fixed image */
	be32_t time_stamp;  /* when the image was made */
	uint8_t creator_application[4];
	be32_t creator_version;
	uint8_t creator_host_os[4];
	be64_t original_size;
	be64_t current_size;
	struct vhd_geometry geometry;
	be32_t type;
	be32_t checksum; /* one's complement of the sum of all other bytes of the struct */
	uint8_t unique_id[16];
	uint8_t saved_state;
	uint8_t reserved[427]; /* one less in images made before Virtual PC 2004 */
};
static_assert(offsetof(struct vhd_footer, current_size) == 48, "Hard Disk Footer Format");
static_assert(offsetof(struct vhd_footer, checksum) == 64, "Hard Disk Footer Format");
static_assert(sizeof(struct vhd_footer) == VHD_SECTOR_BYTES, "Hard Disk Footer Format");

/* Parent Locator Entry. */
#define VHD_PLATFORM_W2RU 0x57327275u /* relative path, UTF-16 little-endian */
#define VHD_PLATFORM_W2KU 0x57326b75u /* absolute path, so too */
struct vhd_locator {
	be32_t platform;
	be32_t data_space; /* sectors; some writers have bytes here */
	be32_t data_length;
	be32_t reserved;
	be64_t data_offset;
};
static_assert(sizeof(struct vhd_locator) == 24, "Parent Locator Entries");

/* Dynamic Disk Header Format. */
#define VHD_COOKIE_HEADER "cxsparse"
#define VHD_LOCATORS 8u
#define VHD_PARENT_NAME_UNITS 256u
struct vhd_header {
	uint8_t cookie[8];
	be64_t data_offset; /* VHD_NO_OFFSET */
	be64_t table_offset;
	be32_t version;
	be32_t table_entries;
	be32_t block_size;
	be32_t checksum; /* as the footer's */
	uint8_t parent_id[16];
	be32_t parent_time_stamp;
	be32_t reserved;
	be16_t parent_name[VHD_PARENT_NAME_UNITS]; /* UTF-16, big-endian */
	struct vhd_locator locators[VHD_LOCATORS];
	uint8_t reserved2[256];
};
static_assert(offsetof(struct vhd_header, checksum) == 36, "Dynamic Disk Header Format");
static_assert(offsetof(struct vhd_header, locators) == 576, "Dynamic Disk Header Format");
static_assert(sizeof(struct vhd_header) == 1024, "Dynamic Disk Header Format");

/*
 * Block Allocation Table and Data Blocks. An entry is the sector at which the block's bitmap begins; the bitmap has a bit a sector of the block,
 * the first one in the highest bit of its first byte, and is padded to a sector. 1: the sector's data are in the block.
 * 0: it was never written: zeros, or the parent's.
 */
#define VHD_BAT_UNUSED 0xffffffffu
#define VHD_BLOCK_BYTES_DEFAULT (2u << 20)

#endif
