/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Integration components on the wire: heartbeat, shutdown, time synchronization. A channel in pipe message mode; each
 * message is an in-band packet whose payload is ic_pipe, ic_header, and what the message type says.
 *
 * The host asks and the guest answers by sending the same bytes back, changed in place, with IC_FLAG_RESPONSE. The first
 * exchange negotiates versions: the host lists the framework versions and the message versions that it knows, the guest
 * answers with one of each (or a count of 0: none fits).
 * Source: the layouts that Linux' include/linux/hyperv.h documents for guests and OpenVMM's hyperv_ic_protocol; little-endian.
 */
#ifndef PROTO_IC_H
#define PROTO_IC_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Interface types and instances, in wire order: the bytes of a struct guid or of a uint8_t[16]. */
/* 57164f39-9115-4e78-ab55-382f3bd5422d, fd149e91-82e0-4a7d-afa6-2a4166cbd7c0 */
#define IC_HEARTBEAT_TYPE                                                               \
	{                                                                               \
		0x39, 0x4f, 0x16, 0x57, 0x15, 0x91, 0x78, 0x4e, 0xab, 0x55, 0x38, 0x2f, \
			0x3b, 0xd5, 0x42, 0x2d                                          \
	}
#define IC_HEARTBEAT_INSTANCE                                                           \
	{                                                                               \
		0x91, 0x9e, 0x14, 0xfd, 0xe0, 0x82, 0x7d, 0x4a, 0xaf, 0xa6, 0x2a, 0x41, \
			0x66, 0xcb, 0xd7, 0xc0                                          \
	}
/* 0e0b6031-5213-4934-818b-38d90ced39db, b6650ff7-33bc-4840-8048-e0676786f393 */
#define IC_SHUTDOWN_TYPE                                                                \
	{                                                                               \
		0x31, 0x60, 0x0b, 0x0e, 0x13, 0x52, 0x34, 0x49, 0x81, 0x8b, 0x38, 0xd9, \
			0x0c, 0xed, 0x39, 0xdb                                          \
	}
#define IC_SHUTDOWN_INSTANCE                                                            \
	{                                                                               \
		0xf7, 0x0f, 0x65, 0xb6, 0xbc, 0x33, 0x40, 0x48, 0x80, 0x48, 0xe0, 0x67, \
			0x67, 0x86, 0xf3, 0x93                                          \
	}
/* 9527e630-d0ae-497b-adce-e80ab0175caf, 2dd1ce17-079e-403c-b352-a1921ee207ee */
#define IC_TIMESYNC_TYPE                                                                \
	{                                                                               \
		0x30, 0xe6, 0x27, 0x95, 0xae, 0xd0, 0x7b, 0x49, 0xad, 0xce, 0xe8, 0x0a, \
			0xb0, 0x17, 0x5c, 0xaf                                          \
	}
#define IC_TIMESYNC_INSTANCE                                                            \
	{                                                                               \
		0x17, 0xce, 0xd1, 0x2d, 0x9e, 0x07, 0x3c, 0x40, 0xb3, 0x52, 0xa1, 0x92, \
			0x1e, 0xe2, 0x07, 0xee                                          \
	}

/* The pipe's header; its two fields are what Windows calls the pipe's packet type and data size. */
#define IC_PIPE_TYPE_DATA 1u
struct ic_pipe {
	uint32_t type;
	uint32_t msgsize; /* bytes behind this header */
};
static_assert(sizeof(struct ic_pipe) == 8, "size");

struct ic_version {
	uint16_t major, minor;
};
static_assert(sizeof(struct ic_version) == 4, "size");

#define IC_FRAMEWORK_1 ((struct ic_version){ 1, 0 })
#define IC_FRAMEWORK_3 ((struct ic_version){ 3, 0 })

