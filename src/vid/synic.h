/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The synthetic interrupt controller as the rooms above use it: post a message to a VP, set an event flag,
 * be told what the guest posts and signals. TLFS chapter 11.
 *
 * vmbus sees only this interface, as a table of functions, so that its tests need no KVM.
 */
#ifndef VID_SYNIC_H
#define VID_SYNIC_H

#include "proto/hv.h"
#include "util/macros.h"

#define SYNIC_DOORBELLS_MAX 2048u /* a SINT's event flags: no more channels than that */
#define SYNIC_PORTS_MAX 16u

struct synic; /* vid's; partition_synic() gives it */

/*
 * A message that the guest posted to a connection (HvCallPostMessage). Called on the thread of the posting VP, which waits: copy
 * and return, and wait for no thread that may be in message_port(). The payload is already a private copy. Returns an HV_STATUS:
 * INSUFFICIENT_BUFFERS makes the guest try again.
 */
typedef uint16_t (*synic_message_fn)(void *opaque, unsigned int vp, uint32_t type,
				     const void *payload, size_t len);

/* The slot (vp, sint) may take a message again: called on a VP's thread, after EOM, when a post was refused with -EBUSY. */
typedef void (*synic_slot_free_fn)(void *opaque, unsigned int vp, unsigned int sint);

struct synic_ops {
	/*
	 * Puts the message into the VP's slot for `sint` and interrupts it. 0; -EBUSY when the slot holds one (slot_free follows); -ENXIO
	 * when the VP does not exist or has its SynIC, its message page or that SINT off. Thread: any.
	 */
	int (*post)(struct synic *s, unsigned int vp, unsigned int sint,
		    const struct hv_message *msg);
	/* Sets an event flag and interrupts the VP if it was clear. 0 or -ENXIO, as above. Thread: any; takes no lock. */
	int (*signal)(struct synic *s, unsigned int vp, unsigned int sint,
		      unsigned int flag);
	/*
	 * The eventfd is written when the guest signals this connection, without an exit where the host can. It stays the caller's, and stays
	 * open until doorbell_del. Thread: any. -EEXIST, -ENOSPC past SYNIC_DOORBELLS_MAX.
	 */
	int (*doorbell_add)(struct synic *s, uint32_t connection_id, int eventfd);
	void (*doorbell_del)(struct synic *s, uint32_t connection_id);
	/*
	 * One receiver a connection id; fn NULL takes it away, and after return it is not running. -EEXIST, -ENOSPC. Not from within fn.
	 */
	int (*message_port)(struct synic *s, uint32_t connection_id, synic_message_fn fn,
			    void *opaque);
	/* One for the whole SynIC, before the VPs run. */
	void (*on_slot_free)(struct synic *s, synic_slot_free_fn fn, void *opaque);
	/* The count of VPs, fixed. */
	unsigned int (*vps)(struct synic *s);
};

extern const struct synic_ops synic_ops;

/*
 * From here on: for the partition, and for a test that stands in for one.
 */
struct guestmem;

struct synic_env {
	struct guestmem *mem;
	/* Raises `vector` in the VP's local APIC. Thread: any. */
	void (*inject)(void *opaque, unsigned int vp, uint8_t vector);
	/*
	 * The kernel shall write `eventfd` when the guest writes connection_id to HV_PORT_DOORBELL. On any error the SynIC does it itself, when
	 * the exit comes to synic_doorbell(). May be NULL.
	 */
	int (*doorbell)(void *opaque, uint32_t connection_id, int eventfd, bool add);
	void *opaque;
};

/* vps 1..64. -EINVAL, -ENOMEM. */
int synic_new(const struct synic_env *env, unsigned int vps,
	      struct synic **ret) __must_check;
void synic_free(struct synic *s);
/* All registers as at power-on; doorbells, ports and the callback stay. No VP runs. */
void synic_reset(struct synic *s);
/* Gives all doorbells to env.doorbell again: after a reset, in a new VM. */
void synic_doorbells_restore(struct synic *s);
/* The registers SCONTROL, SVERSION, SIEFP, SIMP, EOM, SINT0..15. False: #GP. Thread: the VP's. */
bool synic_msr_read(struct synic *s, unsigned int vp, uint32_t msr, uint64_t *ret);
bool synic_msr_write(struct synic *s, unsigned int vp, uint32_t msr, uint64_t value);
/* HvCallPostMessage and HvCallSignalEvent, already decoded: an HV_STATUS. Thread: the VP's. */
uint16_t synic_post_message(struct synic *s, unsigned int vp, uint32_t connection_id,
			    uint32_t type, const void *payload, size_t len);
uint16_t synic_doorbell(struct synic *s, uint32_t connection_id);

#endif
