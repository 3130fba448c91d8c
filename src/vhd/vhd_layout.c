/* SPDX-License-Identifier: BSD-2-Clause */
/* What a dynamic or differencing image has where. Everything is bounded here, before the first use. */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <string.h>

#include "vhd/file.h"

void vhd_header_seal(struct vhd_header *h)
{
	h->checksum =
		be32(vhd_checksum(h, sizeof(*h), offsetof(struct vhd_header, checksum)));
}

bool vhd_layout_set_blocks(struct vhd_layout *l, uint32_t block_bytes)
{
	if (block_bytes < VHD_BLOCK_BYTES_MIN || block_bytes > VHD_BLOCK_BYTES_MAX ||
	    (block_bytes & (block_bytes - 1)))
		return false;
	l->block_bytes = block_bytes;
	l->bitmap_bytes =
		(uint32_t)align_up(block_bytes / VHD_SECTOR_BYTES / 8, VHD_SECTOR_BYTES);
	l->windows = l->bitmap_bytes / VHD_BITS_BYTES;
	l->blocks = (l->disk_bytes + block_bytes - 1) / block_bytes;
	l->table_bytes = align_up(l->blocks * sizeof(be32_t), VHD_SECTOR_BYTES);
	return true;
}

static bool clear_of(uint64_t off, uint64_t len, uint64_t other, uint64_t other_len)
{
	return off + len <= other || off >= other + other_len;
}

static int read_header(int fd, struct vhd_layout *l, struct image_error *error)
{
	struct vhd_header *h = &l->header;
	int r;

	l->header_offset = be64_get(&l->footer.data_offset);
	if (l->header_offset < sizeof(l->footer) ||
	    !is_aligned(l->header_offset, VHD_SECTOR_BYTES) ||
	    !range_ok(l->header_offset, sizeof(*h), l->file_bytes))
		return image_fail(error, -EUCLEAN,
				  "is damaged: its header lies outside of the file");
	r = file_read(fd, h, sizeof(*h), l->header_offset);
	if (r < 0)
		return image_fail(error, r, "cannot be read: %s", strerror(-r));
	if (memcmp(h->cookie, VHD_COOKIE_HEADER, sizeof(h->cookie)) != 0 ||
	    be32_get(&h->checksum) !=
		    vhd_checksum(h, sizeof(*h), offsetof(struct vhd_header, checksum)))
		return image_fail(error, -EUCLEAN, "is damaged: its header");
	if (be32_get(&h->version) >> 16 != VHD_VERSION >> 16)
		return image_fail(error, -ENOTSUP,
				  "has a header of version %u, which is not known",
				  be32_get(&h->version) >> 16);
	return 0;
}

static int check_table(struct vhd_layout *l, struct image_error *error)
{
	if (!vhd_layout_set_blocks(l, be32_get(&l->header.block_size)))
		return image_fail(error, -EUCLEAN, "is damaged: blocks of %u bytes",
				  be32_get(&l->header.block_size));
	if (be32_get(&l->header.table_entries) < l->blocks)
		return image_fail(error, -EUCLEAN,
				  "is damaged: its disk has %llu blocks, its table %u",
				  (unsigned long long)l->blocks,
				  be32_get(&l->header.table_entries));
	l->table_offset = be64_get(&l->header.table_offset);
	if (!is_aligned(l->table_offset, VHD_SECTOR_BYTES) ||
	    !range_ok(l->table_offset, l->table_bytes, l->end) ||
	    l->table_offset < sizeof(l->footer) ||
	    !clear_of(l->table_offset, l->table_bytes, l->header_offset,
		      sizeof(l->header)))
		return image_fail(error, -EUCLEAN,
				  "is damaged: its block table lies outside of the file");
	return 0;
}

int vhd_layout_read(int fd, struct vhd_layout *ret, struct image_error *error)
{
	struct vhd_layout l = { 0 };
	int r = vhd_footer_read(fd, &l, error);

	if (r == 0 && l.type != VHD_FIXED)
		r = read_header(fd, &l, error);
	if (r == 0 && l.type != VHD_FIXED)
		r = check_table(&l, error);
	if (r == 0)
		*ret = l;
	return r;
}

bool vhd_entry_is_sound(const struct vhd_layout *l, uint64_t block, uint32_t entry)
{
	uint64_t off = (uint64_t)entry * VHD_SECTOR_BYTES;
	uint64_t len = (uint64_t)l->bitmap_bytes + l->block_bytes;
	/* The file may end with what the disk has of its last block. */
	uint64_t in_file = l->bitmap_bytes + vhd_block_len(l, block);

	return off >= sizeof(l->footer) && range_ok(off, in_file, l->end) &&
	       clear_of(off, len, l->header_offset, sizeof(l->header)) &&
	       clear_of(off, len, l->table_offset, l->table_bytes);
}

uint64_t vhd_layout_structures_end(const struct vhd_layout *l)
{
	uint64_t end = MAX(l->header_offset + sizeof(l->header),
			   l->table_offset + l->table_bytes);

	for (unsigned int i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator *e = &l->header.locators[i];
		uint64_t off = be64_get(&e->data_offset);
		uint64_t len = align_up(be32_get(&e->data_length), VHD_SECTOR_BYTES);

		if (be32_get(&e->platform) && range_ok(off, len, l->end))
			end = MAX(end, off + len);
	}
	return end;
}
