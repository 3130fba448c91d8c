/* SPDX-License-Identifier: BSD-2-Clause */
/* VHDX among the formats: image.h's and image_ops.h's calls brought to the parts that serve them. */
#include <errno.h>
#include <string.h>

#include "vhd/file.h"
#include "vhd/image_priv.h"
#include "vhd/vhdx_priv.h"

static int probe(int fd, struct image_error *error)
{
	return vhdx_probe(fd)
		       ? 0
		       : image_fail(error, -EINVAL, "is named a VHDX image but is none");
}

static int open_vhdx(const struct image_layer *layer, struct disk **ret,
		     struct image_error *error)
{
	int r = probe(layer->fd, error);

	return r < 0 ? r : vhdx_open(layer, ret, error);
}

static int parent_of(int fd, struct image_parent *ret, struct image_error *error)
{
	int r = probe(fd, error);

	return r < 0 ? r : vhdx_parent_of(fd, ret, error);
}

static int create(int fd, const struct image_create_params *params,
		  struct image_error *error)
{
	const struct vhdx_create_params p = {
		.fd = fd,
		.disk_bytes = params->disk_bytes,
		.block_bytes = params->block_bytes,
		.logical_bytes = params->logical_bytes,
		.physical_bytes = params->physical_bytes,
		.fixed = params->kind == IMAGE_FIXED,
		.parent = params->parent,
		.parent_relative = params->parent_relative,
		.parent_absolute = params->parent_absolute,
	};

	return vhdx_create(&p, error);
}

static int info(int fd, struct image_info *ret, struct image_error *error)
{
	static const struct guid none;
	struct vhdx_headers headers;
	struct vhdx_layout l;
	int r = probe(fd, error);

	if (r == 0)
		r = vhdx_headers_read(fd, &headers, error);
	if (r == 0)
		r = vhdx_layout_read(fd, ret->file_bytes, &headers.current, &l, error);
	if (r < 0)
		return r;
	ret->kind = l.has_parent        ? IMAGE_DIFFERENCING
		    : l.leave_allocated ? IMAGE_FIXED
					: IMAGE_DYNAMIC;
	ret->disk_bytes = l.disk_bytes;
	ret->block_bytes = l.block_bytes;
	ret->logical_bytes = l.logical_bytes;
	ret->physical_bytes = l.physical_bytes;
	ret->id = l.disk_id;
	memcpy(&ret->content_id, headers.current.data_write_guid,
	       sizeof(ret->content_id));
	ret->needs_replay = memcmp(headers.current.log_guid, &none, sizeof(none)) != 0;
	return 0;
}

static int check(int fd, struct image_check *ret, const struct image_progress *progress,
		 struct image_error *error)
{
	int r = probe(fd, error);

	return r < 0 ? r : vhdx_check(fd, ret, progress, error);
}

static int repair(int fd, struct image_check *ret, const struct image_progress *progress,
		  struct image_error *error)
{
	int r = probe(fd, error);

	return r < 0 ? r : vhdx_repair_file(fd, ret, progress, error);
}

static int resize(int fd, uint64_t bytes, bool shrink, struct image_error *error)
{
	int r = probe(fd, error);

	return r < 0 ? r : vhdx_resize_file(fd, bytes, shrink, error);
}

static int compact(int fd, const struct image_progress *progress,
		   struct image_error *error)
{
	int r = probe(fd, error);

	return r < 0 ? r : vhdx_compact_file(fd, progress, error);
}

static int set_parent(int fd, const struct image_new_parent *parent,
		      struct image_error *error)
{
	int r = probe(fd, error);

	return r < 0 ? r : vhdx_set_parent_file(fd, parent, error);
}

const struct image_format_ops vhdx_format_ops = {
	.name = "VHDX",
	.open = open_vhdx,
	.parent_of = parent_of,
	.create = create,
	.info = info,
	.check = check,
	.repair = repair,
	.resize = resize,
	.compact = compact,
	.set_parent = set_parent,
	.set_content_id = vhdx_set_content_id_file,
};
