/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Persistent reservations (SPC-4 5.12, 6.15, 6.16) as a pure state machine: who is registered with which key, who holds which reservation, whom to tell. The
 * state is one block of a fixed size without pointers, so that workers of several VMs can keep it in a file (scsi_pr_file.h).
 *
 * An initiator is a VM: all channels and controllers of one are one I_T nexus. Thread: the caller's; nothing is locked here.
 */
#ifndef BACK_SCSI_PR_H
#define BACK_SCSI_PR_H

#include "back/scsi.h"
#include "util/guid.h"

#define SCSI_PR_SLOTS 64u

enum scsi_pr_type { /* SPC-4 6.15.3.4 */
		    SCSI_PR_NONE = 0,
		    SCSI_PR_WRITE_EXCLUSIVE = 1,
		    SCSI_PR_EXCLUSIVE_ACCESS = 3,
		    SCSI_PR_WRITE_EXCLUSIVE_REGISTRANTS = 5,
		    SCSI_PR_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
		    SCSI_PR_WRITE_EXCLUSIVE_ALL = 7,
		    SCSI_PR_EXCLUSIVE_ACCESS_ALL = 8,
};

/* One initiator that is registered, or was and is to be told of its end. */
struct scsi_pr_slot {
	struct guid initiator; /* null: the slot is free */
	uint64_t key;          /* 0: not registered */
	uint32_t ua;           /* SCSI_UA_* that it has not seen yet */
	uint32_t reserved;
};

struct scsi_pr {
	uint64_t magic;
	uint64_t changes; /* rises with every change of any member */
	uint32_t generation;
	uint8_t type;   /* enum scsi_pr_type */
	uint8_t holder; /* slot of the holder, unless all registrants hold it */
	uint8_t aptpl;  /* outlives the last VM that uses the disk */
	uint8_t reserved;
	struct scsi_pr_slot slots[SCSI_PR_SLOTS];
};
static_assert(sizeof(struct scsi_pr) == 24 + 32 * SCSI_PR_SLOTS, "size");

enum scsi_pr_action { /* SPC-4 6.16.2 */
		      SCSI_PR_REGISTER,
		      SCSI_PR_RESERVE,
		      SCSI_PR_RELEASE,
		      SCSI_PR_CLEAR,
		      SCSI_PR_PREEMPT,
		      SCSI_PR_PREEMPT_AND_ABORT,
		      SCSI_PR_REGISTER_AND_IGNORE,
};

void scsi_pr_init(struct scsi_pr *pr);
/* Whether a block from a file is a state: everything that is used as an index or a type. */
bool scsi_pr_is_sane(const struct scsi_pr *pr);

/* A parameter list of PERSISTENT RESERVE OUT with what its CDB says: SPC-4 6.16.2, 6.16.3. */
struct scsi_pr_out {
	uint8_t action, scope, type;
	uint64_t key, action_key;
	bool aptpl;
};

struct scsi_pr_result {
	bool conflict;         /* RESERVATION CONFLICT */
	enum scsi_sense sense; /* else this, or SCSI_NO_SENSE: done */
	/* Whose commands a PREEMPT AND ABORT waits for. */
	struct guid victims[SCSI_PR_SLOTS];
	unsigned int victim_count;
};

/* Does one service action for an initiator; changes nothing unless it is done. `persists`: APTPL can be kept. */
void scsi_pr_out(struct scsi_pr *pr, const struct guid *initiator,
		 const struct scsi_pr_out *out, bool persists,
		 struct scsi_pr_result *ret);
/* The data of a service action of PERSISTENT RESERVE IN: its bytes, 0 for one that there is not. `buf` has SCSI_PR_IN_MAX. */
#define SCSI_PR_IN_MAX (8u + SCSI_PR_SLOTS * (24u + 24u))
size_t scsi_pr_in(const struct scsi_pr *pr, unsigned int action, bool persists,
		  uint8_t *buf);

/* Whether an initiator's command meets a reservation: SPC-4 5.12.1 tables, SBC-3 4.17. PERSISTENT RESERVE OUT never does here: its own rules decide. */
bool scsi_pr_conflicts(const struct scsi_pr *pr, const struct guid *initiator,
		       const uint8_t *cdb);
/* Takes what an initiator is to be told: a mask of SCSI_UA_*. */
unsigned int scsi_pr_take_ua(struct scsi_pr *pr, const struct guid *initiator);
bool scsi_pr_has_ua(const struct scsi_pr *pr, const struct guid *initiator);

#endif
