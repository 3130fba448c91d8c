/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The footer at the file's end says what the image is. A dynamic or differencing image has a copy at its start, for when the end is damaged or was
 * cut off. The footer counts when it is good; where both are and differ, a resize or set-parent was cut off between them.
 */
#include "vhd/vhd_priv.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "vhd/file.h"

#define FOOTER_BYTES_OLD 511u /* before Virtual PC 2004 */

uint32_t vhd_checksum(const void *buf, size_t len, size_t field)
{
	const uint8_t *p = buf;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		if (i < field || i >= field + sizeof(be32_t))
			sum += p[i];
	}
	return ~sum;
}

/* ---- CHS ---- */

/* The specification's appendix "CHS Calculation"; no disk is larger than it can say. */
struct vhd_geometry vhd_geometry(uint64_t disk_bytes)
{
	uint64_t sectors = MIN(disk_bytes / VHD_SECTOR_BYTES, (uint64_t)65535 * 16 * 255);
	uint64_t track, heads = 16, tracks;

	if (sectors >= (uint64_t)65535 * 16 * 63) {
		track = 255;
		tracks = sectors / track;
	} else {
		track = 17;
		tracks = sectors / track;
		heads = MAX((tracks + 1023) / 1024, (uint64_t)4);
		if (tracks >= heads * 1024 || heads > 16) {
			track = 31;
			heads = 16;
			tracks = sectors / track;
		}
		if (tracks >= heads * 1024) {
			track = 63;
			heads = 16;
			tracks = sectors / track;
		}
	}
	return (struct vhd_geometry){ .cylinders = be16((uint16_t)(tracks / heads)),
				      .heads = (uint8_t)heads,
				      .sectors = (uint8_t)track };
}

/* ---- writing ---- */

uint32_t vhd_time_stamp(int64_t seconds)
{
	int64_t stamp = seconds - VHD_EPOCH;

	return stamp < 0 ? 0 : (uint32_t)MIN(stamp, (int64_t)UINT32_MAX);
}

void vhd_footer_seal(struct vhd_footer *f)
{
	f->checksum =
		be32(vhd_checksum(f, sizeof(*f), offsetof(struct vhd_footer, checksum)));
}

void vhd_footer_set_size(struct vhd_footer *f, uint64_t disk_bytes)
{
	f->current_size = be64(disk_bytes);
	f->geometry = vhd_geometry(disk_bytes);
	vhd_footer_seal(f);
}

/*
 * Creator and version are as Hyper-V's: some readers take the size from the geometry, which can only say some, unless they know the
 * creator for one that does not (docs/vhd.md).
 */
void vhd_footer_make(struct vhd_footer *ret, enum vhd_type type, uint64_t disk_bytes)
{
	struct vhd_footer f = {
		.features = be32(VHD_FEATURES_RESERVED),
		.version = be32(VHD_VERSION),
		.data_offset = be64(type == VHD_FIXED ? VHD_NO_OFFSET : VHD_SECTOR_BYTES),
		.time_stamp = be32(vhd_time_stamp(time(NULL))),
		.creator_application = { 'w', 'i', 'n', ' ' },
		.creator_version = be32(0x000a0000),
		.creator_host_os = { 'W', 'i', '2', 'k' },
		.original_size = be64(disk_bytes),
		.type = be32(type),
	};
	struct guid id;

	guid_new(&id);
	memcpy(f.cookie, VHD_COOKIE_FOOTER, sizeof(f.cookie));
	memcpy(f.unique_id, &id, sizeof(f.unique_id));
	vhd_footer_set_size(&f, disk_bytes);
	*ret = f;
}

/* ---- reading ---- */

bool vhd_footer_is_good(const struct vhd_footer *f)
{
	return memcmp(f->cookie, VHD_COOKIE_FOOTER, sizeof(f->cookie)) == 0 &&
	       be32_get(&f->checksum) ==
		       vhd_checksum(f, sizeof(*f), offsetof(struct vhd_footer, checksum));
}

