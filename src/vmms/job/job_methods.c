/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods on jobs. job.wait is answered when the job has ended, its time is over, or its client left. */
#include "vmms/job/job_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#define WAIT_SECONDS 60

struct job_wait {
	struct list link; /* in the job's waits */
	struct job *job;
	struct rpc_call *call;
	struct event *timeout;
};

/* The call's job; NULL when it was answered with an error. */
static struct job *find(struct jobs *jobs, struct rpc_call *call)
{
	int64_t id = rpc_call_integer(call, "job", 0);
	struct job *job = jobs_find(jobs, id);

	if (!job)
		rpc_call_fail(call, -ENOENT,
			      "there is no job %lld, or it ended long ago; 'vmctl job "
			      "list' shows those that are kept",
			      (long long)id);
	return job;
}

void jobs_list(struct jobs *jobs, struct rpc_call *call)
{
	json_t *list = json_array();
	struct job *job;

	list_for_each (job, &jobs->all, link)
		json_array_append_new(list, job_document(job));
	rpc_call_reply(call, json_pack("{s:o}", "jobs", list));
}

void jobs_show(struct jobs *jobs, struct rpc_call *call)
{
	struct job *job = find(jobs, call);

	if (job)
		rpc_call_reply(call, job_document(job));
}

void jobs_cancel(struct jobs *jobs, struct rpc_call *call)
{
	struct job *job = find(jobs, call);

	if (!job)
		return;
	if (job_is_over(job)) {
		rpc_call_fail(call, -EBUSY,
			      "job %lld has ended; there is nothing to cancel",
			      (long long)job->id);
		return;
	}
	if (job->state == JOB_RUNNING) {
		job->state = JOB_CANCELLING;
		json_object_set_new(job->doc, "state", job_state_json(job->state));
		job->ops->cancel(job->arg);
	}
	rpc_call_reply(call, job_document(job));
}

/* ---- wait ---- */

/* Takes it off the job; the caller answers the call. */
static struct rpc_call *take(struct job_wait *w)
{
	struct rpc_call *call = w->call;

	list_del(&w->link);
	event_free(w->timeout);
	free(w);
	return call;
}

void job_waits_settle(struct job *job)
{
	struct job_wait *w, *next;

	list_for_each_safe (w, next, &job->waits, link)
		rpc_call_reply(take(w), job_document(job));
}

void job_waits_fail(struct job *job, const struct rpc_error *e)
{
	struct job_wait *w, *next;

	list_for_each_safe (w, next, &job->waits, link)
		rpc_call_error(take(w), e);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct job_wait *w = arg;
	long long id = w->job->id;

	rpc_call_fail(take(w), -ETIMEDOUT,
		      "job %lld still runs; wait longer, or see 'vmctl job show %lld'",
		      id, id);
}

static void on_gone(struct rpc_call *call, void *arg)
{
	rpc_call_fail(take(arg), -ECONNABORTED, "the client left");
}

void jobs_wait(struct jobs *jobs, struct event_base *base, struct rpc_call *call)
{
	const struct timeval t = { .tv_sec = rpc_call_integer(call, "timeout_s",
							      WAIT_SECONDS) };
	struct job *job = find(jobs, call);
	struct job_wait *w;

	if (!job)
		return;
	if (job_is_over(job)) {
		rpc_call_reply(call, job_document(job));
		return;
	}
	w = calloc(1, sizeof(*w));
	if (w)
		w->timeout = event_new(base, -1, 0, on_timeout, w);
	if (!w || !w->timeout || event_add(w->timeout, &t) < 0) {
		if (w && w->timeout)
			event_free(w->timeout);
		free(w);
		rpc_call_fail(call, -ENOMEM, "no memory");
		return;
	}
	w->job = job;
	w->call = call;
	list_add_tail(&job->waits, &w->link);
	rpc_call_on_gone(call, on_gone, w);
}
