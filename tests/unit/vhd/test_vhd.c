/* SPDX-License-Identifier: BSD-2-Clause */
/* VHD over real files: reads and writes against a model, several threads, bounded memory. */
#include "vhd/vhd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vhd/rig.h"
#include "vhd/crc32c.h"
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

/* Pages of the file's first BYTES that the page cache has: mincore(2). */
static unsigned int cached_pages(int fd)
{
	static unsigned char in[BYTES / 4096];
	void *p = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	unsigned int n = 0;

	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(mincore(p, BYTES, in), 0);
	munmap(p, BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		n += in[i] & 1;
	return n;
}

static const struct {
	enum aio_engine engine;
	uint32_t block; /* 0: fixed */
	enum disk_cache cache;
} kinds[] = {
	{ AIO_AUTO, 2 * MIB },
	{ AIO_AUTO, MIB / 2 },
	{ AIO_AUTO, 32 * MIB },
	{ AIO_AUTO, 4096 },
	{ AIO_AUTO, 0 },
	{ AIO_THREADS, 2 * MIB },
	{ AIO_THREADS, 65536 },
	{ AIO_THREADS, 4 * MIB },
	{ AIO_THREADS, 0 },
	{ AIO_AUTO, 2 * MIB, DISK_CACHE_NONE },
	{ AIO_THREADS, 65536, DISK_CACHE_NONE },
	{ AIO_THREADS, 2 * MIB, DISK_CACHE_UNSAFE },
};

/* Fewer where each waits for a medium. */
static int steps(int n)
{
	return rig_cache == DISK_CACHE_NONE ? n / 4 : n;
}

START_TEST(keeps_what_is_written)
{
	uint64_t seed = 88172645463325252ull + (uint64_t)_i;
	int fd;

	rig_cache = kinds[_i].cache;
	fd = make_image(BYTES, kinds[_i].block);
	rig_engine(kinds[_i].engine);
	for (int round = 0; round < 4; round++) {
		ck_assert_msg(rig_open(&fd, NULL, 1, false) == 0, "%s",
			      rig_error.message);
		ck_assert_str_eq(rig_disk->ops->format, "vhd");
		ck_assert_uint_eq(rig_disk->info.logical_bytes, 512);
		ck_assert_uint_eq(disk_bytes(rig_disk), BYTES);
		rig_compare();
		for (int n = 0; n < steps(60); n++)
			rig_step(&seed);
		rig_compare();
		rig_close();
		rig_check(fd, IMAGE_VHD);
	}
	ck_assert_msg(rig_open(&fd, NULL, 1, true) == 0, "%s", rig_error.message);
	rig_compare();
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, 4096), -EROFS);
	close(fd);
}
END_TEST

/* A child of a child of an image of any format, and each with its own blocks. */
static const struct {
	enum image_format root;
	enum image_kind kind;
	uint32_t blocks[2];
	enum disk_cache cache;
} chains[] = {
	{ IMAGE_VHD, IMAGE_DYNAMIC, { 2 * MIB, 2 * MIB } },
	{ IMAGE_VHD, IMAGE_FIXED, { MIB / 2, 2 * MIB } },
	{ IMAGE_VHD, IMAGE_DYNAMIC, { 8 * MIB, 4096 } },
	{ IMAGE_VHDX, IMAGE_DYNAMIC, { 2 * MIB, 16384 } },
	{ IMAGE_RAW, IMAGE_DYNAMIC, { 65536, 4 * MIB } },
	{ IMAGE_VHDX, IMAGE_DYNAMIC, { 2 * MIB, 16384 }, DISK_CACHE_NONE },
	{ IMAGE_VHD, IMAGE_FIXED, { MIB / 2, 2 * MIB }, DISK_CACHE_NONE },
};

static int make_child(struct disk *parent, uint32_t block)
{
	struct image_create_params p = { .format = IMAGE_VHD,
					 .kind = IMAGE_DIFFERENCING,
					 .block_bytes = block,
					 .parent = parent,
					 .parent_relative = "parent.vhd",
					 .parent_absolute = "/vm/parent.vhd" };

	return rig_make(&p);
}

