/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains of images in memory files, and a model of what the disk on top of one holds. For tests of one thread. */
#ifndef TESTS_UNIT_VHD_CHAINS_H
#define TESTS_UNIT_VHD_CHAINS_H

#include "vhd/image_ops.h"

#define MIB (1ull << 20)
#define DISK_MAX (16 * MIB)

extern struct image_error error;
extern struct image_file files[IMAGE_CHAIN_MAX + 1];
extern struct disk *disk;    /* that the random steps use */
extern uint8_t *model, *buf; /* DISK_MAX each */

void chains_setup(void);
void chains_teardown(void);
uint64_t random_to(uint64_t n);
int run(struct disk *d, enum disk_op op, unsigned int flags, uint64_t off, uint64_t len,
	uint8_t *data);
int new_file(void);
/* files[from..from + n), of which the descriptors stay the test's. */
int try_chain(unsigned int from, unsigned int n, bool read_only, struct disk **ret);
struct disk *open_chain(unsigned int from, unsigned int n, bool read_only);
/* A VHDX at files[at], over files[at + 1..at + below]. */
void make(unsigned int at, unsigned int below, uint64_t bytes, uint32_t logical,
	  uint32_t block);
void close_files(unsigned int n);
void fill(uint8_t *p, uint64_t n);
/* A write, discard, zeroing or read of `disk`, and of the model. */
void random_step(uint32_t sector);
/* `disk` reads as the model. */
void read_all(void);
/* image_check() finds nothing. */
void check(unsigned int at);

#endif
