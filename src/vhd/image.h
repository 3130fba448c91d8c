/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens an image as the format that its owner says, as Hyper-V does: by the file's name. Its content never decides: a guest with
 * a raw disk could write another format's signature to it, and have it taken for that at the next start.
 * Thread: any; blocks for a few reads of the file, and for the replay of a log.
 */
#ifndef VHD_IMAGE_H
#define VHD_IMAGE_H

#include "vhd/disk.h"

enum image_format { IMAGE_RAW, IMAGE_VHDX };

/* VHDX when the name ends in ".vhdx", in either case; else raw (which a block device always is). NULL is raw. */
enum image_format image_format_of(const char *path);

struct image_params {
	int fd; /* opened and locked; the image's on success */
	bool read_only;
	enum image_format format;
	enum disk_cache cache; /* VHDX: NONE goes by the page cache as WRITEBACK does */
	struct guid id;        /* of a disk whose format has none */
};

/* One line without a full stop that goes on from the image's name: "is no multiple of a sector". */
struct image_error {
	char message[160];
};

int image_open(const struct image_params *params, struct disk **ret,
	       struct image_error *error) __must_check;

/* For formats: writes the line and returns r. */
int image_fail(struct image_error *error, int r, const char *fmt, ...) __printf(3, 4);

#endif
