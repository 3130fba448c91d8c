/* SPDX-License-Identifier: BSD-2-Clause */
/* What a format provides behind image.h and image_ops.h, with the contracts there; NULL: it has no such operation. */
#ifndef VHD_IMAGE_PRIV_H
#define VHD_IMAGE_PRIV_H

#include "vhd/image_ops.h"

struct image_format_ops {
	const char *name;
	int (*open)(const struct image_layer *layer, struct disk **ret,
		    struct image_error *error) __must_check;
	int (*parent_of)(int fd, struct image_parent *ret,
			 struct image_error *error) __must_check;
	/* The file is empty. */
	int (*create)(int fd, const struct image_create_params *params,
		      struct image_error *error) __must_check;
	/* Fills in all but format, file_bytes and allocated_bytes. */
	int (*info)(int fd, struct image_info *ret,
		    struct image_error *error) __must_check;
	int (*check)(int fd, struct image_check *ret,
		     const struct image_progress *progress,
		     struct image_error *error) __must_check;
	int (*repair)(int fd, struct image_check *ret,
		      const struct image_progress *progress,
		      struct image_error *error) __must_check;
	int (*resize)(int fd, uint64_t bytes, bool shrink,
		      struct image_error *error) __must_check;
	int (*compact)(int fd, const struct image_progress *progress,
		       struct image_error *error) __must_check;
	int (*set_parent)(int fd, const struct image_new_parent *parent,
			  struct image_error *error) __must_check;
	/* The content is another one's now, durably: the end of a merge. NULL: the format has no such identity. */
	int (*set_content_id)(int fd, const struct guid *id,
			      struct image_error *error) __must_check;
};

/* Of a row of the formats; NULL for one that is not there. */
const struct image_format_ops *image_format_ops(enum image_format format);

extern const struct image_format_ops raw_format_ops, vhdx_format_ops, vhd_format_ops;

#endif
