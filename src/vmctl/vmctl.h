/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line's inside: the table of verbs and what a verb's function may use. A verb is a row in verbs.c and a
 * function in the file of its group; it checks nothing that vmms checks. Thread: the one there is.
 */
#ifndef VMCTL_VMCTL_H
#define VMCTL_VMCTL_H

#include <jansson.h>
#include <stdio.h>
#include "util/macros.h"
#include "vmctl/args.h"
#include "vmctl/remote.h"

#define VMCTL_SOCKET "/run/vmms/vmms.sock"

/* Exit statuses. */
enum { VMCTL_DONE = 0, VMCTL_FAILED = 1, VMCTL_USAGE = 2 };

struct verb;
struct rpc_client;

struct vmctl {
	const struct verb *verb;
	const char *
		socket; /* a path; with `host` one of that host, NULL: where vmms of that host is */
	const char *host; /* --host as given; NULL: this one */
	struct remote_address address;
	struct remote *remote; /* of `client` */
	bool silent;           /* completes: ssh is not to ask anything */
	bool json;
	unsigned int
		width; /* of the terminal in columns; 0 when standard output is none */
	struct rpc_client *client;
};

/* What a word of a verb is: for completion. */
enum word_kind {
	WORD_NONE,
	WORD_VM,
	WORD_NAME,
	WORD_STATE,
	WORD_FILE,
	WORD_JOB,
	WORD_DRIVE
};

struct verb {
	const char *name;  /* one word, or noun and verb: "host check" */
	const char *words; /* "NAME": each must be given */
	enum word_kind kinds[ARGS_WORDS_MAX];
	const char *summary; /* a clause: "start a VM" */
	const char *text;    /* paragraphs for --help; may be NULL */
	const struct option *options;
	const char *examples; /* one command a line, without "vmctl" */
	const char *method;   /* for verbs that are one call */
	/* The exit status; messages are printed. */
	int (*run)(struct vmctl *v, const struct args *a);
};

extern const struct verb verbs[];
extern const size_t verbs_count;
/* --socket, --json, --help: every verb has them. */
extern const struct option verbs_common[];

/* The row of a name; two words for noun and verb (`second` may be NULL). NULL if there is none. */
const struct verb *verb_find(const char *first, const char *second);
/* True when it is the first word of some "noun verb". */
bool verb_is_noun(const char *word);
size_t verb_count_words(const struct verb *verb);

/* help.c */
void help_all(FILE *out);
void help_verb(FILE *out, const struct verb *verb);

/* complete.c: the candidates for the last of these words, one a line (":files" for a path). Never fails. */
void complete(struct vmctl *v, int argc, char *const *argv);

/* One line to standard error, "vmctl VERB: …"; returns VMCTL_FAILED. */
int fail(const struct vmctl *v, const char *fmt, ...) __printf(2, 3);
/* The same for wrong use, with where help is; returns VMCTL_USAGE. */
int fail_usage(const struct vmctl *v, const char *fmt, ...) __printf(2, 3);

/*
 * call.c: one method. Takes over `params` (NULL, from a failed json_pack, is reported as out of memory). 0 with a new reference in *ret, or an
 * exit status after a message (with --json an object {"error": …} on standard output as well).
 */
int call(struct vmctl *v, const char *method, json_t *params, json_t **ret) __must_check;
/* As call(), but silent: -errno on failure. */
int call_quiet(struct vmctl *v, const char *method, json_t *params,
	       json_t **ret) __must_check;
void call_done(struct vmctl *v);
/* Connects to a Unix socket of this host. -errno. */
int socket_open(const char *path, int *ret_fd) __must_check;
/* Why v->socket does not answer, and what to do; VMCTL_FAILED. */
int fail_to_connect(const struct vmctl *v, int r);

