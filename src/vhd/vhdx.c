/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/vhdx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vhd/file.h"
#include "vhd/vhdx_priv.h"
#include "vhd/walk.h"

#define UNMAP_GRANULARITY 4096u /* what file systems make holes of */

bool vhdx_probe(int fd)
{
	uint64_t signature;

	return file_read(fd, &signature, sizeof(signature), 0) == 0 &&
	       signature == VHDX_SIGNATURE_FILE;
}

struct vhdx *vhdx_new(void)
{
	struct vhdx *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	keeper_init(&v->keeper, &vhdx_keeper_ops);
	return v;
}

void vhdx_free(struct vhdx *v)
{
	vhdx_page_free(v);
	free(v->log_buffer);
	keeper_done(&v->keeper);
	free(v);
}

static void vhdx_close(struct disk *d)
{
	struct vhdx *v = container_of(d, struct vhdx, keeper.disk);
	int r;

	keeper_stop(&v->keeper);
	r = vhdx_finish(v);
	if (r < 0)
		log_debug("vhdx: closed with changes in its log or lost: %d", -r);
	close(v->keeper.fd);
	vhdx_free(v);
}

static const struct disk_ops vhdx_ops = {
	.format = "vhdx",
	.submit = walk_submit,
	.close = vhdx_close,
	.map = vhdx_map,
	.load = keeper_load,
	.resize = keeper_resize,
};

static int replay(int fd, bool read_only, struct vhdx *v, struct image_error *error)
{
	static const struct guid none;
	struct vhdx_header *h = &v->headers.current;
	int r;

	if (memcmp(h->log_guid, &none, sizeof(none)) == 0)
		return 0;
	if (read_only)
		return image_fail(
			error, -EROFS,
			"has changes in its log that must be written first; use "
			"it writable once");
	r = vhdx_replay(fd, h, &v->file_bytes, error);
	if (r < 0)
		return r;
	memcpy(h->log_guid, &none, sizeof(none));
	r = vhdx_headers_write(fd, &v->headers, true);
	return r < 0 ? image_fail(error, r, "cannot be written: %s", strerror(-r)) : 0;
}

int vhdx_read_all(int fd, bool read_only, struct vhdx *v, struct image_error *error)
{
	int r = file_size(fd, &v->file_bytes);

	if (r < 0)
		return image_fail(error, r, "cannot be used: %s", strerror(-r));
	r = vhdx_headers_read(fd, &v->headers, error);
	if (r == 0)
		r = replay(fd, read_only, v, error);
	if (r == 0)
		r = vhdx_layout_read(fd, v->file_bytes, &v->headers.current, &v->layout,
				     error);
	return r;
}

static void set_up(struct vhdx *v, const struct image_layer *layer, bool read_only)
{
	const struct vhdx_layout *l = &v->layout;
	struct disk_info info = {
		.logical_bytes = l->logical_bytes,
		.physical_bytes = MAX(l->logical_bytes, l->physical_bytes),
		.unmap_granularity = UNMAP_GRANULARITY,
		.read_only = read_only,
		.id = guid_is_null(&l->disk_id) ? layer->id : l->disk_id,
	};

	memcpy(&info.content_id, v->headers.current.data_write_guid,
	       sizeof(info.content_id));
	v->can_punch = !read_only && !l->leave_allocated && file_can_punch(layer->fd);
	info.can_discard = info.discard_zeroes = v->can_punch;
	v->keeper.fd = layer->fd;
	keeper_set_cache(&v->keeper, layer->cache, l->logical_bytes);
	v->keep_content_id = layer->keep_content_id;
	guid_new(&v->log_guid);
	disk_init(&v->keeper.disk, &vhdx_ops, &info, l->disk_bytes);
	v->keeper.disk.parent = layer->parent;
}

static int check_parent(const struct image_layer *layer, const struct vhdx_layout *l,
			struct image_error *error)
{
	static const struct guid none;
	cleanup_free struct image_parent *p = NULL;
	int r;

	if (!l->has_parent)
		return image_check_parent(layer, false, &none, &none, error);
	p = malloc(sizeof(*p));
	if (!p)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	r = vhdx_locator_read(layer->fd, l, p, error);
	if (r == 0)
		r = image_check_parent(layer, true, &p->id, &p->id2, error);
	if (r == 0 && layer->parent->info.logical_bytes > l->logical_bytes)
		return image_fail(error, -EINVAL,
				  "has sectors of %u bytes, and its parent larger ones",
				  l->logical_bytes);
	return r;
}

int vhdx_open(const struct image_layer *layer, struct disk **ret,
	      struct image_error *error)
{
	struct vhdx *v = vhdx_new();
	int flags = fcntl(layer->fd, F_GETFL), r;
	bool read_only = layer->read_only || (flags & O_ACCMODE) == O_RDONLY;

	if (!v)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	r = vhdx_read_all(layer->fd, read_only, v, error);
	if (r == 0)
		r = check_parent(layer, &v->layout, error);
	if (r < 0) {
		vhdx_free(v);
		return r;
	}
	set_up(v, layer, read_only);
	*ret = &v->keeper.disk;
	return 0;
}
