/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on VHDX images as they are: what the disk holds stays, and what is refused changes nothing. */
#include "vhd/vhdx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "proto/vhdx.h"
#include "unit/test.h"
#include "unit/vhd/chains.h"

#define BAT (3 * MIB)

static uint64_t file_bytes(unsigned int at)
{
	struct stat st;

	ck_assert_int_eq(fstat(files[at].fd, &st), 0);
	return (uint64_t)st.st_size;
}

static struct image_info info_of(unsigned int at)
{
	struct image_info info;

	ck_assert_msg(image_info(files[at].fd, files[at].format, &info, &error) == 0,
		      "%s", error.message);
	return info;
}

static bool has_content_id(unsigned int at, const struct guid *id)
{
	struct image_info info = info_of(at);

	return guid_equal(&info.content_id, id);
}

static void work(unsigned int from, unsigned int n, unsigned int steps, uint32_t sector)
{
	disk = open_chain(from, n, false);
	while (steps--)
		random_step(sector);
	disk_unref(disk);
	check(from);
}

static void verify(unsigned int from, unsigned int n)
{
	disk = open_chain(from, n, true);
	read_all();
	disk_unref(disk);
	check(from);
}

#define OK(call) ck_assert_msg((call) == 0, "%s", error.message)

/* ---- resize ---- */

static const struct {
	enum image_kind kind;
	uint32_t sector, block;
} kinds[] = {
	{ IMAGE_DYNAMIC, 512, MIB },
	{ IMAGE_DYNAMIC, 4096, 2 * MIB },
	{ IMAGE_FIXED, 512, MIB },
	{ IMAGE_DIFFERENCING, 512, MIB },
	{ IMAGE_DIFFERENCING, 4096, 2 * MIB },
};

/* files[0], with files[1] as parent where the kind has one; returns the chain's length. */
static unsigned int make_kind(unsigned int i, uint64_t bytes)
{
	struct image_create_params p = { .format = IMAGE_VHDX,
					 .kind = kinds[i].kind,
					 .disk_bytes = bytes,
					 .block_bytes = kinds[i].block,
					 .logical_bytes = kinds[i].sector };

	if (kinds[i].kind == IMAGE_DIFFERENCING) {
		make(1, 0, bytes, kinds[i].sector, MIB);
		work(1, 1, 40, kinds[i].sector);
		make(0, 1, 0, kinds[i].sector, kinds[i].block);
		return 2;
	}
	files[0] = (struct image_file){ new_file(), IMAGE_VHDX };
	OK(image_create(files[0].fd, &p, &error));
	return 1;
}

START_TEST(a_disk_grows)
{
	unsigned int n = make_kind(_i, 5 * MIB + 4096);
	struct image_info before;

	work(0, n, 80, kinds[_i].sector);
	before = info_of(0);
	OK(image_resize(files[0].fd, IMAGE_VHDX, 9 * MIB, false, &error));
	ck_assert_uint_eq(info_of(0).disk_bytes, 9 * MIB);
	ck_assert(has_content_id(0, &before.content_id));
	verify(0, n);
	work(0, n, 80, kinds[_i].sector);
	OK(image_resize(files[0].fd, IMAGE_VHDX, 16 * MIB, false, &error));
	verify(0, n);
	work(0, n, 80, kinds[_i].sector);
	verify(0, n);
	close_files(n);
}
END_TEST

static unsigned int in_flight;

static void ended(struct disk_req *req, int r)
{
	ck_assert_int_eq(r, 0);
	in_flight--;
}

/* The table moves while writes are under way that need it. */
START_TEST(a_disk_grows_in_use)
{
	struct disk_req req[12];
	struct iovec iov[ARRAY_SIZE(req)];
	unsigned int n = make_kind(_i ? 3 : 0, 12 * MIB);
	struct aio_params ap = { 0 };
	struct aio *aio;

	ck_assert_int_eq(aio_new(&ap, &aio), 0);
	disk = open_chain(0, n, false);
	fill(model, 12 * MIB);
	for (unsigned int i = 0; i < ARRAY_SIZE(req); i++) {
		iov[i] = (struct iovec){ model + i * MIB, MIB };
		req[i] = (struct disk_req){ .op = DISK_WRITE,
					    .off = i * MIB,
					    .len = MIB,
					    .iov = &iov[i],
					    .iovcnt = 1,
					    .done = ended };
		in_flight++;
		disk_submit(disk, aio, &req[i]);
		if (i == 2)
			ck_assert_int_eq(disk_resize(disk, 200 * 1024 * MIB), 0);
	}
	ck_assert_uint_eq(disk_bytes(disk), 200 * 1024 * MIB);
	ck_assert_int_eq(disk_resize(disk, 0), 0);
	ck_assert_int_eq(disk_resize(disk, 5 * MIB), -EINVAL);
	aio_drain(aio);
	ck_assert_uint_eq(in_flight, 0);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 200 * 1024 * MIB - 4096, 4096, model),
			 0);
	disk_unref(disk);
	disk = open_chain(0, n, true);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 12 * MIB, buf), 0);
	ck_assert_int_eq(memcmp(buf, model, 12 * MIB), 0);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 200 * 1024 * MIB - 8192, 8192, buf), 0);
	ck_assert_int_eq(memcmp(buf + 4096, model, 4096), 0);
	disk_unref(disk);
	check(0);
	aio_free(aio);
	close_files(n);
}
END_TEST

