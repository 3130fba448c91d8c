/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens an image, and the parents below it, each as the format that its owner says, as Hyper-V does: by the file's name. Its content never
 * decides: a guest with a raw disk could write another format's signature to it, and have it taken for that at the next start.
 *
 * A differencing image holds what was written since it was made; all else is read from its parent. The caller opens and locks every file of the
 * chain, since nothing here opens a path: image_parent_of() tells what a child says of its parent. Formats may be mixed.
 * Thread: any; blocks for a few reads of the files, and for the replay of a log.
 */
#ifndef VHD_IMAGE_H
#define VHD_IMAGE_H

#include "vhd/disk.h"

enum image_format { IMAGE_RAW, IMAGE_VHDX, IMAGE_VHD };

/* By the name's end, in either case: ".vhdx", ".avhdx", ".vhd", ".avhd"; else raw (which a block device always is). NULL is raw. */
enum image_format image_format_of(const char *path);
/* "raw", "VHDX", "VHD". */
const char *image_format_name(enum image_format format);

#define IMAGE_CHAIN_MAX 64u

struct image_file {
	int fd; /* opened and locked; the leaf's as the leaf is used, parents at least for reading */
	enum image_format format;
};

struct image_params {
	/* Leaf first, at most IMAGE_CHAIN_MAX, each the parent of the one before it. On success the descriptors are the disk's. */
	const struct image_file *files;
	unsigned int nfiles;
	bool read_only; /* the leaf; a parent always is */
	/*
	 * Opens a child whose parent is not the one that it was made of (another identity). For set-parent and to save what can be: the content is
	 * a mixture.
	 */
	bool any_parent;
	bool keep_content_id;  /* of the leaf, as image_layer has it */
	enum disk_cache cache; /* of the parents too */
	struct guid id;        /* of a disk whose format has none */
};

/* One line without a full stop that goes on from the image's name: "is no multiple of a sector". */
struct image_error {
	char message[160];
	unsigned int file; /* which of image_params.files it is about */
};

/*
 * -ENOKEY: the last file needs a parent, which image_parent_of() tells of. -ESTALE: a parent is not the one that its child was
 * made of. -ELOOP: a file stands twice in the chain, or it is too long. -EINVAL, -EUCLEAN, -ENOTSUP, -EROFS as the format says.
 */
int image_open(const struct image_params *params, struct disk **ret,
	       struct image_error *error) __must_check;

/* The same, by duplicates of the descriptors, which stay the caller's. */
int image_open_dup(const struct image_params *params, struct disk **ret,
		   struct image_error *error) __must_check;

/*
 * What a differencing image says of its parent. Of a foreign file: a path is only a candidate, to be opened where the settings allow it,
 * and the parent is who it should be when image_open() says so.
 */
#define IMAGE_PATH_BYTES 4096u
#define IMAGE_PATHS_MAX 8u
struct image_parent {
	struct guid
		id; /* of the parent's content, disk_info.content_id; null: not known */
	struct guid id2; /* as good; null: none */
	int64_t changed; /* when the parent's file was last modified as the child was made, in seconds from 1970; 0: not known. A copy has another. */
	unsigned int path_n;
	/* In the order to try. UTF-8, "/" between names. One that begins with "/" is absolute, another is from the child's folder on. */
	char paths[IMAGE_PATHS_MAX][IMAGE_PATH_BYTES];
};

/* 1 and *ret for a differencing image, 0 for one that needs no parent, else -errno with a line. Large: not for the stack. Changes nothing. */
int image_parent_of(int fd, enum image_format format, struct image_parent *ret,
		    struct image_error *error) __must_check;

/*
 * The parent's file was modified at another time than its child says, by more than a file system's rounding: either it was only copied, or it holds other
 * data than the child was made over, which VHD's unique id does not tell. Something to warn of.
 */
bool image_parent_was_touched(const struct image_parent *parent, int parent_fd);

/* ---- for formats ---- */

/* One file of a chain, and what stands below it. */
struct image_layer {
	int fd; /* the disk's on success */
	bool read_only;
	bool any_parent;
	bool keep_content_id; /* writes leave disk_info.content_id: a merge gives it at its end */
	enum disk_cache cache;
	struct guid id;
	struct disk *
		parent; /* read-only; on success the child has the reference; NULL: none was given */
};

/* Writes the line and returns r. */
int image_fail(struct image_error *error, int r, const char *fmt, ...) __printf(3, 4);
/*
 * Whether `parent` (NULL: none) is as a child asks for: 0, or -ENOKEY, -EINVAL, -ESTALE with the line. `wants`: whether the child is a
 * differencing image; id and id2 as in image_parent.
 */
int image_check_parent(const struct image_layer *layer, bool wants, const struct guid *id,
		       const struct guid *id2, struct image_error *error) __must_check;

#endif