START_TEST(a_child_keeps_what_it_has)
{
	struct image_create_params p = { .format = chains[_i].root,
					 .kind = chains[_i].kind,
					 .disk_bytes = BYTES };
	enum image_format formats[3] = { IMAGE_VHD, IMAGE_VHD, chains[_i].root };
	uint64_t seed = 1181783497276652981ull + (uint64_t)_i;
	int fds[3];
	uint32_t sum;

	rig_engine(AIO_AUTO);
	rig_cache = chains[_i].cache;
	fds[2] = rig_make(&p);
	for (unsigned int first = 2;; first--) {
		ck_assert_msg(rig_open(fds + first, formats + first, 3 - first, false) ==
				      0,
			      "%s", rig_error.message);
		rig_compare();
		for (int n = 0; n < steps(40); n++)
			rig_step(&seed);
		rig_compare();
		if (!first)
			break;
		/* Opened anew: who it is may have changed with what was written. */
		rig_close();
		ck_assert_int_eq(rig_open(fds + first, formats + first, 3 - first, true),
				 0);
		fds[first - 1] = make_child(rig_disk, chains[_i].blocks[first - 1]);
		rig_close();
	}
	rig_close();
	sum = rig_sum(fds[1]);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(rig_open(fds, formats, 3, false), 0);
		for (int n = 0; n < steps(60); n++)
			rig_step(&seed);
		rig_close();
		rig_check(fds[0], IMAGE_VHD);
	}
	ck_assert_int_eq(rig_open(fds, formats, 3, true), 0);
	rig_compare();
	ck_assert_uint_eq(rig_sum(fds[1]), sum);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
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

static void write_by_threads(void)
{
	pthread_t threads[4];
	unsigned int ids[4];

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

/* Past the page cache, where files can be opened so: each has it, and of what was read and written nothing is kept. */
START_TEST(goes_past_the_page_cache)
{
	int fd, direct;
	char path[32];

	rig_engine(AIO_AUTO);
	rig_cache = DISK_CACHE_NONE;
	fd = make_image(BYTES, 2 * MIB);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	direct = open(path, O_RDWR | O_DIRECT);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	ck_assert_int_eq(rig_disk->ops->map(rig_disk, 0, 512).direct_align > 0,
			 direct >= 0);
	memset(rig_model, 7, BYTES);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_model, BYTES), 0);
	ck_assert_int_eq(rig_run(DISK_FLUSH, 0, 0, NULL, 0), 0);
	rig_compare();
	if (direct >= 0)
		ck_assert_uint_lt(cached_pages(fd), BYTES / 4096 / 8);
	close(direct);
	close(fd);
}
END_TEST

START_TEST(serves_several_threads)
{
	int fds[2] = { -1, make_image(BYTES, MIB / 2) };

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(fds + 1, NULL, 1, false), 0);
	if (_i) {
		/* With a child's bitmaps changed by all of them. */
		fds[0] = make_child(rig_disk, 2 * MIB);
		rig_close();
		ck_assert_int_eq(rig_open(fds, NULL, 2, false), 0);
	}
	write_by_threads();
	rig_close();
	ck_assert_int_eq(rig_open(_i ? fds : fds + 1, NULL, _i ? 2 : 1, true), 0);
	rig_compare();
}
END_TEST

/* ---- large ones ---- */

START_TEST(memory_is_bounded)
{
	/* 2,040 GB in blocks of 4 KiB: a table of 2 GiB. The file is a hole, as a hostile one could be. */
	struct vhd_layout l = { .type = VHD_DYNAMIC, .disk_bytes = VHD_DISK_BYTES_MAX };
	struct vhd_header h = { .version = be32(VHD_VERSION),
				.table_offset = be64(2048),
				.table_entries = be32(UINT32_MAX),
				.block_size = be32(4096) };
	int fd = memfd_create("vhd", MFD_CLOEXEC);
	struct vhd *v;

	vhd_footer_make(&l.footer, VHD_DYNAMIC, VHD_DISK_BYTES_MAX);
	memcpy(h.cookie, VHD_COOKIE_HEADER, sizeof(h.cookie));
	vhd_header_seal(&h);
	ck_assert_int_eq(pwrite(fd, &l.footer, 512, 0), 512);
	ck_assert_int_eq(pwrite(fd, &h, sizeof(h), 512), sizeof(h));
	ck_assert_int_eq(pwrite(fd, &l.footer, 512, 3ll << 30), 512);
	rig_engine(AIO_AUTO);
	ck_assert_msg(rig_open(&fd, NULL, 1, true) == 0, "%s", rig_error.message);
	v = (struct vhd *)(void *)rig_disk;
	for (uint64_t i = 0; i < VHD_CACHE_PAGES + 50; i++)
		ck_assert_int_eq(
			rig_run(DISK_READ, 0, i * 4096 * VHD_PAGE_ENTRIES, rig_buf, 4096),
			-EIO);
	ck_assert_uint_eq(v->cache_n, VHD_CACHE_PAGES);
	close(fd);
}
END_TEST

