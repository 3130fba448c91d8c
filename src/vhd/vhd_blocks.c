/* SPDX-License-Identifier: BSD-2-Clause */
/* What blocks hold, read and copied whole, for changes of whole images. */
#include "vhd/vhd_priv.h"

#include <string.h>

#include "vhd/file.h"

#define HOLE_BYTES 4096u

bool vhd_is_zero(const uint8_t *p, size_t n)
{
	/* The first byte is zero, and each is as the one before. */
	return !n || (!p[0] && memcmp(p, p + 1, n - 1) == 0);
}

static int range_is_zero(int fd, uint64_t off, uint64_t len, uint8_t *buf)
{
	int r = 1;

	for (uint64_t n; len && r == 1; off += n, len -= n) {
		n = MIN(len, file_hole(fd, off));
		if (n)
			continue;
		n = MIN(len, (uint64_t)VHD_COPY_BYTES);
		r = file_read(fd, buf, n, off);
		if (r == 0)
			r = vhd_is_zero(buf, n);
	}
	return r;
}

/* No bit of the sectors is set. */
static int has_no_sector(int fd, const struct vhd_layout *l, uint32_t entry,
			 uint64_t within, uint64_t len, uint8_t *buf)
{
	uint32_t first = (uint32_t)(within / VHD_SECTOR_BYTES);
	uint32_t n = (uint32_t)(len / VHD_SECTOR_BYTES);
	bool set;
	int r = file_read(fd, buf, l->bitmap_bytes, (uint64_t)entry * VHD_SECTOR_BYTES);

	return r < 0 ? r : vhd_bits_run(buf, first, n, &set) == n && !set;
}

int vhd_block_is_empty(int fd, const struct vhd_layout *l, uint32_t entry,
		       uint64_t within, uint64_t len, uint8_t *buf)
{
	int r = has_no_sector(fd, l, entry, within, len, buf);

	/* What a sector without a bit has in the file does not count, but is zeros where the image is as it should be. */
	if (r != 0 || l->type == VHD_DIFFERENCING)
		return r;
	return range_is_zero(
		fd, (uint64_t)entry * VHD_SECTOR_BYTES + l->bitmap_bytes + within, len,
		buf);
}

/* Only what is not zeros, into room that is. */
static int write_data(int fd, uint64_t off, const uint8_t *buf, uint64_t n)
{
	int r = 0;

	for (uint64_t at = 0; at < n && r == 0;) {
		uint64_t len = 0;

		while (at < n && vhd_is_zero(buf + at, MIN(n - at, (uint64_t)HOLE_BYTES)))
			at += HOLE_BYTES;
		while (at + len < n &&
		       !vhd_is_zero(buf + at + len,
				    MIN(n - at - len, (uint64_t)HOLE_BYTES)))
			len += HOLE_BYTES;
		if (at < n)
			r = file_write(fd, buf + at, MIN(len, n - at), off + at);
		at += len;
	}
	return r;
}

int vhd_block_copy(int fd, const struct vhd_layout *l, uint32_t from, uint32_t to,
		   uint8_t *buf)
{
	uint64_t src = (uint64_t)from * VHD_SECTOR_BYTES;
	uint64_t dst = (uint64_t)to * VHD_SECTOR_BYTES;
	uint64_t left = (uint64_t)l->bitmap_bytes + l->block_bytes;
	int r = file_zero(fd, dst, left, true);

	for (uint64_t n; left && r == 0; left -= n, src += n, dst += n) {
		/* The last block may end with the disk. */
		n = l->end > src ? l->end - src : 0;
		n = MIN(n, left);
		n = MIN(n, (uint64_t)VHD_COPY_BYTES);
		if (!n)
			break;
		r = file_read(fd, buf, n, src);
		if (r == 0)
			r = write_data(fd, dst, buf, n);
	}
	return r;
}