/* print.c: a JSON document on standard output; an exit status. */
int print_json(const json_t *doc);
/* One line of text from JSON or else, cleaned. */
void print_line(FILE *out, const char *fmt, ...) __printf(2, 3);
/* A member of an object as text; "-" when it is missing or null. Valid as long as the object. */
const char *field_text(const json_t *obj, const char *name);
uint64_t field_number(const json_t *obj, const char *name);
/* With --json the document, else "NAME is STATE"; for verbs that answer with a VM's summary. */
int print_summary(const struct vmctl *v, const json_t *summary);

/*
 * follow.c: a job's end is waited for. First job_subscribe(), on the connection that then begins the job; job_follow() replaces the document
 * by the last one. Exit statuses, after a message where they are not 0.
 */
int job_subscribe(struct vmctl *v) __must_check;
int job_follow(struct vmctl *v, json_t **job) __must_check;
bool job_is_over(const json_t *job);
/* VMCTL_DONE for a completed one; else the message of its error. */
int job_report(const struct vmctl *v, const json_t *job) __must_check;
/* nic.c: the text of --nic; VMCTL_DONE with a new reference, or an exit status after a message. */
int nic_parse(const struct vmctl *v, const char *text, json_t **ret);
/* The adapters of what vm.show answered, below a title if there is one; negative without memory. */
int nic_port_patch(const struct vmctl *v, const struct args *a, json_t *patch);
int nic_print(const struct vmctl *v, const json_t *vm, const char *title);

/* The verbs, by the file of their group. */
int verb_create(struct vmctl *v, const struct args *a);
int verb_set(struct vmctl *v, const struct args *a);
int verb_rename(struct vmctl *v, const struct args *a);
int verb_delete(struct vmctl *v, const struct args *a);
int verb_start(struct vmctl *v, const struct args *a);
int verb_stop(struct vmctl *v, const struct args *a);
int verb_power(struct vmctl *v, const struct args *a);
int verb_wait(struct vmctl *v, const struct args *a);
int verb_list(struct vmctl *v, const struct args *a);
int verb_show(struct vmctl *v, const struct args *a);
int verb_console(struct vmctl *v, const struct args *a);
int verb_events(struct vmctl *v, const struct args *a);
int verb_log(struct vmctl *v, const struct args *a);
int verb_vhd(struct vmctl *v, const struct args *a);
int verb_vhd_convert(struct vmctl *v, const struct args *a);
int verb_vhd_set_parent(struct vmctl *v, const struct args *a);
int verb_vhd_info(struct vmctl *v, const struct args *a);
int verb_job_list(struct vmctl *v, const struct args *a);
int verb_job(struct vmctl *v, const struct args *a);
int verb_job_wait(struct vmctl *v, const struct args *a);
int verb_switch_create(struct vmctl *v, const struct args *a);
int verb_switch_delete(struct vmctl *v, const struct args *a);
int verb_switch_list(struct vmctl *v, const struct args *a);
int verb_switch_show(struct vmctl *v, const struct args *a);
int verb_switch_set(struct vmctl *v, const struct args *a);
int verb_nic_list(struct vmctl *v, const struct args *a);
int verb_nic_add(struct vmctl *v, const struct args *a);
int verb_nic_set(struct vmctl *v, const struct args *a);
int verb_nic_remove(struct vmctl *v, const struct args *a);
int verb_disk_list(struct vmctl *v, const struct args *a);
int verb_disk_attach(struct vmctl *v, const struct args *a);
int verb_disk_detach(struct vmctl *v, const struct args *a);
int verb_disk_set(struct vmctl *v, const struct args *a);
int verb_disk_resize(struct vmctl *v, const struct args *a);
int verb_dvd_insert(struct vmctl *v, const struct args *a);
int verb_dvd_eject(struct vmctl *v, const struct args *a);
int verb_meter(struct vmctl *v, const struct args *a);
int verb_perf(struct vmctl *v, const struct args *a);
int verb_proxy(struct vmctl *v, const struct args *a);
int verb_host_check(struct vmctl *v, const struct args *a);
int verb_host_info(struct vmctl *v, const struct args *a);
int verb_host_stop_vms(struct vmctl *v, const struct args *a);

#endif