/* Blocks of 1 MiB: 128 Ki entries to a MiB of the table, which is then too short. */
START_TEST(the_table_moves)
{
	unsigned int n = make_kind(_i ? 3 : 0, 16 * MIB);
	uint64_t bytes = 300000 * MIB;

	work(0, n, 60, 512);
	OK(image_resize(files[0].fd, IMAGE_VHDX, bytes, false, &error));
	check(0);
	disk = open_chain(0, n, false);
	ck_assert_uint_eq(disk_bytes(disk), bytes);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 16 * MIB, buf), 0);
	ck_assert_int_eq(memcmp(buf, model, 16 * MIB), 0);
	fill(model, 4096);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, bytes - 4096, 4096, model), 0);
	disk_unref(disk);
	disk = open_chain(0, n, true);
	ck_assert_int_eq(run(disk, DISK_READ, 0, bytes - 8192, 8192, buf), 0);
	ck_assert_int_eq(memcmp(buf + 4096, model, 4096), 0);
	disk_unref(disk);
	check(0);
	close_files(n);
}
END_TEST

START_TEST(a_disk_shrinks_where_nothing_is_lost)
{
	uint64_t bytes;

	make_kind(_i, 16 * MIB);
	disk = open_chain(0, 1, false);
	fill(model, 5 * MIB);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 0, 5 * MIB, model), 0);
	fill(buf, 2 * MIB);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 10 * MIB, 2 * MIB, buf), 0);
	disk_unref(disk);
	bytes = file_bytes(0);
	ck_assert_int_eq(image_resize(files[0].fd, IMAGE_VHDX, 5 * MIB, false, &error),
			 -EINVAL);
	ck_assert_int_eq(image_resize(files[0].fd, IMAGE_VHDX, 5 * MIB, true, &error),
			 -ENOTEMPTY);
	ck_assert_int_eq(
		image_resize(files[0].fd, IMAGE_VHDX, 12 * MIB - 4096, true, &error),
		-ENOTEMPTY);
	ck_assert_int_eq(image_resize(files[0].fd, IMAGE_VHDX, 0, true, &error), -EINVAL);
	ck_assert_int_eq(image_resize(files[0].fd, IMAGE_VHDX, 5 * MIB + 1, true, &error),
			 -EINVAL);
	ck_assert_int_eq(image_resize(files[0].fd, IMAGE_VHDX, (64ull << 40) + 4096,
				      false, &error),
			 -EINVAL);
	ck_assert_uint_eq(file_bytes(0), bytes);
	disk = open_chain(0, 1, false);
	memset(buf, 0, 2 * MIB);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 10 * MIB, 2 * MIB, buf), 0);
	disk_unref(disk);
	OK(image_resize(files[0].fd, IMAGE_VHDX, 5 * MIB + 4096, true, &error));
	verify(0, 1);
	OK(image_resize(files[0].fd, IMAGE_VHDX, 16 * MIB, true, &error));
	verify(0, 1);
	close_files(1);
}
END_TEST

START_TEST(a_child_does_not_shrink)
{
	make_kind(3, 5 * MIB);
	ck_assert_int_eq(image_resize(files[0].fd, IMAGE_VHDX, MIB, true, &error),
			 -EINVAL);
	close_files(2);
}
END_TEST

/* ---- compact ---- */

