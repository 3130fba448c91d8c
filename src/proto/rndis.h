/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remote NDIS: messages ([MS-RNDIS] 2.2), the object identifiers that guests' drivers use, and the NDIS structures that they carry
 * (Windows driver documentation, NDIS_OFFLOAD, NDIS_OFFLOAD_PARAMETERS, NDIS_RECEIVE_SCALE_*). Little-endian, no padding but what is named.
 */
#ifndef PROTO_RNDIS_H
#define PROTO_RNDIS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum rndis_type {
	RNDIS_PACKET = 0x00000001, /* [MS-RNDIS] 2.2.14 */
	RNDIS_INITIALIZE = 0x00000002,
	RNDIS_HALT = 0x00000003,
	RNDIS_QUERY = 0x00000004,
	RNDIS_SET = 0x00000005,
	RNDIS_RESET = 0x00000006,
	RNDIS_INDICATE_STATUS = 0x00000007,
	RNDIS_KEEPALIVE = 0x00000008,
};
#define RNDIS_COMPLETE 0x80000000u /* of the request's type */

#define RNDIS_STATUS_SUCCESS 0x00000000u
#define RNDIS_STATUS_MEDIA_CONNECT 0x4001000bu
#define RNDIS_STATUS_MEDIA_DISCONNECT 0x4001000cu
#define RNDIS_STATUS_FAILURE 0xc0000001u
#define RNDIS_STATUS_NOT_SUPPORTED 0xc00000bbu
#define RNDIS_STATUS_MULTICAST_FULL 0xc0010009u
#define RNDIS_STATUS_INVALID_LENGTH 0xc0010014u
#define RNDIS_STATUS_INVALID_DATA 0xc0010015u

#define RNDIS_MAJOR_VERSION 1u
#define RNDIS_MINOR_VERSION 0u
#define RNDIS_DF_CONNECTIONLESS 1u
#define RNDIS_MEDIUM_802_3 0u
#define RNDIS_MEDIA_CONNECTED 0u
#define RNDIS_MEDIA_DISCONNECTED 1u

struct rndis_header {
	uint32_t type;
	uint32_t length; /* of the message, this header included */
};

/* The bodies, each behind a header. Offsets count from the body's start. */
struct rndis_initialize {
	uint32_t request_id, major_version, minor_version, max_transfer_bytes;
};

struct rndis_initialize_complete {
	uint32_t request_id, status, major_version, minor_version;
	uint32_t device_flags, medium, max_packets_per_message, max_transfer_bytes;
	uint32_t packet_alignment; /* as a power of two */
	uint32_t af_list_offset, af_list_bytes;
};
static_assert(sizeof(struct rndis_initialize_complete) == 44, "size");

/* QUERY and SET. */
struct rndis_request {
	uint32_t request_id, oid, info_bytes, info_offset, reserved;
};

struct rndis_query_complete {
	uint32_t request_id, status, info_bytes, info_offset;
};

/* SET and KEEPALIVE. */
struct rndis_complete {
	uint32_t request_id, status;
};

struct rndis_reset_complete {
	uint32_t status, addressing_reset;
};

struct rndis_indicate_status {
	uint32_t status, buffer_bytes, buffer_offset;
};

struct rndis_packet {
	uint32_t data_offset, data_bytes;
	uint32_t oob_offset, oob_bytes, oob_count;
	uint32_t ppi_offset, ppi_bytes;
	uint32_t reserved[2];
};
static_assert(sizeof(struct rndis_packet) == 36, "size");

/* Per-packet information: this, then the value at value_offset from here. */
struct rndis_ppi {
	uint32_t bytes, type, value_offset;
};
#define RNDIS_PPI_CHECKSUM 0u
#define RNDIS_PPI_LSO 2u
#define RNDIS_PPI_VLAN 6u
#define RNDIS_PPI_HASH 8u

/* RNDIS_PPI_CHECKSUM towards the host … */
#define RNDIS_CSUM_IPV4 0x01u
#define RNDIS_CSUM_IPV6 0x02u
#define RNDIS_CSUM_TCP 0x04u
#define RNDIS_CSUM_UDP 0x08u
#define RNDIS_CSUM_IP_HEADER 0x10u
#define RNDIS_CSUM_L4_OFFSET(v) ((v) >> 16 & 0x3ffu)
/* … and towards the guest. */
#define RNDIS_CSUM_TCP_GOOD 0x08u
#define RNDIS_CSUM_UDP_GOOD 0x10u
#define RNDIS_CSUM_IP_GOOD 0x20u

/* RNDIS_PPI_LSO, version 2. */
#define RNDIS_LSO_MSS(v) ((v)&0xfffffu)
#define RNDIS_LSO_L4_OFFSET(v) ((v) >> 20 & 0x3ffu)
#define RNDIS_LSO_V2 0x40000000u
#define RNDIS_LSO_IPV6 0x80000000u

