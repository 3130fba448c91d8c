/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk under test, and a model of what it must hold: requests that are waited for, and random ones on both. One disk and one aio at a
 * time, kept here. Thread: one; rig_run_on() any, with an aio of its own.
 */
#ifndef TESTS_UNIT_VHD_RIG_H
#define TESTS_UNIT_VHD_RIG_H

#include "vhd/image_ops.h"

#define RIG_MIB (1u << 20)
#define RIG_BYTES (24u * RIG_MIB) /* of the model */

extern struct aio *rig_aio;
extern struct disk *rig_disk;
extern struct image_error rig_error;
extern enum disk_cache rig_cache; /* of images to come; NONE: in files, not memory */
extern unsigned char *rig_model, *rig_buf; /* RIG_BYTES each */

/* Fixtures of Check. */
void rig_setup(void);
void rig_teardown(void);
void rig_engine(enum aio_engine engine);

/* A file without a name. */
int rig_file(void);
/* The same with an image in it. */
int rig_make(const struct image_create_params *params);
/* Opens a chain, leaf first, of duplicates: the descriptors stay the caller's. The formats are of the same order; NULL: all VHD. */
int rig_open(const int *fds, const enum image_format *formats, unsigned int n,
	     bool read_only);
void rig_close(void);

/* image_check() finds nothing. */
void rig_check(int fd, enum image_format format);
/* Of all that the file holds. */
uint32_t rig_sum(int fd);

/* A request, ended; its result. `p` is cut in two elements of the iovec: aligned to no page, but for a half of those with O_DIRECT. */
int rig_run_on(struct aio *aio, enum disk_op op, unsigned int flags, uint64_t off,
	       void *p, uint64_t len);
int rig_run(enum disk_op op, unsigned int flags, uint64_t off, void *p, uint64_t len);

uint64_t rig_random(uint64_t *state);
/* A random request on disk and model. */
void rig_step(uint64_t *seed);
/* Disk and model are the same. */
void rig_compare(void);

#endif
