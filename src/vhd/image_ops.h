/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations on whole images. They run where nothing else uses the files, in the thread that asks, and return when done; a job's process calls
 * them. Descriptors are opened and locked by the caller and stay its own. Errors: 0 or -errno with a line. -ENOTSUP: the format has no
 * such operation.
 */
#ifndef VHD_IMAGE_OPS_H
#define VHD_IMAGE_OPS_H

#include "vhd/image.h"

/*
 * Told now and then, with done rising to total, in the calling thread. False: the operation ends soon with -ECANCELED and nothing is lost. NULL
 * where a pointer to one is taken: nobody wants to know.
 */
struct image_progress {
	bool (*step)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

enum image_kind {
	IMAGE_FIXED,   /* room for all of it is taken at once */
	IMAGE_DYNAMIC, /* raw: a file with holes */
	IMAGE_DIFFERENCING,
};

/* "fixed", "dynamic", "differencing". */
const char *image_kind_name(enum image_kind kind);

struct image_create_params {
	enum image_format format;
	enum image_kind kind;
	uint64_t disk_bytes;     /* of a differencing image 0 is its parent's */
	uint32_t block_bytes;    /* 0: the format's default */
	uint32_t logical_bytes;  /* 0: 512, or the parent's */
	uint32_t physical_bytes; /* 0: 4096, or the parent's */
	/* Only for IMAGE_DIFFERENCING: the parent, open, and its path as it is to be written, from the child's folder on and absolute; either may be NULL. */
	struct disk *parent;
	const char *parent_relative, *parent_absolute;
	int64_t parent_changed; /* when its file was last modified, in seconds from 1970: VHD keeps that; 0: not known */
};

/*
 * Makes an image that reads as zeros, or as its parent, durably, in an empty file. -EINVAL for what the format has not, -EEXIST for a file that is not empty,
 * -ENOSPC …; after an error the file's content is undefined and no image.
 */
int image_create(int fd, const struct image_create_params *params,
		 struct image_error *error) __must_check;

/*
 * Makes an image of what a disk holds, durably, in an empty file. Sectors are the source's where params says nothing; disk_bytes 0 is the
 * source's size, and may be larger. Zeros take no room, unless the kind is fixed. -EIO where the source is damaged or cannot be read.
 */
int image_convert(struct disk *from, int fd, const struct image_create_params *params,
		  const struct image_progress *progress,
		  struct image_error *error) __must_check;

struct image_info {
	enum image_format format;
	enum image_kind kind;
	uint64_t disk_bytes;
	uint64_t file_bytes;      /* length of the file */
	uint64_t allocated_bytes; /* that it takes on the host */
	uint32_t block_bytes;     /* 0: the format has none */
	uint32_t logical_bytes, physical_bytes;
	struct guid id;         /* disk_info.id; null: the format has none */
	struct guid content_id; /* disk_info.content_id */
	bool needs_replay; /* changes wait in its log; the next writable use writes them */
};

/* What the file says of itself; changes nothing. A parent: image_parent_of(). */
int image_info(int fd, enum image_format format, struct image_info *ret,
	       struct image_error *error) __must_check;

struct image_check {
	uint64_t blocks;     /* with data in the file */
	uint64_t errors;     /* found */
	uint64_t mended;     /* of them, by image_repair() */
	uint64_t lost_bytes; /* of the file, used by nothing: harmless */
	char first[160];     /* the first error, as one line; empty without */
};

/*
 * Reads all of the image's structures and changes nothing. 0 with *ret, whatever was found; else what could not be looked at, as image_open() for a
 * read-only image has it.
 */
int image_check(int fd, enum image_format format, struct image_check *ret,
		const struct image_progress *progress,
		struct image_error *error) __must_check;

/*
 * As image_check(), and mends what it finds: a log is replayed, copies of headers and tables are written anew, an entry that is damaged is given up (its
 * block reads as zeros, or as the parent). *ret says what was found; `errors` less `mended` is left.
 */
int image_repair(int fd, enum image_format format, struct image_check *ret,
		 const struct image_progress *progress,
		 struct image_error *error) __must_check;

/*
 * Another size for the disk. Smaller only with `shrink`, and only where nothing is lost: -ENOTEMPTY when there is data behind. Cut off, the
 * image has the old size or the new one. -EINVAL for a size that the format has not.
 */
int image_resize(int fd, enum image_format format, uint64_t bytes, bool shrink,
		 struct image_error *error) __must_check;

/* Makes the file as short as its content allows: zeros and discarded blocks take no room. What the disk holds and who it is stay. Cut off at any point too. */
int image_compact(int fd, enum image_format format, const struct image_progress *progress,
		  struct image_error *error) __must_check;

/*
 * Merges files[0] of a chain into files[1], of which both must be open for writing and in no other chain's use; the parent grows to the child's size. After
 * it the parent holds what the child did, and has its content_id, so that the child's own children are the parent's (image_set_parent() gives them the
 * path). Cut off or canceled, the child opens as before, and can be merged again; any other child of the parent is lost in either case.
 */
int image_merge(const struct image_params *chain, const struct image_progress *progress,
		struct image_error *error) __must_check;

/* What a differencing image is to say of its parent from now on. */
struct image_new_parent {
	struct disk *disk;               /* open; stays the caller's */
	const char *relative, *absolute; /* as image_create_params has them */
	int64_t changed;
	bool any; /* even when it is not the one that the image was made of */
};

/* -ESTALE: it is another one. -EINVAL: the image has no parent, or this cannot be one. */
int image_set_parent(int fd, enum image_format format,
		     const struct image_new_parent *parent,
		     struct image_error *error) __must_check;

/* ---- for formats ---- */

/* True: go on. */
static inline bool image_step(const struct image_progress *p, uint64_t done,
			      uint64_t total)
{
	return !p || p->step(p->arg, done, total);
}

#endif
