/* SPDX-License-Identifier: BSD-2-Clause */
/* Control groups in a folder that stands for one: what is written where. tests/lab has the kernel's. */
#include "vmms/worker/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "vmms/worker/shares.h"

#define ID "11111111-2222-3333-4444-555555555555"

static const char *const files[] = { "cpu.weight", "cpu.max",   "memory.max",
				     "memory.low", "io.weight", "cgroup.procs" };
static char dir[64];
static struct cgroups c;
static int ended, end_result;

static void on_end(void *arg, int r)
{
	ended++;
	end_result = r;
}

/* A path below the folder; good until the next. */
static const char *at(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void make(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void holds(const char *name, const char *wanted)
{
	cleanup_free char *text = NULL;

	ck_assert_int_eq(io_read_file(AT_FDCWD, at(name), 4096, &text, NULL), 0);
	ck_assert_str_eq(text, wanted);
}

static void make_group(size_t without)
{
	char name[128];

	ck_assert_int_eq(mkdir(at("vmms"), 0755), 0);
	ck_assert_int_eq(mkdir(at("vmms/" ID), 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(name, sizeof(name), "vmms/" ID "/%s", files[i]);
		if (i != without)
			make(name);
	}
}

static void setup(void)
{
	log_init("test", open("/dev/null", O_WRONLY), LOG_LVL_ERR);
	strcpy(dir, "/tmp/test_cgroup.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	make("cgroup.procs");
	make("cgroup.subtree_control");
	ended = 0;
}

static void teardown(void)
{
	char command[96];

	cgroup_done(&c);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const struct cgroup_limits limits = { .cpu_us = 150000,
					     .memory_max = 1 << 30,
					     .memory_low = 4096,
					     .cpu_weight = 200,
					     .io_weight = 7 };

START_TEST(a_worker_gets_its_limits_then_its_group)
{
	make_group(SIZE_MAX);
	cgroup_init(&c, NULL, dir);
	ck_assert_int_eq(c.kind, CGROUP_FOLDER);
	holds("cgroup.subtree_control", "+io");
	cgroup_add(&c, ID, "web1", 4711, &limits, on_end, NULL);
	ck_assert_int_eq(ended, 1);
	ck_assert_int_eq(end_result, 0);
	holds("vmms/" ID "/cpu.weight", "200");
	holds("vmms/" ID "/cpu.max", "150000 100000");
	holds("vmms/" ID "/memory.max", "1073741824");
	holds("vmms/" ID "/memory.low", "4096");
	holds("vmms/" ID "/io.weight", "7");
	holds("vmms/" ID "/cgroup.procs", "4711");
}
END_TEST

START_TEST(none_is_max)
{
	const struct cgroup_limits open = { .cpu_weight = 100, .io_weight = 100 };

	make_group(SIZE_MAX);
	cgroup_init(&c, NULL, dir);
	ck_assert_int_eq(cgroup_set(&c, ID, &open), 0);
	holds("vmms/" ID "/cpu.max", "max");
	holds("vmms/" ID "/memory.max", "max");
	holds("vmms/" ID "/memory.low", "0");
}
END_TEST

/* A controller that is not there is done without; without cgroup.procs the worker would be in no group, and that is told. */
START_TEST(what_is_not_there)
{
	const bool needed = strcmp(files[_i], "cgroup.procs") == 0;

	make_group((size_t)_i);
	cgroup_init(&c, NULL, dir);
	cgroup_add(&c, ID, "web1", 4711, &limits, on_end, NULL);
	ck_assert_int_eq(ended, 1);
	ck_assert_int_eq(end_result, needed ? -ENOENT : 0);
}
END_TEST

START_TEST(a_group_is_made_and_removed)
{
	struct stat st;

	cgroup_init(&c, NULL, dir);
	ck_assert_int_eq(mkdir(at("vmms/" ID), 0755), 0);
	cgroup_drop(&c, ID);
	ck_assert_int_lt(stat(at("vmms/" ID), &st), 0);
	cgroup_drop(&c, ID); /* there is none */
	cgroup_add(&c, ID, "web1", 1, &limits, on_end, NULL);
	ck_assert_int_eq(end_result, -ENOENT); /* a plain folder has no cgroup.procs */
	ck_assert_int_lt(stat(at("vmms/" ID), &st), 0);
	ck_assert_int_eq(cgroup_set(&c, ID, &limits), -ENOENT);
}
END_TEST

/* A link in the place of a group leads nowhere. */
START_TEST(links_are_not_followed)
{
	make_group(SIZE_MAX);
	cgroup_init(&c, NULL, dir);
	ck_assert_int_eq(rename(at("vmms/" ID), "/tmp/test_cgroup.away"), 0);
	ck_assert_int_eq(symlink("/tmp/test_cgroup.away", at("vmms/" ID)), 0);
	ck_assert_int_lt(cgroup_set(&c, ID, &limits), 0);
	ck_assert_int_eq(system("rm -r /tmp/test_cgroup.away"), 0);
}
END_TEST

START_TEST(without_groups_all_goes_on)
{
	cgroup_init(&c, NULL, _i ? at("no-such") : "off");
	ck_assert_int_eq(c.kind, CGROUP_NONE);
	ck_assert(c.note);
	ck_assert_ptr_nonnull(strstr(c.text, _i ? "cannot be divided" : "SWITCHED OFF"));
	cgroup_add(&c, ID, "web1", 4711, &limits, on_end, NULL);
	ck_assert_int_eq(ended, 1);
	ck_assert_int_eq(end_result, 0);
	ck_assert_int_eq(cgroup_set(&c, ID, &limits), 0);
	cgroup_drop(&c, ID);
}
END_TEST

/* reserved: of all that run; weights: their sum. */
static const struct {
	double reserved, reserve;
	uint64_t weights;
	unsigned int weight, wanted;
} weights[] = {
	{ 0, 0, 100, 100, 100 },       { 0, 0, 20000, 10000, 10000 },
	{ 0.5, 0.5, 200, 100, 7500 },  { 0.5, 0, 200, 100, 2500 },
	{ 1, 1, 200, 100, 10000 },     { 1, 0, 200, 100, 1 },
	{ 1.5, 1.5, 100, 100, 10000 }, { 0.25, 0, 1000000, 1, 1 },
	{ 0.1, 0.1, 100, 100, 10000 }, { 0.5, 0.5, 0, 1, 1 },
};

START_TEST(reserves_are_parts_of_weights)
{
	const struct shares_sum all = { weights[_i].reserved, weights[_i].weights };

	ck_assert_uint_eq(shares_weight(&all, weights[_i].reserve, weights[_i].weight),
			  weights[_i].wanted);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmms/cgroup");
	TCase *t = tcase_create("folder");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_worker_gets_its_limits_then_its_group);
	tcase_add_test(t, none_is_max);
	tcase_add_loop_test(t, what_is_not_there, 0, ARRAY_SIZE(files));
	tcase_add_test(t, a_group_is_made_and_removed);
	tcase_add_test(t, links_are_not_followed);
	tcase_add_loop_test(t, without_groups_all_goes_on, 0, 2);
	suite_add_tcase(s, t);
	t = tcase_create("limits");
	tcase_add_loop_test(t, reserves_are_parts_of_weights, 0, ARRAY_SIZE(weights));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
