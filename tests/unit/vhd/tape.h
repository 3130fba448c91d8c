/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host of the test's own, in place of vhd/file.c and vhd/aio.c: files in memory, and a tape of every write, change of size, zeroing and
 * sync of one of them, in order. From the tape a file can be made as a power cut would leave it.
 *
 * What a sync has followed is kept. Of what none has, each change is kept, lost, or torn at sectors of 512 bytes. A write with
 * RWF_DSYNC is kept, as it says. Thread: the tape may be written by any; the rest is the test's.
 */
#ifndef TESTS_UNIT_VHD_TAPE_H
#define TESTS_UNIT_VHD_TAPE_H

#include "vhd/aio.h"

#define TAPE_LIVE 100000 /* descriptor of the file that is recorded */
#define TAPE_CUT 100001  /* of the one that tape_cut() makes */
#define TAPE_PARENT \
	100002 /* of one without end that nobody writes: every 4 bytes are TAPE_PARENT_VALUE */
#define TAPE_PARENT_VALUE 0x706172e5u

/* Empties both files and the tape. */
void tape_reset(void);
/* What the live file holds is what it is before the first cut. */
void tape_start(void);
/* Changes on the tape. */
size_t tape_len(void);
/*
 * TAPE_CUT becomes what is left when power goes after n changes; `seed` chooses what is lost. n must not fall from one call to
 * the next.
 */
void tape_cut(size_t n, uint64_t *seed);
/* TAPE_CUT becomes the live file, with an empty tape. */
void tape_adopt(void);
/* Runs what aio_post() brought until nothing is pending. */
void tape_drain(void);

#endif
