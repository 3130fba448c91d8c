/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other readers and writers of our formats, and a folder with an image for them: what we make, they find whole and equal; what
 * they make, we read and write. Thread: one.
 */
#ifndef TESTS_UNIT_VHD_READERS_H
#define TESTS_UNIT_VHD_READERS_H

#include "vhd/image_ops.h"

#define READERS_BYTES (20u * (1u << 20) + 512) /* of `readers_data` */

extern unsigned char *readers_data, *readers_buf;
extern struct image_error readers_error;
extern char readers_folder[]; /* holds `raw` with readers_data */

/* What is not installed, in words for a SKIP; NULL: all is. */
const char *readers_no_qemu(void);
const char *readers_no_libvhdi(void);

/* Fixtures of Check. */
void readers_setup(void);
void readers_teardown(void);

/* Runs a command in the folder, with what printf() makes of it; its exit status. */
int readers_sh(const char *fmt, ...) __printf(1, 2);
int readers_open(const char *name, int flags);
/* Makes `name` in the folder. */
void readers_make(const char *name, const struct image_create_params *params);
/* Reads or writes all of a disk by one request. A chain of names, leaf first; all of one format. `bytes`: its size must be so. */
void readers_whole(const char *const *names, unsigned int n, enum image_format format,
		   enum disk_op op, unsigned char *p, uint64_t bytes);
/* image_check() finds nothing. */
void readers_check(const char *name, enum image_format format);

#endif
