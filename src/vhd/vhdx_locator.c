/* SPDX-License-Identifier: BSD-2-Clause */
/* The parent locator of a differencing image: [MS-VHDX] 2.6.2.6. A list of keys and values in UTF-16; what we do not know is left alone. */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"
#include "vhd/winpath.h"

static const struct guid locator_type = VHDX_LOCATOR_TYPE;

struct value {
	const uint8_t *bytes;
	size_t len;
};

static bool is_key(const uint8_t *p, size_t len, const char *key)
{
	if (len != 2 * strlen(key))
		return false;
	for (size_t i = 0; i < len; i += 2) {
		if (p[i] != (uint8_t)key[i / 2] || p[i + 1])
			return false;
	}
	return true;
}

static struct value find(const uint8_t *item, uint32_t bytes, const char *key)
{
	const struct vhdx_locator *l = (const void *)item;
	const struct vhdx_locator_entry *e = (const void *)(l + 1);

	for (unsigned int i = 0; i < l->pairs; i++, e++) {
		if (range_ok(e->key_offset, e->key_length, bytes) &&
		    range_ok(e->value_offset, e->value_length, bytes) &&
		    is_key(item + e->key_offset, e->key_length, key))
			return (struct value){ item + e->value_offset, e->value_length };
	}
	return (struct value){ NULL, 0 };
}

/* "{83ed0ec3-24c8-49a6-a959-5e4bf1288bfb}", in either case. */
static int take_guid(struct value v, struct guid *ret)
{
	char text[GUID_STR_LEN + 2];

	if (v.len != 2 * (GUID_STR_LEN + 1))
		return -EINVAL;
	for (size_t i = 0; i < v.len; i += 2) {
		if (v.bytes[i + 1] || !v.bytes[i])
			return -EINVAL;
		text[i / 2] = (char)v.bytes[i];
	}
	if (text[0] != '{' || text[GUID_STR_LEN] != '}')
		return -EINVAL;
	text[GUID_STR_LEN] = 0;
	return guid_parse(text + 1, ret);
}

static int take(const uint8_t *item, uint32_t bytes, struct image_parent *ret)
{
	static const char *const paths[] = { "relative_path", "volume_path",
					     "absolute_win32_path" };
	const struct vhdx_locator *l = (const void *)item;

	if (bytes < sizeof(*l) ||
	    l->pairs > (bytes - sizeof(*l)) / sizeof(struct vhdx_locator_entry))
		return -EUCLEAN;
	if (memcmp(l->type, &locator_type, sizeof(l->type)) != 0)
		return -ENOTSUP;
	memset(&ret->id, 0, sizeof(ret->id));
	memset(&ret->id2, 0, sizeof(ret->id2));
	ret->changed = 0;
	ret->path_n = 0;
	if (take_guid(find(item, bytes, "parent_linkage"), &ret->id) < 0)
		return -EUCLEAN;
	if (take_guid(find(item, bytes, "parent_linkage2"), &ret->id2) < 0)
		memset(&ret->id2, 0, sizeof(ret->id2));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct value v = find(item, bytes, paths[i]);

		if (v.bytes)
			winpath_add(ret, v.bytes, v.len);
	}
	winpath_add_names(ret);
	return 0;
}

int vhdx_locator_read(int fd, const struct vhdx_layout *l, struct image_parent *ret,
		      struct image_error *error)
{
	cleanup_free uint8_t *item = NULL;
	int r;

	if (!l->locator_bytes || l->locator_bytes > VHDX_LOCATOR_BYTES_MAX)
		return image_fail(error, -EUCLEAN,
				  "is damaged: it says nothing of its parent");
	item = malloc(l->locator_bytes);
	if (!item)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	r = file_read(fd, item, l->locator_bytes, l->locator_offset);
	if (r < 0)
		return image_fail(error, r, "cannot be read: %s", strerror(-r));
	r = take(item, l->locator_bytes, ret);
	if (r == -ENOTSUP)
		return image_fail(error, r, "has a parent of an unknown kind");
	if (r < 0)
		return image_fail(error, r, "is damaged: what it says of its parent");
	return 0;
}

/* ---- making one ---- */

struct out {
	uint8_t *item;
	uint32_t at; /* where the next text goes */
};

static void put_ascii(struct out *o, const char *s, uint32_t *offset, uint16_t *length)
{
	*offset = o->at;
	for (; *s; s++) {
		o->item[o->at++] = (uint8_t)*s;
		o->item[o->at++] = 0;
	}
	*length = (uint16_t)(o->at - *offset);
}

static struct vhdx_locator_entry *new_pair(struct out *o, const char *key)
{
	struct vhdx_locator *l = (void *)o->item;
	struct vhdx_locator_entry *e =
		(struct vhdx_locator_entry *)(void *)(l + 1) + l->pairs++;

	put_ascii(o, key, &e->key_offset, &e->key_length);
	return e;
}

static int put_path(struct out *o, const char *key, const char *path)
{
	struct vhdx_locator_entry *e;
	size_t bytes, room = VHDX_LOCATOR_BYTES_OURS - o->at - 2 * strlen(key);
	int r;

	if (!path)
		return 0;
	e = new_pair(o, key);
	r = winpath_from_host(path, true, o->item + o->at, MIN(room, (size_t)UINT16_MAX),
			      &bytes);
	if (r < 0)
		return r;
	e->value_offset = o->at;
	e->value_length = (uint16_t)bytes;
	o->at += (uint32_t)bytes;
	return 0;
}

int vhdx_locator_build(const struct guid *parent, const char *relative,
		       const char *absolute, void *ret, uint32_t *ret_bytes)
{
	struct vhdx_locator *l = ret;
	struct out o = { .item = ret,
			 .at = sizeof(*l) + 3 * sizeof(struct vhdx_locator_entry) };
	char id[GUID_STR_LEN + 2] = "{";
	struct vhdx_locator_entry *e;
	int r;

	memset(ret, 0, o.at);
	memcpy(l->type, &locator_type, sizeof(l->type));
	guid_format(parent, id + 1);
	strcat(id, "}");
	e = new_pair(&o, "parent_linkage");
	put_ascii(&o, id, &e->value_offset, &e->value_length);
	r = put_path(&o, "relative_path", relative);
	if (r == 0)
		r = put_path(&o, "absolute_win32_path", absolute);
	if (r == 0)
		*ret_bytes = o.at;
	return r;
}

int vhdx_parent_of(int fd, struct image_parent *ret, struct image_error *error)
{
	struct vhdx_headers headers;
	struct vhdx_layout layout;
	uint64_t bytes;
	int r = file_size(fd, &bytes);

	if (r < 0)
		return image_fail(error, r, "cannot be used: %s", strerror(-r));
	r = vhdx_headers_read(fd, &headers, error);
	if (r == 0)
		r = vhdx_layout_read(fd, bytes, &headers.current, &layout, error);
	if (r == 0 && layout.has_parent)
		r = vhdx_locator_read(fd, &layout, ret, error);
	return r < 0 ? r : layout.has_parent;
}
