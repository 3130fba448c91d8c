/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "vhd/vhdx.h"

int image_fail(struct image_error *error, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return r;
}

static int open_raw(const struct image_params *params, struct disk **ret,
		    struct image_error *error)
{
	const struct raw_params raw = { .fd = params->fd,
					.read_only = params->read_only,
					.cache = params->cache,
					.id = params->id };
	int r = raw_open(&raw, ret);

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

enum image_format image_format_of(const char *path)
{
	const char *end = path ? strrchr(path, '.') : NULL;

	return end && !strcasecmp(end, ".vhdx") ? IMAGE_VHDX : IMAGE_RAW;
}

int image_open(const struct image_params *params, struct disk **ret,
	       struct image_error *error)
{
	if (params->format == IMAGE_RAW)
		return open_raw(params, ret, error);
	if (!vhdx_probe(params->fd))
		return image_fail(error, -EINVAL, "is named a VHDX image but is none");
	return vhdx_open(params, ret, error);
}