START_TEST(compact_keeps_the_content)
{
	unsigned int n = make_kind(_i, 12 * MIB);
	struct image_info before;
	uint64_t bytes;

	work(0, n, 150, kinds[_i].sector);
	disk = open_chain(0, n, false);
	memset(model, 0, 5 * MIB);
	ck_assert_int_eq(run(disk, DISK_DISCARD, 0, 0, 3 * MIB, NULL), 0);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 3 * MIB, 2 * MIB, model), 0);
	disk_unref(disk);
	before = info_of(0);
	bytes = file_bytes(0);
	OK(image_compact(files[0].fd, IMAGE_VHDX, NULL, &error));
	ck_assert_uint_le(file_bytes(0) + 2 * MIB, bytes);
	ck_assert(has_content_id(0, &before.content_id));
	verify(0, n);
	bytes = file_bytes(0);
	OK(image_compact(files[0].fd, IMAGE_VHDX, NULL, &error));
	ck_assert_uint_eq(file_bytes(0), bytes);
	work(0, n, 60, kinds[_i].sector);
	verify(0, n);
	close_files(n);
}
END_TEST

/* Its bitmap goes when no block is there in part any more, and comes again when one is. */
START_TEST(compact_gives_up_bitmaps)
{
	uint64_t bytes;

	make_kind(3, 4 * MIB);
	disk = open_chain(0, 2, false);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 4 * MIB, model), 0);
	fill(model, MIB);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 512, 512, model + 512), 0);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 0, MIB, model), 0);
	disk_unref(disk);
	bytes = file_bytes(0);
	OK(image_compact(files[0].fd, IMAGE_VHDX, NULL, &error));
	ck_assert_uint_eq(file_bytes(0), bytes - MIB);
	verify(0, 2);
	disk = open_chain(0, 2, false);
	fill(model + 2 * MIB, 1024);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 2 * MIB, 1024, model + 2 * MIB), 0);
	disk_unref(disk);
	verify(0, 2);
	bytes = file_bytes(0);
	OK(image_compact(files[0].fd, IMAGE_VHDX, NULL, &error));
	ck_assert_uint_eq(file_bytes(0), bytes);
	verify(0, 2);
	close_files(2);
}
END_TEST

START_TEST(compact_after_the_table_moved)
{
	uint64_t bytes;

	make_kind(0, 16 * MIB);
	disk = open_chain(0, 1, false);
	fill(model, 16 * MIB);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 0, 16 * MIB, model), 0);
	memset(model, 0, 4 * MIB);
	ck_assert_int_eq(run(disk, DISK_DISCARD, 0, 0, 4 * MIB, NULL), 0);
	disk_unref(disk);
	OK(image_resize(files[0].fd, IMAGE_VHDX, 300000 * MIB, false, &error));
	bytes = file_bytes(0);
	OK(image_compact(files[0].fd, IMAGE_VHDX, NULL, &error));
	ck_assert_uint_eq(file_bytes(0), bytes - 5 * MIB);
	check(0);
	disk = open_chain(0, 1, true);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 16 * MIB, buf), 0);
	ck_assert_int_eq(memcmp(buf, model, 16 * MIB), 0);
	disk_unref(disk);
	close_files(1);
}
END_TEST

static bool refuse(void *arg, uint64_t at, uint64_t total)
{
	return false;
}

START_TEST(compact_that_is_refused_or_canceled)
{
	struct image_progress progress = { .step = refuse };

	make_kind(2, 4 * MIB);
	ck_assert_int_eq(image_compact(files[0].fd, IMAGE_VHDX, NULL, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.message, "convert it"));
	close_files(1);
	make_kind(0, 4 * MIB);
	work(0, 1, 60, 512);
	ck_assert_int_eq(image_compact(files[0].fd, IMAGE_VHDX, &progress, &error),
			 -ECANCELED);
	verify(0, 1);
	close_files(1);
}
END_TEST

/* ---- merge and parents ---- */

static const struct {
	uint32_t sector, child, parent;
	uint64_t parent_bytes;
	bool over_raw;
} merges[] = {
	{ 512, MIB, MIB, 12 * MIB, false },
	{ 512, MIB, 4 * MIB, 5 * MIB + 512, false },
	{ 4096, 2 * MIB, MIB, 5 * MIB + 4096, false },
};

/* files: 0 grandchild, 1 child, 2 parent, 3 grandparent. */
static void make_family(unsigned int i)
{
	make(3, 0, merges[i].parent_bytes, merges[i].sector, MIB);
	work(3, 1, 40, merges[i].sector);
	make(2, 1, 0, merges[i].sector, merges[i].parent);
	work(2, 2, 60, merges[i].sector);
	make(1, 2, 12 * MIB, merges[i].sector, merges[i].child);
	work(1, 3, 80, merges[i].sector);
	make(0, 3, 0, merges[i].sector, MIB);
}

