/* SPDX-License-Identifier: BSD-2-Clause */
/* VHDX over real files: damaged fields, reads and writes against a model, several threads, replay after a worker that died. */
#include "vhd/vhdx.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "proto/vhdx.h"
#include "unit/test.h"
#include "unit/vhd/rig.h"
#include "vhd/crc32c.h"
#include "vhd/vhdx_priv.h"

#define MIB RIG_MIB
#define BYTES RIG_BYTES

static int make_image(uint64_t bytes, uint32_t block, uint32_t logical, bool fixed)
{
	struct vhdx_create_params p = { .disk_bytes = bytes,
					.block_bytes = block,
					.logical_bytes = logical,
					.fixed = fixed };

	p.fd = rig_file();
	ck_assert_msg(vhdx_create(&p, &rig_error) == 0, "%s", rig_error.message);
	return p.fd;
}

/* The descriptor stays the test's. */
static int open_image(int fd, bool read_only)
{
	static const enum image_format format = IMAGE_VHDX;

	return rig_open(&fd, &format, 1, read_only);
}

static const struct {
	enum aio_engine engine;
	uint32_t block, logical;
	bool fixed;
	enum disk_cache cache;
} kinds[] = {
	{ AIO_AUTO, MIB, 512, false },
	{ AIO_AUTO, 2 * MIB, 4096, false },
	{ AIO_AUTO, 256 * MIB, 512, false },
	{ AIO_AUTO, MIB, 512, true },
	{ AIO_THREADS, MIB, 4096, false },
	{ AIO_THREADS, 32 * MIB, 512, true },
	{ AIO_AUTO, MIB, 512, false, DISK_CACHE_NONE },
	{ AIO_AUTO, 2 * MIB, 4096, false, DISK_CACHE_NONE },
	{ AIO_THREADS, MIB, 512, false, DISK_CACHE_UNSAFE },
};

START_TEST(keeps_what_is_written)
{
	uint64_t seed = 88172645463325252ull + (uint64_t)_i;
	int fd;

	rig_engine(kinds[_i].engine);
	rig_cache = kinds[_i].cache;
	fd = make_image(BYTES, kinds[_i].block, kinds[_i].logical, kinds[_i].fixed);
	for (int round = 0; round < 4; round++) {
		ck_assert_msg(open_image(fd, false) == 0, "%s", rig_error.message);
		ck_assert_str_eq(rig_disk->ops->format, "vhdx");
		ck_assert_uint_eq(rig_disk->info.logical_bytes, kinds[_i].logical);
		ck_assert_uint_eq(disk_bytes(rig_disk), BYTES);
		rig_compare();
		for (int n = 0; n < (kinds[_i].cache == DISK_CACHE_NONE ? 15 : 60); n++)
			rig_step(&seed);
		rig_compare();
		rig_close();
	}
	/* Closed well, it needs no replay. */
	ck_assert_msg(open_image(fd, true) == 0, "%s", rig_error.message);
	rig_compare();
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, 4096), -EROFS);
	close(fd);
}
END_TEST

/* Each thread owns every fourth of the sectors of the same blocks. */
static void *write_stripes(void *arg)
{
	unsigned int id = *(unsigned int *)arg;
	struct aio_params p = { 0 };
	struct aio *a;

	if (aio_new(&p, &a) < 0)
		return arg;
	for (uint64_t off = id * 4096; off < BYTES; off += 4 * 4096 * 7) {
		memset(rig_model + off, (int)(id + off / 4096), 4096);
		if (rig_run_on(a, DISK_WRITE, off & 8192 ? DISK_FUA : 0, off,
			       rig_model + off, 4096) < 0 ||
		    (off % 5 == 0 && rig_run_on(a, DISK_FLUSH, 0, 0, NULL, 0) < 0))
			return arg;
	}
	aio_free(a);
	return NULL;
}

START_TEST(serves_several_threads)
{
	pthread_t threads[4];
	unsigned int ids[4];

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(open_image(make_image(BYTES, MIB, 512, false), false), 0);
	for (unsigned int i = 0; i < 4; i++) {
		ids[i] = i;
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, write_stripes, &ids[i]), 0);
	}
	for (unsigned int i = 0; i < 4; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	rig_compare();
}
END_TEST

