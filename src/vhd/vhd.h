/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VHD images (Virtual Hard Disk Image Format Specification 1.0): fixed, dynamic and differencing ones, to 2,040 GB.
 *
 * A fixed image is a raw disk with a footer behind it, and is served as one. In the others, reads and writes of blocks that are in the file go
 * straight between the guest's memory and the file. The format has no log: what it needs is written in an order that a power cut at any
 * point leaves an image that opens, with everything that was flushed. docs/vhd.md tells how, and where readers of the format differ.
 */
#ifndef VHD_VHD_H
#define VHD_VHD_H

#include "vhd/image_ops.h"

/* The file has a footer at its end, or the copy of one at its start. */
bool vhd_probe(int fd);

/*
 * Opens; changes nothing until the first write. -EUCLEAN when the file is damaged, -ENOTSUP for what is refused, and as
 * image_check_parent() says. Every field is bounded before it is used; memory is bounded by the caches, not by the image.
 */
int vhd_open(const struct image_layer *layer, struct disk **ret,
	     struct image_error *error) __must_check;

/* As image_parent_of(). */
int vhd_parent_of(int fd, struct image_parent *ret,
		  struct image_error *error) __must_check;

/* As image_create(); the file is empty. The footers come last, so that what was cut off is no image. */
int vhd_create(int fd, const struct image_create_params *params,
	       struct image_error *error) __must_check;

/* As image_info() and image_check(). */
int vhd_info(int fd, struct image_info *ret, struct image_error *error) __must_check;
int vhd_check(int fd, struct image_check *ret, const struct image_progress *progress,
	      struct image_error *error) __must_check;

/* As image_repair(), image_resize(), image_compact(), image_set_parent(); nobody else uses the image. */
int vhd_repair(int fd, struct image_check *ret, const struct image_progress *progress,
	       struct image_error *error) __must_check;
int vhd_resize(int fd, uint64_t bytes, bool shrink,
	       struct image_error *error) __must_check;
int vhd_compact(int fd, const struct image_progress *progress,
		struct image_error *error) __must_check;
int vhd_set_parent(int fd, const struct image_new_parent *parent,
		   struct image_error *error) __must_check;
/* Whose content it is now: the end of a merge. */
int vhd_set_content_id(int fd, const struct guid *id,
		       struct image_error *error) __must_check;

#endif