/* RNDIS_PPI_VLAN: IEEE 802.1Q's tag with its parts in another order. */
#define RNDIS_VLAN_PRIORITY(v) ((v)&7u)
#define RNDIS_VLAN_DEI(v) ((v) >> 3 & 1u)
#define RNDIS_VLAN_ID(v) ((v) >> 4 & 0xfffu)
#define RNDIS_VLAN(priority, dei, id) ((priority) | (dei) << 3 | (id) << 4)

enum rndis_oid {
	OID_GEN_SUPPORTED_LIST = 0x00010101,
	OID_GEN_HARDWARE_STATUS = 0x00010102,
	OID_GEN_MEDIA_SUPPORTED = 0x00010103,
	OID_GEN_MEDIA_IN_USE = 0x00010104,
	OID_GEN_MAXIMUM_LOOKAHEAD = 0x00010105,
	OID_GEN_MAXIMUM_FRAME_SIZE = 0x00010106,
	OID_GEN_LINK_SPEED = 0x00010107, /* in 100 bit/s */
	OID_GEN_TRANSMIT_BUFFER_SPACE = 0x00010108,
	OID_GEN_RECEIVE_BUFFER_SPACE = 0x00010109,
	OID_GEN_TRANSMIT_BLOCK_SIZE = 0x0001010a,
	OID_GEN_RECEIVE_BLOCK_SIZE = 0x0001010b,
	OID_GEN_VENDOR_ID = 0x0001010c,
	OID_GEN_VENDOR_DESCRIPTION = 0x0001010d,
	OID_GEN_CURRENT_PACKET_FILTER = 0x0001010e,
	OID_GEN_CURRENT_LOOKAHEAD = 0x0001010f,
	OID_GEN_DRIVER_VERSION = 0x00010110,
	OID_GEN_MAXIMUM_TOTAL_SIZE = 0x00010111,
	OID_GEN_PROTOCOL_OPTIONS = 0x00010112,
	OID_GEN_MAC_OPTIONS = 0x00010113,
	OID_GEN_MEDIA_CONNECT_STATUS = 0x00010114,
	OID_GEN_MAXIMUM_SEND_PACKETS = 0x00010115,
	OID_GEN_VENDOR_DRIVER_VERSION = 0x00010116,
	OID_GEN_NETWORK_LAYER_ADDRESSES = 0x00010118,
	OID_GEN_TRANSPORT_HEADER_OFFSET = 0x00010119,
	OID_GEN_RECEIVE_SCALE_CAPABILITIES = 0x00010203,
	OID_GEN_RECEIVE_SCALE_PARAMETERS = 0x00010204,
	OID_GEN_RNDIS_CONFIG_PARAMETER = 0x0001021b,
	OID_GEN_XMIT_OK = 0x00020101,
	OID_GEN_RCV_OK = 0x00020102,
	OID_GEN_XMIT_ERROR = 0x00020103,
	OID_GEN_RCV_ERROR = 0x00020104,
	OID_GEN_RCV_NO_BUFFER = 0x00020105,
	OID_GEN_FRIENDLY_NAME = 0x00020216,
	OID_802_3_PERMANENT_ADDRESS = 0x01010101,
	OID_802_3_CURRENT_ADDRESS = 0x01010102,
	OID_802_3_MULTICAST_LIST = 0x01010103,
	OID_802_3_MAXIMUM_LIST_SIZE = 0x01010104,
	OID_802_3_RCV_ERROR_ALIGNMENT = 0x01020101,
	OID_802_3_XMIT_ONE_COLLISION = 0x01020102,
	OID_802_3_XMIT_MORE_COLLISIONS = 0x01020103,
};
/* Beyond what an enumerator may be. */
#define OID_TCP_OFFLOAD_CURRENT_CONFIG 0xfc01020bu
#define OID_TCP_OFFLOAD_PARAMETERS 0xfc01020cu
#define OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES 0xfc01020du

/* OID_GEN_CURRENT_PACKET_FILTER */
#define RNDIS_FILTER_DIRECTED 0x01u
#define RNDIS_FILTER_MULTICAST 0x02u
#define RNDIS_FILTER_ALL_MULTICAST 0x04u
#define RNDIS_FILTER_BROADCAST 0x08u
#define RNDIS_FILTER_PROMISCUOUS 0x20u

/* OID_GEN_MAC_OPTIONS */
#define RNDIS_MAC_RECEIVE_SERIALIZED 0x002u
#define RNDIS_MAC_NO_LOOPBACK 0x008u
#define RNDIS_MAC_FULL_DUPLEX 0x010u
#define RNDIS_MAC_8021P 0x040u
#define RNDIS_MAC_8021Q 0x200u