/* A copy of the file as a worker that is killed would leave it. */
static int snapshot(int fd)
{
	int copy = memfd_create("copy", MFD_CLOEXEC);
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(ftruncate(copy, st.st_size), 0);
	for (off_t off = 0; off < st.st_size; off += MIB) {
		ssize_t n = pread(fd, rig_buf, MIB, off);

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(pwrite(copy, rig_buf, (size_t)n, off), n);
	}
	return copy;
}

START_TEST(replays_what_was_flushed)
{
	int fd, copy;

	rig_engine(AIO_AUTO);
	fd = make_image(BYTES, MIB, 512, false);
	ck_assert_int_eq(open_image(fd, false), 0);
	memset(rig_model + 5 * MIB, 0x5a, 2 * MIB);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 5 * MIB, rig_model + 5 * MIB, 2 * MIB),
			 0);
	ck_assert_int_eq(rig_run(DISK_FLUSH, 0, 0, NULL, 0), 0);
	copy = snapshot(fd);
	/* The table in place is lost; the log has it. */
	memset(rig_buf, 0, 4096);
	ck_assert_int_eq(pwrite(copy, rig_buf, 4096, 3 * MIB), 4096);
	rig_close();
	ck_assert_int_eq(open_image(copy, true), -EROFS);
	ck_assert_ptr_nonnull(strstr(rig_error.message, "log"));
	ck_assert_msg(open_image(copy, false) == 0, "%s", rig_error.message);
	rig_compare();
	rig_close();
	ck_assert_int_eq(open_image(copy, true), 0);
	rig_compare();
}
END_TEST

START_TEST(a_large_table_is_not_read)
{
	struct vhdx *v;
	int fd = make_image(64ull << 40, MIB, 512, false);

	rig_engine(AIO_AUTO);
	ck_assert_msg(open_image(fd, false) == 0, "%s", rig_error.message);
	v = (struct vhdx *)(void *)rig_disk;
	for (uint64_t i = 0; i < VHDX_CACHE_PAGES + 50; i++)
		ck_assert_int_eq(rig_run(DISK_READ, 0, i << 30, rig_buf, 4096), 0);
	ck_assert_uint_eq(v->cache_n, VHDX_CACHE_PAGES);
	/* Far more pages than may be dirty at a time. */
	for (uint64_t i = 0; i < 300; i++) {
		memset(rig_buf, (int)i, 512);
		ck_assert_int_eq(rig_run(DISK_WRITE, 0, i << 37, rig_buf, 512), 0);
		ck_assert_uint_le(v->dirty_n, VHDX_DIRTY_MAX);
	}
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, (64ull << 40) - 512, rig_buf, 512), 0);
	rig_close();
	ck_assert_int_eq(open_image(fd, true), 0);
	for (uint64_t i = 0; i < 300; i++) {
		ck_assert_int_eq(rig_run(DISK_READ, 0, i << 37, rig_buf, 512), 0);
		ck_assert_uint_eq(rig_buf[0], (unsigned char)i);
		ck_assert_uint_eq(rig_buf[511], (unsigned char)i);
	}
}
END_TEST

/* ---- hostile rows ---- */

enum fix { PLAIN, HEADERS, REGIONS };

