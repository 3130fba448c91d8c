/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a child says of its parent: identity and name in its header, paths in up to eight places of the file that the header's parent locators name. Of the
 * platforms only the two of Windows 2000 and later in Unicode are read and made; the others are obsolete, or a Macintosh's.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"
#include "vhd/winpath.h"

#define PATH_BYTES_MAX (64u << 10)

/* ---- reading ---- */

/* Some writers count the final NUL, and some fill up the sector. */
static size_t without_nul(const uint8_t *p, size_t n)
{
	size_t len = 0;

	while (len + 2 <= n && (p[len] || p[len + 1]))
		len += 2;
	return len;
}

static void read_path(int fd, const struct vhd_layout *l, const struct vhd_locator *e,
		      struct image_parent *ret)
{
	uint64_t off = be64_get(&e->data_offset);
	uint32_t len = be32_get(&e->data_length);
	cleanup_free uint8_t *path = NULL;

	if (!len || len > PATH_BYTES_MAX || !range_ok(off, len, l->file_bytes))
		return;
	path = malloc(len);
	if (path && file_read(fd, path, len, off) == 0)
		winpath_add(ret, path, without_nul(path, len));
}

static void read_name(const struct vhd_header *h, struct image_parent *ret)
{
	uint8_t name[sizeof(h->parent_name)];

	for (size_t i = 0; i < VHD_PARENT_NAME_UNITS; i++) {
		uint16_t unit = be16_get(&h->parent_name[i]);

		name[2 * i] = (uint8_t)unit;
		name[2 * i + 1] = (uint8_t)(unit >> 8);
	}
	winpath_add(ret, name, without_nul(name, sizeof(name)));
}

void vhd_locators_read(int fd, const struct vhd_layout *l, struct image_parent *ret)
{
	static const uint32_t order[] = { VHD_PLATFORM_W2RU, VHD_PLATFORM_W2KU };

	memcpy(&ret->id, l->header.parent_id, sizeof(ret->id));
	memset(&ret->id2, 0, sizeof(ret->id2));
	ret->changed = be32_get(&l->header.parent_time_stamp);
	if (ret->changed)
		ret->changed += VHD_EPOCH;
	ret->path_n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		for (unsigned int j = 0; j < VHD_LOCATORS; j++) {
			if (be32_get(&l->header.locators[j].platform) == order[i])
				read_path(fd, l, &l->header.locators[j], ret);
		}
	}
	read_name(&l->header, ret);
	winpath_add_names(ret);
}

int vhd_parent_of(int fd, struct image_parent *ret, struct image_error *error)
{
	struct vhd_layout l;
	int r = vhd_layout_read(fd, &l, error);

	if (r < 0)
		return r;
	if (l.type != VHD_DIFFERENCING)
		return 0;
	vhd_locators_read(fd, &l, ret);
	return 1;
}

/* ---- making ---- */

static int add_path(struct vhd_header *h, unsigned int i, uint32_t platform,
		    const char *path, uint64_t offset, struct vhd_locator_data *data)
{
	size_t room = align_up(2 * strlen(path) + 16, VHD_SECTOR_BYTES), len;
	uint8_t *grown = realloc(data->bytes, data->len + room);
	int r;

	if (!grown)
		return -ENOMEM;
	data->bytes = grown;
	memset(grown + data->len, 0, room);
	r = winpath_from_host(path, false, grown + data->len, room, &len);
	if (r < 0)
		return r;
	h->locators[i] = (struct vhd_locator){
		.platform = be32(platform),
		.data_space = be32((uint32_t)(room / VHD_SECTOR_BYTES)),
		.data_length = be32((uint32_t)len),
		.data_offset = be64(offset + data->len),
	};
	data->len += room;
	return 0;
}

/* The last name of the path; one that is too long is left out, as the locators have it. */
static void set_name(struct vhd_header *h, const char *path)
{
	const char *slash = strrchr(path, '/');
	uint8_t name[sizeof(h->parent_name) + 4];
	size_t len;

	/* ".\name": the name stands behind four bytes. */
	if (winpath_from_host(slash ? slash + 1 : path, false, name, sizeof(name) - 2,
			      &len) < 0)
		return;
	for (size_t i = 4; i < len; i += 2)
		h->parent_name[i / 2 - 2] = be16((uint16_t)(name[i] | name[i + 1] << 8));
}

int vhd_locators_make(struct vhd_header *h, uint64_t offset, const char *relative,
		      const char *absolute, struct vhd_locator_data *ret)
{
	struct vhd_locator_data data = { 0 };
	unsigned int n = 0;
	int r = 0;

	memset(h->locators, 0, sizeof(h->locators));
	memset(h->parent_name, 0, sizeof(h->parent_name));
	if (relative)
		r = add_path(h, n++, VHD_PLATFORM_W2RU, relative, offset, &data);
	if (absolute && r == 0)
		r = add_path(h, n++, VHD_PLATFORM_W2KU, absolute, offset, &data);
	if (r < 0) {
		free(data.bytes);
		return r;
	}
	if (n)
		set_name(h, absolute ? absolute : relative);
	*ret = data;
	return 0;
}
