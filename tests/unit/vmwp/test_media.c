/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmwp/media.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "unit/test.h"

#define BYTES 4096

static const struct guid id = { { 1 } };
static const struct drive_config drive = { .kind = DRIVE_DVD };
static struct machine m;
static unsigned int done;

static void setup(void)
{
	memset(&m, 0, sizeof(m));
	list_init(&m.media);
	m.asked_fd = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_ge(m.asked_fd, 0);
	done = 0;
}

static void teardown(void)
{
	media_collect(&m, true);
	close(m.asked_fd);
}

static void open_medium(struct disk **ret_disk, struct medium **ret)
{
	struct drive_files files = { .n = 1, .names = { "medium" }, .reservations = -1 };
	struct machine_error error = { "" };
	char path[] = "/tmp/test_media.XXXXXX";

	files.fds[0] = mkstemp(path);
	ck_assert_int_ge(files.fds[0], 0);
	unlink(path);
	ck_assert_int_eq(ftruncate(files.fds[0], BYTES), 0);
	ck_assert_msg(medium_open(&m, &id, &files, &drive, ret_disk, ret, &error) == 0,
		      "%s", error.text);
}

static void on_done(void *opaque, int r, const struct machine_error *error)
{
	ck_assert_int_eq(r, 0);
	done++;
}

/* As when the guest ejects: nobody asked, and the drive still has it. */
START_TEST(one_that_closes_by_itself_is_no_more_where_it_was_kept)
{
	struct medium *slot;
	struct disk *disk;

	open_medium(&disk, &slot);
	medium_keep(slot, &slot);
	disk_unref(disk);
	media_collect(&m, false);
	ck_assert_ptr_null(slot);
	ck_assert(list_empty(&m.media));
	medium_await(slot, on_done, NULL);
	ck_assert_uint_eq(done, 1);
}
END_TEST

START_TEST(one_that_was_changed_leaves_the_new_one_alone)
{
	struct medium *old, *slot;
	struct disk *disk, *next;

	open_medium(&disk, &old);
	medium_keep(old, &slot);
	medium_keep(old, NULL);
	open_medium(&next, &slot);
	medium_keep(slot, &slot);
	medium_await(old, on_done, NULL);
	ck_assert_uint_eq(done, 0);
	disk_unref(disk);
	media_collect(&m, false);
	ck_assert_uint_eq(done, 1);
	ck_assert_ptr_nonnull(slot);
	disk_unref(next);
	media_collect(&m, false);
	ck_assert_ptr_null(slot);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmwp");
	TCase *t = tcase_create("media");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_that_closes_by_itself_is_no_more_where_it_was_kept);
	tcase_add_test(t, one_that_was_changed_leaves_the_new_one_alone);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