START_TEST(a_child_is_merged)
{
	struct image_params chain = { .files = files + 1, .nfiles = 3 };
	struct image_new_parent parent = { .relative = "p.vhdx" };
	static struct image_parent said;
	struct image_file child;

	make_family(_i);
	OK(image_merge(&chain, NULL, &error));
	verify(2, 2);
	child = files[1];
	files[1] = files[0];
	/* The grandchild takes the parent for the child that it knew. */
	parent.disk = open_chain(2, 2, true);
	OK(image_set_parent(files[1].fd, IMAGE_VHDX, &parent, &error));
	disk_unref(parent.disk);
	ck_assert_int_eq(image_parent_of(files[1].fd, IMAGE_VHDX, &said, &error), 1);
	ck_assert_uint_eq(said.path_n, 1);
	ck_assert_str_eq(said.paths[0], "p.vhdx");
	verify(1, 3);
	/* The child's own parent has gone on without it. */
	files[1] = child;
	ck_assert_int_eq(try_chain(1, 3, true, &disk), -ESTALE);
	/* A merge whose child was not deleted any more can be asked for again, and changes nothing. */
	OK(image_merge(&chain, NULL, &error));
	verify(2, 2);
	close_files(4);
}
END_TEST

static unsigned int steps_left;

static bool some_steps(void *arg, uint64_t at, uint64_t total)
{
	return steps_left-- > 0;
}

START_TEST(a_merge_that_is_canceled_can_be_repeated)
{
	struct image_params chain = { .files = files + 1, .nfiles = 3 };
	struct image_progress progress = { .step = refuse };

	make_family(0);
	/* More than one step's worth. */
	OK(image_resize(files[1].fd, IMAGE_VHDX, 200 * MIB, false, &error));
	disk = open_chain(1, 3, false);
	ck_assert_int_eq(run(disk, DISK_WRITE_ZEROES, 0, 12 * MIB, 188 * MIB, NULL), 0);
	disk_unref(disk);
	ck_assert_int_eq(image_merge(&chain, &progress, &error), -ECANCELED);
	disk = open_chain(1, 3, true);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 12 * MIB, buf), 0);
	ck_assert_int_eq(memcmp(buf, model, 12 * MIB), 0);
	disk_unref(disk);
	steps_left = 100;
	progress.step = some_steps;
	OK(image_merge(&chain, &progress, &error));
	disk = open_chain(2, 2, true);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 12 * MIB, buf), 0);
	ck_assert_int_eq(memcmp(buf, model, 12 * MIB), 0);
	disk_unref(disk);
	close_files(4);
}
END_TEST

START_TEST(parents_that_cannot_be_set)
{
	struct image_new_parent parent = { .relative = "p.vhdx" };

	make(2, 0, 4 * MIB, 512, MIB);
	make(1, 0, 4 * MIB, 512, MIB);
	make(0, 1, 0, 512, MIB);
	parent.disk = open_chain(2, 1, true);
	ck_assert_int_eq(image_set_parent(files[0].fd, IMAGE_VHDX, &parent, &error),
			 -ESTALE);
	ck_assert_int_eq(image_set_parent(files[1].fd, IMAGE_VHDX, &parent, &error),
			 -EINVAL);
	parent.relative = "a\\b";
	parent.any = true;
	ck_assert_int_eq(image_set_parent(files[0].fd, IMAGE_VHDX, &parent, &error),
			 -EINVAL);
	disk = open_chain(0, 2, true);
	disk_unref(disk);
	parent.relative = "p.vhdx";
	for (unsigned int i = 0; i < 3; i++)
		OK(image_set_parent(files[0].fd, IMAGE_VHDX, &parent, &error));
	disk_unref(parent.disk);
	ck_assert_int_eq(try_chain(0, 2, true, &disk), -ESTALE);
	files[1] = files[2];
	disk = open_chain(0, 2, true);
	disk_unref(disk);
	close_files(1);
}
END_TEST

/* ---- repair ---- */

static void put_entry(unsigned int index, uint64_t entry)
{
	ck_assert_int_eq(pwrite(files[0].fd, &entry, 8, (off_t)(BAT + index * 8)), 8);
}

static const struct {
	const char *name;
	bool child;
	unsigned int index;
	uint64_t entry;
	bool reads; /* before the repair */
} damage[] = {
	{ "behind the end", false, 1, (1ull << 62) | 6, false },
	{ "in the metadata", false, 1, 2 * MIB | 6, false },
	{ "a state that there is not", false, 1, 5, false },
	{ "in part without parent", false, 1, 4 * MIB | 7, false },
	{ "reserved bits", false, 2, 1ull << 10 | 2, true },
	{ "another's place", false, 1, 4 * MIB | 6, true },
	{ "a bitmap without parent", false, 4096, 4 * MIB | 6, true },
	{ "a bitmap behind the end", true, 4096, (1ull << 62) | 6, false },
	{ "no bitmap", true, 4096, 0, false },
};

