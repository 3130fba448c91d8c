/* SPDX-License-Identifier: BSD-2-Clause */
/* VHD files that are damaged, cut short, or made by others: one line, and nothing changes; what can be used is used. Sizes and geometry. */
#include "vhd/vhd.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vhd/rig.h"
#include "vhd/vhd_priv.h"

#define MIB RIG_MIB
#define BYTES RIG_BYTES
#define TABLE 1536

static int make_image(uint64_t bytes, uint32_t block)
{
	struct image_create_params p = { .format = IMAGE_VHD,
					 .kind = block ? IMAGE_DYNAMIC : IMAGE_FIXED,
					 .disk_bytes = bytes,
					 .block_bytes = block };

	return rig_make(&p);
}

static uint32_t entry_of(int fd, unsigned int block)
{
	be32_t entry;

	ck_assert_int_eq(pread(fd, &entry, 4, TABLE + 4 * (off_t)block), 4);
	return be32_get(&entry);
}

/* ---- hostile rows ---- */

enum part { LAST, COPY, BOTH, HEADER };

/* A value at an offset of a part, with a right checksum; no bytes: a wrong checksum. */
static const struct bad {
	const char *name;
	enum part part;
	unsigned int at;
	uint64_t value;
	unsigned int bytes;
	int r;
} bad[] = {
	{ "no footer", BOTH, 0, 0, 0, -EUCLEAN },
	{ "cookie", BOTH, 0, 0, 8, -EUCLEAN },
	{ "version 2", BOTH, 12, 0x20000, 4, -ENOTSUP },
	{ "no version", BOTH, 12, 0, 4, -ENOTSUP },
	{ "type 0", BOTH, 60, 0, 4, -ENOTSUP },
	{ "type 5", BOTH, 60, 5, 4, -ENOTSUP },
	{ "type of all bits", BOTH, 60, UINT32_MAX, 4, -ENOTSUP },
	{ "copy says fixed", COPY, 60, VHD_FIXED, 4, 0 },
	{ "a child", BOTH, 60, VHD_DIFFERENCING, 4, -ENOKEY },
	{ "disk of 0", BOTH, 48, 0, 8, -EUCLEAN },
	{ "disk of an odd size", BOTH, 48, 513, 8, -EUCLEAN },
	{ "disk above 2,040 GB", BOTH, 48, (2040ull << 30) + 512, 8, -EUCLEAN },
	{ "disk of all bits", BOTH, 48, UINT64_MAX, 8, -EUCLEAN },
	{ "disk above its table", BOTH, 48, BYTES + 512, 8, -EUCLEAN },
	{ "header nowhere", BOTH, 16, VHD_NO_OFFSET, 8, -EUCLEAN },
	{ "header is the footer", BOTH, 16, 0, 8, -EUCLEAN },
	{ "header unaligned", BOTH, 16, 513, 8, -EUCLEAN },
	{ "header behind the end", BOTH, 16, 1ull << 40, 8, -EUCLEAN },
	{ "header at the end of all", BOTH, 16, UINT64_MAX - 511, 8, -EUCLEAN },
	{ "header is the table", BOTH, 16, TABLE, 8, -EUCLEAN },
	{ "header's checksum", HEADER, 0, 0, 0, -EUCLEAN },
	{ "header's cookie", HEADER, 0, 0, 8, -EUCLEAN },
	{ "header of version 2", HEADER, 24, 0x20000, 4, -ENOTSUP },
	{ "table in the footer", HEADER, 16, 0, 8, -EUCLEAN },
	{ "table in the header", HEADER, 16, 1024, 8, -EUCLEAN },
	{ "table unaligned", HEADER, 16, TABLE + 1, 8, -EUCLEAN },
	{ "table behind the end", HEADER, 16, 1ull << 40, 8, -EUCLEAN },
	{ "table wraps", HEADER, 16, UINT64_MAX - 511, 8, -EUCLEAN },
	{ "table of nothing", HEADER, 28, 0, 4, -EUCLEAN },
	{ "table one too short", HEADER, 28, 11, 4, -EUCLEAN },
	{ "table longer than needed", HEADER, 28, UINT32_MAX, 4, 0 },
	{ "blocks of 0", HEADER, 32, 0, 4, -EUCLEAN },
	{ "blocks of a sector", HEADER, 32, 512, 4, -EUCLEAN },
	{ "blocks of 3 MiB", HEADER, 32, 3 * MIB, 4, -EUCLEAN },
	{ "blocks of 512 MiB", HEADER, 32, 512 * MIB, 4, -EUCLEAN },
	{ "blocks of all bits", HEADER, 32, UINT32_MAX, 4, -EUCLEAN },
	{ "blocks too small for the table", HEADER, 32, 4096, 4, -EUCLEAN },
};