enum ic_message_type {
	ICMSGTYPE_NEGOTIATE = 0,
	ICMSGTYPE_HEARTBEAT = 1,
	ICMSGTYPE_KVPEXCHANGE = 2,
	ICMSGTYPE_SHUTDOWN = 3,
	ICMSGTYPE_TIMESYNC = 4,
	ICMSGTYPE_VSS = 5,
	ICMSGTYPE_FCOPY = 7,
};

#define IC_FLAG_TRANSACTION 1u
#define IC_FLAG_REQUEST 2u
#define IC_FLAG_RESPONSE 4u

#define IC_STATUS_OK 0u
#define IC_STATUS_FAIL 0x80004005u
#define IC_STATUS_NOT_SUPPORTED 0x80070032u
#define IC_STATUS_INVALID_ARGUMENT 0x80070057u
#define IC_STATUS_MACHINE_LOCKED 0x800704f7u
#define IC_STATUS_NOT_CONNECTED 0x8007048fu

struct ic_header {
	struct ic_version framework_version;
	uint16_t message_type;
	struct ic_version message_version;
	uint16_t message_size; /* bytes behind this header */
	uint32_t status;
	uint8_t transaction_id;
	uint8_t flags;
	uint8_t reserved[2];
} __attribute__((packed));
static_assert(sizeof(struct ic_header) == 20, "size");
static_assert(offsetof(struct ic_header, status) == 12, "offset");

/* ICMSGTYPE_NEGOTIATE: the framework versions, then the message versions. */
struct ic_negotiate {
	uint16_t framework_count;
	uint16_t message_count;
	uint32_t reserved;
	struct ic_version versions[];
};
static_assert(sizeof(struct ic_negotiate) == 8, "size");

/* ICMSGTYPE_HEARTBEAT: the guest answers with sequence + 1, and its state where it tells one. */
#define IC_HEARTBEAT_STATE_UNKNOWN 0u
#define IC_HEARTBEAT_STATE_HEALTHY 1u
#define IC_HEARTBEAT_STATE_CRITICAL 2u
#define IC_HEARTBEAT_STATE_STOPPED 3u
struct ic_heartbeat {
	uint64_t sequence;
	uint32_t application_state;
	uint32_t reserved[7];
};
static_assert(sizeof(struct ic_heartbeat) == 40, "size");

/* ICMSGTYPE_SHUTDOWN: always whole; guests refuse a shorter one. */
#define IC_SHUTDOWN_FLAG_FORCE 1u
#define IC_SHUTDOWN_FLAG_RESTART 2u
#define IC_SHUTDOWN_FLAG_HIBERNATE 4u
#define IC_SHUTDOWN_REASON_PLANNED 0x80000000u
#define IC_SHUTDOWN_TEXT_BYTES 2048u
struct ic_shutdown {
	uint32_t reason_code;
	uint32_t timeout_seconds;
	uint32_t flags;
	uint8_t display_message[IC_SHUTDOWN_TEXT_BYTES]; /* UTF-16LE, NUL-terminated */
};
static_assert(sizeof(struct ic_shutdown) == 2060, "size");

/* ICMSGTYPE_TIMESYNC. Times in 100 ns; wall clock since 1601-01-01 UTC. */
#define IC_TIME_UNIX_EPOCH 116444736000000000ull
#define IC_TIMESYNC_FLAG_SYNC 1u   /* set the clock */
#define IC_TIMESYNC_FLAG_SAMPLE 2u /* a sample for the guest's own discipline */

/* Versions below 4.0. */
struct ic_timesync {
	uint64_t parent_time;
	uint64_t child_time;
	uint64_t round_trip_time;
	uint8_t flags;
	uint8_t reserved[7];
};
static_assert(sizeof(struct ic_timesync) == 32, "size");

/* From 4.0. */
struct ic_timesync_ref {
	uint64_t parent_time;
	uint64_t
		vm_reference_time; /* the partition's reference time when parent_time was taken */
	uint8_t flags;
	uint8_t leap_indicator; /* NTP's */
	uint8_t stratum;        /* NTP's */
	uint8_t reserved[5];
};
static_assert(sizeof(struct ic_timesync_ref) == 24, "size");

#endif
