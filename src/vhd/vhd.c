/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/vhd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "vhd/file.h"
#include "vhd/vhd_priv.h"
#include "vhd/walk.h"

#define UNMAP_GRANULARITY 4096u /* what file systems make holes of */

static void vhd_free(struct vhd *v)
{
	vhd_bits_free(v);
	vhd_bat_free(v);
	keeper_done(&v->keeper);
	free(v);
}

static void vhd_close(struct disk *d)
{
	struct vhd *v = container_of(d, struct vhd, keeper.disk);
	int r = 0;

	keeper_stop(&v->keeper);
	if (v->begun)
		r = vhd_commit(v);
	if (r == 0)
		r = vhd_trim(v);
	if (r < 0)
		log_debug("vhd: closed with changes that are lost: %d", -r);
	close(v->keeper.fd);
	vhd_free(v);
}

static const struct disk_ops vhd_ops = {
	.format = "vhd",
	.submit = walk_submit,
	.close = vhd_close,
	.map = vhd_map,
	.load = keeper_load,
};

/* ---- fixed ---- */

static int open_fixed(const struct image_layer *layer, const struct vhd_layout *l,
		      struct disk **ret, struct image_error *error)
{
	struct raw_params raw = { .fd = layer->fd,
				  .read_only = layer->read_only,
				  .cache = layer->cache,
				  .logical_bytes = VHD_SECTOR_BYTES,
				  .vhd_bytes = l->disk_bytes };
	int r;

	memcpy(&raw.id, l->footer.unique_id, sizeof(raw.id));
	r = raw_open(&raw, ret);
	return r < 0 ? image_fail(error, r, "cannot be used: %s", strerror(-r)) : 0;
}

/* ---- dynamic and differencing ---- */

static void describe(struct vhd *v, const struct image_layer *layer, bool read_only)
{
	const struct vhd_layout *l = &v->layout;
	struct disk_info info = {
		.logical_bytes = VHD_SECTOR_BYTES,
		.physical_bytes = VHD_SECTOR_BYTES,
		.unmap_granularity = UNMAP_GRANULARITY,
		.read_only = read_only,
	};

	v->can_punch = !read_only && file_can_punch(layer->fd);
	info.can_discard = v->can_punch;
	/* What a child has not is its parent's, and stays so. */
	info.discard_zeroes = v->can_punch && !vhd_is_child(v);
	memcpy(&info.content_id, l->footer.unique_id, sizeof(info.content_id));
	info.id = layer->parent ? layer->parent->info.id : info.content_id;
	v->keeper.fd = layer->fd;
	keeper_set_cache(&v->keeper, layer->cache, VHD_SECTOR_BYTES);
	disk_init(&v->keeper.disk, &vhd_ops, &info, l->disk_bytes);
	v->keeper.disk.parent = layer->parent;
}

static int open_blocks(const struct image_layer *layer, const struct vhd_layout *l,
		       struct disk **ret, struct image_error *error)
{
	struct vhd *v = calloc(1, sizeof(*v));
	int flags = fcntl(layer->fd, F_GETFL);

	if (!v)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	v->pages = calloc(l->blocks / VHD_PAGE_ENTRIES + 1, sizeof(*v->pages));
	if (!v->pages) {
		free(v);
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	}
	v->layout = *l;
	keeper_init(&v->keeper, &vhd_keeper_ops);
	describe(v, layer, layer->read_only || (flags & O_ACCMODE) == O_RDONLY);
	*ret = &v->keeper.disk;
	return 0;
}

int vhd_open(const struct image_layer *layer, struct disk **ret,
	     struct image_error *error)
{
	struct vhd_layout l;
	struct guid parent_id, none = { { 0 } };
	int r = vhd_layout_read(layer->fd, &l, error);

	if (r < 0)
		return r;
	memcpy(&parent_id, l.header.parent_id, sizeof(parent_id));
	r = image_check_parent(layer, l.type == VHD_DIFFERENCING, &parent_id, &none,
			       error);
	if (r < 0)
		return r;
	/* Its pieces could not be looked up there. */
	if (layer->parent && layer->parent->info.logical_bytes > VHD_SECTOR_BYTES)
		return image_fail(error, -EINVAL,
				  "has sectors of %u bytes, and its parent larger ones",
				  VHD_SECTOR_BYTES);
	if (l.type == VHD_FIXED)
		return open_fixed(layer, &l, ret, error);
	return open_blocks(layer, &l, ret, error);
}
