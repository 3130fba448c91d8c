/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks that are no images, above and below the one whose power cuts are tried: a parent of one value, and a child that has half of its blocks.
 * One of each at a time. Thread: the test's.
 */
#ifndef TESTS_UNIT_VHD_FAKES_H
#define TESTS_UNIT_VHD_FAKES_H

#include "unit/vhd/cuts.h"

/* `bytes` long, each 4 of which are TAPE_PARENT_VALUE; its content_id is 1. Nothing needs to be freed. */
struct disk *fakes_parent(uint64_t bytes);

/*
 * Of every other block of `c`, from the first on, it has the first half as TAPE_PARENT_VALUE and the second as zeros; the rest is `below`'s, of which it
 * takes the reference.
 */
struct disk *fakes_child(const struct cuts *c, struct disk *below);
/* cuts.shown of what is below it. */
uint32_t fakes_shown(const struct cuts *c, unsigned int block, uint64_t at,
		     uint32_t value);
/* The merge of it into `below`: what image_merge() does between opening and the parent's new identity. */
void fakes_merge(const struct cuts *c, struct disk *below);

#endif