/* OID_GEN_RNDIS_CONFIG_PARAMETER ([MS-RNDIS] 2.2.10.1); offsets from its own start, texts in UTF-16. */
struct rndis_config_parameter {
	uint32_t name_offset, name_bytes, type, value_offset, value_bytes;
};
#define RNDIS_CONFIG_STRING 2u

struct ndis_object {
	uint8_t type, revision;
	uint16_t bytes;
};
#define NDIS_OBJECT_DEFAULT 0x80u
#define NDIS_OBJECT_RSS_CAPABILITIES 0x88u
#define NDIS_OBJECT_RSS_PARAMETERS 0x89u
#define NDIS_OBJECT_OFFLOAD 0xa7u

#define NDIS_RSS_MSI 0x01000000u
#define NDIS_RSS_AT_ISR 0x02000000u
#define NDIS_RSS_AT_DPC 0x04000000u
#define NDIS_RSS_TCP_IPV4 0x00000100u
#define NDIS_RSS_TCP_IPV6 0x00000200u
/* Revision 2. Guests take 18 bytes and no more. */
struct ndis_rss_capabilities {
	struct ndis_object header;
	uint32_t flags;
	uint32_t messages, queues;
	uint16_t table_entries;
} __attribute__((packed));
static_assert(sizeof(struct ndis_rss_capabilities) == 18, "size");

#define NDIS_HASH_TOEPLITZ 0x00000001u
#define NDIS_HASH_IPV4 0x00000100u
#define NDIS_HASH_TCP_IPV4 0x00000200u
#define NDIS_HASH_IPV6 0x00000400u
#define NDIS_HASH_TCP_IPV6 0x00001000u
#define NDIS_HASH_UDP_IPV4 0x00004000u
#define NDIS_HASH_UDP_IPV6 0x00008000u
#define NDIS_RSS_UNCHANGED_HASH 0x0002u
#define NDIS_RSS_UNCHANGED_TABLE 0x0004u
#define NDIS_RSS_UNCHANGED_KEY 0x0008u
#define NDIS_RSS_DISABLE 0x0010u
#define NDIS_RSS_TABLE_ENTRIES 128u
#define NDIS_RSS_KEY_BYTES 40u
struct ndis_rss_parameters {
	struct ndis_object header;
	uint16_t flags, base_cpu;
	uint32_t hash;
	uint16_t table_bytes, padding1;
	uint32_t
		table_offset; /* of u32 channel numbers; from the structure's start, as the key's */
	uint16_t key_bytes, padding2;
	uint32_t key_offset;
	uint32_t masks_offset, masks, mask_bytes;
};
static_assert(sizeof(struct ndis_rss_parameters) == 40, "size");

#define NDIS_ENCAPSULATION_802_3 2u
#define NDIS_CSUM_IP_OPTIONS 0x001u
#define NDIS_CSUM_TCP_OPTIONS 0x004u
#define NDIS_CSUM_TCP 0x010u
#define NDIS_CSUM_UDP 0x040u
#define NDIS_CSUM_IP 0x100u /* version 4 only */
struct ndis_offload {
	struct ndis_object header;
	struct {
		uint32_t encapsulation, flags;
	} csum[4]; /* IPv4 send, IPv4 receive, IPv6 send, IPv6 receive */
	uint32_t lso_v1[4];
	uint32_t ipsec_v1[7];
	struct {
		uint32_t encapsulation, max_bytes, min_segments;
	} lso4, lso6;
	uint32_t
		lso6_flags; /* NDIS_CSUM_IP_OPTIONS (extension headers), NDIS_CSUM_TCP_OPTIONS */
	uint32_t flags;
	/* revision 2 */
	uint32_t ipsec_v2[8];
	/* revision 3 */
	uint8_t rsc[4];
	uint32_t encapsulated[2];
};
static_assert(sizeof(struct ndis_offload) == 156, "size");
static_assert(offsetof(struct ndis_offload, ipsec_v2) == 112, "offset");
static_assert(offsetof(struct ndis_offload, rsc) == 144, "offset");

/* Each: 0 no change; a checksum: 1 off, 2 send, 3 receive, 4 both; LSO: 1 off, 2 on. */
#define NDIS_OFFLOAD_CSUM_OFF 1u
#define NDIS_OFFLOAD_CSUM_SEND 2u
#define NDIS_OFFLOAD_CSUM_RECEIVE 3u
#define NDIS_OFFLOAD_CSUM_BOTH 4u
#define NDIS_OFFLOAD_LSO_OFF 1u
#define NDIS_OFFLOAD_LSO_ON 2u
struct ndis_offload_parameters {
	struct ndis_object header;
	uint8_t ip4, tcp4, udp4, tcp6, udp6;
	uint8_t lso_v1, ipsec_v1, lso4, lso6, connection4, connection6, reserved;
	uint32_t flags;
};
static_assert(sizeof(struct ndis_offload_parameters) == 20, "size");

#endif
