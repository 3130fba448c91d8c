/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The synthetic SCSI controller: offers itself on the bus, negotiates with the guest's storvsc, and runs its commands on the
 * logical units that are attached, each open channel on a thread and an I/O engine of its own.
 *
 * Thread: the bus thread, unless said otherwise. Units may be attached and detached while the guest runs; it is told to look.
 */
#ifndef VSP_STORVSP_STORVSP_H
#define VSP_STORVSP_STORVSP_H

#include "back/scsi_target.h"
#include "vsp/vsp.h"

struct storvsp;

/* What commands of one unit came to. Reads and writes are those that move a sector or more. */
enum storvsp_counter {
	STORVSP_READ_BYTES,
	STORVSP_WRITE_BYTES,
	STORVSP_READS,
	STORVSP_WRITES,
	STORVSP_FLUSHES,
	STORVSP_ERRORS,     /* of these three */
	STORVSP_LATENCY_NS, /* of these three: from the ring to the answer, summed */
	STORVSP_COUNTS
};

#define STORVSP_CONTROLLERS 4u
#define STORVSP_TRANSFER_MAX (1u << 20)

struct storvsp_params {
	struct vmbus *bus;
	struct event_base *loop;
	unsigned int controller; /* 0 to 3: for the name that people see */
	struct guid
		instance; /* stays the same over the VM's life: guests name devices by it */
	unsigned int
		max_sub_channels; /* beside the first; at most one less than the VPs */
	enum aio_engine engine;
};

/* Errors of vsp_new; -EINVAL. */
int storvsp_new(const struct storvsp_params *params, struct storvsp **ret) __must_check;
/* Rescinds the offer, drops all units, frees; then done(opaque). As vsp_remove(). */
void storvsp_remove(struct storvsp *s, void (*done)(void *opaque), void *opaque);
/* For vsp_pause() and statistics. */
struct vsp *storvsp_vsp(struct storvsp *s);

/* Takes over the reference on success. -EEXIST, -EINVAL (lun beyond 63). */
int storvsp_attach(struct storvsp *s, unsigned int lun,
		   struct scsi_dev *dev) __must_check;
/* The guest sees it gone at once; the device goes when its last command is done. -ENOENT. */
int storvsp_detach(struct storvsp *s, unsigned int lun) __must_check;
/* Has the guest look at all units again: for a disk that has another size. */
void storvsp_rescan(struct storvsp *s);
/* After vsp_pause(): goes on, and executes anew what a unit's error held back. */
void storvsp_resume(struct storvsp *s);
/* A unit has another rate: what waits by the old one asks again. */
void storvsp_rates_changed(struct storvsp *s);
/*
 * A new medium for the DVD drive at `lun`, NULL to take it out; takes over the reference on success. -ENOENT, -EINVAL when it is no drive or
 * the medium too small.
 */
int storvsp_change_medium(struct storvsp *s, unsigned int lun,
			  struct disk *medium) __must_check;
/* Of all commands to this LUN since the controller was made, whatever stood there. */
void storvsp_counts(const struct storvsp *s, unsigned int lun,
		    uint64_t ret[STORVSP_COUNTS]);
/* A reference on a unit, or NULL. Any thread. */
struct scsi_dev *storvsp_unit(struct storvsp *s, unsigned int lun);

#endif
