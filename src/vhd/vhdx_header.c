/* SPDX-License-Identifier: BSD-2-Clause */
/* The two headers: [MS-VHDX] 2.2.2. The one with the higher sequence number counts; an update writes the other first. */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <string.h>

#include "vhd/crc32c.h"
#include "vhd/file.h"

static const uint64_t places[2] = { VHDX_HEADER_OFFSET_1, VHDX_HEADER_OFFSET_2 };

uint32_t vhdx_checksum(const void *buf, size_t len, size_t field)
{
	static const uint32_t none;
	const char *p = buf;
	uint32_t crc = crc32c(0, p, field);

	crc = crc32c(crc, &none, sizeof(none));
	field += sizeof(none);
	return crc32c(crc, p + field, len - field);
}

static bool is_valid(const struct vhdx_header *h)
{
	return h->signature == VHDX_SIGNATURE_HEAD &&
	       h->checksum == vhdx_checksum(h, sizeof(*h),
					    offsetof(struct vhdx_header, checksum));
}

static int check(const struct vhdx_header *h, struct image_error *error)
{
	if (h->version != VHDX_VERSION)
		return image_fail(error, -ENOTSUP, "is of VHDX version %u; 1 is known",
				  h->version);
	if (h->log_version != VHDX_LOG_VERSION)
		return image_fail(error, -ENOTSUP, "has a log of version %u; 0 is known",
				  h->log_version);
	if (!h->log_length || !is_aligned(h->log_length, VHDX_MIB) ||
	    h->log_length > VHDX_LOG_BYTES_MAX)
		return image_fail(error, -EUCLEAN,
				  "is damaged: a log of %u bytes in the header",
				  h->log_length);
	if (h->log_offset < VHDX_HEADER_SECTION_BYTES ||
	    !is_aligned(h->log_offset, VHDX_MIB) ||
	    !range_ok(h->log_offset, h->log_length, INT64_MAX))
		return image_fail(error, -EUCLEAN,
				  "is damaged: the header's log lies at %#llx",
				  (unsigned long long)h->log_offset);
	return 0;
}

int vhdx_headers_read(int fd, struct vhdx_headers *ret, struct image_error *error)
{
	struct vhdx_header h[2];
	bool valid[2];
	unsigned int slot;

	for (slot = 0; slot < 2; slot++)
		valid[slot] =
			file_read(fd, &h[slot], sizeof(h[slot]), places[slot]) == 0 &&
			is_valid(&h[slot]);
	if (!valid[0] && !valid[1])
		return image_fail(error, -EUCLEAN,
				  "is damaged: neither of its headers is valid");
	slot = !valid[0] || (valid[1] && h[1].sequence > h[0].sequence);
	if (valid[0] && valid[1] && h[0].sequence == h[1].sequence &&
	    memcmp(&h[0], &h[1], sizeof(h[0])) != 0)
		return image_fail(error, -EUCLEAN,
				  "is damaged: its two headers differ in one generation");
	ret->current = h[slot];
	ret->slot = slot;
	return check(&h[slot], error);
}

static int write_other(int fd, struct vhdx_headers *h, bool sync)
{
	struct vhdx_header next = h->current;
	unsigned int slot = !h->slot;
	int r;

	next.sequence++;
	next.checksum = vhdx_checksum(&next, sizeof(next),
				      offsetof(struct vhdx_header, checksum));
	r = file_write(fd, &next, sizeof(next), places[slot]);
	if (r == 0 && sync)
		r = file_sync(fd);
	if (r < 0)
		return r;
	h->current = next;
	h->slot = slot;
	return 0;
}

int vhdx_headers_write(int fd, struct vhdx_headers *h, bool sync)
{
	int r = write_other(fd, h, sync);

	return r < 0 ? r : write_other(fd, h, sync);
}
