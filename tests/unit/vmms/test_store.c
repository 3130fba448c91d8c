/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vmms/killed.h"
#include "util/io.h"

static char folder[64];
static int dir;
static const struct guid id = { { 1, 2, 3 } };
static int vms, broken;
static uint64_t found_memory;

static void setup(void)
{
	strcpy(folder, "/tmp/test_store.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
}

static void teardown(void)
{
	close(dir);
	ck_assert_int_eq(store_remove_tree(AT_FDCWD, folder), 0);
}

static void make_config(struct vm_config *c, uint64_t memory)
{
	char text[200];
	struct config_error e;

	snprintf(text, sizeof(text),
		 "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":%llu}}",
		 (unsigned long long)memory);
	ck_assert_int_eq(config_parse(text, strlen(text), c, &e), 0);
}

static void on_found(void *ctx, const struct guid *g, struct vm_config *c)
{
	ck_assert(guid_equal(g, &id));
	vms++;
	found_memory = c->memory_bytes;
	config_done(c);
}

static void on_broken(void *ctx, const struct guid *g, const char *why)
{
	broken++;
	ck_assert_str_ne(why, "");
}

static void load(void)
{
	vms = broken = 0;
	ck_assert_int_eq(store_load(dir, on_found, on_broken, NULL), 0);
}

/* The names in a folder, but not "." and "..". */
static size_t count_names(const char *path)
{
	char command[160];
	size_t n = 0;
	FILE *p;

	snprintf(command, sizeof(command), "ls -A %s | wc -l", path);
	p = popen(command, "r");
	ck_assert_int_eq(fscanf(p, "%zu", &n), 1);
	pclose(p);
	return n;
}

enum { SMALL = 8 << 20, LARGE = 16 << 20 };

static void do_create(void)
{
	struct vm_config c;
	struct rpc_error e;

	make_config(&c, SMALL);
	if (store_create(dir, &id, &c, &e) < 0)
		_exit(1);
	config_done(&c);
}

static void do_update(void)
{
	struct vm_config c;
	struct rpc_error e;

	make_config(&c, LARGE);
	if (store_update(dir, &id, &c, &e) < 0)
		_exit(1);
	config_done(&c);
}

static void do_delete(void)
{
	struct rpc_error e;

	if (store_delete(dir, &id, &e) < 0)
		_exit(1);
}

START_TEST(keeps_changes_forgets)
{
	do_create();
	load();
	ck_assert_int_eq(vms, 1);
	ck_assert_uint_eq(found_memory, SMALL);
	do_update();
	load();
	ck_assert_uint_eq(found_memory, LARGE);
	do_delete();
	load();
	ck_assert_int_eq(vms + broken, 0);
	ck_assert_uint_eq(count_names(folder), 0);
}
END_TEST

/*
 * Each operation in a child that is killed at its n-th system call, for every n: what the next start finds is the
 * state before or the state after, whole, and nothing beside it.
 */
static const struct {
	void (*before)(void), (*op)(void);
	int vms_before, vms_after;
	uint64_t memory_before, memory_after;
} steps[] = {
	{ NULL, do_create, 0, 1, 0, SMALL },
	{ do_create, do_update, 1, 1, SMALL, LARGE },
	{ do_create, do_delete, 1, 0, SMALL, 0 },
};

static void check_after_kill(int row, int nth)
{
	load();
	ck_assert_msg(broken == 0, "step %d: broken", nth);
	ck_assert_msg(vms == steps[row].vms_before || vms == steps[row].vms_after,
		      "step %d: %d VMs", nth, vms);
	ck_assert_uint_eq(count_names(folder), (size_t)vms);
	if (!vms)
		return;
	ck_assert(found_memory == steps[row].memory_before ||
		  found_memory == steps[row].memory_after);
	{
		char path[160], text[GUID_STR_LEN];

		guid_format(&id, text);
		snprintf(path, sizeof(path), "%s/%s", folder, text);
		ck_assert_uint_eq(count_names(path), 1);
	}
}

START_TEST(survives_a_kill_at_every_call)
{
	bool killed = true;
	int nth;

	for (nth = 1; killed && nth < 2000; nth++) {
		if (steps[_i].before)
			steps[_i].before();
		killed = killed_at(nth, steps[_i].op);
		check_after_kill(_i, nth);
		if (vms)
			do_delete();
	}
	ck_assert(!killed);
	ck_assert_int_gt(nth, 10); /* so it was killed on the way */
}
END_TEST

