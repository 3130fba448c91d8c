/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of whole VHD images: the content stays, what cannot be done is refused and changes nothing. Power cuts: test_vhd_cuts.c. */
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

static struct image_parent parent_found;

static int make_image(uint64_t bytes, enum image_kind kind, uint32_t block,
		      struct disk *parent)
{
	struct image_create_params p = { .format = IMAGE_VHD,
					 .kind = kind,
					 .disk_bytes = bytes,
					 .block_bytes = block,
					 .parent = parent,
					 .parent_relative =
						 parent ? "../b/old.vhd" : NULL,
					 .parent_absolute =
						 parent ? "/vm/b/old.vhd" : NULL,
					 .parent_changed = parent ? 1700000000 : 0 };

	return rig_make(&p);
}

static uint64_t length_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void open_images(const int *fds, unsigned int n, bool read_only)
{
	ck_assert_msg(rig_open(fds, NULL, n, read_only) == 0, "%s", rig_error.message);
}

/* ---- compact ---- */

static const struct {
	uint32_t block;
	bool child;
} kinds[] = {
	{ 2 * MIB, false }, { MIB / 2, false }, { 4096, false },
	{ 8 * MIB, false }, { MIB / 2, true },  { 65536, true },
};

/* fds[0] is the image; fds[1] the parent of a child. Used by random requests; returns how many there are. */
static unsigned int make_used(unsigned int kind, int fds[2])
{
	uint64_t seed = 362436069362436069ull + kind;

	rig_engine(AIO_AUTO);
	fds[1] = make_image(BYTES, IMAGE_DYNAMIC, 2 * MIB, NULL);
	if (kinds[kind].child) {
		open_images(fds + 1, 1, true);
		fds[0] = make_image(BYTES, IMAGE_DIFFERENCING, kinds[kind].block,
				    rig_disk);
		rig_close();
	} else {
		fds[0] = make_image(BYTES, IMAGE_DYNAMIC, kinds[kind].block, NULL);
	}
	open_images(fds, kinds[kind].child ? 2 : 1, false);
	for (int i = 0; i < 100; i++)
		rig_step(&seed);
	rig_close();
	return kinds[kind].child ? 2 : 1;
}

static void zero(uint64_t off, uint64_t len)
{
	memset(rig_model + off, 0, len);
	ck_assert_int_eq(rig_run(DISK_WRITE_ZEROES, DISK_MAY_UNMAP, off, NULL, len), 0);
}

START_TEST(compact_keeps_the_content)
{
	int fds[2];
	unsigned int n = make_used((unsigned int)_i, fds);
	uint64_t before, after;

	open_images(fds, n, false);
	zero(0, BYTES / 3);
	zero(BYTES / 2, BYTES / 4);
	rig_close();
	before = length_of(fds[0]);
	ck_assert_msg(vhd_compact(fds[0], NULL, &rig_error) == 0, "%s",
		      rig_error.message);
	after = length_of(fds[0]);
	if (!kinds[_i].child)
		ck_assert_uint_lt(after, before - BYTES / 4);
	rig_check(fds[0], IMAGE_VHD);
	open_images(fds, n, false);
	rig_compare();
	memset(rig_model, 9, BYTES);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_model, BYTES), 0);
	rig_close();
	rig_check(fds[0], IMAGE_VHD);
	open_images(fds, n, true);
	rig_compare();
	rig_close();
	/* Nothing more is to be had. */
	before = length_of(fds[0]);
	ck_assert_int_eq(vhd_compact(fds[0], NULL, &rig_error), 0);
	ck_assert_uint_eq(length_of(fds[0]), before);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(an_empty_image_is_as_new)
{
	int fd = make_image(BYTES, IMAGE_DYNAMIC, MIB / 2, NULL);
	uint64_t fresh = length_of(fd);

	rig_engine(AIO_AUTO);
	open_images(&fd, 1, false);
	memset(rig_buf, 1, BYTES);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_buf, BYTES), 0);
	zero(0, BYTES);
	rig_close();
	ck_assert_int_eq(vhd_compact(fd, NULL, &rig_error), 0);
	ck_assert_uint_eq(length_of(fd), fresh);
	open_images(&fd, 1, true);
	rig_compare();
	close(fd);
}
END_TEST

