/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMBus on the wire: the control messages between a guest's bus driver and the parent, ring buffers, packets.
 * Source: the layouts that Linux' include/linux/hyperv.h documents for guests, and OpenVMM's description of the protocol;
 * little-endian, no padding but what is named.
 */
#ifndef PROTO_VMBUS_H
#define PROTO_VMBUS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* The SINT that VMBus uses, and the connections a guest posts its messages to. */
#define VMBUS_MESSAGE_SINT 2u
#define VMBUS_MESSAGE_CONNECTION_ID 1u   /* versions below 5.0 */
#define VMBUS_MESSAGE_CONNECTION_ID_4 4u /* INITIATE_CONTACT from 5.0 on */
#define VMBUS_MESSAGE_MAX 240u

#define VMBUS_VERSION(major, minor) (((uint32_t)(major) << 16) | (minor))
#define VMBUS_VERSION_WIN8 VMBUS_VERSION(2, 4)
#define VMBUS_VERSION_WIN8_1 VMBUS_VERSION(3, 0)
#define VMBUS_VERSION_WIN10 VMBUS_VERSION(4, 0)
#define VMBUS_VERSION_WIN10_V4_1 VMBUS_VERSION(4, 1)
#define VMBUS_VERSION_WIN10_V5 VMBUS_VERSION(5, 0)
#define VMBUS_VERSION_WIN10_V5_1 VMBUS_VERSION(5, 1)
#define VMBUS_VERSION_WIN10_V5_2 VMBUS_VERSION(5, 2)
#define VMBUS_VERSION_WIN10_V5_3 VMBUS_VERSION(5, 3)

enum vmbus_message_type {
	CHANNELMSG_INVALID = 0,
	CHANNELMSG_OFFERCHANNEL = 1,
	CHANNELMSG_RESCIND_CHANNELOFFER = 2,
	CHANNELMSG_REQUESTOFFERS = 3,
	CHANNELMSG_ALLOFFERS_DELIVERED = 4,
	CHANNELMSG_OPENCHANNEL = 5,
	CHANNELMSG_OPENCHANNEL_RESULT = 6,
	CHANNELMSG_CLOSECHANNEL = 7,
	CHANNELMSG_GPADL_HEADER = 8,
	CHANNELMSG_GPADL_BODY = 9,
	CHANNELMSG_GPADL_CREATED = 10,
	CHANNELMSG_GPADL_TEARDOWN = 11,
	CHANNELMSG_GPADL_TORNDOWN = 12,
	CHANNELMSG_RELID_RELEASED = 13,
	CHANNELMSG_INITIATE_CONTACT = 14,
	CHANNELMSG_VERSION_RESPONSE = 15,
	CHANNELMSG_UNLOAD = 16,
	CHANNELMSG_UNLOAD_RESPONSE = 17,
	CHANNELMSG_TL_CONNECT_REQUEST = 21,
	CHANNELMSG_MODIFYCHANNEL = 22,
	CHANNELMSG_TL_CONNECT_RESULT = 23,
	CHANNELMSG_MODIFYCHANNEL_RESPONSE = 24,
};

/* Status fields: an NTSTATUS or HRESULT; guests look at success and failure. */
#define VMBUS_STATUS_SUCCESS 0u
#define VMBUS_STATUS_UNSUCCESSFUL 0x8000ffffu
#define VMBUS_STATUS_CONNECTION_REFUSED 0xc0000236u

struct vmbus_header {
	uint32_t message_type;
	uint32_t padding;
};
static_assert(sizeof(struct vmbus_header) == 8, "size");

#define VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE 0x0001u
#define VMBUS_CHANNEL_NAMED_PIPE_MODE 0x0010u
#define VMBUS_PIPE_TYPE_BYTE 0u
#define VMBUS_PIPE_TYPE_MESSAGE 4u
#define VMBUS_OFFER_USER_BYTES 120u
#define VMBUS_MONITOR_NONE 0xffu