/* A value at an offset of the file, and what must follow to be believed: the header's or the region table's checksum. */
static const struct bad {
	const char *name;
	uint64_t at, value;
	unsigned int bytes;
	enum fix fix;
	int r;
} bad[] = {
	{ "no header", 0, 0, 0, HEADERS, -EUCLEAN },
	{ "version", 66, 2, 2, HEADERS, -ENOTSUP },
	{ "log version", 64, 1, 2, HEADERS, -ENOTSUP },
	{ "log of nothing", 68, 0, 4, HEADERS, -EUCLEAN },
	{ "log of an odd length", 68, MIB + 4096, 4, HEADERS, -EUCLEAN },
	{ "log of 4 GiB", 68, 0xfff00000, 4, HEADERS, -EUCLEAN },
	{ "log in the headers", 72, 0, 8, HEADERS, -EUCLEAN },
	{ "log at the end of all", 72, UINT64_MAX & ~0xfffffull, 8, HEADERS, -EUCLEAN },
	{ "an empty log behind the end of the file", 72, 1ull << 40, 8, HEADERS,
	  -EUCLEAN },
	{ "log over the metadata", 72, 2 * MIB, 8, HEADERS, -EUCLEAN },
	{ "log named and empty", 48, 1, 1, HEADERS, -EUCLEAN },
	{ "too many regions", 8, 2048, 4, REGIONS, -EUCLEAN },
	{ "no regions", 8, 0, 4, REGIONS, -EUCLEAN },
	{ "one region", 8, 1, 4, REGIONS, -EUCLEAN },
	{ "unknown required region", 16, 0, 1, REGIONS, -ENOTSUP },
	{ "table behind the end", 32, 1ull << 40, 8, REGIONS, -EUCLEAN },
	{ "table wraps", 32, UINT64_MAX & ~0xfffffull, 8, REGIONS, -EUCLEAN },
	{ "table in the headers", 32, 0, 8, REGIONS, -EUCLEAN },
	{ "table unaligned", 32, 3 * MIB + 512, 8, REGIONS, -EUCLEAN },
	{ "table of nothing", 40, 0, 4, REGIONS, -EUCLEAN },
	{ "table longer than the file", 40, 0xfff00000, 4, REGIONS, -EUCLEAN },
	{ "table over the metadata", 32, 2 * MIB, 8, REGIONS, -EUCLEAN },
	{ "metadata signature", 2 * MIB, 0, 1, PLAIN, -EUCLEAN },
	{ "too many items", 2 * MIB + 10, 2048, 2, PLAIN, -EUCLEAN },
	{ "too few items", 2 * MIB + 10, 4, 2, PLAIN, -EUCLEAN },
	{ "unknown required item", 2 * MIB + 32, 0, 1, PLAIN, -ENOTSUP },
	{ "item inside the table", 2 * MIB + 48, 0, 4, PLAIN, -EUCLEAN },
	{ "item behind the region", 2 * MIB + 48, MIB - 4, 4, PLAIN, -EUCLEAN },
	{ "item at the end of all", 2 * MIB + 48, 0xfffffffc, 4, PLAIN, -EUCLEAN },
	{ "item too short", 2 * MIB + 52, 4, 4, PLAIN, -EUCLEAN },
	{ "item too long", 2 * MIB + 52, 0xffffffff, 4, PLAIN, -EUCLEAN },
	{ "blocks of 0", 2 * MIB + 65536, 0, 4, PLAIN, -EUCLEAN },
	{ "blocks of 512 KiB", 2 * MIB + 65536, MIB / 2, 4, PLAIN, -EUCLEAN },
	{ "blocks of 512 MiB", 2 * MIB + 65536, 512 * MIB, 4, PLAIN, -EUCLEAN },
	{ "blocks of 3 MiB", 2 * MIB + 65536, 3 * MIB, 4, PLAIN, -EUCLEAN },
	{ "has a parent", 2 * MIB + 65540, 2, 4, PLAIN, -EUCLEAN },
	{ "disk of 0", 2 * MIB + 65552, 0, 8, PLAIN, -EUCLEAN },
	{ "disk of an odd size", 2 * MIB + 65552, 513, 8, PLAIN, -EUCLEAN },
	{ "disk above 64 TB", 2 * MIB + 65552, (64ull << 40) + 512, 8, PLAIN, -EUCLEAN },
	{ "disk of all bits", 2 * MIB + 65552, UINT64_MAX, 8, PLAIN, -EUCLEAN },
	{ "disk above its table", 2 * MIB + 65552, 64ull << 40, 8, PLAIN, -EUCLEAN },
	{ "sectors of 0", 2 * MIB + 65584, 0, 4, PLAIN, -EUCLEAN },
	{ "sectors of 1024", 2 * MIB + 65584, 1024, 4, PLAIN, -EUCLEAN },
	{ "physical sectors of 8192", 2 * MIB + 65600, 8192, 4, PLAIN, -EUCLEAN },
};

/* Both copies of the header or table, with right checksums. */
static void spoil_copies(int fd, const struct bad *b, uint64_t first, size_t len)
{
	static uint8_t copy[65536];
	uint32_t crc;

	for (uint64_t at = first; at <= first + 65536; at += 65536) {
		if (pread(fd, copy, len, (off_t)at) != (ssize_t)len)
			ck_abort();
		memcpy(copy + b->at, &b->value, b->bytes);
		crc = vhdx_checksum(copy, len, 4);
		if (!b->bytes)
			crc = ~crc;
		memcpy(copy + 4, &crc, sizeof(crc));
		if (pwrite(fd, copy, len, (off_t)at) != (ssize_t)len)
			ck_abort();
	}
}