static void put_be(uint8_t *p, uint64_t value, unsigned int bytes)
{
	while (bytes--) {
		p[bytes] = (uint8_t)value;
		value >>= 8;
	}
}

static void spoil_at(int fd, const struct bad *b, off_t at, size_t len, size_t field)
{
	uint8_t part[1024];
	be32_t sum;

	ck_assert_int_eq(pread(fd, part, len, at), len);
	put_be(part + b->at, b->value, b->bytes);
	sum = be32(vhd_checksum(part, len, field) ^ !b->bytes);
	memcpy(part + field, &sum, sizeof(sum));
	ck_assert_int_eq(pwrite(fd, part, len, at), len);
}

static void spoil(int fd, const struct bad *b)
{
	if (b->part == LAST || b->part == BOTH)
		spoil_at(fd, b, lseek(fd, 0, SEEK_END) - 512, 512, 64);
	if (b->part == COPY || b->part == BOTH)
		spoil_at(fd, b, 0, 512, 64);
	if (b->part == HEADER)
		spoil_at(fd, b, 512, 1024, 36);
}

START_TEST(damage_is_told)
{
	const struct bad *b = &bad[_i];
	int fd = make_image(BYTES, 2 * MIB);
	struct image_check found;
	uint32_t before;

	spoil(fd, b);
	before = rig_sum(fd);
	ck_assert_msg(rig_open(&fd, NULL, 1, false) == b->r, "%s", b->name);
	if (b->r < 0) {
		ck_assert_msg(strlen(rig_error.message) > 10, "%s", b->name);
		ck_assert_ptr_null(rig_disk);
		ck_assert(b->r == -ENOKEY ||
			  image_check(fd, IMAGE_VHD, &found, NULL, &rig_error) == b->r);
	}
	rig_close();
	/* Nothing is written to what is refused. */
	ck_assert_uint_eq(rig_sum(fd), before);
	close(fd);
}
END_TEST

/* Entries of the block table that must not be followed; the image ends at sector END. */
#define END 8209u
static const uint32_t bad_entries[] = {
	0, 1, 2, 3, END - 4097, END, VHD_BAT_UNUSED - 1, 0x7fffffff, 0x80000000
};

/* A child that says it is one of a disk of 4 KiB sectors, whatever made it. */
START_TEST(a_parent_of_larger_sectors_is_refused)
{
	static const enum image_format formats[] = { IMAGE_VHD, IMAGE_VHDX };
	struct image_create_params p = { .format = IMAGE_VHD,
					 .kind = IMAGE_DYNAMIC,
					 .disk_bytes = BYTES };
	int fds[2], small = rig_make(&p);
	struct image_info info;
	struct vhd_header h;

	ck_assert_int_eq(rig_open(&small, NULL, 1, true), 0);
	p.kind = IMAGE_DIFFERENCING;
	p.parent = rig_disk;
	fds[0] = rig_make(&p);
	rig_close();
	p = (struct image_create_params){ .format = IMAGE_VHDX,
					  .kind = IMAGE_DYNAMIC,
					  .disk_bytes = BYTES,
					  .logical_bytes = 4096 };
	fds[1] = rig_make(&p);
	ck_assert_int_eq(image_info(fds[1], IMAGE_VHDX, &info, &rig_error), 0);
	ck_assert_int_eq(pread(fds[0], &h, sizeof(h), 512), sizeof(h));
	memcpy(h.parent_id, &info.content_id, sizeof(h.parent_id));
	vhd_header_seal(&h);
	ck_assert_int_eq(pwrite(fds[0], &h, sizeof(h), 512), sizeof(h));
	ck_assert_int_eq(rig_open(fds, formats, 2, false), -EINVAL);
	ck_assert_ptr_nonnull(strstr(rig_error.message, "larger ones"));
	close(fds[0]);
	close(fds[1]);
	close(small);
}
END_TEST

