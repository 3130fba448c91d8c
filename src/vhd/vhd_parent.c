/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another parent, or another path to it. The header has more than a sector, so it is not changed where it is: a new one is made at the end of the file, and
 * the footers, a sector each, name that. Then the old place is free, gets the new header too, and the footers name it again.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

static int write_at(int fd, const struct vhd_layout *l, uint64_t off)
{
	int r = file_write(fd, &l->header, sizeof(l->header), off);

	return r < 0 ? r : file_sync(fd);
}

static int name_header(int fd, struct vhd_layout *l, uint64_t off)
{
	l->footer.data_offset = be64(off);
	vhd_footer_seal(&l->footer);
	return vhd_write_footers(fd, l);
}

static int replace_header(int fd, struct vhd_layout *l, const struct vhd_locator_data *d,
			  uint64_t at)
{
	uint64_t behind = at + d->len;
	int r = vhd_move_end(fd, l, behind + sizeof(l->header));

	if (r == 0 && d->len)
		r = file_write(fd, d->bytes, d->len, at);
	if (r == 0)
		r = write_at(fd, l, behind);
	if (r == 0)
		r = name_header(fd, l, behind);
	if (r == 0)
		r = write_at(fd, l, l->header_offset);
	if (r == 0)
		r = name_header(fd, l, l->header_offset);
	return r < 0 ? r : vhd_cut_end(fd, l, behind);
}

static int change(int fd, struct vhd_layout *l, const struct image_new_parent *parent)
{
	uint64_t at = align_up(l->end, VHD_SECTOR_BYTES);
	cleanup_free uint8_t *bytes = NULL;
	struct vhd_locator_data data;
	int r;

	memcpy(l->header.parent_id, &parent->disk->info.content_id,
	       sizeof(l->header.parent_id));
	l->header.parent_time_stamp = be32(vhd_time_stamp(parent->changed));
	r = vhd_locators_make(&l->header, at, parent->relative, parent->absolute, &data);
	if (r < 0)
		return r;
	bytes = data.bytes;
	vhd_header_seal(&l->header);
	return replace_header(fd, l, &data, at);
}

int vhd_set_parent(int fd, const struct image_new_parent *parent,
		   struct image_error *error)
{
	struct image_layer layer = { .fd = fd,
				     .parent = parent->disk,
				     .any_parent = parent->any };
	struct guid id, none = { { 0 } };
	struct vhd_layout l;
	int r = vhd_layout_read(fd, &l, error);

	if (r < 0)
		return r;
	if (l.type != VHD_DIFFERENCING)
		return image_fail(error, -EINVAL,
				  "is no differencing image and has no parent");
	if (parent->disk->info.logical_bytes != VHD_SECTOR_BYTES)
		return image_fail(error, -EINVAL,
				  "has sectors of 512 bytes, and that parent has not");
	memcpy(&id, l.header.parent_id, sizeof(id));
	r = image_check_parent(&layer, true, &id, &none, error);
	if (r == 0)
		r = vhd_change_begin(fd, &l, error);
	if (r < 0)
		return r;
	r = change(fd, &l, parent);
	return r < 0 ? image_fail(error, r, "cannot be changed: %s", strerror(-r)) : 0;
}
