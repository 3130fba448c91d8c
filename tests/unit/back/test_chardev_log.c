/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/chardev_log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit/test.h"

#define MAX_BYTES 8192u

static int fd;
static struct chardev_log the_log;

static void setup(void)
{
	fd = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(chardev_log_init(&the_log, fd, MAX_BYTES), 0);
}

static void teardown(void)
{
	close(fd);
}

static size_t content(char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size, 0);

	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

START_TEST(unfit_descriptors_are_refused)
{
	struct chardev_log l;
	char path[] = "/tmp/test_log.XXXXXX";
	int p[2], f = mkstemp(path), w = open(path, O_WRONLY);

	unlink(path);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(chardev_log_init(&l, p[1], MAX_BYTES), -EINVAL);
	ck_assert_int_eq(chardev_log_init(&l, w, MAX_BYTES), -EINVAL);
	ck_assert_int_eq(chardev_log_init(&l, f, 10), -EINVAL);
	ck_assert_int_eq(chardev_log_init(&l, 999, MAX_BYTES), -EBADF);
	close(p[0]);
	close(p[1]);
	close(w);
	close(f);
}
END_TEST

START_TEST(without_a_file_nothing_happens)
{
	struct chardev_log l;

	ck_assert_int_eq(chardev_log_init(&l, -1, 0), 0);
	chardev_log_append(&l, "x", 1);
	ck_assert_uint_eq(l.lost_bytes, 0);
}
END_TEST

/* What is there is one piece of the stream: each line follows the one before. */
static void ck_lines_follow(const char *text)
{
	const char *at = strchr(text, '\n') + 1;
	int want = atoi(at + 5);

	for (; *at; at = strchr(at, '\n') + 1)
		ck_assert_int_eq(atoi(at + 5), want++);
}

START_TEST(grows_to_its_bound_and_keeps_the_newest)
{
	char line[32], buf[MAX_BYTES + 1];
	struct stat st;
	size_t n;

	for (int i = 0; i < 5000; i++) {
		n = (size_t)snprintf(line, sizeof(line), "line %d\n", i);
		chardev_log_append(&the_log, line, n);
		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_int_le(st.st_size, MAX_BYTES);
	}
	n = content(buf, sizeof(buf) - 1);
	buf[n] = 0;
	ck_assert_uint_ge(n, MAX_BYTES / 2);
	ck_assert_str_eq(buf + n - strlen("line 4999\n"), "line 4999\n");
	ck_lines_follow(buf);
	ck_assert_uint_eq(the_log.lost_bytes, 0);
}
END_TEST

START_TEST(one_huge_write_keeps_its_end)
{
	static char big[5 * MAX_BYTES], buf[MAX_BYTES];

	memset(big, 'a', sizeof(big));
	memcpy(big + sizeof(big) - 4, "end!", 4);
	chardev_log_append(&the_log, big, sizeof(big));
	ck_assert_uint_eq(content(buf, sizeof(buf)), MAX_BYTES / 2);
	ck_assert_mem_eq(buf + MAX_BYTES / 2 - 4, "end!", 4);
}
END_TEST

START_TEST(goes_on_where_it_ended)
{
	struct chardev_log again;
	char buf[16];

	chardev_log_append(&the_log, "one ", 4);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_APPEND), 0);
	ck_assert_int_eq(chardev_log_init(&again, fd, MAX_BYTES), 0);
	chardev_log_append(&again, "two", 3);
	ck_assert_uint_eq(content(buf, sizeof(buf)), 7);
	ck_assert_mem_eq(buf, "one two", 7);
}
END_TEST

START_TEST(a_longer_file_is_cut_to_the_bound)
{
	struct chardev_log again;
	struct stat st;

	ck_assert_int_eq(ftruncate(fd, 10 * MAX_BYTES), 0);
	ck_assert_int_eq(chardev_log_init(&again, fd, MAX_BYTES), 0);
	chardev_log_append(&again, "x", 1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, MAX_BYTES / 2 + 1);
}
END_TEST

START_TEST(a_full_disk_loses_lines_only)
{
	static const struct rlimit none = { 0, RLIM_INFINITY };
	static const struct rlimit enough = { RLIM_INFINITY, RLIM_INFINITY };
	char path[] = "/tmp/test_log.XXXXXX", buf[256];
	struct chardev_log l;
	int f = mkstemp(path);

	unlink(path);
	ck_assert_int_eq(chardev_log_init(&l, f, MAX_BYTES), 0);
	memset(buf, 'x', sizeof(buf));
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	chardev_log_append(&l, buf, sizeof(buf));
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &enough), 0);
	ck_assert_uint_eq(l.lost_bytes, sizeof(buf));
	chardev_log_append(&l, "back", 4);
	ck_assert_int_eq(pread(f, buf, sizeof(buf), 0), 4);
	close(f);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("chardev_log");
	TCase *t = tcase_create("chardev_log");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, unfit_descriptors_are_refused);
	tcase_add_test(t, without_a_file_nothing_happens);
	tcase_add_test(t, grows_to_its_bound_and_keeps_the_newest);
	tcase_add_test(t, one_huge_write_keeps_its_end);
	tcase_add_test(t, goes_on_where_it_ended);
	tcase_add_test(t, a_longer_file_is_cut_to_the_bound);
	tcase_add_test(t, a_full_disk_loses_lines_only);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
