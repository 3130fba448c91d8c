/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another parent for a differencing image. The new locator is written where nothing is in the metadata region, and synced; then one page of the
 * metadata table names it, by a log entry.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

static const struct guid item_parent = VHDX_ITEM_PARENT_LOCATOR;

static bool is_locator(const struct vhdx_metadata_entry *e)
{
	return !(e->flags & VHDX_METADATA_USER) &&
	       memcmp(e->item, &item_parent, sizeof(e->item)) == 0;
}

static bool is_free(const struct vhdx_metadata_table *t, uint64_t at, uint32_t bytes)
{
	const struct vhdx_metadata_entry *e = (const void *)(t + 1);

	for (unsigned int i = 0; i < t->entries; i++, e++) {
		if (e->length && at < (uint64_t)e->offset + e->length &&
		    e->offset < at + bytes)
			return false;
	}
	return true;
}

/* A place in the region that no item has; 0: there is none. */
static uint32_t find_place(const struct vhdx_metadata_table *t, uint64_t region,
			   uint32_t bytes)
{
	for (uint64_t at = VHDX_METADATA_TABLE_BYTES; range_ok(at, bytes, region);
	     at += VHDX_SECTOR_BYTES) {
		if (is_free(t, at, bytes))
			return (uint32_t)at;
	}
	return 0;
}

static int put_locator(struct vhdx *v, const uint8_t *locator, uint32_t bytes)
{
	const struct vhdx_layout *l = &v->layout;
	cleanup_free char *table = malloc(VHDX_METADATA_TABLE_BYTES);
	const struct vhdx_metadata_table *t = (const void *)table;
	struct vhdx_metadata_entry *e;
	uint32_t place;
	int r = table ? file_read(v->keeper.fd, table, VHDX_METADATA_TABLE_BYTES,
				  l->metadata_offset)
		      : -ENOMEM;

	if (r < 0)
		return r;
	/* The layout was read from the same table, so the entry is there. */
	for (e = (void *)(table + sizeof(*t)); !is_locator(e); e++)
		;
	place = find_place(t, l->metadata_bytes, bytes);
	if (!place)
		return -ENOSPC;
	r = file_write(v->keeper.fd, locator, bytes, l->metadata_offset + place);
	if (r < 0)
		return r;
	e->offset = place;
	e->length = bytes;
	r = vhdx_put(v, l->metadata_offset + (uint64_t)((char *)e - table), e,
		     sizeof(*e));
	return r < 0 ? r : vhdx_commit(v);
}

static int check(int fd, const struct vhdx_layout *l, const struct image_new_parent *p,
		 struct image_error *error)
{
	const struct image_layer layer = { .any_parent = p->any, .parent = p->disk };
	cleanup_free struct image_parent *old = malloc(sizeof(*old));
	int r;

	if (!old)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	if (!l->has_parent)
		return image_fail(error, -EINVAL, "has no parent to be set");
	if (guid_is_null(&p->disk->info.content_id))
		return image_fail(error, -EINVAL,
				  "cannot be a raw image's child; convert that to VHDX");
	if (p->disk->info.logical_bytes > l->logical_bytes ||
	    disk_bytes(p->disk) > l->disk_bytes)
		return image_fail(error, -EINVAL,
				  "cannot have this parent: it is larger, or has larger "
				  "sectors");
	if (p->any)
		return 0;
	r = vhdx_locator_read(fd, l, old, error);
	return r < 0 ? r : image_check_parent(&layer, true, &old->id, &old->id2, error);
}

static int set(struct vhdx *v, const struct image_new_parent *p,
	       struct image_error *error)
{
	cleanup_free uint8_t *locator = malloc(VHDX_LOCATOR_BYTES_OURS);
	uint32_t bytes = 0;
	int r = locator ? 0 : -ENOMEM;

	if (r == 0)
		r = vhdx_locator_build(&p->disk->info.content_id, p->relative,
				       p->absolute, locator, &bytes);
	if (r == 0)
		r = vhdx_begin(v, false);
	if (r == 0)
		r = put_locator(v, locator, bytes);
	return r < 0 ? image_fail(error, r, "cannot be given this parent: %s",
				  strerror(-r))
		     : 0;
}

int vhdx_set_parent_file(int fd, const struct image_new_parent *parent,
			 struct image_error *error)
{
	struct vhdx *v;
	int r = vhdx_session_open(fd, &v, error);

	if (r < 0)
		return r;
	r = check(fd, &v->layout, parent, error);
	if (r == 0)
		r = set(v, parent, error);
	return vhdx_session_close(v, r, error);
}

int vhdx_set_content_id_file(int fd, const struct guid *id, struct image_error *error)
{
	struct vhdx_headers h;
	int r = vhdx_headers_read(fd, &h, error);

	if (r < 0 || memcmp(h.current.data_write_guid, id, sizeof(*id)) == 0)
		return r;
	memcpy(h.current.data_write_guid, id, sizeof(*id));
	r = vhdx_headers_write(fd, &h, true);
	return r < 0 ? image_fail(error, r, "cannot be written: %s", strerror(-r)) : 0;
}
