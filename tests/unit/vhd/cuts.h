/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts under any format. A guest writes, discards and flushes; every change of the file is on a tape (tape.h). At each point of it, several
 * times with other unsynced changes lost or torn, the image must open, be found whole, and hold what was flushed. Each unit (4 KiB) that the guest
 * uses has a history of values: after a cut each sector must hold the last value that was promised to be durable, or a later one.
 * Thread: one. State: kept here, for one test at a time.
 */
#ifndef TESTS_UNIT_VHD_CUTS_H
#define TESTS_UNIT_VHD_CUTS_H

#include "vhd/disk.h"

struct cuts {
	unsigned int blocks;  /* that the guest uses, at most CUTS_BLOCKS */
	uint32_t block_bytes; /* at least 32 KiB */
	uint64_t distance;    /* between them */
	uint32_t fresh;       /* every 4 bytes of a disk that nobody wrote to */
	unsigned int steps, reopen,
		a_point; /* steps of the guest, between reopenings; cuts at each point */
	void (*make)(int fd); /* in an empty file */
	struct disk *(*open)(int fd);
	struct disk *(*open_changed)(int fd); /* after the change; NULL: as open */
	/* What a unit at `at` of its block reads as from the change on; NULL: as before. */
	uint32_t (*shown)(const struct cuts *c, unsigned int block, uint64_t at,
			  uint32_t value);
	void (*check)(int fd, size_t cut); /* ends the test where it finds anything */
};

#define CUTS_BLOCKS 32u

/* What the guest did, on the tape; leaves the image closed. */
void cuts_record(const struct cuts *c, uint64_t seed);
/*
 * The same guest, and then `change`, of which every point is cut: the content must be there throughout. The changes before are durable.
 */
void cuts_record_change(const struct cuts *c, uint64_t seed, void (*change)(int fd));
/* Cuts at each point of the tape. */
void cuts_verify(const struct cuts *c);
/*
 * The same while the image that a cut at `point` left is opened, a block is made, and it is closed, on a tape of its own: cuts_record() is needed again
 * after it.
 */
void cuts_verify_replay(const struct cuts *c, size_t point);

/* How many times as many cuts shall be made as usual: the environment's CUTS, or 1. Each time with other seeds. */
unsigned int cuts_times(void);
/* Cuts that this test made; a test that cuts by itself adds to it. */
extern size_t cuts_made;

/* Fixtures of Check: the count begins, and is printed. */
void cuts_setup(void);
void cuts_teardown(void);

#endif
