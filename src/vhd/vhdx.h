/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VHDX images ([MS-VHDX]): fixed, dynamic and differencing ones, to 64 TB.
 *
 * Reads and writes of blocks that are in the file go straight between the guest's memory and the file, on the caller's aio. All that changes
 * the format's own structures is done by one thread of the image, and reaches the file through its log, so that a power cut at any point
 * leaves an image that opens, with everything that was flushed. docs/architecture.md, "Disk images", tells how.
 */
#ifndef VHD_VHDX_H
#define VHD_VHDX_H

#include "vhd/image_ops.h"

/* The file starts as a VHDX does. */
bool vhdx_probe(int fd);

/*
 * Opens, and replays a log that holds changes; that is -EROFS for a read-only image. -EUCLEAN when the file is damaged, -ENOTSUP for
 * what is refused, each with a line. Every field is bounded before it is used; memory is bounded by the cache, not by the image.
 */
int vhdx_open(const struct image_layer *layer, struct disk **ret,
	      struct image_error *error) __must_check;

/* As image_parent_of(). */
int vhdx_parent_of(int fd, struct image_parent *ret,
		   struct image_error *error) __must_check;

struct vhdx_create_params {
	int fd;                  /* an empty file, writable; stays the caller's */
	uint64_t disk_bytes;     /* to 64 TB */
	uint32_t block_bytes;    /* 0: 32 MiB */
	uint32_t logical_bytes;  /* 0: 512 */
	uint32_t physical_bytes; /* 0: 4096 */
	bool fixed;              /* all blocks in the file, with room for them */
	/* Of a differencing image: its parent, and the paths as image_create_params has them. */
	const struct disk *parent;
	const char *parent_relative, *parent_absolute;
};

/*
 * Makes an image of zeros, durably; the signature comes last, so that what was cut off is none. -EINVAL for a size that the format has not,
 * -EEXIST for a file that is not empty, -ENOSPC …; after an error the file's content is undefined.
 */
int vhdx_create(const struct vhdx_create_params *params,
		struct image_error *error) __must_check;

/*
 * Reads all of the image's structures and changes none; `fd` stays the caller's. 0 with *ret, whatever was found; else as vhdx_open() for a
 * read-only image: what cannot be opened is not looked at further. Reads the whole block table; a bit of memory a megabyte of the file.
 */
int vhdx_check(int fd, struct image_check *ret, const struct image_progress *progress,
	       struct image_error *error) __must_check;

#endif
