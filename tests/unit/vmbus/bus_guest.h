/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's bus driver for tests, driven step by step: a bus on a fake SynIC, real guest memory, a loop that runs while the test waits.
 * One thread. What does not come is caught by Check's timeout.
 */
#ifndef TESTS_UNIT_VMBUS_BUS_GUEST_H
#define TESTS_UNIT_VMBUS_BUS_GUEST_H

#include <event2/event.h>
#include "unit/vmbus/fake_synic.h"
#include "unit/vmbus/guest_ring.h"
#include "vmbus/vmbus.h"

#define BUS_GUEST_BYTES (4ull << 20)
#define BUS_GUEST_OFFERS 16

struct bus_guest {
	struct synic synic;
	struct guestmem *gm;
	uint8_t *ram;
	struct event_base *loop;
	struct vmbus *bus;
	unsigned int vp;      /* where its messages come */
	unsigned int flag_vp; /* that the last event flag came to */
	unsigned int changes;
	int irq; /* eventfd: something came */
	struct event *ev_irq;
	struct vmbus_offer_channel offers[BUS_GUEST_OFFERS];
	unsigned int offer_count;
	uint32_t next_gpadl;
};

void bus_guest_init(struct bus_guest *g, unsigned int vps);
/* Resets the bus first, if it is still there. */
void bus_guest_done(struct bus_guest *g);

/* Posts; waits while the bus has no buffer. */
void bus_guest_post(struct bus_guest *g, const void *msg, size_t len);
/* The next message, which must be of this type; copied into `msg` of at most `len` bytes (may be NULL). */
void bus_guest_expect(struct bus_guest *g, uint32_t type, void *msg, size_t len);
/* Runs what is due; no message may have come. */
void bus_guest_quiet(struct bus_guest *g);
/* One round of the loop: waits for an event. */
void bus_guest_wait(struct bus_guest *g);
/* What is due, without waiting. */
void bus_guest_poll(struct bus_guest *g);

/* INITIATE_CONTACT and its answer: true when accepted. */
bool bus_guest_contact(struct bus_guest *g, uint32_t version);
/* REQUESTOFFERS; fills g->offers. */
void bus_guest_offers(struct bus_guest *g);
/* Both, at 5.3. */
void bus_guest_connect(struct bus_guest *g);

/* A GPADL of `pages` from gpa on, waits for its creation: its handle, 0 when refused. */
uint32_t bus_guest_gpadl(struct bus_guest *g, uint32_t relid, uint64_t gpa,
			 unsigned int pages);
void bus_guest_teardown(struct bus_guest *g, uint32_t relid, uint32_t gpadl);
/* Opens with a ring pair of 2 * pages at gpa; fills *ring. The status. */
uint32_t bus_guest_open(struct bus_guest *g, uint32_t relid, uint64_t gpa,
			unsigned int pages, unsigned int vp, struct guest_ring *ring,
			uint32_t *ret_gpadl);
void bus_guest_close(struct bus_guest *g, uint32_t relid);
void bus_guest_release(struct bus_guest *g, uint32_t relid);
uint32_t bus_guest_connection(const struct bus_guest *g, uint32_t relid);
/* Sends on a channel and rings its doorbell if the ring asks for it. */
void bus_guest_send(struct bus_guest *g, struct guest_ring *ring, uint32_t relid,
		    uint16_t flags, uint64_t id, const void *payload, size_t len);
/* Waits for a packet on the ring. */
void bus_guest_recv(struct bus_guest *g, struct guest_ring *ring, uint32_t relid,
		    struct vmbus_packet *ret_desc, void *payload, size_t max,
		    size_t *ret_len);

#endif
