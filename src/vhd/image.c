/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd/image_priv.h"

int image_fail(struct image_error *error, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return r;
}

/* ---- formats ---- */

static const struct ending {
	const char *end;
	enum image_format format;
} endings[] = {
	{ ".vhdx", IMAGE_VHDX },
	{ ".avhdx", IMAGE_VHDX },
	{ ".vhd", IMAGE_VHD },
	{ ".avhd", IMAGE_VHD },
};

enum image_format image_format_of(const char *path)
{
	const char *end = path ? strrchr(path, '.') : NULL;

	for (size_t i = 0; end && i < ARRAY_SIZE(endings); i++) {
		if (!strcasecmp(end, endings[i].end))
			return endings[i].format;
	}
	return IMAGE_RAW;
}

static const struct image_format_ops *const formats[] = {
	[IMAGE_RAW] = &raw_format_ops,
	[IMAGE_VHDX] = &vhdx_format_ops,
	[IMAGE_VHD] = &vhd_format_ops,
};

const struct image_format_ops *image_format_ops(enum image_format format)
{
	return formats[format];
}

const char *image_format_name(enum image_format format)
{
	return formats[format]->name;
}

int image_parent_of(int fd, enum image_format format, struct image_parent *ret,
		    struct image_error *error)
{
	const struct image_format_ops *ops = image_format_ops(format);

	return ops->parent_of(fd, ret, error);
}

#define ROUNDED_SECONDS 2 /* FAT */

bool image_parent_was_touched(const struct image_parent *parent, int parent_fd)
{
	struct stat st;

	return parent->changed && fstat(parent_fd, &st) == 0 &&
	       llabs((long long)st.st_mtime - (long long)parent->changed) >
		       ROUNDED_SECONDS;
}

/* ---- chains ---- */

int image_check_parent(const struct image_layer *layer, bool wants, const struct guid *id,
		       const struct guid *id2, struct image_error *error)
{
	const struct disk *parent = layer->parent;
	char is[GUID_STR_LEN], wanted[GUID_STR_LEN];

	if (!wants)
		return parent ? image_fail(error, -EINVAL,
					   "needs no parent, but one was given")
			      : 0;
	if (!parent)
		return image_fail(error, -ENOKEY,
				  "is a differencing image, and its parent is missing");
	if (layer->any_parent || guid_is_null(id))
		return 0;
	if (guid_equal(id, &parent->info.content_id) ||
	    (!guid_is_null(id2) && guid_equal(id2, &parent->info.content_id)))
		return 0;
	guid_format(id, wanted);
	guid_format(&parent->info.content_id, is);
	return image_fail(error, -ESTALE,
			  "has another parent than this, or it was changed since "
			  "(wanted %s, found %s)",
			  wanted, is);
}

/* The same file twice would be a chain without an end, or a parent that its child writes to. */
static int check_files(const struct image_params *params, struct image_error *error)
{
	struct stat st[IMAGE_CHAIN_MAX];

	if (!params->nfiles || params->nfiles > IMAGE_CHAIN_MAX)
		return image_fail(error, -ELOOP,
				  "has a chain of %u files; 1 to %u may be",
				  params->nfiles, IMAGE_CHAIN_MAX);
	if (params->nfiles == 1)
		return 0;
	for (unsigned int i = 0; i < params->nfiles; i++) {
		error->file = i;
		if (fstat(params->files[i].fd, &st[i]) < 0)
			return image_fail(error, -errno, "cannot be used: %s",
					  strerror(errno));
		for (unsigned int j = 0; j < i; j++) {
			if (st[j].st_dev == st[i].st_dev && st[j].st_ino == st[i].st_ino)
				return image_fail(error, -ELOOP,
						  "stands twice in its chain of parents");
		}
	}
	return 0;
}

/* By the descriptor itself, `own`, or by a duplicate of it. */
static int open_file(const struct image_params *params, unsigned int i, bool own,
		     struct disk *parent, struct disk **ret, struct image_error *error)
{
	int fd = params->files[i].fd;
	struct image_layer layer = {
		.fd = own ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0),
		.read_only = i || params->read_only,
		.any_parent = params->any_parent,
		.keep_content_id = !i && params->keep_content_id,
		.cache = params->cache,
		.id = params->id,
		.parent = parent,
	};
	int r;

	error->file = i;
	if (layer.fd < 0)
		return image_fail(error, -errno, "cannot be used: %s", strerror(errno));
	r = image_format_ops(params->files[i].format)->open(&layer, ret, error);
	if (r < 0 && !own)
		close(layer.fd);
	return r;
}

static int open_chain(const struct image_params *params, bool own_leaf, struct disk **ret,
		      struct image_error *error)
{
	struct disk *below = NULL, *d;
	int r = check_files(params, error);

	for (unsigned int i = params->nfiles; r == 0 && i-- > 0;) {
		r = open_file(params, i, own_leaf && !i, below, &d, error);
		if (r == 0)
			below = d;
	}
	if (r < 0)
		disk_unref(below);
	else
		*ret = below;
	return r;
}

int image_open_dup(const struct image_params *params, struct disk **ret,
		   struct image_error *error)
{
	return open_chain(params, false, ret, error);
}

/* Parents go by duplicates: until all are open, each descriptor stays the caller's. */
int image_open(const struct image_params *params, struct disk **ret,
	       struct image_error *error)
{
	int r = open_chain(params, true, ret, error);

	for (unsigned int i = 1; r == 0 && i < params->nfiles; i++)
		close(params->files[i].fd);
	return r;
}