START_TEST(broken_ones_stay)
{
	char name[GUID_STR_LEN];

	guid_format(&id, name);
	ck_assert_int_eq(mkdirat(dir, name, 0700), 0);
	load();
	ck_assert_int_eq(broken, 1);
	ck_assert_uint_eq(count_names(folder), 1);
	ck_assert_int_eq(mkdirat(dir, "lost+found", 0700), 0);
	load();
	ck_assert_int_eq(broken, 1);
	ck_assert_uint_eq(count_names(folder), 2);
}
END_TEST

START_TEST(says_why_it_cannot)
{
	struct vm_config c;
	struct rpc_error e;

	make_config(&c, SMALL);
	ck_assert_int_eq(store_update(dir, &id, &c, &e), -ENOENT);
	ck_assert_str_eq(e.message,
			 "cannot keep the changes to a: No such file or directory");
	ck_assert_int_eq(store_delete(dir, &id, &e), -ENOENT);
	do_create();
	ck_assert_int_eq(store_create(dir, &id, &c, &e), -EEXIST);
	ck_assert_uint_eq(count_names(folder), 1);
	config_done(&c);
}
END_TEST

static const struct {
	const char *text; /* NULL: no file */
	bool present, known, critical;
	const char *reason;
} reports[] = {
	{ NULL, false, false, false, "" },
	{ "", true, false, false, "" },
	{ "{\"state\":", true, false, false, "" },
	{ "[]", true, false, false, "" },
	{ "{}", true, true, false, "" },
	{ "{\"health\":7,\"reason\":[]}", true, true, false, "" },
	{ "{\"state\":\"Off\",\"health\":\"Critical\",\"reason\":\"panic\"}\n", true,
	  true, true, "panic" },
};

START_TEST(reads_reports)
{
	const struct store_report again = { .critical = true,
					    .reason = "again",
					    .follow = STORE_RESTARTS,
					    .failures = 3 };
	struct store_report r;

	if (reports[_i].text)
		ck_assert_int_eq(io_replace_file(dir, STORE_REPORT, reports[_i].text,
						 strlen(reports[_i].text), 0600),
				 0);
	store_read_report(dir, &r);
	ck_assert_int_eq(r.present, reports[_i].present);
	ck_assert_int_eq(r.known, reports[_i].known);
	ck_assert_int_eq(r.critical, reports[_i].critical);
	ck_assert_str_eq(r.reason, reports[_i].reason);
	ck_assert_int_eq(r.follow, STORE_UNSEEN);
	ck_assert_int_eq(store_write_report(dir, &again), 0);
	store_read_report(dir, &r);
	ck_assert(r.known && r.critical);
	ck_assert_str_eq(r.reason, "again");
	ck_assert_int_eq(r.follow, STORE_RESTARTS);
	ck_assert_uint_eq(r.failures, 3);
}
END_TEST

START_TEST(removes_trees_but_follows_no_link)
{
	ck_assert_int_eq(mkdirat(dir, "keep", 0700), 0);
	ck_assert_int_eq(io_replace_file(dir, "kept", "x", 1, 0600), 0);
	ck_assert_int_eq(mkdirat(dir, "gone", 0700), 0);
	ck_assert_int_eq(mkdirat(dir, "gone/deeper", 0700), 0);
	ck_assert_int_eq(symlinkat("../keep", dir, "gone/link"), 0);
	ck_assert_int_eq(symlinkat("../../kept", dir, "gone/deeper/link"), 0);
	ck_assert_int_eq(store_remove_tree(dir, "gone"), 0);
	ck_assert_int_eq(store_remove_tree(dir, "gone"), 0); /* gone already is well */
	ck_assert_uint_eq(count_names(folder), 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmms");
	TCase *t = tcase_create("store");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, keeps_changes_forgets);
	tcase_add_loop_test(t, survives_a_kill_at_every_call, 0, ARRAY_SIZE(steps));
	tcase_add_test(t, broken_ones_stay);
	tcase_add_test(t, says_why_it_cannot);
	tcase_add_loop_test(t, reads_reports, 0, ARRAY_SIZE(reports));
	tcase_add_test(t, removes_trees_but_follows_no_link);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
