/* SPDX-License-Identifier: BSD-2-Clause */
/* VHD among the formats: image.h's and image_ops.h's calls brought to the parts that serve them. */
#include <errno.h>
#include <string.h>

#include "vhd/file.h"
#include "vhd/image_priv.h"
#include "vhd/vhd_priv.h"

int vhd_info(int fd, struct image_info *ret, struct image_error *error)
{
	static const enum image_kind kinds[] = {
		[VHD_FIXED] = IMAGE_FIXED,
		[VHD_DYNAMIC] = IMAGE_DYNAMIC,
		[VHD_DIFFERENCING] = IMAGE_DIFFERENCING,
	};
	struct vhd_layout l;
	int r = vhd_layout_read(fd, &l, error);

	if (r < 0)
		return r;
	ret->kind = kinds[l.type];
	ret->disk_bytes = l.disk_bytes;
	ret->block_bytes = l.block_bytes;
	ret->logical_bytes = VHD_SECTOR_BYTES;
	ret->physical_bytes = VHD_SECTOR_BYTES;
	memcpy(&ret->content_id, l.footer.unique_id, sizeof(ret->content_id));
	/* A child's disk is its parent's, which is not known here. */
	if (l.type != VHD_DIFFERENCING)
		ret->id = ret->content_id;
	return 0;
}

const struct image_format_ops vhd_format_ops = {
	.name = "VHD",
	.open = vhd_open,
	.parent_of = vhd_parent_of,
	.create = vhd_create,
	.info = vhd_info,
	.check = vhd_check,
	.repair = vhd_repair,
	.resize = vhd_resize,
	.compact = vhd_compact,
	.set_parent = vhd_set_parent,
	.set_content_id = vhd_set_content_id,
};
