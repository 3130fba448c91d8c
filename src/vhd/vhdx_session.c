/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An image in the hands of one operation: the structures of an open disk without its thread, whose part the caller plays. What the operation changes
 * reaches the file by the same log.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vhd/file.h"

int vhdx_session_open(int fd, struct vhdx **ret, struct image_error *error)
{
	struct vhdx *v = vhdx_new();
	int r;

	if (!v)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	v->keeper.fd = fd;
	r = vhdx_read_all(fd, false, v, error);
	if (r < 0) {
		vhdx_free(v);
		return r;
	}
	v->can_punch = file_can_punch(fd);
	guid_new(&v->log_guid);
	*ret = v;
	return 0;
}

int vhdx_session_close(struct vhdx *v, int r, struct image_error *error)
{
	int n = vhdx_finish(v);

	vhdx_free(v);
	if (r < 0 || n == 0)
		return r;
	return image_fail(error, n, "cannot be written: %s", strerror(-n));
}

/* ---- changes of regions and metadata ---- */

static int put_in_page(struct vhdx *v, uint64_t offset, const void *data, size_t len)
{
	uint64_t start = align_down(offset, VHDX_SECTOR_BYTES);
	struct vhdx_page *p;
	uint64_t words[VHDX_PAGE_ENTRIES];
	int r = vhdx_page_load(v, VHDX_KEY_AT(start), start, &p);

	if (r < 0)
		return r;
	memcpy(words, p->words, sizeof(words));
	memcpy((uint8_t *)words + (offset - start), data, len);
	for (unsigned int i = 0; i < VHDX_PAGE_ENTRIES && r == 0; i++) {
		if (words[i] == p->words[i])
			continue;
		r = vhdx_page_room(v, p);
		if (r == 0)
			vhdx_page_set(v, p, i, words[i]);
	}
	return r;
}

int vhdx_put(struct vhdx *v, uint64_t offset, const void *data, size_t len)
{
	const uint8_t *from = data;
	int r = 0;

	while (len && r == 0) {
		size_t n = MIN(len,
			       (size_t)(VHDX_SECTOR_BYTES - offset % VHDX_SECTOR_BYTES));

		r = put_in_page(v, offset, from, n);
		offset += n;
		from += n;
		len -= n;
	}
	return r;
}

int vhdx_put_bat_region(struct vhdx *v, uint64_t offset, uint64_t bytes)
{
	static const struct guid bat = VHDX_REGION_BAT;
	cleanup_free char *table = malloc(VHDX_REGION_TABLE_BYTES);
	struct vhdx_region_table *t = (void *)table;
	struct vhdx_region_entry *e = (void *)(t + 1);
	int r;

	if (!table)
		return -ENOMEM;
	r = vhdx_region_table_read(v->keeper.fd, table);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < t->entries; i++, e++) {
		if (memcmp(e->guid, &bat, sizeof(bat)) != 0)
			continue;
		e->offset = offset;
		e->length = (uint32_t)bytes;
	}
	t->checksum = vhdx_checksum(table, VHDX_REGION_TABLE_BYTES,
				    offsetof(struct vhdx_region_table, checksum));
	r = vhdx_put(v, VHDX_REGION_OFFSET_1, table, VHDX_REGION_TABLE_BYTES);
	return r < 0 ? r
		     : vhdx_put(v, VHDX_REGION_OFFSET_2, table, VHDX_REGION_TABLE_BYTES);
}

/* ---- data ---- */

#define PIECE_BYTES (1u << 20)

int vhdx_copy(int fd, uint64_t from, uint64_t to, uint64_t len)
{
	cleanup_free uint8_t *buf = malloc(PIECE_BYTES);
	int r = buf ? 0 : -ENOMEM;

	while (len && r == 0) {
		size_t n = (size_t)MIN(len, (uint64_t)PIECE_BYTES);
		uint64_t hole = MIN(file_hole(fd, from), len);

		if (hole) {
			/* Zeros there, whatever stood at the place before. */
			r = file_zero(fd, to, hole, true);
			n = hole;
		} else {
			r = file_read(fd, buf, n, from);
			if (r == 0)
				r = file_write(fd, buf, n, to);
		}
		from += n;
		to += n;
		len -= n;
	}
	return r;
}

int vhdx_is_zero(int fd, uint64_t off, uint64_t len)
{
	cleanup_free uint8_t *buf = malloc(PIECE_BYTES);
	int r = buf ? 0 : -ENOMEM;

	while (len && r == 0) {
		uint64_t n = MIN(file_hole(fd, off), len);

		if (!n) {
			n = MIN(len, (uint64_t)PIECE_BYTES);
			r = file_read(fd, buf, (size_t)n, off);
			if (r == 0 && (buf[0] || memcmp(buf, buf + 1, n - 1) != 0))
				return 0;
		}
		off += n;
		len -= n;
	}
	return r < 0 ? r : 1;
}