START_TEST(a_large_image_is_used_everywhere)
{
	int fd = make_image(VHD_DISK_BYTES_MAX, 2 * MIB);
	struct vhd *v;

	rig_engine(AIO_AUTO);
	ck_assert_msg(rig_open(&fd, NULL, 1, false) == 0, "%s", rig_error.message);
	v = (struct vhd *)(void *)rig_disk;
	/* Far more pages than may be dirty at a time. */
	for (uint64_t i = 0; i < 200; i++) {
		memset(rig_buf, (int)i, 512);
		ck_assert_int_eq(rig_run(DISK_WRITE, 0, i * (10ull << 30), rig_buf, 512),
				 0);
		ck_assert_uint_le(v->dirty_pages_n, VHD_PAGES_DIRTY_MAX);
	}
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, VHD_DISK_BYTES_MAX - 512, rig_buf, 512),
			 0);
	rig_close();
	rig_check(fd, IMAGE_VHD);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, true), 0);
	for (uint64_t i = 0; i < 200; i++) {
		ck_assert_int_eq(rig_run(DISK_READ, 0, i * (10ull << 30), rig_buf, 512),
				 0);
		ck_assert_uint_eq(rig_buf[0], (unsigned char)i);
		ck_assert_uint_eq(rig_buf[511], (unsigned char)i);
	}
	close(fd);
}
END_TEST

START_TEST(more_bitmaps_than_are_kept)
{
	/* A child of 20 GiB, a sector of each bitmap. */
	int fds[2] = { -1, make_image(20ull << 30, 2 * MIB) };
	uint64_t n = (20ull << 30) / VHD_WINDOW_BYTES;
	struct vhd *v;

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(fds + 1, NULL, 1, false), 0);
	fds[0] = make_child(rig_disk, 256 * MIB);
	rig_close();
	ck_assert_int_eq(rig_open(fds, NULL, 2, false), 0);
	v = (struct vhd *)(void *)rig_disk;
	for (uint64_t i = 0; i < n; i++) {
		memset(rig_buf, (int)i, 512);
		ck_assert_int_eq(
			rig_run(DISK_WRITE, 0, i * VHD_WINDOW_BYTES, rig_buf, 512), 0);
		ck_assert_uint_le(v->dirty_bits_n, VHD_BITS_DIRTY_MAX);
	}
	ck_assert_uint_eq(v->bits_n, VHD_CACHE_BITS);
	for (uint64_t i = 0; i < n; i += 97) {
		ck_assert_int_eq(
			rig_run(DISK_READ, 0, i * VHD_WINDOW_BYTES, rig_buf, 1024), 0);
		ck_assert_uint_eq(rig_buf[511], (unsigned char)i);
		ck_assert_uint_eq(rig_buf[512], 0);
	}
}
END_TEST

START_TEST(discarded_room_goes_back_to_the_host)
{
	struct stat full, empty;
	int fd = make_image(BYTES, 2 * MIB);

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	memset(rig_buf, 1, BYTES);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, BYTES), 0);
	ck_assert_int_eq(fstat(fd, &full), 0);
	ck_assert_int_eq(rig_run(DISK_DISCARD, 0, 0, NULL, BYTES), 0);
	ck_assert_int_eq(fstat(fd, &empty), 0);
	ck_assert_int_lt(empty.st_blocks, full.st_blocks - BYTES / 512 + 1);
	/* And the blocks have their places still. */
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, BYTES), 0);
	ck_assert_int_eq(fstat(fd, &empty), 0);
	ck_assert_int_eq(empty.st_size, full.st_size);
	/* Zeros take no room where there was none. */
	rig_close();
	close(fd);
	fd = make_image(BYTES, 2 * MIB);
	ck_assert_int_eq(rig_open(&fd, NULL, 1, false), 0);
	ck_assert_int_eq(fstat(fd, &full), 0);
	ck_assert_int_eq(rig_run(DISK_WRITE_ZEROES, 0, 0, NULL, BYTES), 0);
	rig_close();
	ck_assert_int_eq(fstat(fd, &empty), 0);
	ck_assert_int_eq(empty.st_size, full.st_size);
	close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhd");
	TCase *t = tcase_create("vhd");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_loop_test(t, keeps_what_is_written, 0, ARRAY_SIZE(kinds));
	tcase_add_loop_test(t, a_child_keeps_what_it_has, 0, ARRAY_SIZE(chains));
	tcase_add_test(t, goes_past_the_page_cache);
	tcase_add_loop_test(t, serves_several_threads, 0, 2);
	tcase_add_test(t, memory_is_bounded);
	tcase_add_test(t, a_large_image_is_used_everywhere);
	tcase_add_test(t, more_bitmaps_than_are_kept);
	tcase_add_test(t, discarded_room_goes_back_to_the_host);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
