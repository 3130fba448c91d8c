/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/job/job.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vmms/killed.h"
#include "util/log.h"
#include "vmms/vm/store.h"

static char folder[64], child[96];
static int dir; /* as STATE/vms */
static struct stat child_st;

static void make_child(void)
{
	int fd = open(child, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &child_st), 0);
	close(fd);
}

static void setup(void)
{
	strcpy(folder, "/tmp/test_job.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(child, sizeof(child), "%s/child", folder);
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mkdirat(dir, "vms", 0700), 0);
	close(dir);
	strcat(folder, "/vms");
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
	*strrchr(folder, '/') = 0;
}

static void teardown(void)
{
	close(dir);
	ck_assert_int_eq(store_remove_tree(AT_FDCWD, folder), 0);
}

struct daemon {
	struct event_base *base;
	struct events *events;
	struct jobs *jobs;
};

static void begin(struct daemon *d)
{
	d->base = event_base_new();
	d->events = events_new(d->base);
	if (!d->events || jobs_new(d->base, dir, d->events, &d->jobs) < 0)
		_exit(1);
}

static void end(struct daemon *d)
{
	jobs_free(d->jobs);
	events_free(d->events);
	event_base_free(d->base);
}

static void drop(void *arg)
{
}

static const struct job_ops ops = { .cancel = drop, .drop = drop };

/* The end of a merge. */
static void merge(void)
{
	struct rpc_error e;
	struct job *job;
	struct daemon d;

	begin(&d);
	if (job_new(d.jobs, "vhd.merge", child, NULL, &ops, NULL, &job, &e) < 0 ||
	    job_delete_file(job, child, child_st.st_dev, child_st.st_ino, &e) < 0)
		_exit(1);
	job_end(job, NULL, NULL);
	end(&d);
}

/* The state of the last job as the next vmms has it; NULL: there is none. */
static const char *last_state(struct daemon *d, int64_t *ret_id)
{
	static char state[16];

	for (int64_t id = 9; id > 0; id--) {
		json_t *doc = jobs_document(d->jobs, id);

		if (!doc)
			continue;
		snprintf(state, sizeof(state), "%s",
			 json_string_value(json_object_get(doc, "state")));
		json_decref(doc);
		*ret_id = id;
		return state;
	}
	return NULL;
}

/* Whatever was reached: the next vmms has Completed without the child, or Failed with it, and the same does not happen again. */
START_TEST(a_kill_at_every_call_leaves_no_merged_child)
{
	unsigned int finished = 0;
	bool killed = true;
	int nth;

	for (nth = 1; killed && nth < 2000; nth++) {
		int64_t id = 0;
		const char *state;
		struct daemon d;
		bool left;

		make_child();
		killed = killed_at(nth, merge);
		left = access(child, F_OK) == 0;
		begin(&d);
		state = last_state(&d, &id);
		if (state && strcmp(state, "Completed") == 0) {
			finished += left;
			ck_assert_msg(access(child, F_OK) < 0, "step %d: it is there",
				      nth);
		} else {
			ck_assert_msg(!state || strcmp(state, "Failed") == 0,
				      "step %d: %s", nth, state);
			ck_assert_msg(access(child, F_OK) == 0, "step %d: it is gone",
				      nth);
			ck_assert_int_eq(unlink(child), 0);
		}
		end(&d);
		ck_assert_int_eq(store_remove_tree(dir, "../jobs"), 0); /* few to read */
	}
	ck_assert(!killed);
	ck_assert_int_gt(nth, 10);
	ck_assert_uint_gt(finished, 0); /* some were left to the next vmms, and done */
}
END_TEST

static const struct {
	const char *path; /* NULL: the child's */
	const char *rest;
} damaged[] = {
	{ "7", "" },
	{ "null", "" },
	{ "\"child\"", ",\"dev\":1,\"ino\":1" },
	{ NULL, "" },
	{ NULL, ",\"dev\":1,\"ino\":1" },
	{ NULL, ",\"dev\":\"x\",\"ino\":{}" },
};

/* A record that does not fit the file deletes nothing. */
START_TEST(only_the_very_file_is_deleted)
{
	char path[128], name[128];
	int64_t id = 0;
	struct daemon d;
	FILE *f;

	begin(&d);
	end(&d);
	make_child();
	snprintf(path, sizeof(path), "%s/jobs/5.json", folder);
	if (damaged[_i].path)
		snprintf(name, sizeof(name), "%s", damaged[_i].path);
	else
		snprintf(name, sizeof(name), "\"%s\"", child);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f,
		"{\"job\":{\"job\":5,\"kind\":\"vhd.merge\",\"path\":\"/a\",\"state\":"
		"\"Running\",\"done\":0,\"total\":0,\"started\":\"x\",\"ended\":null,"
		"\"result\":null,\"error\":null},\"leftover\":null,\"deletion\":{"
		"\"path\":%s%s}}",
		name, damaged[_i].rest);
	fclose(f);
	begin(&d);
	ck_assert_str_eq(last_state(&d, &id), "Failed");
	ck_assert_int_eq(id, 5);
	ck_assert_int_eq(access(child, F_OK), 0);
	end(&d);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmms");
	TCase *t = tcase_create("job");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_kill_at_every_call_leaves_no_merged_child);
	tcase_add_loop_test(t, only_the_very_file_is_deleted, 0, ARRAY_SIZE(damaged));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