START_TEST(bad_entries_end_in_errors)
{
	int fd = make_image(BYTES, 2 * MIB);
	be32_t entry = be32(bad_entries[_i]);
	struct image_check found;

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	memset(rig_buf, 1, 4096);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, 4096), 0);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 4 * MIB, rig_buf, 4096), 0);
	rig_close();
	ck_assert_uint_le(lseek(fd, 0, SEEK_END) / 512, END);
	ck_assert_int_eq(pwrite(fd, &entry, 4, TABLE + 4), 4);
	ck_assert_int_eq(image_check(fd, IMAGE_VHD, &found, NULL, &rig_error), 0);
	ck_assert_uint_eq(found.errors, 1);
	ck_assert_ptr_nonnull(strstr(found.first, "entry 1 "));
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	ck_assert_int_eq(rig_run(DISK_READ, 0, 2 * MIB, rig_buf, 4096), -EIO);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 2 * MIB, rig_buf, 4096), -EIO);
	ck_assert_int_eq(rig_run(DISK_DISCARD, 0, 2 * MIB, NULL, MIB), -EIO);
	ck_assert_int_eq(rig_run(DISK_WRITE_ZEROES, 0, 2 * MIB, NULL, 4096), -EIO);
	ck_assert_int_eq(rig_run(DISK_READ, 0, MIB, rig_buf, 2 * MIB), -EIO);
	/* Its neighbours are well. */
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, MIB), 0);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 6 * MIB, rig_buf, MIB), 0);
	close(fd);
}
END_TEST

START_TEST(blocks_that_overlap_are_found)
{
	static const int32_t away[] = { 0, 1, -1, 4096, -4096 };
	int fd = make_image(BYTES, 2 * MIB);
	struct image_check found;
	be32_t entry;

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	for (uint64_t block = 0; block < 8; block++)
		ck_assert_int_eq(rig_run(DISK_WRITE, 0, block * 2 * MIB, rig_buf, 512),
				 0);
	rig_close();
	rig_check(fd, IMAGE_VHD);
	ck_assert_int_eq(pread(fd, &entry, 4, TABLE + 3 * 4), 4);
	entry = be32(be32_get(&entry) + (uint32_t)away[_i]);
	ck_assert_int_eq(pwrite(fd, &entry, 4, TABLE + 9 * 4), 4);
	ck_assert_int_eq(image_check(fd, IMAGE_VHD, &found, NULL, &rig_error), 0);
	ck_assert_uint_ge(found.errors, 1);
	ck_assert_ptr_nonnull(strstr(found.first, "entry 9 "));
	close(fd);
}
END_TEST

/* ---- footers ---- */

static void use_and_compare(int fd)
{
	struct stat st;

	memset(rig_model + 5 * MIB, 7, MIB);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 5 * MIB, rig_model + 5 * MIB, MIB), 0);
	rig_close();
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size % 512, 0);
	rig_check(fd, IMAGE_VHD);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, true), 0);
	rig_compare();
}

/* The footer at the end is damaged, cut off, or written over: the copy serves, and the first write makes it whole. */
START_TEST(a_damaged_footer_is_survived)
{
	int fd = make_image(BYTES, 2 * MIB);
	struct image_check found;
	off_t end;

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	memset(rig_model, 3, MIB);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_model, MIB), 0);
	rig_close();
	end = lseek(fd, 0, SEEK_END);
	if (_i == 0)
		ck_assert_int_eq(pwrite(fd, "x", 1, end - 100), 1);
	else if (_i == 1)
		ck_assert_int_eq(ftruncate(fd, end - 512), 0);
	else if (_i == 2)
		ck_assert_int_eq(ftruncate(fd, end - 100), 0);
	else
		ck_assert_int_eq(pwrite(fd, "x", 1, 100), 1);
	ck_assert_int_eq(image_check(fd, IMAGE_VHD, &found, NULL, &rig_error), 0);
	ck_assert_uint_eq(found.errors, 1);
	ck_assert_ptr_nonnull(strstr(found.first, "footer"));
	ck_assert_msg(rig_open(&fd, NULL, 1, false) == 0, "%s", rig_error.message);
	rig_compare();
	use_and_compare(fd);
	close(fd);
}
END_TEST