START_TEST(damage_is_told)
{
	const struct bad *b = &bad[_i];
	int fd = make_image(BYTES, MIB, 512, false);
	uint32_t before, after;

	if (b->fix == HEADERS)
		spoil_copies(fd, b, 65536, 4096);
	else if (b->fix == REGIONS)
		spoil_copies(fd, b, 196608, 65536);
	else
		ck_assert_int_eq(pwrite(fd, &b->value, b->bytes, (off_t)b->at), b->bytes);
	ck_assert_int_eq(pread(fd, rig_buf, 4 * MIB, 0), 4 * MIB);
	before = crc32c(0, rig_buf, 4 * MIB);
	ck_assert_msg(open_image(fd, false) == b->r, "%s", b->name);
	ck_assert_msg(strlen(rig_error.message) > 10, "%s", b->name);
	ck_assert_ptr_null(rig_disk);
	/* Nothing is written to what is refused. */
	ck_assert_int_eq(pread(fd, rig_buf, 4 * MIB, 0), 4 * MIB);
	after = crc32c(0, rig_buf, 4 * MIB);
	ck_assert_uint_eq(before, after);
	close(fd);
}
END_TEST

/* Entries of the block table that must not be followed. */
static const uint64_t bad_entries[] = {
	VHDX_BLOCK_FULLY_PRESENT,
	VHDX_BLOCK_FULLY_PRESENT | 1 * MIB,
	VHDX_BLOCK_FULLY_PRESENT | 2 * MIB,
	VHDX_BLOCK_FULLY_PRESENT | 3 * MIB,
	VHDX_BLOCK_FULLY_PRESENT | 1ull << 40,
	VHDX_BLOCK_FULLY_PRESENT | (UINT64_MAX & ~0xfffffull),
	VHDX_BLOCK_PARTIALLY_PRESENT | 4 * MIB,
	4,
	5,
};

START_TEST(bad_entries_end_in_errors)
{
	int fd = make_image(BYTES, MIB, 512, false);

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(pwrite(fd, &bad_entries[_i], 8, 3 * MIB + 8), 8);
	ck_assert_int_eq(open_image(fd, false), 0);
	ck_assert_int_eq(rig_run(DISK_READ, 0, MIB, rig_buf, 4096), -EIO);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, MIB, rig_buf, 4096), -EIO);
	ck_assert_int_eq(rig_run(DISK_DISCARD, 0, MIB, NULL, MIB), -EIO);
	ck_assert_int_eq(rig_run(DISK_WRITE_ZEROES, 0, MIB, NULL, 4096), -EIO);
	ck_assert_int_eq(rig_run(DISK_READ, 0, MIB / 2, rig_buf, MIB), -EIO);
	/* Its neighbours are well. */
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, MIB), 0);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 2 * MIB, rig_buf, MIB), 0);
}
END_TEST

START_TEST(one_damaged_copy_is_survived)
{
	static const off_t places[] = { 65536 + 100, 131072 + 100, 196608 + 100,
					262144 + 100 };
	int fd = make_image(BYTES, MIB, 512, false);

	ck_assert_int_eq(pwrite(fd, "x", 1, places[_i]), 1);
	ck_assert_msg(open_image(fd, false) == 0, "%s", rig_error.message);
}
END_TEST

START_TEST(a_truncated_file_is_refused)
{
	int fd = make_image(BYTES, MIB, 512, false);

	for (off_t len = 4 * MIB - 4096; len >= 4096; len -= 65536) {
		ck_assert_int_eq(ftruncate(fd, len), 0);
		ck_assert_int_eq(open_image(fd, false), -EUCLEAN);
	}
	close(fd);
}
END_TEST