struct vmbus_offer_channel {
	struct vmbus_header header;
	uint8_t interface_type[16];     /* struct guid */
	uint8_t interface_instance[16]; /* struct guid */
	uint64_t reserved1[2];
	uint16_t channel_flags;
	uint16_t mmio_megabytes;
	uint8_t user_defined
		[VMBUS_OFFER_USER_BYTES]; /* in pipe mode the first u32 is VMBUS_PIPE_TYPE_* */
	uint16_t sub_channel_index;
	uint16_t reserved2;
	uint32_t child_relid;
	uint8_t monitor_id;              /* VMBUS_MONITOR_NONE */
	uint8_t monitor_allocated;       /* bit 0 */
	uint16_t is_dedicated_interrupt; /* bit 0 */
	uint32_t connection_id;
} __attribute__((packed));
static_assert(sizeof(struct vmbus_offer_channel) == 196, "size");
static_assert(offsetof(struct vmbus_offer_channel, user_defined) == 60, "offset");
static_assert(offsetof(struct vmbus_offer_channel, child_relid) == 184, "offset");

/* RESCIND_CHANNELOFFER, CLOSECHANNEL, RELID_RELEASED. */
struct vmbus_relid_message {
	struct vmbus_header header;
	uint32_t child_relid;
};
static_assert(sizeof(struct vmbus_relid_message) == 12, "size");

#define VMBUS_VP_NONE 0xffffffffu
struct vmbus_open_channel {
	struct vmbus_header header;
	uint32_t child_relid;
	uint32_t open_id;
	uint32_t ring_gpadl;
	uint32_t target_vp; /* VMBUS_VP_NONE: no interrupts, the guest polls */
	uint32_t
		downstream_page_offset; /* pages of the ring the guest writes; the rest is ours */
	uint8_t user_data[VMBUS_OFFER_USER_BYTES];
};
static_assert(sizeof(struct vmbus_open_channel) == 148, "size");

struct vmbus_open_result {
	struct vmbus_header header;
	uint32_t child_relid;
	uint32_t open_id;
	uint32_t status;
};
static_assert(sizeof(struct vmbus_open_result) == 20, "size");

/* A range: byte count and offset, then the page frame numbers that cover them. */
struct vmbus_gpa_range {
	uint32_t byte_count;
	uint32_t byte_offset;
	uint64_t pfn[];
};
static_assert(sizeof(struct vmbus_gpa_range) == 8, "size");

struct vmbus_gpadl_header {
	struct vmbus_header header;
	uint32_t child_relid;
	uint32_t gpadl;
	uint16_t range_buflen; /* bytes of all ranges, over all messages */
	uint16_t range_count;
	uint8_t ranges
		[]; /* struct vmbus_gpa_range, of which the first message holds what fits */
};
static_assert(sizeof(struct vmbus_gpadl_header) == 20, "size");

struct vmbus_gpadl_body {
	struct vmbus_header header;
	uint32_t message_number;
	uint32_t gpadl;
	uint8_t bytes[]; /* the ranges go on here */
};
static_assert(sizeof(struct vmbus_gpadl_body) == 16, "size");

struct vmbus_gpadl_created {
	struct vmbus_header header;
	uint32_t child_relid;
	uint32_t gpadl;
	uint32_t status;
};
static_assert(sizeof(struct vmbus_gpadl_created) == 20, "size");

struct vmbus_gpadl_teardown {
	struct vmbus_header header;
	uint32_t child_relid;
	uint32_t gpadl;
};
static_assert(sizeof(struct vmbus_gpadl_teardown) == 16, "size");

struct vmbus_gpadl_torndown {
	struct vmbus_header header;
	uint32_t gpadl;
};
static_assert(sizeof(struct vmbus_gpadl_torndown) == 12, "size");

struct vmbus_initiate_contact {
	struct vmbus_header header;
	uint32_t version_requested;
	uint32_t target_vp;
	union {
		uint64_t interrupt_page; /* below 5.0; unused since 2.4 */
		struct {
			uint8_t msg_sint; /* from 5.0 */
			uint8_t msg_vtl;
			uint8_t reserved[2];
			uint32_t feature_flags;
		};
	};
	uint64_t monitor_page[2]; /* parent to child, child to parent */
};
static_assert(sizeof(struct vmbus_initiate_contact) == 40, "size");

