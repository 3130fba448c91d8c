/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit/test.h"

static char dir[64];
static int dirfd_;

static void setup(void)
{
	strcpy(dir, "/tmp/test_io.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(dirfd_, 0);
}

static void teardown(void)
{
	unlinkat(dirfd_, "f", 0);
	unlinkat(dirfd_, "f.new", 0);
	close(dirfd_);
	rmdir(dir);
}

START_TEST(replace_makes_and_replaces)
{
	char *text;
	size_t len;

	ck_assert_int_eq(io_replace_file(dirfd_, "f", "one", 3, 0600), 0);
	ck_assert_int_eq(io_replace_file(dirfd_, "f", "second", 6, 0600), 0);
	ck_assert_int_eq(io_read_file(dirfd_, "f", 100, &text, &len), 0);
	ck_assert_uint_eq(len, 6);
	ck_assert_str_eq(text, "second");
	ck_assert_int_eq(faccessat(dirfd_, "f.new", F_OK, 0), -1);
	free(text);
}
END_TEST

START_TEST(replace_leaves_nothing_on_failure)
{
	ck_assert_int_eq(mkdirat(dirfd_, "f", 0700), 0);
	ck_assert_int_eq(io_replace_file(dirfd_, "f", "x", 1, 0600), -EISDIR);
	ck_assert_int_eq(faccessat(dirfd_, "f.new", F_OK, 0), -1);
	ck_assert_int_eq(unlinkat(dirfd_, "f", AT_REMOVEDIR), 0);
}
END_TEST

START_TEST(read_file_holds_its_bound)
{
	char *text = NULL, big[9000];

	memset(big, 'a', sizeof(big));
	ck_assert_int_eq(io_replace_file(dirfd_, "f", big, sizeof(big), 0600), 0);
	ck_assert_int_eq(io_read_file(dirfd_, "f", sizeof(big) - 1, &text, NULL), -EFBIG);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(io_read_file(dirfd_, "f", sizeof(big), &text, NULL), 0);
	ck_assert_int_eq(memcmp(text, big, sizeof(big)), 0);
	free(text);
	ck_assert_int_eq(io_read_file(dirfd_, "none", 10, &text, NULL), -ENOENT);
}
END_TEST

START_TEST(pread_all_says_when_the_file_ends)
{
	char buf[4];
	int fd;

	ck_assert_int_eq(io_replace_file(dirfd_, "f", "abc", 3, 0600), 0);
	fd = openat(dirfd_, "f", O_RDONLY);
	ck_assert_int_eq(io_pread_all(fd, buf, 2, 1), 0);
	ck_assert_int_eq(memcmp(buf, "bc", 2), 0);
	ck_assert_int_eq(io_pread_all(fd, buf, 3, 1), -ENODATA);
	close(fd);
}
END_TEST

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 512; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(descriptors_travel)
{
	int sv[2], got[4], p[2];
	size_t n;
	char buf[8];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(io_send_fds(sv[0], "hi", 2, p, 2), 2);
	ck_assert_int_eq(io_recv_fds(sv[1], buf, sizeof(buf), got, 4, &n), 2);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(write(got[1], "x", 1), 1);
	ck_assert_int_eq(read(p[0], buf, 1), 1);
	ck_assert(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
}
END_TEST

START_TEST(too_many_descriptors_are_closed)
{
	int sv[2], got[4], p[2];
	size_t n, before;
	char buf[8];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	ck_assert_int_eq(pipe(p), 0);
	before = open_fds();
	ck_assert_int_eq(io_send_fds(sv[0], "hi", 2, p, 2), 2);
	ck_assert_int_eq(io_recv_fds(sv[1], buf, sizeof(buf), got, 1, &n), -EMSGSIZE);
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_int_eq(io_send_fds(sv[0], "hi", 2, p, IO_FDS_MAX + 1), -EINVAL);
	ck_assert_int_eq(io_send_fds(sv[0], "", 0, p, 1), -EINVAL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("io");
	TCase *t = tcase_create("io");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, replace_makes_and_replaces);
	tcase_add_test(t, replace_leaves_nothing_on_failure);
	tcase_add_test(t, read_file_holds_its_bound);
	tcase_add_test(t, pread_all_says_when_the_file_ends);
	tcase_add_test(t, descriptors_travel);
	tcase_add_test(t, too_many_descriptors_are_closed);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
