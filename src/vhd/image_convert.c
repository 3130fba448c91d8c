/* SPDX-License-Identifier: BSD-2-Clause */
/* What a disk holds, as a new image. The target is flushed once, at its end: before that it is no image anybody was promised. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/image_copy.h"

#define SECTOR_BYTES 4096u /* the largest of a target */

static int copy_to_file(struct disk *from, int fd_, enum image_format format,
			const struct image_progress *progress, struct image_error *error)
{
	cleanup_fd int fd = fcntl(fd_, F_DUPFD_CLOEXEC, 0);
	struct image_file file = { .fd = fd, .format = format };
	struct image_params params = { .files = &file, .nfiles = 1 };
	struct disk *to;
	int r = fd < 0 ? -errno : 0;

	if (r < 0)
		return image_fail(error, r, "cannot be used: %s", strerror(-r));
	r = image_open(&params, &to, error);
	if (r < 0)
		return r;
	take_fd(&fd);
	r = image_copy(from, to, false, progress);
	disk_unref(to);
	if (r == -ECANCELED)
		return image_fail(error, r, "was not made: canceled");
	return r < 0 ? image_fail(error, r, "cannot be written: %s", strerror(-r)) : 0;
}

int image_convert(struct disk *from, int fd, const struct image_create_params *params,
		  const struct image_progress *progress, struct image_error *error)
{
	struct image_create_params p = *params;
	uint64_t bytes = disk_bytes(from);
	int r;

	if (!p.disk_bytes)
		p.disk_bytes = bytes;
	if (p.disk_bytes < bytes)
		return image_fail(error, -EINVAL,
				  "cannot be made: the disk has %llu bytes, and is not "
				  "cut short",
				  (unsigned long long)bytes);
	if (p.parent || p.kind == IMAGE_DIFFERENCING)
		return image_fail(error, -EINVAL,
				  "cannot be made: what a disk is converted to has no "
				  "parent");
	if (!p.logical_bytes)
		p.logical_bytes = from->info.logical_bytes;
	if (!p.physical_bytes)
		p.physical_bytes = MIN(from->info.physical_bytes, SECTOR_BYTES);
	r = image_create(fd, &p, error);
	if (r == 0)
		r = copy_to_file(from, fd, p.format, progress, error);
	if (r == 0)
		image_step(progress, p.disk_bytes, p.disk_bytes);
	return r;
}