struct vmbus_version_response {
	struct vmbus_header header;
	uint8_t version_supported;
	uint8_t connection_state; /* 0 success */
	uint16_t padding;
	uint32_t
		msg_connection_id; /* from 5.0: where the guest posts from now on; below: the version */
};
static_assert(sizeof(struct vmbus_version_response) == 16, "size");

/* Hyper-V sockets: a guest wants to connect to a service of the host; the answer, from 4.1, is for a failure. */
struct vmbus_tl_connect_request {
	struct vmbus_header header;
	uint8_t endpoint_id[16]; /* struct guid */
	uint8_t service_id[16];  /* struct guid */
};
static_assert(sizeof(struct vmbus_tl_connect_request) == 40, "size");

struct vmbus_tl_connect_result {
	struct vmbus_header header;
	uint8_t endpoint_id[16];
	uint8_t service_id[16];
	uint32_t status;
};
static_assert(sizeof(struct vmbus_tl_connect_result) == 44, "size");

struct vmbus_modify_channel {
	struct vmbus_header header;
	uint32_t child_relid;
	uint32_t target_vp;
};
static_assert(sizeof(struct vmbus_modify_channel) == 16, "size");

struct vmbus_modify_channel_response {
	struct vmbus_header header;
	uint32_t child_relid;
	uint32_t status;
};
static_assert(sizeof(struct vmbus_modify_channel_response) == 16, "size");

/* The first page of each ring; the data follows in the next pages. */
#define VMBUS_RING_FEATURE_PENDING_SEND_SIZE 1u
struct vmbus_ring_header {
	uint32_t write_index;
	uint32_t read_index;
	uint32_t interrupt_mask;
	uint32_t pending_send_size;
	uint32_t reserved1[12];
	uint32_t feature_bits;
	uint8_t reserved2[4096 - 68];
};
static_assert(sizeof(struct vmbus_ring_header) == 4096, "size");
static_assert(offsetof(struct vmbus_ring_header, feature_bits) == 64, "offset");

enum vmbus_packet_type {
	VM_PKT_DATA_INBAND = 6,
	VM_PKT_DATA_USING_XFER_PAGES = 7,
	VM_PKT_DATA_USING_GPADL = 8,
	VM_PKT_DATA_USING_GPA_DIRECT = 9,
	VM_PKT_CANCEL_REQUEST = 10,
	VM_PKT_COMP = 11,
};

#define VMBUS_PACKET_FLAG_COMPLETION_REQUESTED 1u
struct vmbus_packet {
	uint16_t type;
	uint16_t offset8; /* bytes / 8 from the packet's start to its payload */
	uint16_t len8;    /* bytes / 8 of descriptor and payload */
	uint16_t flags;
	uint64_t transaction_id;
};
static_assert(sizeof(struct vmbus_packet) == 16, "size");
#define VMBUS_PACKET_TRAILER_BYTES 8u /* behind each packet: its ring offset << 32 */

/* VM_PKT_DATA_USING_GPA_DIRECT: reserved, count, then that many struct vmbus_gpa_range, then the payload at offset8. */
struct vmbus_packet_gpa_direct {
	struct vmbus_packet packet;
	uint32_t reserved;
	uint32_t range_count;
	uint8_t ranges[];
};
static_assert(sizeof(struct vmbus_packet_gpa_direct) == 24, "size");

/* VM_PKT_DATA_USING_XFER_PAGES. */
struct vmbus_xfer_range {
	uint32_t byte_count;
	uint32_t byte_offset;
};
struct vmbus_packet_xfer_pages {
	struct vmbus_packet packet;
	uint16_t xfer_pageset_id;
	uint8_t sender_owns_set;
	uint8_t reserved;
	uint32_t range_count;
	struct vmbus_xfer_range ranges[];
};
static_assert(sizeof(struct vmbus_packet_xfer_pages) == 24, "size");

#endif
