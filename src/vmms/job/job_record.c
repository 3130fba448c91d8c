/* SPDX-License-Identifier: BSD-2-Clause */
/* STATE/jobs/<number>.json: the job's document, and the file that must not outlive a job that was cut off. */
#include "vmms/job/job_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "rpc/methods.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"

#define RECORD_MAX (256u << 10)
#define NAME_SIZE 32

static void name_of(int64_t id, char ret[NAME_SIZE])
{
	snprintf(ret, NAME_SIZE, "%lld.json", (long long)id);
}

int job_record_write(const struct job *job)
{
	json_t *record = json_pack("{s:O, s:s?, s:O?}", "job", job->doc, "leftover",
				   job->leftover, "deletion", job->deletion);
	cleanup_free char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
	char name[NAME_SIZE];

	json_decref(record);
	if (!text)
		return -ENOMEM;
	name_of(job->id, name);
	return io_replace_file(job->jobs->dir, name, text, strlen(text), 0600);
}

void job_record_remove(const struct job *job)
{
	char name[NAME_SIZE];

	name_of(job->id, name);
	if (unlinkat(job->jobs->dir, name, 0) < 0)
		log_warning("the record of job %lld cannot be removed: %s",
			    (long long)job->id, strerror(errno));
}

/* ---- a file that goes with the job's success ---- */

/* As the record has it; one that is gone was deleted before. */
static int carry_out(const json_t *deletion, struct rpc_error *e)
{
	const char *path = json_string_value(json_object_get(deletion, "path"));
	json_int_t dev = json_integer_value(json_object_get(deletion, "dev")),
		   ino = json_integer_value(json_object_get(deletion, "ino"));
	struct stat st;

	if (!path || path[0] != '/')
		return rpc_error_set(e, -EPROTO, "the job's record is damaged");
	if (lstat(path, &st) < 0 && errno == ENOENT)
		return 0;
	if (lstat(path, &st) < 0 || (json_int_t)st.st_dev != dev ||
	    (json_int_t)st.st_ino != ino)
		return rpc_error_set(e, -ESTALE,
				     "%s is merged, but is another file now, which stays",
				     path);
	if (unlink(path) < 0 && errno != ENOENT)
		return rpc_error_set(e, -errno,
				     "%s is merged into its parent, but cannot be "
				     "deleted: %s; delete it",
				     path, strerror(errno));
	return 0;
}

int job_delete_file(struct job *job, const char *path, dev_t dev, ino_t ino,
		    struct rpc_error *e)
{
	int r;

	job->deletion = json_pack("{s:s, s:I, s:I}", "path", path, "dev", (json_int_t)dev,
				  "ino", (json_int_t)ino);
	r = job->deletion ? job_record_write(job) : -ENOMEM;
	if (r == 0)
		r = carry_out(job->deletion, e);
	else
		rpc_error_set(e, r,
			      "%s is merged into its parent, but the job cannot be "
			      "recorded: %s; delete it",
			      path, strerror(-r));
	json_decref(take_ptr(&job->deletion));
	return r;
}

/* ---- at the start of vmms ---- */

/* A job that was cut off with the vmms before: its process ended with it. */
static void settle(struct job *job, const char *leftover, const json_t *deletion)
{
	struct rpc_error e;
	bool done = false;

	if (leftover && unlink(leftover) < 0 && errno != ENOENT)
		log_warning("job %lld left %s, which cannot be removed: %s",
			    (long long)job->id, leftover, strerror(errno));
	if (json_is_object(deletion))
		done = carry_out(deletion, &e) == 0;
	else
		rpc_error_set(
			&e, -ECONNRESET,
			"vmms ended while it ran; its images are whole, start it again");
	job->jobs->running--;
	job->jobs->ended++;
	job->state = done ? JOB_COMPLETED : JOB_FAILED;
	json_object_set_new(job->doc, "state", job_state_json(job->state));
	if (!done)
		json_object_set_new(job->doc, "error", rpc_error_to_json(&e));
	json_object_set_new(job->doc, "ended", job_time());
	if (job_record_write(job) < 0)
		log_warning("the end of job %lld cannot be recorded", (long long)job->id);
}

static int take_record(struct jobs *jobs, int64_t id, json_t *record)
{
	const struct rpc_method *show = rpc_method_find(&rpc_vmms_methods, "job.show");
	json_t *doc = json_object_get(record, "job");
	enum job_state state;
	struct rpc_error e;
	struct job *job;

	if (!json_is_object(doc) || rpc_fields_check(show->result, doc, "job", &e) < 0 ||
	    json_integer_value(json_object_get(doc, "job")) != id ||
	    job_state_parse(json_string_value(json_object_get(doc, "state")), &state) < 0)
		return -EPROTO;
	job = job_restore(jobs, id, state, json_incref(doc));
	if (!job)
		return -ENOMEM;
	if (!job_is_over(job))
		settle(job, json_string_value(json_object_get(record, "leftover")),
		       json_object_get(record, "deletion"));
	return 0;
}

static void load_one(struct jobs *jobs, const char *name)
{
	cleanup_free char *text = NULL;
	json_t *record = NULL;
	char canonical[NAME_SIZE], why[160];
	long long id = atoll(name);
	size_t len;
	int r;

	name_of(id, canonical);
	if (id <= 0 || strcmp(name, canonical) != 0) {
		/* What io_replace_file() leaves when it is cut off, and nothing else is ours. */
		if (strstr(name, ".json.new"))
			unlinkat(jobs->dir, name, 0);
		return;
	}
	jobs->next = MAX(jobs->next, id + 1);
	r = io_read_file(jobs->dir, name, RECORD_MAX, &text, &len);
	if (r == 0)
		r = frame_parse(text, len, &record, why, sizeof(why));
	if (r == 0)
		r = take_record(jobs, id, record);
	json_decref(record);
	if (r < 0)
		log_warning("the record of job %lld cannot be read: %s", id,
			    strerror(-r));
}

int job_records_load(struct jobs *jobs)
{
	int fd = openat(jobs->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((entry = readdir(d)))
		load_one(jobs, entry->d_name);
	closedir(d);
	return 0;
}