/* 1: a good one, with its place; 0: there is none. */
static int read_last(int fd, uint64_t file_bytes, struct vhd_footer *ret,
		     uint64_t *ret_offset)
{
	size_t len = file_bytes % VHD_SECTOR_BYTES == FOOTER_BYTES_OLD ? FOOTER_BYTES_OLD
								       : sizeof(*ret);
	int r;

	if (file_bytes < len)
		return 0;
	memset(ret, 0, sizeof(*ret));
	*ret_offset = file_bytes - len;
	r = file_read(fd, ret, len, *ret_offset);
	return r < 0 ? r : vhd_footer_is_good(ret);
}

static int read_copy(int fd, uint64_t file_bytes, struct vhd_footer *ret)
{
	int r;

	if (file_bytes < sizeof(*ret))
		return 0;
	r = file_read(fd, ret, sizeof(*ret), 0);
	return r < 0 ? r : vhd_footer_is_good(ret);
}

/* Of a fixed image the start is the guest's, who may write there what he likes. */
static int choose(int fd, struct vhd_layout *l)
{
	struct vhd_footer copy;
	int last = read_last(fd, l->file_bytes, &l->footer, &l->end), r;

	if (last < 0)
		return last;
	if (last && be32_get(&l->footer.type) == VHD_FIXED)
		return 0;
	r = read_copy(fd, l->file_bytes, &copy);
	if (r < 0)
		return r;
	if (last) {
		l->copy_bad = !r;
		l->copy_old = r && memcmp(&copy, &l->footer, sizeof(copy)) != 0;
		return 0;
	}
	if (!r || be32_get(&copy.type) == VHD_FIXED)
		return -EUCLEAN;
	l->footer = copy;
	l->footer_bad = true;
	l->end = align_up(l->file_bytes, VHD_SECTOR_BYTES);
	return 0;
}

static int check_footer(struct vhd_layout *l, struct image_error *error)
{
	uint32_t type = be32_get(&l->footer.type);

	if (be32_get(&l->footer.version) >> 16 != VHD_VERSION >> 16)
		return image_fail(error, -ENOTSUP,
				  "is of version %u of the format, which is not known",
				  be32_get(&l->footer.version) >> 16);
	if (type != VHD_FIXED && type != VHD_DYNAMIC && type != VHD_DIFFERENCING)
		return image_fail(error, -ENOTSUP,
				  "is of type %u of the format, which is not known",
				  type);
	l->type = (enum vhd_type)type;
	l->disk_bytes = be64_get(&l->footer.current_size);
	if (!l->disk_bytes || l->disk_bytes > VHD_DISK_BYTES_MAX ||
	    !is_aligned(l->disk_bytes, VHD_SECTOR_BYTES))
		return image_fail(error, -EUCLEAN,
				  "is damaged: a disk of %llu bytes is none",
				  (unsigned long long)l->disk_bytes);
	if (l->type == VHD_FIXED && l->disk_bytes > l->end)
		return image_fail(error, -EUCLEAN,
				  "is cut short: its disk has %llu bytes, the file %llu",
				  (unsigned long long)l->disk_bytes,
				  (unsigned long long)l->file_bytes);
	return 0;
}

int vhd_footer_read(int fd, struct vhd_layout *l, struct image_error *error)
{
	int r = file_size(fd, &l->file_bytes);

	if (r == 0)
		r = choose(fd, l);
	if (r == -EUCLEAN)
		return image_fail(error, r,
				  "is no VHD image, or damaged: it has no footer");
	if (r < 0)
		return image_fail(error, r, "cannot be used: %s", strerror(-r));
	return check_footer(l, error);
}

bool vhd_probe(int fd)
{
	struct vhd_layout l = { 0 };

	return file_size(fd, &l.file_bytes) == 0 && choose(fd, &l) == 0;
}
