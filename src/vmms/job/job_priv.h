/* SPDX-License-Identifier: BSD-2-Clause */
/* What job.c (the life of a job), job_record.c (its record) and job_methods.c share. */
#ifndef VMMS_JOB_JOB_PRIV_H
#define VMMS_JOB_JOB_PRIV_H

#include "vmms/job/job.h"

/* owner: the event loop */
struct jobs {
	struct event_base *base;
	struct list all; /* by number, rising */
	size_t running, ended;
	int64_t next;
	int dir; /* STATE/jobs */
	struct events *events;
	struct rpc_server *server;
};

struct job {
	struct list link;
	struct jobs *jobs;
	int64_t id;
	enum job_state state;
	json_t *doc; /* as the methods' table has it; says the state too */
	char *leftover;
	json_t *deletion; /* path, dev, ino: what is to be deleted yet; NULL: nothing */
	const struct job_ops *ops; /* NULL once it has ended */
	void *arg;
	uint64_t told_ms;
	struct event *
		later; /* tells of progress that came too soon after what was told; NULL: none did yet */
	struct list waits; /* of job_methods.c */
};

static inline bool job_is_over(const struct job *job)
{
	return job->state >= JOB_COMPLETED;
}

struct job *jobs_find(const struct jobs *jobs, int64_t id);
/* From a record; takes doc. NULL without memory. */
struct job *job_restore(struct jobs *jobs, int64_t id, enum job_state state, json_t *doc);
void job_free(struct job *job);
/* "2026-11-21T12:00:00Z" */
json_t *job_time(void);
json_t *job_state_json(enum job_state s);
/* -EINVAL */
int job_state_parse(const char *name, enum job_state *ret) __must_check;

/* job_record.c */
int job_record_write(const struct job *job) __must_check;
void job_record_remove(const struct job *job);
/* All records, settled, into the list. */
int job_records_load(struct jobs *jobs) __must_check;

/* job_methods.c: answers the calls that wait for it. */
void job_waits_settle(struct job *job);
void job_waits_fail(struct job *job, const struct rpc_error *e);

#endif
