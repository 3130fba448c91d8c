/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

int image_open(const struct image_params *params, struct disk **ret,
	       struct image_error *error)
{
	struct stat st;

	if (fstat(params->fd, &st) < 0)
		return image_fail(error, -errno, "cannot be used: %s", strerror(errno));
	if (!params->raw && S_ISREG(st.st_mode) && vhdx_probe(params->fd))
		return vhdx_open(params, ret, error);
	return open_raw(params, ret, error);
}
