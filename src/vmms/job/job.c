/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/job/job.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/job/job_priv.h"

#define TELL_MS 50 /* between two tellings of progress */

static const char *const state_names[] = { "Running", "Cancelling", "Completed", "Failed",
					   "Cancelled" };

json_t *job_state_json(enum job_state s)
{
	return json_string(state_names[s]);
}

int job_state_parse(const char *name, enum job_state *ret)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(state_names); i++) {
		if (strcmp(state_names[i], name) == 0) {
			*ret = (enum job_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

json_t *job_time(void)
{
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int64_t job_id(const struct job *job)
{
	return job->id;
}

json_t *job_document(const struct job *job)
{
	return json_copy(job->doc);
}

struct job *jobs_find(const struct jobs *jobs, int64_t id)
{
	struct job *job;

	list_for_each (job, &jobs->all, link) {
		if (job->id == id)
			return job;
	}
	return NULL;
}

json_t *jobs_document(const struct jobs *jobs, int64_t id)
{
	const struct job *job = jobs_find(jobs, id);

	return job ? job_document(job) : NULL;
}

/* ---- the set of all ---- */

struct job *job_restore(struct jobs *jobs, int64_t id, enum job_state state, json_t *doc)
{
	struct job *job = calloc(1, sizeof(*job)), *next;

	if (!job) {
		json_decref(doc);
		return NULL;
	}
	job->jobs = jobs;
	job->id = id;
	job->state = state;
	job->doc = doc;
	list_init(&job->waits);
	list_for_each (next, &jobs->all, link) {
		if (next->id > id)
			break;
	}
	list_insert_before(&next->link, &job->link); /* the head, when none is higher */
	if (job_is_over(job))
		jobs->ended++;
	else
		jobs->running++;
	jobs->next = MAX(jobs->next, id + 1);
	return job;
}

void job_free(struct job *job)
{
	if (job_is_over(job))
		job->jobs->ended--;
	else
		job->jobs->running--;
	list_del(&job->link);
	json_decref(job->doc);
	free(job->leftover);
	json_decref(job->deletion);
	if (job->later)
		event_free(job->later);
	free(job);
}

/* `keep` has just ended and is no candidate, however low its number. */
static void forget_oldest(struct jobs *jobs, const struct job *keep)
{
	struct job *job, *next;

	list_for_each_safe (job, next, &jobs->all, link) {
		if (jobs->ended <= JOBS_KEPT)
			return;
		if (!job_is_over(job) || job == keep)
			continue;
		job_record_remove(job);
		job_free(job);
	}
}

int jobs_new(struct event_base *base, int state_fd, struct events *events,
	     struct jobs **ret)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	int r = 0;

	if (!jobs)
		return -ENOMEM;
	list_init(&jobs->all);
	jobs->base = base;
	jobs->next = 1;
	jobs->events = events;
	if (mkdirat(state_fd, "../jobs", 0700) < 0 && errno != EEXIST)
		r = -errno;
	jobs->dir = openat(state_fd, "../jobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && jobs->dir < 0)
		r = -errno;
	if (r == 0)
		r = job_records_load(jobs);
	if (r < 0) {
		jobs_free(jobs);
		return r;
	}
	forget_oldest(jobs, NULL);
	*ret = jobs;
	return 0;
}

void jobs_free(struct jobs *jobs)
{
	const struct rpc_error e = { .code = RPC_FAILED, .message = "vmms is stopping" };
	struct job *job, *next;

	if (!jobs)
		return;
	list_for_each_safe (job, next, &jobs->all, link) {
		job_waits_fail(job, &e);
		if (job->ops)
			job->ops->drop(job->arg);
		job_free(job);
	}
	if (jobs->dir >= 0)
		close(jobs->dir);
	free(jobs);
}

void jobs_serve(struct jobs *jobs, struct rpc_server *server)
{
	jobs->server = server;
}

int64_t jobs_holder(const struct jobs *jobs, dev_t dev, ino_t ino)
{
	struct job *job;

	list_for_each (job, &jobs->all, link) {
		if (job->ops && job->ops->uses && job->ops->uses(job->arg, dev, ino))
			return job->id;
	}
	return 0;
}

/* ---- the life of one ---- */

static void tell(struct job *job)
{
	if (job->jobs->server)
		rpc_server_notify(job->jobs->server, "job", job->doc);
	job->told_ms = now_ms();
	if (job->later)
		evtimer_del(job->later);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	tell(arg);
}

/* A change of state: for the record of events and the log, too. */
static void tell_state(struct job *job)
{
	const char *kind = json_string_value(json_object_get(job->doc, "kind"));
	const char *path = json_string_value(json_object_get(job->doc, "path"));
	const char *why = json_string_value(
		json_object_get(json_object_get(job->doc, "error"), "message"));
	const char *state = state_names[job->state];

	events_add(job->jobs->events, "job", NULL, "job %lld, %s %s: %s%s%s",
		   (long long)job->id, kind, path, state, why ? ": " : "",
		   why ? why : "");
	log_info("job %lld, %s %s: %s%s%s", (long long)job->id, kind, path, state,
		 why ? ": " : "", why ? why : "");
	tell(job);
}

static void set_state(struct job *job, enum job_state state)
{
	job->state = state;
	json_object_set_new(job->doc, "state", job_state_json(state));
}

int job_new(struct jobs *jobs, const char *kind, const char *path, const char *leftover,
	    const struct job_ops *ops, void *arg, struct job **ret, struct rpc_error *e)
{
	struct job *job;
	json_t *doc;
	int r;

	if (jobs->running >= JOBS_RUNNING)
		return rpc_error_set(e, -ENOBUFS,
				     "%u jobs run already; wait until one has ended "
				     "('vmctl job list')",
				     JOBS_RUNNING);
	doc = json_pack("{s:I, s:s, s:s, s:o, s:i, s:i, s:o, s:n, s:n, s:n}", "job",
			(json_int_t)jobs->next, "kind", kind, "path", path, "state",
			job_state_json(JOB_RUNNING), "done", 0, "total", 0, "started",
			job_time(), "ended", "result", "error");
	job = doc ? job_restore(jobs, jobs->next, JOB_RUNNING, doc) : NULL;
	if (!job)
		return rpc_error_set(e, -ENOMEM, "no memory");
	job->leftover = leftover ? strdup(leftover) : NULL;
	r = leftover && !job->leftover ? -ENOMEM : job_record_write(job);
	if (r < 0) {
		job_free(job);
		return rpc_error_set(e, r,
				     "the job cannot be recorded in the state folder: "
				     "%s; see to it and try again",
				     strerror(-r));
	}
	job->ops = ops;
	job->arg = arg;
	*ret = job;
	tell_state(job);
	return 0;
}

void job_progress(struct job *job, uint64_t done, uint64_t total)
{
	const struct timeval wait = { .tv_usec = TELL_MS * 1000 };

	json_object_set_new(job->doc, "done", json_integer((json_int_t)done));
	json_object_set_new(job->doc, "total", json_integer((json_int_t)total));
	if (now_ms() - job->told_ms >= TELL_MS) {
		tell(job);
		return;
	}
	/* It may be the last for long, and is not kept back for ever. */
	if (!job->later)
		job->later = evtimer_new(job->jobs->base, on_later, job);
	if (job->later && !evtimer_pending(job->later, NULL))
		evtimer_add(job->later, &wait);
}

void job_end(struct job *job, const json_t *result, const struct rpc_error *e)
{
	struct jobs *jobs = job->jobs;

	jobs->running--;
	jobs->ended++;
	set_state(job, !e                     ? JOB_COMPLETED
		       : e->err == -ECANCELED ? JOB_CANCELLED
					      : JOB_FAILED);
	json_object_set_new(job->doc, "ended", job_time());
	if (e)
		json_object_set_new(job->doc, "error", rpc_error_to_json(e));
	else if (result)
		json_object_set(job->doc, "result", (json_t *)(uintptr_t)result);
	job->ops = NULL;
	free(take_ptr(&job->leftover));
	if (job_record_write(job) < 0)
		log_warning("the outcome of job %lld cannot be recorded",
			    (long long)job->id);
	tell_state(job);
	job_waits_settle(job);
	forget_oldest(jobs, job);
}