/* Of its last block a file may have only what the disk has. Another block, and a larger disk, need all of its place. */
START_TEST(a_file_may_end_with_the_disk)
{
	const uint64_t bytes = 4 * MIB + 512, place = 2 * MIB + 512;
	int fd = make_image(bytes, 2 * MIB);
	struct vhd_footer footer;
	uint32_t entry;

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	memset(rig_buf, 5, 512);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 4 * MIB, rig_buf, 512), 0);
	rig_close();
	entry = entry_of(fd, 2);
	ck_assert_int_eq(pread(fd, &footer, 512, 0), 512);
	ck_assert_int_eq(pwrite(fd, &footer, 512, (off_t)entry * 512 + 1024), 512);
	ck_assert_int_eq(ftruncate(fd, (off_t)entry * 512 + 1024 + 512), 0);
	rig_check(fd, IMAGE_VHD);
	if (_i == 0)
		ck_assert_int_eq(vhd_resize(fd, 6 * MIB, false, &rig_error), 0);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, 512), 0);
	rig_close();
	rig_check(fd, IMAGE_VHD);
	ck_assert_uint_ge(entry_of(fd, 0) * 512ull, entry * 512ull + place);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, true), 0);
	ck_assert_int_eq(
		rig_run(DISK_READ, 0, 4 * MIB, rig_buf, disk_bytes(rig_disk) - 4 * MIB),
		0);
	ck_assert_uint_eq(rig_buf[511], 5);
	if (_i == 0)
		ck_assert(vhd_is_zero(rig_buf + 512, 2 * MIB - 512));
	close(fd);
}
END_TEST

START_TEST(old_footers_are_known)
{
	int fd = make_image(BYTES, _i ? 2 * MIB : 0);

	/* The reserved field's last byte is not there. */
	ck_assert_int_eq(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);
	rig_engine(AIO_AUTO);
	rig_check(fd, IMAGE_VHD);
	ck_assert_msg(rig_open(&fd, NULL, 1, false) == 0, "%s", rig_error.message);
	memset(rig_model + BYTES - MIB, 7, MIB);
	ck_assert_int_eq(
		rig_run(DISK_WRITE, 0, BYTES - MIB, rig_model + BYTES - MIB, MIB), 0);
	rig_close();
	rig_check(fd, IMAGE_VHD);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, true), 0);
	rig_compare();
	close(fd);
}
END_TEST

/* What the guest writes to the first sector of a fixed image decides nothing. */
START_TEST(a_fixed_images_start_is_the_guests)
{
	int fd = make_image(BYTES, 0), other = make_image(BYTES, 2 * MIB);

	ck_assert_int_eq(pread(other, rig_model, 2560, 0), 2560);
	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_model, 4096), 0);
	ck_assert_int_eq(rig_run(DISK_DISCARD, 0, 4096, NULL, BYTES - 4096), 0);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, BYTES, rig_model, 512), -EINVAL);
	rig_close();
	rig_check(fd, IMAGE_VHD);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	ck_assert_uint_eq(disk_bytes(rig_disk), BYTES);
	rig_compare();
	close(fd);
	close(other);
}
END_TEST

START_TEST(a_truncated_file_is_refused)
{
	int fd = make_image(BYTES, _i ? 2 * MIB : 0);
	off_t from = _i ? TABLE - 512 : BYTES;

	for (off_t len = from; len >= 0; len -= _i ? 100 : MIB) {
		ck_assert_int_eq(ftruncate(fd, len), 0);
		ck_assert_int_eq(rig_open(&fd, NULL, 1, false), -EUCLEAN);
	}
	close(fd);
}
END_TEST

/* ---- making ---- */

