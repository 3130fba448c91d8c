/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A job from its beginning to its end: a bar on a terminal, or with --json each change as one line; Ctrl-C asks it to stop.
 *
 * The connection is subscribed before the job begins, so that no change is missed; then notifications are waited for, together with
 * the signal, which is blocked but while waiting, so that none is missed either.
 */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "rpc/client.h"

#define BAR 30u

static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
	interrupts++;
}

bool job_is_over(const json_t *job)
{
	const char *state = field_text(job, "state");

	return strcmp(state, "Running") != 0 && strcmp(state, "Cancelling") != 0;
}

/* ---- what is seen of it ---- */

static void print_bar(const struct vmctl *v, const json_t *job)
{
	uint64_t done = field_number(job, "done"), total = field_number(job, "total");
	bool cancelling = strcmp(field_text(job, "state"), "Cancelling") == 0;
	unsigned int percent, filled;
	char bar[BAR + 1];

	if (v->json || !isatty(STDERR_FILENO))
		return;
	percent = total ? (unsigned int)((double)MIN(done, total) * 100 / (double)total)
			: 0;
	filled = percent * BAR / 100;
	memset(bar, ' ', BAR);
	memset(bar, '#', filled);
	bar[BAR] = 0;
	fprintf(stderr, "\r[%s] %3u %%%s\033[K", bar, percent,
		cancelling ? ", cancelling" : "");
}

static void clear_bar(const struct vmctl *v)
{
	if (!v->json && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static void print_change(const struct vmctl *v, const json_t *job)
{
	if (!v->json) {
		print_bar(v, job);
		return;
	}
	json_dumpf(job, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	fflush(stdout);
}

/* ---- what comes ---- */

/* Takes what has come of this job, without waiting; *job becomes the newest document. */
static int take_changes(struct vmctl *v, json_t **job, struct rpc_error *e)
{
	for (;;) {
		json_t *note = NULL, *params;
		int r = rpc_client_next(v->client, 0, &note, e);

		if (r == -ETIMEDOUT)
			return 0;
		if (r < 0)
			return r;
		params = json_object_get(note, "params");
		if (strcmp(field_text(note, "method"), "job") == 0 &&
		    field_number(params, "job") == field_number(*job, "job") &&
		    !job_is_over(*job)) {
			json_decref(*job);
			*job = json_incref(params);
			print_change(v, *job);
		}
		json_decref(note);
	}
}

static int gone(struct vmctl *v, const json_t *job, const struct rpc_error *e)
{
	clear_bar(v);
	return fail(v, "vmms does not answer any more (%s); see 'vmctl job show %llu'",
		    e->message, (unsigned long long)field_number(job, "job"));
}

/* The first Ctrl-C asks the job to stop; the second leaves it to itself. */
static bool interrupted(struct vmctl *v, const json_t *job, int *asked)
{
	json_t *answer = NULL;
	int n = interrupts;

	if (n == *asked)
		return false;
	*asked = n;
	if (n > 1)
		return true;
	/* One that has ended meanwhile says so itself. */
	if (call_quiet(v, "job.cancel",
		       json_pack("{s:O}", "job", json_object_get(job, "job")),
		       &answer) == 0)
		print_bar(v, answer);
	json_decref(answer);
	return false;
}

static int follow(struct vmctl *v, json_t **job, const sigset_t *open)
{
	struct pollfd p = { .fd = rpc_client_fd(v->client), .events = POLLIN };
	struct rpc_error e = { 0 };
	int asked = 0;

	print_change(v, *job);
	for (;;) {
		if (take_changes(v, job, &e) < 0)
			return gone(v, *job, &e);
		if (job_is_over(*job))
			return VMCTL_DONE;
		if (interrupted(v, *job, &asked)) {
			clear_bar(v);
			return fail(v, "job %llu goes on ending by itself",
				    (unsigned long long)field_number(*job, "job"));
		}
		/* What came with the answer to job.cancel is kept and does not show on the socket. */
		if (asked && take_changes(v, job, &e) == 0 && job_is_over(*job))
			return VMCTL_DONE;
		if (interrupts == asked)
			ppoll(&p, 1, NULL, open);
	}
}

int job_subscribe(struct vmctl *v)
{
	json_auto_t *answer = NULL;

	return call(v, "events.subscribe", json_object(), &answer);
}

int job_follow(struct vmctl *v, json_t **job)
{
	const struct sigaction sa = { .sa_handler = on_interrupt };
	struct sigaction old;
	sigset_t block, open;
	int status;

	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &open);
	sigaction(SIGINT, &sa, &old);
	status = follow(v, job, &open);
	clear_bar(v);
	sigaction(SIGINT, &old, NULL);
	sigprocmask(SIG_SETMASK, &open, NULL);
	return status;
}

int job_report(const struct vmctl *v, const json_t *job)
{
	const json_t *error = json_object_get(job, "error");

	if (strcmp(field_text(job, "state"), "Completed") == 0)
		return VMCTL_DONE;
	return fail(v, "%s",
		    json_is_object(error) ? field_text(error, "message") : "it failed");
}
