/* SPDX-License-Identifier: BSD-2-Clause */
/* Which files a name that comes from an image can bring vmms to open: hostile names first. */
#include "vmms/job/vhd_parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test.h"
#include "util/macros.h"

/* DIR/in (the image's folder), DIR/in/sub, DIR/other (may be allowed), DIR/out (never is). */
static char dir[] = "/tmp/vhd-parent.XXXXXX";
static char child[128], other[128];

static void make(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, name, strlen(name)), (ssize_t)strlen(name));
	close(fd);
}

static void at(const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", dir, name);
}

static void setup(void)
{
	static const char *const folders[] = { "in", "in/sub", "other", "out" };
	char path[128], to[128];

	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		at(folders[i], path);
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
	make("in/a.vhdx");
	make("in/b.vhdx");
	make("in/sub/c.vhdx");
	make("other/d.vhdx");
	make("out/e.vhdx");
	at("in/fifo.vhdx", path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	at("in/link.vhdx", path);
	at("out/e.vhdx", to);
	ck_assert_int_eq(symlink(to, path), 0);
	at("in/up", path);
	ck_assert_int_eq(symlink("../out", path), 0);
	at("in/inner.vhdx", path);
	ck_assert_int_eq(symlink("sub/c.vhdx", path), 0);
	at("alias", path);
	ck_assert_int_eq(symlink("in", path), 0);
	at("in/a.vhdx", child);
	at("other", other);
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* Opens the candidate; its content, which is its name, or the error. */
static int try_open(const char *const *names, size_t n, bool more, char *ret, size_t size,
		    struct rpc_error *e)
{
	const char *const folders[] = { "/nonexistent", other, NULL };
	const struct vhd_folders allowed = { .image = child,
					     .more = more ? folders : NULL };
	char *path = NULL;
	ssize_t got;
	int fd, r;

	r = vhd_parent_open(&allowed, child, names, n, false, &fd, &path, e);
	if (r < 0)
		return r;
	got = read(fd, ret, size - 1);
	ck_assert_int_ge(got, 0);
	ret[got] = 0;
	close(fd);
	free(path);
	return 0;
}

/* "%" stands for the folder of all. */
static const struct {
	const char *name;
	bool more;
	int r;
	const char *content;
} rows[] = {
	{ "../out/e.vhdx", true, -EACCES, NULL },
	{ "%/out/e.vhdx", true, -EACCES, NULL },
	{ "%/in/../out/e.vhdx", true, -EACCES, NULL },
	{ "sub/../../out/e.vhdx", true, -EACCES, NULL },
	{ "../../../../../../../../etc/passwd", true, -EACCES, NULL },
	{ "/etc/passwd", true, -EACCES, NULL },
	{ "/proc/self/environ", true, -EACCES, NULL },
	{ "/dev/zero", true, -EACCES, NULL },
	{ "%/in", true, -EACCES, NULL },
	{ "%/inside.vhdx", true, -EACCES, NULL }, /* begins as the folder does */
	{ "link.vhdx", true, -EACCES, NULL },
	{ "up/e.vhdx", true, -EACCES, NULL },
	{ "fifo.vhdx", true, -EINVAL, NULL },
	{ "sub", true, -EINVAL, NULL },
	{ "", true, -EACCES, NULL },
	{ ".", true, -EACCES, NULL },
	{ "a.vhdx/b.vhdx", true, -ENOENT, NULL },
	{ "gone.vhdx", true, -ENOENT, NULL },
	{ "../other/d.vhdx", false, -EACCES, NULL },
	{ "%/other/d.vhdx", false, -EACCES, NULL },
	{ "../other/d.vhdx", true, 0, "other/d.vhdx" },
	{ "%/other/d.vhdx", true, 0, "other/d.vhdx" },
	{ "%/other/gone.vhdx", true, -ENOENT, NULL },
	{ "b.vhdx", false, 0, "in/b.vhdx" },
	{ "./b.vhdx", false, 0, "in/b.vhdx" },
	{ "../in/b.vhdx", false, 0, "in/b.vhdx" },
	{ "%/in/b.vhdx", false, 0, "in/b.vhdx" },
	{ "%//in/./sub/../b.vhdx", false, 0, "in/b.vhdx" },
	{ "sub/c.vhdx", false, 0, "in/sub/c.vhdx" },
	{ "inner.vhdx", false, 0, "in/sub/c.vhdx" }, /* a link that stays inside */
};

START_TEST(test_rows)
{
	char name[256], content[64] = "";
	const char *names[] = { name };
	struct rpc_error e = { 0 };
	const char *text = rows[_i].name;
	int r;

	snprintf(name, sizeof(name), "%s%s", text[0] == '%' ? dir : "",
		 text + (text[0] == '%'));
	r = try_open(names, 1, rows[_i].more, content, sizeof(content), &e);
	ck_assert_msg(r == rows[_i].r, "%s: %d, not %d: %s", text, r, rows[_i].r,
		      e.message);
	if (r == 0)
		ck_assert_str_eq(content, rows[_i].content);
	else
		ck_assert_ptr_null(strchr(e.message, '\n'));
}
END_TEST

START_TEST(test_order)
{
	const char *names[] = { "gone.vhdx", "../out/e.vhdx", "sub/c.vhdx", "b.vhdx" };
	char content[64];
	struct rpc_error e;

	ck_assert_int_eq(try_open(names, 4, false, content, sizeof(content), &e), 0);
	ck_assert_str_eq(content, "in/sub/c.vhdx");
	/* What lies outside is said before what is missing: that can be mended by a setting. */
	ck_assert_int_eq(try_open(names, 2, false, content, sizeof(content), &e),
			 -EACCES);
	ck_assert_ptr_nonnull(strstr(e.message, "out/e.vhdx lies outside"));
	ck_assert_int_eq(try_open(names, 0, false, content, sizeof(content), &e),
			 -ENOENT);
}
END_TEST

/* The operator named the image by way of a link; the child says its folder's real name, or the link's. */
START_TEST(test_alias)
{
	static const char *const forms[] = { "alias/b.vhdx", "in/b.vhdx" };
	char alias[128], name[128];
	const char *names[] = { name };
	const struct vhd_folders allowed = { .image = alias };

	at("alias/a.vhdx", alias);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		char *path = NULL;
		struct rpc_error e;
		int fd, r;

		at(forms[i], name);
		r = vhd_parent_open(&allowed, alias, names, 1, false, &fd, &path, &e);
		ck_assert_msg(r == 0, "%s", e.message);
		close(fd);
		free(path);
	}
}
END_TEST

START_TEST(test_long_names)
{
	static char name[8192];
	const char *names[] = { name, "b.vhdx" };
	char content[64];
	struct rpc_error e;

	memset(name, 'x', sizeof(name) - 1);
	ck_assert_int_eq(try_open(names, 2, false, content, sizeof(content), &e), 0);
	name[0] = '/';
	ck_assert_int_eq(try_open(names, 2, false, content, sizeof(content), &e), 0);
	for (size_t i = 0; i + 1 < sizeof(name); i++)
		name[i] = i % 2 ? '/' : 'x';
	ck_assert_int_eq(try_open(names, 1, false, content, sizeof(content), &e),
			 -ENOENT);
}
END_TEST

static const struct {
	const char *path, *clean;
} paths[] = {
	{ "/", "/" },           { "/..", "/" },           { "/../../a", "/a" },
	{ "/a/b/", "/a/b" },    { "//a///b", "/a/b" },    { "/a/./b", "/a/b" },
	{ "/a/../b", "/b" },    { "/a/b/../../c", "/c" }, { "/a/...", "/a/..." },
	{ "/a/..b", "/a/..b" },
};

START_TEST(test_clean)
{
	char text[16];

	ck_assert_int_eq(vhd_path_clean(paths[_i].path, text, sizeof(text)), 0);
	ck_assert_str_eq(text, paths[_i].clean);
	ck_assert_int_eq(vhd_path_clean("a/b", text, sizeof(text)), -EINVAL);
	ck_assert_int_eq(vhd_path_clean("", text, sizeof(text)), -EINVAL);
	ck_assert_int_eq(vhd_path_clean("/0123456789abcd", text, sizeof(text)), 0);
	ck_assert_int_eq(vhd_path_clean("/0123456789abcde", text, sizeof(text)),
			 -ENAMETOOLONG);
}
END_TEST

static Suite *parent_suite(void)
{
	Suite *s = suite_create("vmms/vhd_parent");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_rows, 0, ARRAY_SIZE(rows));
	tcase_add_test(c, test_order);
	tcase_add_test(c, test_alias);
	tcase_add_test(c, test_long_names);
	tcase_add_loop_test(c, test_clean, 0, ARRAY_SIZE(paths));
	suite_add_tcase(s, c);
	return s;
}

TEST_MAIN(parent_suite)
