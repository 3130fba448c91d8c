/* SPDX-License-Identifier: BSD-2-Clause */
/* Raw files as images: what the operations on whole images are for them. */
#include <errno.h>
#include <string.h>

#include "vhd/file.h"
#include "vhd/image_priv.h"

static int open_raw(const struct image_layer *layer, struct disk **ret,
		    struct image_error *error)
{
	const struct raw_params raw = { .fd = layer->fd,
					.read_only = layer->read_only,
					.cache = layer->cache,
					.id = layer->id };
	int r;

	if (layer->parent)
		return image_fail(error, -EINVAL, "is a raw image, which has no parent");
	r = raw_open(&raw, ret);
	switch (r) {
	case 0:
		return 0;
	case -ENOTBLK:
		return image_fail(error, r, "is neither a file nor a block device");
	case -EINVAL:
		return image_fail(error, r, "is empty or no multiple of a sector");
	default:
		return image_fail(error, r, "cannot be used: %s", strerror(-r));
	}
}

static int parent_of(int fd, struct image_parent *ret, struct image_error *error)
{
	return 0;
}

static int create(int fd, const struct image_create_params *params,
		  struct image_error *error)
{
	uint32_t sector = params->logical_bytes ? params->logical_bytes : 512;
	int r;

	if (params->kind == IMAGE_DIFFERENCING)
		return image_fail(error, -EINVAL,
				  "cannot be made: a raw image has no parent");
	if (params->block_bytes)
		return image_fail(error, -EINVAL,
				  "cannot be made: a raw image has no blocks");
	if (!params->disk_bytes || params->disk_bytes > INT64_MAX ||
	    params->disk_bytes % sector)
		return image_fail(error, -EINVAL,
				  "cannot be made: its size must be a multiple of a "
				  "sector");
	r = params->kind == IMAGE_FIXED ? file_reserve(fd, params->disk_bytes)
					: file_resize(fd, params->disk_bytes);
	if (r == 0)
		r = file_sync(fd);
	return r < 0 ? image_fail(error, r, "cannot be made: %s", strerror(-r)) : 0;
}

static int info(int fd, struct image_info *ret, struct image_error *error)
{
	const struct raw_params raw = { .fd = fd, .read_only = true };
	struct disk_info disk;
	int r = raw_describe(&raw, &disk, &ret->disk_bytes);

	if (r < 0)
		return image_fail(error, r, "is no raw image: %s", strerror(-r));
	ret->kind = ret->allocated_bytes < ret->disk_bytes ? IMAGE_DYNAMIC : IMAGE_FIXED;
	ret->logical_bytes = disk.logical_bytes;
	ret->physical_bytes = disk.physical_bytes;
	return 0;
}

/* Nothing in it can be wrong. */
static int check(int fd, struct image_check *ret, const struct image_progress *progress,
		 struct image_error *error)
{
	*ret = (struct image_check){ 0 };
	return 0;
}

/* 1: nothing but zeros from `off` to the file's end. */
static int is_tail_zero(int fd, uint64_t off, uint64_t end)
{
	static const char zeros[4096];
	char buf[sizeof(zeros)];
	int r = 0;

	while (off < end && r == 0) {
		size_t n = (size_t)MIN(end - off, (uint64_t)sizeof(buf));
		uint64_t hole = MIN(file_hole(fd, off), end - off);

		if (!hole) {
			r = file_read(fd, buf, n, off);
			if (r == 0 && memcmp(buf, zeros, n) != 0)
				return 0;
		}
		off += hole ? hole : n;
	}
	return r < 0 ? r : 1;
}

static int resize(int fd, uint64_t bytes, bool shrink, struct image_error *error)
{
	uint64_t now = 0;
	int r = file_size(fd, &now);

	if (!bytes || bytes % 512 || bytes > INT64_MAX)
		return image_fail(error, -EINVAL,
				  "cannot be resized: its size must be a multiple of a "
				  "sector");
	if (r == 0 && bytes < now && !shrink)
		return image_fail(error, -EINVAL,
				  "would become smaller, which was not asked for");
	if (r == 0 && bytes < now)
		r = is_tail_zero(fd, bytes, now);
	if (r == 0 && bytes < now)
		return image_fail(
			error, -ENOTEMPTY,
			"has data behind that size; make its partitions smaller "
			"first");
	if (r >= 0)
		r = file_resize(fd, bytes);
	if (r == 0)
		r = file_sync(fd);
	return r < 0 ? image_fail(error, r, "cannot be resized: %s", strerror(-r)) : 0;
}

const struct image_format_ops raw_format_ops = {
	.name = "raw",
	.open = open_raw,
	.parent_of = parent_of,
	.create = create,
	.info = info,
	.check = check,
	.resize = resize,
};