START_TEST(create_refuses)
{
	static const struct image_create_params rows[] = {
		{ .disk_bytes = 0 },
		{ .disk_bytes = 513 },
		{ .disk_bytes = (2040ull << 30) + 512 },
		{ .disk_bytes = UINT64_MAX },
		{ .disk_bytes = 4096, .logical_bytes = 4096 },
		{ .disk_bytes = 4096, .block_bytes = 4096 },
		{ .disk_bytes = 4096, .kind = IMAGE_DYNAMIC, .block_bytes = 512 },
		{ .disk_bytes = 4096, .kind = IMAGE_DYNAMIC, .block_bytes = 3 * MIB },
		{ .disk_bytes = 4096, .kind = IMAGE_DYNAMIC, .block_bytes = 512 * MIB },
		{ .disk_bytes = 4096, .kind = IMAGE_DIFFERENCING },
	};
	struct image_create_params p = rows[_i];
	int fd = rig_file();

	p.format = IMAGE_VHD;
	ck_assert_int_eq(image_create(fd, &p, &rig_error), -EINVAL);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	p = (struct image_create_params){ .format = IMAGE_VHD, .disk_bytes = MIB };
	ck_assert_int_eq(image_create(fd, &p, &rig_error), 0);
	ck_assert_int_eq(image_create(fd, &p, &rig_error), -EEXIST);
	close(fd);
}
END_TEST

/* Sizes in sectors, and cylinders, heads, sectors a track, worked out by hand from the specification's appendix. */
static const struct {
	uint64_t sectors;
	unsigned int cylinders, heads, per_track;
} chs[] = {
	{ 1, 0, 4, 17 },
	{ 4 * 17, 1, 4, 17 },
	{ 16 * 2048, 481, 4, 17 },
	{ 40 * 2048, 963, 5, 17 },
	{ 16 * 1024 * 17 - 1, 1023, 16, 17 },
	{ 16 * 1024 * 17, 561, 16, 31 },
	{ 16 * 1024 * 31 - 1, 1023, 16, 31 },
	{ 16 * 1024 * 31, 503, 16, 63 },
	{ 127 * 2097152ull, 65278, 16, 255 },
	{ 65535ull * 16 * 63 - 1, 65534, 16, 63 },
	{ 65535ull * 16 * 63, 16191, 16, 255 },
	{ 65535ull * 16 * 255, 65535, 16, 255 },
	{ VHD_DISK_BYTES_MAX / 512, 65535, 16, 255 },
};

START_TEST(geometry_is_the_specifications)
{
	struct vhd_geometry g = vhd_geometry(chs[_i].sectors * 512);

	ck_assert_uint_eq(be16_get(&g.cylinders), chs[_i].cylinders);
	ck_assert_uint_eq(g.heads, chs[_i].heads);
	ck_assert_uint_eq(g.sectors, chs[_i].per_track);
}
END_TEST

/* What Azure asks of an image: its size is what was asked for, to the byte, and the file a footer longer. */
START_TEST(sizes_are_kept)
{
	static const uint64_t sizes[] = { 512, 3 * MIB, 20 * MIB + 512, 1023 * MIB };
	int fd = make_image(sizes[_i], 0);
	struct image_info info;

	ck_assert_int_eq(image_info(fd, IMAGE_VHD, &info, &rig_error), 0);
	ck_assert_uint_eq(info.disk_bytes, sizes[_i]);
	ck_assert_uint_eq(info.file_bytes, sizes[_i] + 512);
	ck_assert_int_eq(info.kind, IMAGE_FIXED);
	ck_assert(!guid_is_null(&info.id));
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	ck_assert_uint_eq(disk_bytes(rig_disk), sizes[_i]);
	ck_assert(guid_equal(&rig_disk->info.content_id, &info.content_id));
	close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhd_damage");
	TCase *t = tcase_create("vhd_damage");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_loop_test(t, damage_is_told, 0, ARRAY_SIZE(bad));
	tcase_add_test(t, a_parent_of_larger_sectors_is_refused);
	tcase_add_loop_test(t, bad_entries_end_in_errors, 0, ARRAY_SIZE(bad_entries));
	tcase_add_loop_test(t, blocks_that_overlap_are_found, 0, 5);
	tcase_add_loop_test(t, a_damaged_footer_is_survived, 0, 4);
	tcase_add_loop_test(t, a_file_may_end_with_the_disk, 0, 2);
	tcase_add_loop_test(t, old_footers_are_known, 0, 2);
	tcase_add_test(t, a_fixed_images_start_is_the_guests);
	tcase_add_loop_test(t, a_truncated_file_is_refused, 0, 2);
	tcase_add_loop_test(t, create_refuses, 0, 10);
	tcase_add_loop_test(t, geometry_is_the_specifications, 0, ARRAY_SIZE(chs));
	tcase_add_loop_test(t, sizes_are_kept, 0, 4);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
