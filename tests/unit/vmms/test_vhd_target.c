/* SPDX-License-Identifier: BSD-2-Clause */
/* A new file from nothing to its name, with and without O_TMPFILE, and what stays of it when it is given up. */
#include "vmms/job/vhd_target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test.h"
#include "util/macros.h"

static char dir[] = "/tmp/vhd-target.XXXXXX";
static char path[64];
static struct registry registry;

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.vhdx", dir);
	registry_init(&registry);
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* What is in the folder: a count, and that a.vhdx holds this (NULL: is not there). */
static void expect(int count, const char *content)
{
	char text[32] = "";
	DIR *d = opendir(dir);
	int fd, n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	ck_assert_int_eq(n - 2, count);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(fd >= 0, content != NULL);
	if (fd < 0)
		return;
	ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
	ck_assert_str_eq(text, content);
	close(fd);
}

static void put(const char *content)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0640);

	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

static void begin(struct vhd_target *t, bool force, bool no_tmpfile)
{
	struct rpc_error e = { 0 };

	ck_assert_msg(vhd_target_prepare(&registry, path, force, t, &e) == 0, "%s",
		      e.message);
	ck_assert_msg(vhd_target_open(t, no_tmpfile, &e) == 0, "%s", e.message);
	ck_assert_int_eq(write(t->fd, "new", 3), 3);
}

/* Bit 0: without O_TMPFILE; bit 1: over a file that is there. */
START_TEST(test_given_up)
{
	struct vhd_target t;
	bool over = _i & 2;

	if (over)
		put("old");
	begin(&t, over, _i & 1);
	vhd_target_done(&t);
	expect(over, over ? "old" : NULL);
}
END_TEST

START_TEST(test_named)
{
	struct vhd_target t;
	struct rpc_error e = { 0 };
	bool over = _i & 2;
	struct stat st;

	if (over)
		put("old");
	begin(&t, over, _i & 1);
	/* Nobody sees it before. */
	expect(over + (_i & 1), over ? "old" : NULL);
	ck_assert_msg(vhd_target_commit(&t, &e) == 0, "%s", e.message);
	expect(1, "new");
	vhd_target_done(&t);
	expect(1, "new");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, over ? 0640 : 0600);
}
END_TEST

/* Somebody makes the name meanwhile: that file stays. */
START_TEST(test_overtaken)
{
	struct vhd_target t;
	struct rpc_error e;

	begin(&t, false, _i & 1);
	put("theirs");
	ck_assert_int_eq(vhd_target_commit(&t, &e), -EEXIST);
	vhd_target_done(&t);
	expect(1, "theirs");
}
END_TEST

START_TEST(test_refused)
{
	struct vhd_target t;
	struct flock l = { .l_type = F_RDLCK };
	struct rpc_error e;
	char other[96];
	int fd;

	put("old");
	ck_assert_int_eq(vhd_target_prepare(&registry, path, false, &t, &e), -EEXIST);
	ck_assert_ptr_nonnull(strstr(e.message, "--force"));
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &l), 0);
	ck_assert_int_eq(vhd_target_prepare(&registry, path, true, &t, &e), -ETXTBSY);
	close(fd);
	ck_assert_int_eq(vhd_target_prepare(&registry, dir, true, &t, &e), -EISDIR);
	snprintf(other, sizeof(other), "%s/gone/a.vhdx", dir);
	ck_assert_int_eq(vhd_target_prepare(&registry, other, false, &t, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "make the folder first"));
	snprintf(other, sizeof(other), "%s/a.vhdx/b.vhdx", dir);
	ck_assert_int_eq(vhd_target_prepare(&registry, other, false, &t, &e), -ENOTDIR);
	snprintf(other, sizeof(other), "%s/", dir);
	ck_assert_int_eq(vhd_target_prepare(&registry, other, false, &t, &e), -EINVAL);
	ck_assert_int_eq(vhd_target_prepare(&registry, "a.vhdx", false, &t, &e), -EINVAL);
	expect(1, "old");
}
END_TEST

static Suite *target_suite(void)
{
	Suite *s = suite_create("vmms/vhd_target");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_refused);
	tcase_add_loop_test(c, test_overtaken, 0, 2);
	tcase_add_loop_test(c, test_given_up, 0, 4);
	tcase_add_loop_test(c, test_named, 0, 4);
	suite_add_tcase(s, c);
	return s;
}

TEST_MAIN(target_suite)
