/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs: operations that take long. A job is begun, tells how far it is, and ends as Completed, Failed or Cancelled; its
 * outcome is kept (the last JOBS_KEPT, over a restart of vmms too). A job that ran when vmms died has Failed.
 *
 * Each job has a record, STATE/jobs/<number>.json, written before its work begins and replaced at its end, so that the next vmms knows what to
 * undo (a leftover that is removed) or to finish (a file that is deleted), and numbers never mean another job. Thread: the event loop's.
 */
#ifndef VMMS_JOB_JOB_H
#define VMMS_JOB_JOB_H

#include <jansson.h>
#include <sys/types.h>
#include "rpc/server.h"
#include "util/list.h"
#include "vmms/events.h"

#define JOBS_KEPT 100u   /* that have ended */
#define JOBS_RUNNING 16u /* at once */

enum job_state {
	JOB_RUNNING,
	JOB_CANCELLING,
	JOB_COMPLETED,
	JOB_FAILED,
	JOB_CANCELLED,
};

struct job;
struct jobs;

/* What does a job's work. Both may end the job before they return. */
struct job_ops {
	void (*cancel)(void *arg);
	/* vmms ends: lets go of everything, ends nothing. */
	void (*drop)(void *arg);
	/* Whether it has this file open; may be NULL. */
	bool (*uses)(void *arg, dev_t dev, ino_t ino);
};

/* Reads the records of STATE/jobs (state_fd is STATE/vms), and settles what an earlier vmms left. */
int jobs_new(struct event_base *base, int state_fd, struct events *events,
	     struct jobs **ret) __must_check;
void jobs_free(struct jobs *jobs);
/* The server whose subscribers hear of each change; NULL: none. */
void jobs_serve(struct jobs *jobs, struct rpc_server *server);

/*
 * Begins a job once its record is on disk. `kind`: "vhd.convert"; path: what it works on. `leftover` (may be NULL): a file that is
 * not to outlive a job that was cut off: the next vmms removes it. -ENOBUFS when too many run.
 */
int job_new(struct jobs *jobs, const char *kind, const char *path, const char *leftover,
	    const struct job_ops *ops, void *arg, struct job **ret,
	    struct rpc_error *e) __must_check;
void job_progress(struct job *job, uint64_t done, uint64_t total);
/*
 * Deletes a file that the job's success makes useless, before job_end(). It is in the record first, so that where vmms ends in between the next one deletes it
 * and the job is Completed. -ESTALE when another file has the name; it stays.
 */
int job_delete_file(struct job *job, const char *path, dev_t dev, ino_t ino,
		    struct rpc_error *e) __must_check;
/* Ends it: with e NULL Completed (the result, borrowed, may be NULL), else Failed, or Cancelled for -ECANCELED. */
void job_end(struct job *job, const json_t *result, const struct rpc_error *e);
int64_t job_id(const struct job *job);
/* The document of the methods' table; a new reference. */
json_t *job_document(const struct job *job);

/* By number; a new reference, NULL when there is none. */
json_t *jobs_document(const struct jobs *jobs, int64_t id);
/* The running job that has a file open; 0: none. */
int64_t jobs_holder(const struct jobs *jobs, dev_t dev, ino_t ino);

/* The methods job.list, job.show, job.cancel, job.wait; they answer the call. */
void jobs_list(struct jobs *jobs, struct rpc_call *call);
void jobs_show(struct jobs *jobs, struct rpc_call *call);
void jobs_cancel(struct jobs *jobs, struct rpc_call *call);
void jobs_wait(struct jobs *jobs, struct event_base *base, struct rpc_call *call);

#endif
