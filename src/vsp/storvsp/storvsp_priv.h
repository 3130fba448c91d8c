/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the controller: the device (storvsp.c), its negotiation (storvsp_init.c), a channel and its commands (storvsp_io.c). */
#ifndef VSP_STORVSP_STORVSP_PRIV_H
#define VSP_STORVSP_STORVSP_PRIV_H

#include "proto/storvsp.h"
#include "util/list.h"
#include "vsp/storvsp/storvsp.h"

/*
 * Commands under way on one channel. What the guest sends beyond waits in its ring; so that one slow or held back unit cannot fill all of it, a
 * unit has a quota, above which its commands are answered BUSY: the guest sends them again. Linux keeps at most 350 on a channel.
 */
#define STORVSP_DEPTH 512u
#define STORVSP_UNIT_QUOTA 384u
/* Requests are made as they are first needed, so many at once. */
#define STORVSP_CHUNK 32u
/* Pages of the largest transfer, and one when it begins inside a page. */
#define STORVSP_IOVS (STORVSP_TRANSFER_MAX / 4096u + 1u)

enum storvsp_phase {
	STORVSP_BEGIN,
	STORVSP_VERSION,
	STORVSP_PROPERTIES,
	STORVSP_END,
	STORVSP_READY,
};

/* How far the guest's driver has come. Pure: packets in, answers out. */
struct storvsp_init {
	enum storvsp_phase phase;
	uint16_t version; /* 0 before it is agreed */
	unsigned int max_sub_channels;
};

void storvsp_init_reset(struct storvsp_init *in, unsigned int max_sub_channels);
/*
 * Answers a packet of the negotiation in place: operation and status, and what it asked for. *ret_subs: sub-channels to make, 0 for
 * none; storvsp_init_no_subs() turns the answer when that fails.
 */
void storvsp_init_packet(struct storvsp_init *in, struct vstor_packet *p,
			 unsigned int *ret_subs);
void storvsp_init_no_subs(struct vstor_packet *p);

/* What commands of a unit came to; one writer, read by any. */
struct storvsp_count {
	_Atomic uint64_t n[STORVSP_COUNTS];
};

struct storvsp {
	/* Fixed after init. */
	struct vsp *vsp;
	enum aio_engine engine;
	unsigned int max_sub_channels;
	char name[32];
	void (*removed)(void *opaque);
	void *removed_opaque;
	/* Serving thread of the primary channel; between its close and open, the bus thread. */
	struct storvsp_init init;
	/* Any thread. */
	atomic_bool ready;          /* the guest's driver is up: sub-channels serve */
	atomic_bool rescan;         /* units came or went, and the guest was not told */
	struct scsi_target target;  /* path 0, target 0 */
	struct scsi_target nowhere; /* every other: no units */
	atomic_uint again; /* rises when what was held by an error is to be tried again */
	atomic_uint rates; /* rises when what waits for its time is to ask anew */
	atomic_uint held[SCSI_LUNS];
	/* Bus thread: open channels, and what the closed ones counted. */
	struct list channels;
	uint64_t past[SCSI_LUNS][STORVSP_COUNTS];
};

struct storvsp_request {
	struct scsi_cmd cmd;
	struct storvsp_channel *ch;
	struct storvsp_request *next;
	uint64_t transaction_id;
	uint64_t began_ns;
	uint64_t until_ns; /* held: not before this time; 0: until `again` rises */
	bool wants_completion;
	/* The answer; its srb holds the guest's numbers. */
	size_t packet_bytes;
	struct vstor_packet packet;
	struct iovec iov[STORVSP_IOVS], spare[STORVSP_IOVS];
};

/* One open channel. Thread: serving. */
struct storvsp_channel {
	struct list link; /* bus thread */
	struct storvsp *s;
	struct vsp_channel *vc;
	const struct guestmem *gm;
	struct aio *aio;
	bool is_primary;
	bool starved;        /* a packet waits for a request */
	unsigned int active; /* the held ones too */
	uint16_t unit_active[SCSI_LUNS];
	struct storvsp_count counts[SCSI_LUNS];
	unsigned int again, rates; /* as last seen */
	/* In the order in which they were held. */
	unsigned int held;
	struct storvsp_request *held_first, **held_end;
	struct storvsp_request *free;
	unsigned int used; /* of the chunks, in order */
	struct storvsp_request *chunks[STORVSP_DEPTH / STORVSP_CHUNK];
};

extern const struct vsp_ops storvsp_ops;

/* storvsp_count.c: a command has ended. Thread: serving. */
void storvsp_count_end(struct storvsp_channel *ch, const struct storvsp_request *req);
/* A channel opens and closes. Thread: bus. */
void storvsp_count_open(struct storvsp_channel *ch);
void storvsp_count_close(struct storvsp_channel *ch);

/* storvsp_hold.c: commands that wait for their time, or for the operator. Thread: serving. */
void storvsp_hold_init(struct storvsp_channel *ch);
/* scsi_cmd.hold */
void storvsp_hold(struct scsi_cmd *cmd, uint64_t until_ns);
/* Executes what is due, unless the channel is to stand still. */
void storvsp_hold_run(struct storvsp_channel *ch);
/* The channel is closed; nobody waits for them. */
void storvsp_hold_drop(struct storvsp_channel *ch);
/* storvsp_io.c: from the beginning, on its unit. */
void storvsp_execute(struct storvsp_request *req);

#endif
