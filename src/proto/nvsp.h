/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The synthetic network adapter's protocol over a VMBus channel, NVSP 1 to 6.1: a message is the payload of a VMBus packet. Control
 * messages are in-band; an RNDIS message (proto/rndis.h) lies in the buffers that the guest lent: towards the host in a section of the send
 * buffer, in pages beside the packet, or in both, one behind the other; towards the guest in the receive buffer, as transfer pages.
 * Source: what Linux' drivers/net/hyperv/hyperv_net.h and OpenVMM's netvsp document of layouts and numbers. Little-endian, no padding but
 * what is named.
 */
#ifndef PROTO_NVSP_H
#define PROTO_NVSP_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Interface type of the offer, in wire order: f8615163-df3e-46c5-913f-f2d2f965ed0e. */
#define NVSP_NETWORK_TYPE                                                               \
	{                                                                               \
		0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2, \
			0xf9, 0x65, 0xed, 0x0e                                          \
	}

#define NVSP_VERSION_1 0x00002u
#define NVSP_VERSION_2 0x30002u
#define NVSP_VERSION_4 0x40000u
#define NVSP_VERSION_5 0x50000u /* sub-channels */
#define NVSP_VERSION_6 0x60000u
#define NVSP_VERSION_61 0x60001u
#define NVSP_VERSION_NONE 0xffffffffu

enum nvsp_type {
	NVSP_INIT = 1,
	NVSP_INIT_COMPLETE = 2,
	/* version 1 */
	NVSP_SEND_NDIS_VERSION = 100,
	NVSP_SEND_RECEIVE_BUFFER = 101,
	NVSP_SEND_RECEIVE_BUFFER_COMPLETE = 102,
	NVSP_REVOKE_RECEIVE_BUFFER = 103,
	NVSP_SEND_SEND_BUFFER = 104,
	NVSP_SEND_SEND_BUFFER_COMPLETE = 105,
	NVSP_REVOKE_SEND_BUFFER = 106,
	NVSP_SEND_RNDIS_PACKET = 107,
	NVSP_SEND_RNDIS_PACKET_COMPLETE = 108,
	/* version 2 */
	NVSP_SEND_NDIS_CONFIG = 125,
	/* version 4 */
	NVSP_SEND_VF_ASSOCIATION = 128,
	NVSP_SWITCH_DATA_PATH = 129,
	NVSP_UPLINK_CONNECT_STATE = 130,
	/* version 5 */
	NVSP_OID_QUERY_EX = 131,
	NVSP_OID_QUERY_EX_COMPLETE = 132,
	NVSP_SUB_CHANNEL = 133, /* the answer has the same type */
	NVSP_SEND_INDIRECTION_TABLE = 134,
	/* version 6.1 */
	NVSP_PD_API = 135,
	NVSP_PD_POST_BATCH = 136,
};

enum nvsp_status {
	NVSP_STATUS_NONE = 0,
	NVSP_STATUS_SUCCESS = 1,
	NVSP_STATUS_FAILURE = 2,
	NVSP_STATUS_INVALID_RNDIS_PACKET = 5,
	NVSP_STATUS_BUSY = 6,
};

struct nvsp_init {
	uint32_t min_version, max_version;
};

struct nvsp_init_complete {
	uint32_t version; /* NVSP_VERSION_NONE since Windows 7: the guest's stands */
	uint32_t max_mdl_chain;
	uint32_t status;
};

struct nvsp_ndis_version {
	uint32_t major, minor;
};

/* SEND_RECEIVE_BUFFER and SEND_SEND_BUFFER. */
struct nvsp_buffer {
	uint32_t gpadl;
	uint16_t id; /* the pageset id of transfer pages */
	uint16_t reserved;
};

struct nvsp_section {
	uint32_t offset, sub_bytes, sub_count, end_offset;
};

struct nvsp_receive_buffer_complete {
	uint32_t status;
	uint32_t sections; /* never but one */
	struct nvsp_section section;
};

struct nvsp_send_buffer_complete {
	uint32_t status;
	uint32_t section_bytes;
};

#define NVSP_CHANNEL_DATA 0u
#define NVSP_CHANNEL_CONTROL 1u
#define NVSP_NO_SECTION 0xffffffffu
struct nvsp_rndis_packet {
	uint32_t channel_type;
	uint32_t section_index; /* of the send buffer, or NVSP_NO_SECTION */
	uint32_t section_bytes;
};

#define NVSP_CAP_VMQ 0x01u
#define NVSP_CAP_SRIOV 0x04u
#define NVSP_CAP_8021Q 0x08u
#define NVSP_CAP_TEAMING 0x20u
#define NVSP_CAP_RSC 0x80u
struct nvsp_ndis_config {
	uint32_t mtu; /* of a frame with its Ethernet header */
	uint32_t reserved;
	uint32_t capabilities[2]; /* NVSP_CAP_*, one number of 64 bits */
};

#define NVSP_SUB_CHANNEL_ALLOCATE 1u
/* The request has the operation where its answer has the status. */
struct nvsp_sub_channel {
	uint32_t operation_or_status;
	uint32_t count;
};

#define NVSP_SEND_TABLE_ENTRIES 16u
struct nvsp_send_table {
	uint32_t count;
	uint32_t offset; /* of the table, from the message's start */
};

struct nvsp_oid_query_ex_complete {
	uint32_t status; /* RNDIS_STATUS_* */
	uint32_t bytes;
};

struct nvsp_message {
	uint32_t type;
	union {
		struct nvsp_init init;
		struct nvsp_init_complete init_complete;
		struct nvsp_ndis_version ndis_version;
		struct nvsp_buffer buffer;
		struct nvsp_receive_buffer_complete receive_buffer_complete;
		struct nvsp_send_buffer_complete send_buffer_complete;
		struct nvsp_rndis_packet rndis;
		uint32_t status; /* SEND_RNDIS_PACKET_COMPLETE */
		uint16_t revoke_id;
		struct nvsp_ndis_config ndis_config;
		struct nvsp_sub_channel sub_channel;
		struct nvsp_send_table send_table;
		struct nvsp_oid_query_ex_complete oid_query_ex_complete;
		struct {
			uint32_t operation, status;
		} pd_api;
		uint32_t words[9];
	};
};
static_assert(sizeof(struct nvsp_message) == 40, "size");
static_assert(offsetof(struct nvsp_message, words) == 4, "offset");
static_assert(sizeof(struct nvsp_receive_buffer_complete) == 24, "size");
static_assert(sizeof(struct nvsp_ndis_config) == 16, "size");
static_assert(offsetof(struct nvsp_message, ndis_config.capabilities) == 12, "offset");

#define NVSP_MESSAGE_BYTES 28u    /* below 6.1 */
#define NVSP_MESSAGE_BYTES_61 40u /* from 6.1 on */

#endif
