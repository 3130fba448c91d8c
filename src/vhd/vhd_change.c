/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of a whole image, that nobody else uses. What decides is always one sector, written when all that it speaks of is durable: a footer at the
 * file's end, a sector of the table, or the header's first. The footer at the end counts before its copy, so it is written first.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <string.h>

#include "vhd/file.h"

static int write_footer(int fd, const struct vhd_layout *l, uint64_t off)
{
	int r = file_write(fd, &l->footer, sizeof(l->footer), off);

	return r < 0 ? r : file_sync(fd);
}

int vhd_heal(int fd, struct vhd_layout *l)
{
	int r = 0;

	if (l->footer_bad) {
		r = write_footer(fd, l, l->end);
		if (r < 0)
			return r;
		l->footer_bad = false;
		l->file_bytes = l->end + sizeof(l->footer);
	}
	if (l->copy_bad || l->copy_old) {
		r = write_footer(fd, l, 0);
		if (r == 0)
			l->copy_bad = l->copy_old = false;
	}
	return r;
}

int vhd_write_footers(int fd, struct vhd_layout *l)
{
	int r = write_footer(fd, l, l->end);

	if (r == 0)
		l->file_bytes = l->end + sizeof(l->footer);
	if (r == 0 && l->type != VHD_FIXED)
		r = write_footer(fd, l, 0);
	return r;
}

int vhd_move_end(int fd, struct vhd_layout *l, uint64_t end)
{
	static const uint8_t zeros[sizeof(struct vhd_footer)];
	uint64_t old = l->end;
	int r = write_footer(fd, l, end);

	if (r < 0) {
		/* Without the room, the old footer is to be the last thing again. */
		if (file_resize(fd, l->file_bytes) < 0)
			return -EIO;
		return r;
	}
	l->end = end;
	l->file_bytes = end + sizeof(l->footer);
	r = file_write(fd, zeros, sizeof(zeros), old);
	return r < 0 ? r : file_sync(fd);
}

int vhd_complete_last(int fd, struct vhd_layout *l)
{
	be32_t entries[VHD_SECTOR_BYTES / sizeof(be32_t)];
	uint64_t last = l->blocks - 1, end;
	uint32_t entry;
	int r = file_read(fd, entries, sizeof(entries),
			  l->table_offset + align_down(last * sizeof(entries[0]),
						       VHD_SECTOR_BYTES));

	if (r < 0)
		return r;
	entry = be32_get(&entries[last % ARRAY_SIZE(entries)]);
	if (entry == VHD_BAT_UNUSED || !vhd_entry_is_sound(l, last, entry))
		return 0;
	end = (uint64_t)entry * VHD_SECTOR_BYTES + l->bitmap_bytes + l->block_bytes;
	return end > l->end ? vhd_move_end(fd, l, end) : 0;
}

int vhd_cut_end(int fd, struct vhd_layout *l, uint64_t end)
{
	int r;

	if (end >= l->end)
		return 0;
	r = write_footer(fd, l, end);
	if (r == 0)
		r = file_resize(fd, end + sizeof(l->footer));
	if (r == 0)
		r = file_sync(fd);
	if (r < 0)
		return r;
	l->end = end;
	l->file_bytes = end + sizeof(l->footer);
	return 0;
}

int vhd_write_header(int fd, const struct vhd_layout *l)
{
	int r = file_write(fd, &l->header, VHD_SECTOR_BYTES, l->header_offset);

	return r < 0 ? r : file_sync(fd);
}

int vhd_change_begin(int fd, struct vhd_layout *ret, struct image_error *error)
{
	int r = vhd_layout_read(fd, ret, error);

	if (r < 0)
		return r;
	r = vhd_heal(fd, ret);
	return r < 0 ? image_fail(error, r, "cannot be written: %s", strerror(-r)) : 0;
}

int vhd_set_content_id(int fd, const struct guid *id, struct image_error *error)
{
	struct vhd_layout l;
	int r = vhd_change_begin(fd, &l, error);

	if (r < 0)
		return r;
	memcpy(l.footer.unique_id, id, sizeof(l.footer.unique_id));
	vhd_footer_seal(&l.footer);
	r = vhd_write_footers(fd, &l);
	return r < 0 ? image_fail(error, r, "cannot be written: %s", strerror(-r)) : 0;
}