START_TEST(create_refuses)
{
	static const struct vhdx_create_params rows[] = {
		{ .disk_bytes = 0 },
		{ .disk_bytes = 513 },
		{ .disk_bytes = (64ull << 40) + 512 },
		{ .disk_bytes = 4096, .logical_bytes = 1024 },
		{ .disk_bytes = 512, .logical_bytes = 4096 },
		{ .disk_bytes = 4096, .block_bytes = 4096 },
		{ .disk_bytes = 4096, .block_bytes = 3 * MIB },
	};
	struct vhdx_create_params p = rows[_i];
	struct stat st;

	p.fd = rig_file();
	ck_assert_int_eq(vhdx_create(&p, &rig_error), -EINVAL);
	ck_assert_int_eq(fstat(p.fd, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	p.disk_bytes = MIB;
	p.logical_bytes = p.block_bytes = 0;
	ck_assert_int_eq(vhdx_create(&p, &rig_error), 0);
	ck_assert_int_eq(vhdx_create(&p, &rig_error), -EEXIST);
	close(p.fd);
}
END_TEST

START_TEST(discarded_room_goes_back_to_the_host)
{
	struct stat full, empty;
	int fd = make_image(BYTES, MIB, 512, false);

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(open_image(fd, false), 0);
	memset(rig_buf, 1, BYTES);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, BYTES), 0);
	ck_assert_int_eq(fstat(fd, &full), 0);
	ck_assert_int_eq(rig_run(DISK_DISCARD, 0, 0, NULL, BYTES), 0);
	ck_assert_int_eq(fstat(fd, &empty), 0);
	ck_assert_int_lt(empty.st_blocks, full.st_blocks - BYTES / 512 + 1);
	/* And the blocks have their places again. */
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, BYTES), 0);
	ck_assert_int_eq(fstat(fd, &empty), 0);
	ck_assert_int_eq(empty.st_size, full.st_size);
}
END_TEST

START_TEST(checksum_is_castagnolis)
{
	/* RFC 3720 B.4. */
	unsigned char zeros[32] = { 0 };

	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c(0, zeros, 32), 0x8a9136aa);
	ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}
END_TEST

static const struct {
	const char *path;
	enum image_format format;
} names[] = {
	{ NULL, IMAGE_RAW },
	{ "", IMAGE_RAW },
	{ "/d/vhdx", IMAGE_RAW },
	{ "/d.vhdx/disk", IMAGE_RAW },
	{ "/d/a.vhdx.img", IMAGE_RAW },
	{ "/d/a.vhdx", IMAGE_VHDX },
	{ "/d/A.VHDX", IMAGE_VHDX },
};

START_TEST(the_name_says_the_format)
{
	ck_assert_int_eq(image_format_of(names[_i].path), names[_i].format);
}
END_TEST

/* What a guest has written into a raw disk stays what it wrote. */
START_TEST(the_content_does_not)
{
	struct image_file f = { .fd = make_image(8 * MIB, MIB, 512, false) };
	struct image_params p = { .files = &f, .nfiles = 1 };
	struct stat st;

	ck_assert_int_eq(fstat(f.fd, &st), 0);
	ck_assert_int_eq(image_open(&p, &rig_disk, &rig_error), 0);
	ck_assert_str_eq(rig_disk->ops->format, "raw");
	ck_assert_uint_eq(disk_bytes(rig_disk), (uint64_t)st.st_size);
	rig_close();
	f.fd = memfd_create("raw", MFD_CLOEXEC);
	f.format = IMAGE_VHDX;
	ck_assert_int_eq(ftruncate(f.fd, 8 * MIB), 0);
	ck_assert_int_eq(image_open(&p, &rig_disk, &rig_error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(rig_error.message, "is none"));
	close(f.fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx");
	TCase *t = tcase_create("vhdx");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_loop_test(t, damage_is_told, 0, ARRAY_SIZE(bad));
	tcase_add_loop_test(t, bad_entries_end_in_errors, 0, ARRAY_SIZE(bad_entries));
	tcase_add_loop_test(t, one_damaged_copy_is_survived, 0, 4);
	tcase_add_test(t, a_truncated_file_is_refused);
	tcase_add_loop_test(t, create_refuses, 0, 7);
	tcase_add_loop_test(t, keeps_what_is_written, 0, ARRAY_SIZE(kinds));
	tcase_add_test(t, serves_several_threads);
	tcase_add_test(t, replays_what_was_flushed);
	tcase_add_test(t, a_large_table_is_not_read);
	tcase_add_test(t, discarded_room_goes_back_to_the_host);
	tcase_add_test(t, checksum_is_castagnolis);
	tcase_add_loop_test(t, the_name_says_the_format, 0, ARRAY_SIZE(names));
	tcase_add_test(t, the_content_does_not);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