START_TEST(damage_is_mended)
{
	struct image_check found;
	unsigned int n = damage[_i].child ? 2 : 1;

	/* A table that has the bitmap's entry too. */
	make(n - 1, 0, 5000 * MIB, 512, MIB);
	if (n == 2)
		make(0, 1, 0, 512, MIB);
	disk = open_chain(0, n, false);
	fill(model, 8192);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, 0, 8192, model), 0);
	if (!damage[_i].child)
		ck_assert_int_eq(run(disk, DISK_WRITE, 0, MIB, 8192, model), 0);
	disk_unref(disk);
	put_entry(damage[_i].index, damage[_i].entry);
	if (damage[_i].index == 2) /* of a block with a place */
		put_entry(1, VHDX_BLOCK_UNMAPPED | 5 * MIB | 1 << 10);
	ck_assert_int_eq(image_check(files[0].fd, IMAGE_VHDX, &found, NULL, &error), 0);
	ck_assert_uint_ge(found.errors, 1);
	ck_assert_uint_eq(found.mended, 0);
	OK(image_repair(files[0].fd, IMAGE_VHDX, &found, NULL, &error));
	ck_assert_uint_ge(found.errors, 1);
	ck_assert_uint_eq(found.mended, found.errors);
	check(0);
	disk = open_chain(0, n, false);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 8192, buf), 0);
	if (!damage[_i].child)
		ck_assert_int_eq(memcmp(buf, model, 8192), 0);
	ck_assert_int_eq(run(disk, DISK_READ, 0, MIB, 8192, buf), 0);
	/* What shared a place does so no more. */
	fill(buf, 8192);
	ck_assert_int_eq(run(disk, DISK_WRITE, 0, MIB, 8192, buf), 0);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, 8192, buf), 0);
	if (!damage[_i].child)
		ck_assert_int_eq(memcmp(buf, model, 8192), 0);
	disk_unref(disk);
	close_files(n);
}
END_TEST

START_TEST(a_damaged_copy_is_written_anew)
{
	char zeros[4096] = { 0 };
	struct image_check found;

	make(0, 0, 4 * MIB, 512, MIB);
	ck_assert_int_eq(pwrite(files[0].fd, zeros, 4096, 64 << 10), 4096);
	ck_assert_int_eq(pwrite(files[0].fd, zeros, 4096, 192 << 10), 4096);
	OK(image_repair(files[0].fd, IMAGE_VHDX, &found, NULL, &error));
	ck_assert_int_eq(pwrite(files[0].fd, zeros, 4096, 128 << 10), 4096);
	ck_assert_int_eq(pwrite(files[0].fd, zeros, 4096, 256 << 10), 4096);
	verify(0, 1);
	ck_assert_int_eq(pwrite(files[0].fd, zeros, 4096, 192 << 10), 4096);
	ck_assert_int_eq(image_repair(files[0].fd, IMAGE_VHDX, &found, NULL, &error),
			 -EUCLEAN);
	close_files(1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_ops");
	TCase *t = tcase_create("vhdx_ops");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, chains_setup, chains_teardown);
	tcase_add_loop_test(t, damage_is_mended, 0, ARRAY_SIZE(damage));
	tcase_add_test(t, a_damaged_copy_is_written_anew);
	tcase_add_test(t, parents_that_cannot_be_set);
	tcase_add_test(t, a_child_does_not_shrink);
	tcase_add_loop_test(t, a_disk_shrinks_where_nothing_is_lost, 0, 3);
	tcase_add_loop_test(t, a_disk_grows, 0, ARRAY_SIZE(kinds));
	tcase_add_loop_test(t, the_table_moves, 0, 2);
	tcase_add_loop_test(t, a_disk_grows_in_use, 0, 2);
	tcase_add_test(t, compact_that_is_refused_or_canceled);
	tcase_add_loop_test(t, compact_keeps_the_content, 0, 2);
	tcase_add_loop_test(t, compact_keeps_the_content, 3, ARRAY_SIZE(kinds));
	tcase_add_test(t, compact_gives_up_bitmaps);
	tcase_add_test(t, compact_after_the_table_moved);
	tcase_add_loop_test(t, a_child_is_merged, 0, ARRAY_SIZE(merges));
	tcase_add_test(t, a_merge_that_is_canceled_can_be_repeated);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