static bool stop_at(void *arg, uint64_t done, uint64_t total)
{
	uint64_t *left = arg;

	ck_assert_uint_le(done, total);
	return (*left)-- > 0;
}

START_TEST(compact_can_be_canceled)
{
	uint64_t left = (uint64_t)_i;
	struct image_progress p = { .step = stop_at, .arg = &left };
	int fds[2];

	make_used(2, fds);
	open_images(fds, 1, false);
	zero(0, BYTES / 2);
	rig_close();
	ck_assert_int_eq(vhd_compact(fds[0], &p, &rig_error), -ECANCELED);
	rig_check(fds[0], IMAGE_VHD);
	open_images(fds, 1, false);
	rig_compare();
	rig_close();
	ck_assert_int_eq(vhd_compact(fds[0], NULL, &rig_error), 0);
	open_images(fds, 1, true);
	rig_compare();
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ---- resize ---- */

static const struct {
	enum image_kind kind;
	uint32_t block;
	uint64_t to;
} sizes[] = {
	{ IMAGE_FIXED, 0, BYTES + 512 },
	{ IMAGE_FIXED, 0, BYTES + 3 * MIB },
	{ IMAGE_DYNAMIC, 2 * MIB, BYTES + 512 },
	{ IMAGE_DYNAMIC, 2 * MIB, BYTES + 100 * MIB },
	{ IMAGE_DYNAMIC, 2 * MIB, 300ull << 30 },
	{ IMAGE_DYNAMIC, 2 * MIB, VHD_DISK_BYTES_MAX },
	{ IMAGE_DYNAMIC, 65536, BYTES + 64 * MIB },
};

START_TEST(a_larger_disk_ends_in_zeros)
{
	int fd = make_image(BYTES, sizes[_i].kind, sizes[_i].block, NULL);
	uint64_t seed = 521288629 + (uint64_t)_i, to = sizes[_i].to;
	uint64_t tail = MIN(to - BYTES, (uint64_t)BYTES), fresh = length_of(fd);
	bool fixed = sizes[_i].kind == IMAGE_FIXED;

	rig_engine(AIO_AUTO);
	open_images(&fd, 1, false);
	for (int i = 0; i < 40; i++)
		rig_step(&seed);
	rig_close();
	ck_assert_msg(vhd_resize(fd, to, false, &rig_error) == 0, "%s",
		      rig_error.message);
	rig_check(fd, IMAGE_VHD);
	open_images(&fd, 1, false);
	ck_assert_uint_eq(disk_bytes(rig_disk), to);
	rig_compare();
	ck_assert_int_eq(rig_run(DISK_READ, 0, BYTES, rig_buf, tail), 0);
	ck_assert(vhd_is_zero(rig_buf, tail));
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, to - 512, rig_model, 512), 0);
	rig_close();
	/* With data at its end it gets no smaller; without, it does. */
	memset(rig_buf, 1, 512);
	open_images(&fd, 1, false);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, to - 512, rig_buf, 512), 0);
	rig_close();
	ck_assert_int_eq(vhd_resize(fd, BYTES, true, &rig_error), -ENOTEMPTY);
	open_images(&fd, 1, false);
	ck_assert_uint_eq(disk_bytes(rig_disk), to);
	ck_assert_int_eq(rig_run(DISK_WRITE_ZEROES, 0, to - 512, NULL, 512), 0);
	rig_close();
	ck_assert_int_eq(vhd_resize(fd, BYTES, false, &rig_error), -EINVAL);
	ck_assert_msg(vhd_resize(fd, BYTES, true, &rig_error) == 0, "%s",
		      rig_error.message);
	rig_check(fd, IMAGE_VHD);
	open_images(&fd, 1, false);
	ck_assert_uint_eq(disk_bytes(rig_disk), BYTES);
	rig_compare();
	rig_close();
	ck_assert_int_eq(vhd_compact(fd, NULL, &rig_error), fixed ? -EINVAL : 0);
	rig_check(fd, IMAGE_VHD);
	open_images(&fd, 1, false);
	rig_compare();
	zero(0, BYTES);
	rig_close();
	/* And with room before it, the table that was made anew goes to the front. */
	ck_assert_int_eq(vhd_compact(fd, NULL, &rig_error), fixed ? -EINVAL : 0);
	rig_check(fd, IMAGE_VHD);
	open_images(&fd, 1, true);
	rig_compare();
	if (!fixed)
		ck_assert_uint_le(length_of(fd), fresh);
	close(fd);
}
END_TEST

