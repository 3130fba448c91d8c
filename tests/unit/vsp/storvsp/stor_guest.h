/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's storage driver for tests, over the bus driver of tests/unit/vmbus: negotiates, sends commands with any fields, takes
 * answers. And a disk whose requests wait for the test, ended on the thread they belong to.
 */
#ifndef TESTS_UNIT_VSP_STORVSP_STOR_GUEST_H
#define TESTS_UNIT_VSP_STORVSP_STOR_GUEST_H

#include "proto/storvsp.h"
#include "unit/vmbus/bus_guest.h"
#include "vsp/storvsp/storvsp.h"

#define STOR_RING_GPA 0x100000u
#define STOR_RING_PAGES 17u
#define STOR_DATA_GPA 0x200000u /* 1 MiB and more for data */

struct stor_channel {
	uint32_t relid, gpadl;
	struct guest_ring ring;
};

struct stor_guest {
	struct bus_guest g;
	struct storvsp *s;
	struct stor_channel ch[3]; /* the primary, two sub-channels */
	uint64_t next_id;
	bool removed;
};

/* A controller on a bus that the guest has found; nothing is open. */
void stor_guest_init(struct stor_guest *sg, enum aio_engine engine);
/* Resets the bus, removes the controller, checks that nothing is left. */
void stor_guest_done(struct stor_guest *sg);
void stor_guest_open(struct stor_guest *sg, unsigned int ch);
void stor_guest_close(struct stor_guest *sg, unsigned int ch);
/* Opens the primary and negotiates `version`, all as Linux does. */
void stor_guest_start(struct stor_guest *sg, uint16_t version);
/* Asks for two sub-channels and opens them. */
void stor_guest_start_subs(struct stor_guest *sg);

/* A packet as it is and its completion, which must be the next. The answer's bytes. */
size_t stor_guest_exchange(struct stor_guest *sg, unsigned int ch, struct vstor_packet *p,
			   size_t len);
/* A packet of the negotiation: its status. */
uint32_t stor_guest_ask(struct stor_guest *sg, unsigned int ch, uint32_t operation,
			uint16_t value, struct vstor_packet *ret);

struct stor_range {
	uint32_t bytes, offset;
	uint64_t gpa;       /* of its first page, which are neighbours */
	unsigned int pages; /* 0: as many as bytes and offset need */
};

/* EXECUTE_SRB with these ranges; gives its transaction id. */
uint64_t stor_guest_send(struct stor_guest *sg, unsigned int ch,
			 const struct vstor_packet *p, const struct stor_range *ranges,
			 unsigned int n);
/* The next completion on a channel: its id. */
uint64_t stor_guest_recv(struct stor_guest *sg, unsigned int ch, struct vstor_packet *p);
/* The next packet of any kind: a completion's id, 0 for what the host sends by itself. */
uint64_t stor_guest_recv_any(struct stor_guest *sg, unsigned int ch,
			     struct vstor_packet *p);
/* A command of up to 16 bytes with data in one range at STOR_DATA_GPA; the answer in *ret. */
void stor_guest_command(struct stor_guest *sg, unsigned int ch, unsigned int lun,
			const uint8_t *cdb, uint8_t cdb_bytes, uint8_t data_in,
			uint32_t bytes, struct vstor_packet *ret);
/* READ (10) or WRITE (10) as a packet. */
struct vstor_packet stor_guest_rw(unsigned int lun, bool write, uint32_t lba,
				  uint16_t blocks);

/* Every request waits until the test lets one through, and ends with the errno that it gave last. */
struct gate_disk {
	struct disk disk;
	int gate; /* eventfd that counts down */
	atomic_uint waiting;
	pthread_mutex_t
		lock; /* what the test wrote comes before what the thread does with it */
	int error;
	unsigned int *closed;
};
struct gate_disk *gate_disk_new(uint64_t bytes);
void gate_disk_let(struct gate_disk *d, unsigned int n, int error);

#endif