START_TEST(resize_refuses)
{
	static const uint64_t bad[] = { 0, 513, VHD_DISK_BYTES_MAX + 512, UINT64_MAX };
	int fd = make_image(BYTES, IMAGE_DYNAMIC, 2 * MIB, NULL);
	uint32_t sum = rig_sum(fd);

	ck_assert_int_eq(vhd_resize(fd, bad[_i], true, &rig_error), -EINVAL);
	ck_assert_int_eq(vhd_resize(fd, BYTES, true, &rig_error), 0);
	ck_assert_uint_eq(rig_sum(fd), sum);
	close(fd);
}
END_TEST

/* A child that shrinks would lose its parent's data; a fixed image has nothing to give. */
START_TEST(what_a_kind_cannot_is_refused)
{
	int fixed = make_image(BYTES, IMAGE_FIXED, 0, NULL), child;
	uint32_t sums[2];

	open_images(&fixed, 1, true);
	child = make_image(0, IMAGE_DIFFERENCING, 2 * MIB, rig_disk);
	rig_close();
	sums[0] = rig_sum(fixed);
	sums[1] = rig_sum(child);
	ck_assert_int_eq(vhd_compact(fixed, NULL, &rig_error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(rig_error.message, "convert it"));
	ck_assert_int_eq(vhd_resize(child, BYTES - MIB, true, &rig_error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(rig_error.message, "merge it"));
	ck_assert_uint_eq(rig_sum(fixed), sums[0]);
	ck_assert_uint_eq(rig_sum(child), sums[1]);
	close(fixed);
	close(child);
}
END_TEST

/* A stale entry behind the end of a table that others wrote is no block of the larger disk. */
START_TEST(what_is_behind_the_table_does_not_count)
{
	int fd = make_image(BYTES, IMAGE_DYNAMIC, 2 * MIB, NULL);
	be32_t stale = be32(4);

	ck_assert_int_eq(pwrite(fd, &stale, 4, TABLE + 12 * 4), 4);
	ck_assert_int_eq(vhd_resize(fd, BYTES + 2 * MIB, false, &rig_error), 0);
	rig_check(fd, IMAGE_VHD);
	rig_engine(AIO_AUTO);
	open_images(&fd, 1, true);
	ck_assert_int_eq(rig_run(DISK_READ, 0, BYTES, rig_buf, 2 * MIB), 0);
	ck_assert(vhd_is_zero(rig_buf, 2 * MIB));
	close(fd);
}
END_TEST

/* ---- parents ---- */

static bool has_path(const char *path)
{
	for (unsigned int i = 0; i < parent_found.path_n; i++) {
		if (strcmp(parent_found.paths[i], path) == 0)
			return true;
	}
	return false;
}

START_TEST(a_child_is_told_of_another_path)
{
	int fds[2], other;
	unsigned int n = make_used(4, fds);
	struct image_new_parent p = { .relative = "new.vhd",
				      .absolute = "/vm/\303\244/new.vhd",
				      .changed = 1800000000 };
	struct disk *disk;
	uint64_t before = length_of(fds[0]);

	ck_assert_int_eq(vhd_parent_of(fds[0], &parent_found, &rig_error), 1);
	ck_assert(has_path("../b/old.vhd") && has_path("/vm/b/old.vhd") &&
		  has_path("old.vhd"));
	ck_assert_int_eq(parent_found.changed, 1700000000);
	/* Another image is not the parent, unless that is said. */
	other = make_image(BYTES, IMAGE_FIXED, 0, NULL);
	open_images(&other, 1, true);
	p.disk = rig_disk;
	ck_assert_int_eq(vhd_set_parent(fds[0], &p, &rig_error), -ESTALE);
	ck_assert_uint_eq(length_of(fds[0]), before);
	rig_close();
	open_images(fds + 1, 1, true);
	disk = rig_disk;
	p.disk = disk;
	ck_assert_msg(vhd_set_parent(fds[0], &p, &rig_error) == 0, "%s",
		      rig_error.message);
	ck_assert_int_eq(vhd_set_parent(fds[1], &p, &rig_error), -EINVAL);
	disk_unref(disk);
	rig_disk = NULL;
	ck_assert_int_eq(vhd_parent_of(fds[0], &parent_found, &rig_error), 1);
	ck_assert(has_path("new.vhd") && has_path("/vm/\303\244/new.vhd") &&
		  !has_path("old.vhd"));
	ck_assert_int_eq(parent_found.changed, 1800000000);
	rig_check(fds[0], IMAGE_VHD);
	open_images(fds, n, true);
	rig_compare();
	rig_close();
	/* A parent that has become another one. */
	ck_assert_int_eq(vhd_set_content_id(fds[1], &(struct guid){ { 5 } }, &rig_error),
			 0);
	ck_assert_int_eq(rig_open(fds, NULL, 2, true), -ESTALE);
	open_images(fds + 1, 1, true);
	p.disk = rig_disk;
	p.any = true;
	ck_assert_int_eq(vhd_set_parent(fds[0], &p, &rig_error), 0);
	rig_close();
	open_images(fds, n, true);
	rig_compare();
	rig_close();
	ck_assert_int_eq(vhd_compact(fds[0], NULL, &rig_error), 0);
	ck_assert_int_eq(vhd_parent_of(fds[0], &parent_found, &rig_error), 1);
	ck_assert(has_path("new.vhd"));
	close(other);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ---- merge ---- */

static const struct {
	enum image_format format;
	enum image_kind kind;
	uint64_t bytes; /* a parent that is smaller grows */
} parents[] = {
	{ IMAGE_VHD, IMAGE_DYNAMIC, BYTES },     { IMAGE_VHD, IMAGE_FIXED, BYTES },
	{ IMAGE_VHD, IMAGE_DYNAMIC, BYTES / 2 }, { IMAGE_VHD, IMAGE_FIXED, BYTES - MIB },
	{ IMAGE_VHDX, IMAGE_DYNAMIC, BYTES },
};

START_TEST(a_child_is_merged)
{
	struct image_create_params p = { .format = parents[_i].format,
					 .kind = parents[_i].kind,
					 .disk_bytes = parents[_i].bytes };
	enum image_format formats[2] = { IMAGE_VHD, parents[_i].format };
	struct image_file files[2] = { { -1, IMAGE_VHD }, { -1, parents[_i].format } };
	struct image_params chain = { .files = files, .nfiles = 2 };
	int fds[2] = { -1, rig_make(&p) };
	uint64_t seed = 123456789 + (uint64_t)_i;
	struct image_info child, parent;

	rig_engine(AIO_AUTO);
	ck_assert_int_eq(rig_open(fds + 1, formats + 1, 1, true), 0);
	fds[0] = make_image(BYTES, IMAGE_DIFFERENCING, MIB / 2, rig_disk);
	rig_close();
	ck_assert_int_eq(rig_open(fds, formats, 2, false), 0);
	for (int i = 0; i < 80; i++)
		rig_step(&seed);
	rig_close();
	files[0].fd = fds[0];
	files[1].fd = fds[1];
	ck_assert_msg(image_merge(&chain, NULL, &rig_error) == 0, "%s",
		      rig_error.message);
	ck_assert_int_eq(rig_open(fds + 1, formats + 1, 1, true), 0);
	rig_compare();
	ck_assert_int_eq(image_info(fds[0], IMAGE_VHD, &child, &rig_error), 0);
	ck_assert_int_eq(image_info(fds[1], formats[1], &parent, &rig_error), 0);
	ck_assert(guid_equal(&child.content_id, &parent.content_id));
	ck_assert_uint_eq(parent.disk_bytes, BYTES);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ---- repair ---- */

enum damage { ENTRY_OUTSIDE, ENTRY_TWICE, FOOTER, NO_FOOTER, COPY };

START_TEST(repair_mends)
{
	int fd = make_image(BYTES, IMAGE_DYNAMIC, 2 * MIB, NULL);
	be32_t entry = be32(1u << 30);
	struct image_check found;
	off_t end;

	rig_engine(AIO_AUTO);
	open_images(&fd, 1, false);
	memset(rig_model, 3, 6 * MIB);
	ck_assert_int_eq(rig_run(DISK_WRITE, 0, 0, rig_model, 6 * MIB), 0);
	rig_close();
	end = (off_t)length_of(fd);
	switch ((enum damage)_i) {
	case ENTRY_TWICE:
		ck_assert_int_eq(pread(fd, &entry, 4, TABLE + 4), 4);
		__attribute__((fallthrough));
	case ENTRY_OUTSIDE:
		ck_assert_int_eq(pwrite(fd, &entry, 4, TABLE + 8), 4);
		memset(rig_model + 4 * MIB, 0, 2 * MIB);
		break;
	case FOOTER:
		ck_assert_int_eq(pwrite(fd, "x", 1, end - 1), 1);
		break;
	case NO_FOOTER:
		ck_assert_int_eq(ftruncate(fd, end - 512), 0);
		break;
	case COPY:
		ck_assert_int_eq(pwrite(fd, "x", 1, 64), 1);
		break;
	}
	ck_assert_int_eq(vhd_repair(fd, &found, NULL, &rig_error), 0);
	ck_assert_uint_eq(found.errors, 1);
	ck_assert_uint_eq(found.mended, 1);
	ck_assert_int_ne(found.first[0], 0);
	rig_check(fd, IMAGE_VHD);
	open_images(&fd, 1, true);
	rig_compare();
	rig_close();
	ck_assert_int_eq(vhd_repair(fd, &found, NULL, &rig_error), 0);
	ck_assert_uint_eq(found.errors, 0);
	close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhd_ops");
	TCase *t = tcase_create("vhd_ops");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_loop_test(t, resize_refuses, 0, 4);
	tcase_add_test(t, what_a_kind_cannot_is_refused);
	tcase_add_test(t, what_is_behind_the_table_does_not_count);
	tcase_add_loop_test(t, a_larger_disk_ends_in_zeros, 0, ARRAY_SIZE(sizes));
	tcase_add_loop_test(t, compact_keeps_the_content, 0, ARRAY_SIZE(kinds));
	tcase_add_test(t, an_empty_image_is_as_new);
	tcase_add_loop_test(t, compact_can_be_canceled, 0, 12);
	tcase_add_test(t, a_child_is_told_of_another_path);
	tcase_add_loop_test(t, a_child_is_merged, 0, ARRAY_SIZE(parents));
	tcase_add_loop_test(t, repair_mends, 0, 5);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
